"""Every source goes through the one pipeline: a fault there strikes each, and its ledger holds.

Each sends the same four rows: a good one, the same again, a wrong one, one of an erased person.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pyarrow as pa
import pytest

from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import DedupeWindows
from ingest_service.pipeline.batch import BatchPipeline
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sources.kafka.positions import PartitionBatch
from ingest_service.sources.replay import Replayer, ReplayOrder
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)
from lakehouse.privacy.suppression import NOBODY, StoredSuppressionList, Suppressed
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import COUNTS
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.tables import ensure_tables
from tests.support.app import App
from tests.support.ingesting import ingest, service
from tests.support.tables import avro, parquet, workbook
from tests.unit.ingest_service.test_service import KEY, ListOf, hashed
from tests.unit.ingest_service.test_stream_sink import Process
from tests.unit.ingest_service.test_webhook_inbox import send, source_of

ERASED = Suppressed(1, KEY, frozenset({hashed("gone")}))
ROWS = [
    {"event_id": name, "user_id": user, "item_id": "i", "interaction_type": kind, "timestamp": at}
    for name, user, kind, at in (
        ("e1", "u1", "view", 1_767_225_600_000),
        ("e1", "u1", "view", 1_767_225_600_000),
        ("e2", "u2", "view", "soon"),
        ("e3", "gone", "view", 1_767_225_600_000),
    )
]


def csv(kind: str = "view") -> str:
    lines = [",".join(map(str, row.values())).replace("view", kind) for row in ROWS]
    return "\n".join([",".join(ROWS[0]), *lines, ""])


Source = Callable[[App, Path], Any]


def upload(app: App, folder: Path) -> None:
    sink = DeltaSink(Lake(app.lake))
    ingest(service(sink, ListOf(ERASED)), folder, csv(), on_error=OnError.QUARANTINE)


def _upload_any(app: App, folder: Path, content: bytes) -> None:
    running = service(DeltaSink(Lake(app.lake)), ListOf(ERASED))
    ingest(running, folder, content, on_error=OnError.QUARANTINE, format=FileFormat.AUTO)


def upload_xlsx(app: App, folder: Path) -> None:
    _upload_any(app, folder, workbook([list(ROWS[0]), *(row.values() for row in ROWS)]))


def upload_parquet(app: App, folder: Path) -> None:
    columns = {name: [str(row[name]) for row in ROWS] for name in ROWS[0]}
    _upload_any(app, folder, parquet(pa.table(columns)))


def upload_avro(app: App, folder: Path) -> None:
    fields = dict.fromkeys(ROWS[0], "string") | {"timestamp": ["long", "string"]}
    _upload_any(app, folder, avro(fields, ROWS))


def events(app: App, folder: Path) -> None:
    async def program(client: httpx.AsyncClient) -> None:
        answer = await client.post("/v1/events", json=ROWS, headers=app.headers("good"))
        assert answer.status_code == 207, answer.text

    app.run(program)


def webhook(app: App, folder: Path) -> None:
    source = source_of(app, "good")

    async def program(client: httpx.AsyncClient) -> None:
        answer = await send(client, source, ROWS, "m1")
        assert answer.status_code == 200, answer.text

    app.run(program)


def kafka(app: App, folder: Path) -> None:
    process = Process(app.lake, ListOf(ERASED))
    process.take_over(0)
    assignment = process.assignments[0]
    records = [
        SimpleNamespace(key=b"acme", value=json.dumps(row).encode(), offset=at, headers=())
        for at, row in enumerate(ROWS)
    ]
    process.store(process.intake.prepare([PartitionBatch(assignment, records, len(records))]))


def replay(app: App, folder: Path) -> None:
    """Take in again what was refused for a word that the tenant's mapping has by now."""
    sink = DeltaSink(Lake(app.lake))
    wrong = service(sink, ListOf(NOBODY))
    ingest(wrong, folder, csv(kind="stare"), on_error=OnError.QUARANTINE, is_repeat=True)
    words = SourceMapping(values={"interaction_type": {"stare": "view"}})
    order = ReplayOrder("acme", TenantSettings(sources={"default": words}))
    history = DeltaHistory(sink)
    Replayer(
        sink, sink.table, history, DedupeWindows(), ListOf(ERASED), lambda: datetime.now(UTC)
    ).replay(order)


SOURCES = [upload, upload_xlsx, upload_parquet, upload_avro, events, webhook, kafka, replay]


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    monkeypatch.setattr(StoredSuppressionList, "current", lambda *_: ERASED)
    made = App(tmp_path / "home")
    ensure_tables(Lake(made.lake))
    yield made
    made.close()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
@pytest.mark.parametrize("step", ["check", "take"])
def test_a_fault_of_the_pipeline_strikes_every_source(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Source, step: str
) -> None:
    real = getattr(BatchPipeline, step)

    def failing(batch: BatchPipeline, *arguments: Any) -> Any:
        if source is replay and not batch.key.replay:
            return real(batch, *arguments)  # the batch that is to be replayed
        raise ArithmeticError("a fault of the pipeline")

    monkeypatch.setattr(BatchPipeline, step, failing)
    with pytest.raises((ArithmeticError, AssertionError)):  # the service answers 500
        source(app, tmp_path)
    tables = (RAW_INTERACTIONS, OPS_INGEST_LEDGER)
    kept = [row for spec in tables for row in app.rows(spec, "acme") + app.rows(spec, "good")]
    assert [row for row in kept if source is not replay or row.get("replay")] == []


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.__name__)
def test_the_ledger_of_every_source_adds_up(app: App, tmp_path: Path, source: Source) -> None:
    source(app, tmp_path)

    check = check_ledger(Lake(app.lake))
    assert (check.wrong, check.unfinished, check.received) == ((), 0, 4)
    entries = [row for tenant in ("acme", "good") for row in app.rows(OPS_INGEST_LEDGER, tenant)]
    total = {name: sum(row[name] for row in entries) for name in COUNTS}
    assert total == {"received": 4, **dict.fromkeys(COUNTS[1:], 1)}
    data_types = {row["data_type"] for row in entries}
    assert data_types == {DataType.INTERACTIONS.value}
