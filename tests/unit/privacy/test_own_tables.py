"""Tables of an engineer's own schemas: an erasure covers them, or says which it cannot."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from lakehouse.privacy.derived import identifying_columns, quoted
from lakehouse.privacy.export import open_export
from tests.support.erasure import TENANT, ErasableLake, NoModels, person


@dataclass
class OwnModels(NoModels):
    """Deletes as the dbt operation does, by the columns that name people."""

    lake: str = ""
    asked: list[str] = field(default_factory=list)

    def delete(self, settings, tenant_id: str, tables: Sequence[str], subjects: str) -> None:
        self.asked += tables
        gone = pl.read_parquet(subjects)["subject"].to_list()
        texts = ", ".join(f"'{text}'" for text in gone)
        for name in tables:
            table = DeltaTable(f"{self.lake}/{name.replace('.', '/')}")
            for column in identifying_columns(table):
                is_gone = f"cast({quoted(column)} as string) in ({texts})"
                table.delete(f"tenant_id = '{tenant_id}' and {is_gone}")


@pytest.fixture
def own(lake: ErasableLake) -> ErasableLake:
    lake.models = OwnModels(lake=lake.settings.lake)
    return lake


def write(lake: ErasableLake, name: str, rows: dict[str, list], **how) -> DeltaTable:
    """A table as an engineer's model makes it: no tenant's partitions, no settings of ours."""
    location = f"{lake.settings.lake}/{name.replace('.', '/')}"
    write_deltalake(location, pa.table(rows), **how)
    return DeltaTable(location)


@pytest.mark.parametrize(
    ("column", "partitions"),
    [
        pytest.param("user_id", ["tenant_id"], id="by tenants"),
        *(pytest.param(name, [], id=name) for name in ("user_id", "USER-ID", "anonymous_id")),
    ],
)
def test_a_persons_rows_leave_an_own_table(
    own: ErasableLake, column: str, partitions: list[str]
) -> None:
    gone, kept = person(), person()
    own.fill(gone, [kept])
    rows = {"tenant_id": [TENANT, TENANT, "other"], column: [gone, kept, gone], "n": [1, 2, 3]}
    write(own, "marts.people", rows, partition_by=partitions)
    request = own.erase(gone)
    [done] = own.work()
    assert done.completed == (request,), done.reasons
    certificate = own.database.erasures.get(request).certificate
    assert certificate is not None
    assert certificate["rows_deleted"]["marts.people"] == 1
    assert "marts.people" in certificate["table_versions"]
    table = DeltaTable(f"{own.settings.lake}/marts/people")
    left = pl.DataFrame(table.to_pyarrow_table())
    assert sorted(left["n"]) == [2, 3]  # the other tenant's person of that name stays
    files = Path(own.settings.lake, "marts/people").rglob("*.parquet")
    held = [value for file in files for value in pl.read_parquet(file)["n"]]
    assert 1 not in held, "an old version still has the row"
    assert own.search(gone).is_clean


def test_a_number_is_a_person_by_its_text(own: ErasableLake) -> None:
    own.fill("4711", [person()])
    rows = {"tenant_id": [TENANT, TENANT], "user_id": [4711, 4712]}
    write(own, "snapshots.prices", rows)
    own.erase("4711")
    [done] = own.work()
    assert done.completed, done.reasons
    table = DeltaTable(f"{own.settings.lake}/snapshots/prices")
    assert pl.DataFrame(table.to_pyarrow_table())["user_id"].to_list() == [4712]


def test_people_without_a_tenant_hold_the_erasure_up_and_it_says_which_table(
    own: ErasableLake,
) -> None:
    gone = person()
    own.fill(gone, [person()])
    write(own, "dev_anna.sample", {"user_id": [gone], "n": [1]})
    request = own.erase(gone)
    [done] = own.work()
    assert done.completed == ()
    assert "dev_anna.sample has people and no column tenant_id" in " ".join(done.reasons)
    assert isinstance(own.models, OwnModels)
    assert own.models.runs <= 1, "the models were run again and again for it"

    write(own, "dev_anna.sample", {"n": [1]}, mode="overwrite", schema_mode="overwrite")
    [done] = own.work()
    assert done.completed == (request,), done.reasons


def test_an_own_table_without_people_or_of_another_tenant_holds_nothing_up(
    own: ErasableLake,
) -> None:
    gone = person()
    own.fill(gone, [person()])
    write(own, "marts.totals", {"tenant_id": [TENANT], "n": [1]})
    write(own, "marts.theirs", {"tenant_id": ["other"], "user_id": [gone]})
    own.erase(gone)
    [done] = own.work()
    assert done.completed, done.reasons


def test_rows_of_no_tenant_are_not_taken_for_anothers(own: ErasableLake) -> None:
    gone = person()
    own.fill(gone, [person()])
    tenants = pa.array([None, "other"], pa.string())
    write(own, "marts.loose", {"tenant_id": tenants, "user_id": [gone, "somebody"]})
    own.erase(gone)
    [done] = own.work()
    assert done.completed == ()
    assert "marts/loose" in " ".join(done.reasons)


def test_an_export_has_the_rows_of_own_tables(own: ErasableLake) -> None:
    somebody = person()
    rows = {"tenant_id": [TENANT, "other"], "user_id": [somebody, somebody]}
    write(own, "marts.people", rows)
    write(own, "dev_anna.sample", {"user_id": [somebody]})  # whose it is nobody can say
    export = open_export(own.settings, TENANT, somebody, datetime.now(UTC))
    list(export.chunks())
    assert {part.file.table: part.file.rows for part in export.parts}.get("marts.people") == 1
    assert "dev_anna.sample" not in {part.file.table for part in export.parts}


def test_a_table_whose_files_cannot_be_searched_is_named(own: ErasableLake) -> None:
    gone = person()
    own.fill(gone, [person()])
    write(own, "marts.renamed", {"tenant_id": ["other"], "user_id": ["somebody"]})
    log = Path(own.settings.lake, "marts/renamed/_delta_log/00000000000000000000.json")
    first = log.read_text()
    mode = '"configuration":{"delta.columnMapping.mode":"name"}'
    log.write_text(first.replace('"configuration":{}', mode))
    request = own.erase(gone)
    [done] = own.work()
    assert "marts.renamed has people and files with other names" in " ".join(done.reasons)

    log.write_text(first.replace('"minReaderVersion":1,', '"minReaderVersion":99,'))
    [done] = own.work()
    assert "the table marts.renamed cannot be read" in " ".join(done.reasons)

    log.write_text(first)
    [done] = own.work()
    assert done.completed == (request,), done.reasons
