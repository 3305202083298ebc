"""The outside proof of erasure: its people, what they send, and that its reader sees."""

import ast
import json
import unicodedata
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.erasure.hostile import decoding, reading
from benchmarks.erasure.hostile.decoding import identities_in_raw, identities_in_table
from benchmarks.erasure.hostile.payloads import SUBJECT_PATHS, Payloads
from benchmarks.erasure.hostile.people import KINDS, people
from benchmarks.erasure.hostile.reading import (
    Home,
    Marks,
    foreign_actions,
    live_files,
    row_hash,
)

COLUMNS = ["user_id", "item_id"]


def test_people_are_many_kinds_repeatable_and_half_of_each_kind_goes() -> None:
    everybody = people(500, 1)
    assert everybody == people(500, 1)
    assert [p.user_id for p in everybody] != [p.user_id for p in people(500, 2)]
    assert len({p.user_id for p in everybody}) == 500
    lengths = {len(p.user_id) for p in everybody}
    assert (min(lengths), max(lengths)) == (1, 200)
    of_kind = Counter(p.kind for p in everybody)
    gone = Counter(p.kind for p in everybody if p.is_erased)
    assert of_kind.keys() == KINDS.keys()
    assert all(abs(2 * gone[kind] - count) <= 1 for kind, count in of_kind.items())


def test_some_who_go_resemble_some_who_stay() -> None:
    gone = [p.user_id for p in people(500, 1) if p.is_erased]
    stay = [p.user_id for p in people(500, 1) if not p.is_erased]
    assert any(one != other and one in other for one in gone for other in stay if len(one) > 8)
    forms = {unicodedata.normalize("NFC", text) for text in stay}
    assert any(unicodedata.normalize("NFC", text) in forms for text in gone)


def test_the_same_bytes_are_sent_again() -> None:
    everybody = people(60, 1)
    packages = Payloads("acme", everybody, 1).packages()
    assert packages == Payloads("acme", everybody, 1).packages()
    owners = {owner for package in packages for owner in package.owners}
    assert owners == {p.user_id for p in everybody} | {""}


@pytest.mark.parametrize("module", [decoding, reading])
def test_the_reader_imports_nothing_of_the_project(module) -> None:
    tree = ast.parse(Path(module.__file__).read_text())
    names = [a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names]
    names += [n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)]
    own = {"eta_client", "ingest_service", "lakehouse", "tests"}
    assert own.isdisjoint(name.split(".")[0] for name in names)


@pytest.mark.parametrize(
    ("raw", "layout", "who"),
    [
        pytest.param(b'{"user_id": 4217, "x": 1}', {"format": "json"}, {"4217"}, id="a number"),
        pytest.param(b'{"user_id": "a\\/\\u00E9"}', {"format": "json"}, {"a/é"}, id="escapes"),
        pytest.param(b'{"user_id": "a", "user_id": 5}', {"format": "json"}, {"a", "5"}, id="twice"),
        pytest.param(b'{"user_id": "a", "x": NaN}', {"format": "json"}, {"a"}, id="no JSON"),
        pytest.param(b'{"user_id": "a", "x": "b', {"format": "json"}, {"a"}, id="cut off"),
        pytest.param(b'{"who": {"id": "a"}, "data": {"id": "b"}}', {"format": "json"}, {"a"},
                     id="a path"),
        pytest.param(b'"o""b",i1', {"columns": COLUMNS}, {'o"b'}, id="quotes"),
        pytest.param(b"a,i1,more", {"columns": COLUMNS}, {"a"}, id="ragged"),
        pytest.param(b"a\\;b;i1", {"columns": COLUMNS, "delimiter": ";", "escape": "\\"}, {"a;b"},
                     id="a backslash"),
        pytest.param("a,i1".encode("utf-16-le"), {"columns": COLUMNS, "encoding": "utf-16-le"},
                     {"a"}, id="UTF-16"),
    ],
)  # fmt: skip
def test_the_reader_decodes_rejected_records(raw: bytes, layout: dict, who: set[str]) -> None:
    assert identities_in_raw(raw, layout, SUBJECT_PATHS) == who


def test_the_reader_reads_exports_by_their_header() -> None:
    names = frozenset({"user_id"})
    recbole = 'user_id:token\titem_id:token\n4217\ti1\n"a\ti2\n'
    assert identities_in_table(recbole, "\t", names) == {"4217", '"a'}
    assert identities_in_table('USER_ID,ITEM_ID\n"a,b",i1\n', ",", names) == {"a,b"}


def test_the_reader_finds_a_person_in_old_files_exports_and_the_database(tmp_path: Path) -> None:
    import sqlite3

    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = tmp_path / "lake/raw/interactions/tenant_id=acme"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"user_id": ["17", "18"]}), folder / "old.parquet")
    (tmp_path / "lake/raw/interactions/tenant_id=globex").mkdir()
    pq.write_table(pa.table({"user_id": ["17"]}), folder.parent / "tenant_id=globex/x.parquet")
    export = tmp_path / "exports/acme/one-recbole"
    export.mkdir(parents=True)
    (export / "acme.inter").write_text("user_id:token\titem_id:token\n17\ti1\n")
    (tmp_path / "some.log").write_text("of mark-0123456789")
    database = sqlite3.connect(tmp_path / "control.db")
    database.execute("create table waiting (body blob)")
    database.execute("insert into waiting values (?)", (json.dumps({"user_id": 17}).encode(),))
    database.commit()
    database.close()
    held = Home(tmp_path, "acme", SUBJECT_PATHS).held({"17"}, Marks({"mark-0123456789"}))
    assert {(one.place, one.value) for one in held} == {
        ("lake/raw/interactions/tenant_id=acme/old.parquet", "17"),
        ("exports/acme/one-recbole/acme.inter", "17"),
        ("some.log", "mark-0123456789"),
        ("control.db waiting", "17"),
    }


def test_the_reader_follows_a_log_and_sees_whose_files_a_commit_touches(tmp_path: Path) -> None:
    log = tmp_path / "_delta_log"
    log.mkdir()
    add = {"path": "tenant_id=a/1.parquet", "partitionValues": {"tenant_id": "a"}}
    gone = {"path": "tenant_id=b/2.parquet", "partitionValues": {"tenant_id": "b"}}
    first = "\n".join(json.dumps({"add": one}) for one in (add, gone))
    (log / f"{0:020}.json").write_text(first)
    (log / f"{1:020}.json").write_text(json.dumps({"remove": gone}))
    assert live_files(tmp_path) == ({"tenant_id=a/1.parquet": {"tenant_id": "a"}}, False)
    assert foreign_actions(log / f"{1:020}.json", "a") == {"b"}
    assert foreign_actions(log / f"{1:020}.json", "b") == set()


def test_a_row_is_the_same_whichever_reader_names_the_zone_of_its_times() -> None:
    moment = datetime(2026, 5, 1, 12, tzinfo=UTC)
    bare = moment.replace(tzinfo=None)
    assert row_hash({"at": [moment]}) == row_hash({"at": [bare]})
    assert row_hash({"at": moment}) != row_hash({"at": bare + timedelta(microseconds=1)})
