"""An inspection of workbooks, Parquet, Avro and packed files says what of a CSV file it would."""

import gzip
import zipfile
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import openpyxl
import polars as pl
import pytest

from ingest_service.sources.inspecting.answer import answer_of
from ingest_service.sources.inspecting.inspection import InspectOrder, inspect
from lakehouse.contracts.mapping import FileRefusedError
from tests.unit.ingest_service.test_inspect_endpoint import app as app
from tests.unit.ingest_service.test_inspect_endpoint import inspected

NOW = datetime(2026, 6, 1, tzinfo=UTC)
FIRST = datetime(2026, 5, 1, 10, tzinfo=UTC)
ROWS = [
    {"visitor": f"u{n % 3}", "what": ("view", "buy")[n % 2], "product": f"p{n}"} for n in range(8)
]
TIMES = [FIRST + timedelta(minutes=n) for n in range(8)]


def workbook() -> bytes:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append([*ROWS[0], "when"])
    for row, time in zip(ROWS, TIMES, strict=True):
        sheet.append([*row.values(), time.replace(tzinfo=None)])
    target = BytesIO()
    book.save(target)
    return target.getvalue()


def parquet() -> bytes:
    target = BytesIO()
    pl.DataFrame(ROWS).with_columns(when=pl.Series(TIMES)).write_parquet(target)
    return target.getvalue()


def avro() -> bytes:
    fields: list[Any] = [{"name": name, "type": "string"} for name in ROWS[0]]
    fields.append({"name": "when", "type": {"type": "long", "logicalType": "timestamp-millis"}})
    target = BytesIO()
    rows = [row | {"when": time} for row, time in zip(ROWS, TIMES, strict=True)]
    fastavro.writer(target, {"type": "record", "name": "click", "fields": fields}, rows)
    return target.getvalue()


FILES = {"clicks.xlsx": workbook(), "clicks.parquet": parquet(), "clicks.avro": avro()}


@pytest.mark.parametrize("name", FILES)
def test_a_mapping_is_proposed_and_reads_every_row(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name])
    answer = answer_of(inspect(InspectOrder(path, name=name), NOW))
    assert answer["format"]["name"] == name.partition(".")[2]
    assert answer["dialect"]["delimiter"] is None
    assert {c["name"]: c["meaning"] for c in answer["columns"]} == {
        "visitor": "user_id",
        "what": "interaction_type",
        "product": "item_id",
        "when": "timestamp",
    }
    assert answer["counts"]["would_store"] == 8
    assert answer["rows"][0]["event_time"] == "2026-05-01T10:00:00Z"
    assert answer["rows"][1]["interaction_type"] == "purchase"


def test_a_sheet_of_several_is_looked_at(app: Any) -> None:
    book = openpyxl.Workbook()
    for title in ("May", "June"):
        sheet = book.create_sheet(title)
        sheet.append(["user_id", "item_id", "interaction_type", "timestamp"])
        sheet.append([title, "i1", "view", 1_750_000_000_000])
    target = BytesIO()
    book.save(target)
    assert inspected(app, target.getvalue()).status_code == 400
    answer = inspected(app, target.getvalue(), sheet="June")
    assert [row["user_id"] for row in answer.json()["rows"]] == ["June"]


def test_rows_without_a_type_are_wrong_and_no_other_type(app: Any) -> None:
    rows = "".join(
        f"u{n},i,{'purchase' if n % 4 else ''},{1_750_000_000_000 + n}\n" for n in range(40)
    )
    answer = inspected(app, f"user_id,item_id,interaction_type,timestamp\n{rows}".encode()).json()
    assert "constants" not in answer["proposed_mapping"]
    assert (answer["counts"]["would_store"], answer["counts"]["would_reject"]) == (30, 10)


def test_a_time_at_the_end_of_the_calendar_is_looked_at(app: Any) -> None:
    rows = "u1,i,view,2026-01-01T00:00:00Z\nu2,i,view,9999-12-31T23:59:59Z\n"
    answer = inspected(app, f"user_id,item_id,interaction_type,timestamp\n{rows}".encode())
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("name", FILES)
def test_the_start_alone_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(FILES[name][:500])
    with pytest.raises(FileRefusedError, match="cannot be looked at by its start alone"):
        inspect(InspectOrder(path, name=name, is_start=True), NOW)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("packing", ["gzip", "zip"])
def test_packed_files_are_looked_at_over_http(app: Any, name: str, packing: str) -> None:
    if packing == "gzip":
        body = gzip.compress(FILES[name])
    else:
        target = BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(name, FILES[name])
        body = target.getvalue()
    answer = inspected(app, body, file_name=name)
    assert answer.status_code == 200, answer.text
    assert answer.json()["format"]["compression"] == packing
    assert answer.json()["counts"]["would_store"] == 8
