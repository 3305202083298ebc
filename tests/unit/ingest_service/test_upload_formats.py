"""One endpoint takes every format, packed or not; what is kept aside is replayed in each."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.replay import Replayer, ReplayOrder
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.tenant import FileFormat, OnError, SourceMapping, TenantSettings
from lakehouse.privacy.suppression import EmptySuppressionList
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.quarantine import Quarantine
from lakehouse.storage.quarantine_export import export_rows
from lakehouse.storage.tables import ensure_tables
from tests.support.app import App
from tests.support.ingesting import Ticks, ingest, service
from tests.support.tables import as_csv, as_json, avro, parquet, workbook

ROWS: list[dict[str, Any]] = [
    {"user_id": "u1", "item_id": "00123", "interaction_type": "view", "timestamp": 1767225600000},
    {"user_id": "u2", "item_id": "7", "interaction_type": "stare", "timestamp": 1767225600000},
]
FIELDS = dict.fromkeys(ROWS[0], "string") | {"timestamp": "long"}
FILES = {
    "csv": as_csv(ROWS),
    "json": as_json(ROWS),
    "xlsx": workbook([list(ROWS[0]), *(row.values() for row in ROWS)], "May"),
    "parquet": parquet(pa.Table.from_pylist(ROWS)),
    "avro": avro(FIELDS, ROWS),
}
PLACES = {
    "csv": "line 3",
    "json": "line 2",
    "xlsx": "sheet 'May', row 3",
    "parquet": "row group 1, row 2",
    "avro": "record 2",
}


def zipped(data: bytes, *names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names or ("rows",):
            made.writestr(name, data)
    return file.getvalue()


PACKINGS = {
    "": bytes,
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zip": zipped,
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    made = App(tmp_path / "home")
    yield made
    made.close()


def send(app: App, content: bytes, name: str, path: str = "uploads", **more: str) -> httpx.Response:
    async def program(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(
            f"/internal/data/{path}",
            params={"tenant_id": "good", "data_type": "interactions", "on_error": "quarantine"}
            | more,
            files={"file": (name, content, "application/octet-stream")},
            headers=app.headers("good"),
        )

    answer: httpx.Response = app.run(program)
    return answer


@pytest.mark.parametrize("packing", PACKINGS)
def test_every_format_is_taken_in_packed_or_not(app: App, packing: str) -> None:
    for file_format, content in FILES.items():
        packed = PACKINGS[packing](content)
        answer = send(app, packed, f"rows.{file_format}{packing}").json()
        assert answer["status"] == "success", answer
        assert answer["file"]["format"] == file_format
        assert answer["warnings_by_code"].get("format_mismatch") is None
        assert (answer["rows_received"], answer["quarantined"]) == (2, 1)
        assert [one["place"] for one in answer["errors"]] == [PLACES[file_format]]
    stored = app.rows(RAW_INTERACTIONS, "good")
    assert [row["item_id"] for row in stored] == ["00123"]  # the same row in each


def test_a_name_that_is_not_so_is_told_and_what_was_sent_as_csv_is_refused(app: App) -> None:
    answer = send(app, FILES["parquet"], "rows.csv").json()
    assert answer["warnings_by_code"]["format_mismatch"] == 1
    refused = send(app, FILES["xlsx"], "rows.csv", "upload-csv")
    assert (refused.status_code, refused.json()["code"]) == (400, "wrong_format")


def test_places_are_in_the_list_of_all_errors(app: App) -> None:
    answer = send(app, FILES["xlsx"], "rows.xlsx").json()

    async def program(client: httpx.AsyncClient) -> str:
        url = answer["row_issues_url"] + ".csv"
        return (await client.get(url, headers=app.headers("good"))).text

    header, first, *_ = app.run(program).splitlines()
    assert header == "line,column,code,reason,place"
    assert first.endswith("\"sheet 'May', row 3\"")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(zipped(FILES["csv"], "a.csv", "b.csv"), "several_files", id="two files"),
        pytest.param(gzip.compress(zipped(b"a")), "nested_archive", id="zip in gzip"),
        pytest.param(zipped(gzip.compress(b"a,b")), "nested_archive", id="gzip in zip"),
        pytest.param(FILES["xlsx"][:400], "damaged_pack", id="half a workbook"),
        pytest.param(gzip.compress(b"%PDF-1.7"), "unsupported_format", id="a packed document"),
    ],
)
def test_other_archives_are_refused(app: App, content: bytes, code: str) -> None:
    answer = send(app, content, "rows.zip")
    assert (answer.status_code, answer.json()["code"]) == (400, code), answer.text
    assert answer.json()["remedy"]


def test_a_sheet_is_named_with_the_request(app: App) -> None:
    rows = [list(ROWS[0]), list(ROWS[0].values())]
    content = workbook(rows, "May", June=rows)
    assert send(app, content, "a.xlsx").json()["code"] == "several_sheets"
    assert send(app, content, "a.xlsx", sheet="June").json()["file"]["sheet"] == "June"


@pytest.mark.parametrize("file_format", FILES)
def test_what_was_kept_aside_is_exported_and_replayed(tmp_path: Path, file_format: str) -> None:
    home = App(tmp_path / "home")
    lake = Lake(home.lake)
    ensure_tables(lake)
    sink = DeltaSink(lake)
    taken = ingest(
        service(sink),
        tmp_path,
        FILES[file_format],
        on_error=OnError.QUARANTINE,
        format=FileFormat.AUTO,
    )
    assert (taken.counts.stored, taken.counts.quarantined) == (1, 1)
    export_rows(Quarantine(sink.table, "acme").rows(), tmp_path / "bad.csv")
    exported = (tmp_path / "bad.csv").read_text()
    assert "u2" in exported
    assert "unknown_interaction_type" in exported

    words = SourceMapping(values={"interaction_type": {"stare": "view"}})
    order = ReplayOrder("acme", TenantSettings(sources={"default": words}))
    replayer = Replayer(
        sink, sink.table, DeltaHistory(sink), DedupeWindows(), EmptySuppressionList(), Ticks()
    )
    assert [batch.stored for batch in replayer.replay(order)] == [1]
    rows = home.rows(RAW_INTERACTIONS, "acme")
    assert {(row["user_id"], row["item_id"]) for row in rows} == {("u1", "00123"), ("u2", "7")}
    assert len({row["event_time"] for row in rows}) == 1
    assert check_ledger(lake).wrong == ()
    home.close()


def test_a_value_that_could_not_be_read_is_not_replayed_without_it(tmp_path: Path) -> None:
    home = App(tmp_path / "home")
    ensure_tables(Lake(home.lake))
    sink = DeltaSink(Lake(home.lake))
    row = ROWS[0] | {"rating": "=1+1"}
    content = workbook([list(row), list(row.values())])
    ingest(service(sink), tmp_path, content, on_error=OnError.QUARANTINE, format=FileFormat.AUTO)
    replayer = Replayer(
        sink, sink.table, DeltaHistory(sink), DedupeWindows(), EmptySuppressionList(), Ticks()
    )
    [batch] = replayer.replay(ReplayOrder("acme", TenantSettings()))
    assert (batch.stored, batch.still_open_by_code) == (0, {"unreadable": 1})
    kept = next(Quarantine(sink.table, "acme").rows()).row(0, named=True)
    assert json.loads(kept["raw"])["rating"] is None
    home.close()
