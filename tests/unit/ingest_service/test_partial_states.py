"""A catalogue field that was not sent stays as it was; one that was sent empty is cleared."""

import csv
import dataclasses
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import duckdb
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_service.readers.events.parsing import EventLimits, parse_events
from ingest_service.readers.events.plain import plain_body, read_together
from ingest_service.readers.events.quick import quick_texts
from ingest_service.readers.events.rows import EventRows
from ingest_service.readers.json.rows import JsonColumns, joined, texts_of
from ingest_service.readers.quarantined import read_edited
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.memory import MemorySink
from ingest_service.sources.kafka.positions import PartitionBatch
from ingest_service.sources.kafka.sink import Bounds
from ingest_service.sources.webhooks.adapters import rows_of
from lakehouse.contracts.fields import SENT_FIELDS
from lakehouse.contracts.order import arrival
from lakehouse.contracts.tables import RAW_ITEMS
from lakehouse.contracts.tenant import DataType, FileFormat, OnError, SourceMapping, TenantSettings
from lakehouse.contracts.validator import Validator
from lakehouse.settings import LakeSettings
from lakehouse.storage import tables
from lakehouse.storage.lake import Lake
from lakehouse.storage.quarantine import Quarantine
from lakehouse.storage.quarantine_export import export_rows
from lakehouse.storage.stream_offsets import Partition
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.export.catalogue import _newest
from tests.support.examples import examples
from tests.support.ingesting import ingest, service
from tests.unit.ingest_service.test_replaying import replay
from tests.unit.ingest_service.test_stream_sink import Process

KNOWN_AT = datetime(2026, 5, 1, tzinfo=UTC)
LIMITS = EventLimits(1_000, 1_000_000)
CARRIED = DataType.ITEMS.definition.carried
COLUMNS = JsonColumns.of(DataType.ITEMS, SourceMapping())
FULL = {
    "title": "A",
    "category": "c",
    "price": 1,
    "available_from": 1_767_225_600_000,
    "is_active": True,
    "attributes": {"a": 1},
}


def sent(frame: pl.DataFrame) -> list[list[str] | None]:
    """What each row of a JSON frame is said to have sent."""
    validator = Validator(
        DataType.ITEMS, SourceMapping(), TenantSettings(), frame.columns, has_named_fields=True
    )
    found = validator.validate(frame, KNOWN_AT)
    assert not found.reasons.height
    return found.accepted[SENT_FIELDS].to_list()


FIELDS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([None, value]) for name, value in FULL.items()}
)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(FIELDS, min_size=1, max_size=4))
def test_every_reader_of_json_tells_a_null_from_what_is_absent(
    rows: list[dict[str, Any]],
) -> None:
    expected = [
        None if len(row) == len(CARRIED) else [name for name in CARRIED if name in row]
        for row in rows
    ]
    body = json.dumps([{"item_id": "i", **row} for row in rows], separators=(",", ":")).encode()
    strict = texts_of(parse_events(body, LIMITS), COLUMNS)
    assert sent(joined([strict], COLUMNS.names).frame) == expected
    hook = rows_of("generic", body, COLUMNS, LIMITS)
    assert sent(joined([hook], COLUMNS.names).frame) == expected
    quick = quick_texts(body, DataType.ITEMS, LIMITS)
    if quick is not None:
        assert quick.values == strict.values
    plain = plain_body(body, DataType.ITEMS, LIMITS)
    assert plain is not None
    together = read_together([plain], COLUMNS.names)
    if together is not None:
        assert sent(together.frame) == expected
    assert sent(joined([plain.texts()], COLUMNS.names).frame) == expected


def test_a_null_is_no_plain_value_of_an_item() -> None:
    bodies = [b'[{"item_id":"i","title":"A"}]', b'[{"item_id":"i","title":null}]']
    plain = [plain_body(body, DataType.ITEMS, LIMITS) for body in bodies]
    assert [
        one is not None and read_together([one], COLUMNS.names) is not None for one in plain
    ] == [
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("row", "is_sent"),
    [
        pytest.param({"new": 1}, True, id="the first name"),
        pytest.param({"old": None}, True, id="a null under the second"),
        pytest.param({"product": {"cost": None}}, True, id="a null at the end of a path"),
        pytest.param({"product": None}, False, id="a null on the way"),
        pytest.param({"product": {}}, False, id="nothing"),
    ],
)
def test_names_of_a_mapping(row: dict[str, Any], is_sent: bool) -> None:
    mapping = SourceMapping(columns={"price": "new|old|product.cost"})
    columns = JsonColumns.of(DataType.ITEMS, mapping)
    body = json.dumps({"item_id": "i", **row}).encode()
    frame = joined([texts_of(parse_events(body, LIMITS), columns)], columns.names).frame
    validator = Validator(
        DataType.ITEMS, mapping, TenantSettings(), frame.columns, has_named_fields=True
    )
    (found,) = validator.validate(frame, KNOWN_AT).accepted[SENT_FIELDS]
    assert found.to_list() == (["price"] if is_sent else [])


def test_a_csv_file_sends_the_columns_of_its_header(tmp_path: Path) -> None:
    mapping = SourceMapping(columns={"title": "name"}, constants={"category": "all"})
    sink = MemorySink()
    running = service(sink)
    how = {"data_type": DataType.ITEMS, "mapping": mapping}
    ingest(running, tmp_path, "item_id,name,price\ni0,A,1\ni1,,\n", "b0", **how)
    ingest(
        running,
        tmp_path,
        f"item_id,{','.join(CARRIED)}\ni0,,,,,,\n",
        "b1",
        data_type=DataType.ITEMS,
    )
    found = [table[SENT_FIELDS].to_pylist() for _, table in sink.raw[DataType.ITEMS]]
    assert found == [[["title", "category", "price"]] * 2, [None]]


def test_a_row_in_which_all_was_sent_has_the_id_it_always_had() -> None:
    text = dict.fromkeys(CARRIED, "") | {
        "item_id": "i",
        "title": "A",
        "updated_at": "1767225600000",
    }
    frame = pl.DataFrame([text])
    validator = Validator(DataType.ITEMS, SourceMapping(), TenantSettings(), frame.columns)
    found = validator.validate(frame, KNOWN_AT)
    assert found.payload.to_list() == ["i=i\x1fn=A\x1ft=1767225600000000"]
    assert found.accepted[SENT_FIELDS].to_list() == [None]


def stored(lake: LakeSettings) -> pl.DataFrame:
    return pl.DataFrame(Lake(lake).table(RAW_ITEMS).to_pyarrow_table())


def as_json(rows: list[dict[str, Any]]) -> str:
    return "".join(json.dumps({"item_id": "i", **row}) + "\n" for row in rows)


def merged(rows: pl.DataFrame) -> list[tuple[Any, ...]]:
    """Every state merged with those before it, in the order's SQL, as the model has it."""
    carried = ", ".join(
        f"last_value(case when sent_fields is null or list_contains(sent_fields, '{name}') "
        f"then struct_pack(v := {name}) end ignore nulls) over so_far as {name}"
        for name in ("title", "category", "price", "is_active")
    )
    ordered = rows.sort(arrival("updated_at")).with_row_index("place")
    found = duckdb.sql(
        f"select place, {carried} from ordered window so_far as (partition by item_id "
        "order by place rows between unbounded preceding and current row) order by place"
    ).fetchall()
    return [tuple(v and v["v"] for v in row[1:]) for row in found] if ordered.height else []


STATES = st.builds(
    lambda fields, moment: (
        fields | ({} if moment is None else {"updated_at": 1767225600000 + moment})
    ),
    st.fixed_dictionaries(
        {},
        optional={
            "title": st.sampled_from([None, "A", "B"]),
            "category": st.sampled_from([None, "c"]),
            "price": st.sampled_from([None, 1, 2]),
            "is_active": st.sampled_from([None, True, False]),
        },
    ),
    st.one_of(st.none(), st.integers(0, 3)),
)


def oracle(batches: list[list[dict[str, Any]]]) -> dict[str, Any]:
    """The item as the sender means it: every state in the order, one dictionary updated."""
    said: list[tuple[int, int, dict[str, Any]]] = []
    for number, batch in enumerate(batches):
        for row in batch:
            fields = {name: value for name, value in row.items() if name != "updated_at"}
            said.append((row.get("updated_at", 1 << 60), number, fields))
    found: dict[str, Any] = {}
    for _, _, fields in sorted(said, key=lambda one: one[:2]):
        found |= fields
    return {name: value for name, value in found.items() if value is not None}


@settings(max_examples=examples(40), deadline=None)
@given(st.lists(st.lists(STATES, min_size=1, max_size=4), min_size=1, max_size=4))
def test_an_item_is_what_all_its_states_say_together(batches: list[list[dict[str, Any]]]) -> None:
    for at, batch in enumerate(batches):  # a dated row counts once, see ADR 0031
        seen = [row for earlier in batches[:at] for row in earlier]
        batches[at] = [
            row
            for n, row in enumerate(batch)
            if "updated_at" not in row or row not in [*seen, *batch[:n]]
        ]
    sink = MemorySink()
    running = service(sink)
    with TemporaryDirectory() as folder:
        for number, batch in enumerate(filter(None, batches)):
            how = {"data_type": DataType.ITEMS, "format": FileFormat.JSON}
            ingest(running, Path(folder), as_json(batch), f"b{number}", **how)
    parts = [pl.DataFrame(table) for _, table in sink.raw.get(DataType.ITEMS, [])]
    if not parts:
        return
    last = merged(pl.concat(parts, how="vertical_relaxed"))[-1]
    names = ("title", "category", "price", "is_active")
    found = {name: value for name, value in zip(names, last, strict=True) if value is not None}
    assert found == oracle(batches)


def test_the_exported_catalogue_has_the_newest_value_that_was_sent() -> None:
    rows = pl.DataFrame(
        {
            "item_id": ["i"] * 3,
            "title": ["A", None, None],
            "category": ["c", "d", None],
            SENT_FIELDS: [None, ["category", "price"], ["price"]],
        }
    )
    found = rows.group_by("item_id").agg(_newest("title"), _newest("category"))
    assert found.row(0) == ("i", "A", "d")
    unsent = rows.with_columns(pl.lit(None).alias(SENT_FIELDS))  # of a release without the column
    found = unsent.group_by("item_id").agg(_newest("title"), _newest("category"))
    assert found.row(0) == ("i", None, None)


def with_a_rejected_row(tmp_path: Path) -> LakeSettings:
    """A lake with one row in quarantine: a price that is no number, and a title of null."""
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    how = {
        "data_type": DataType.ITEMS,
        "on_error": OnError.QUARANTINE,
        "format": FileFormat.JSON,
    }
    body = as_json([{"price": "five", "title": None}])
    ingest(service(DeltaSink(Lake(lake))), tmp_path, body, "b0", **how)
    return lake


def test_a_row_from_quarantine_has_sent_what_it_sent(tmp_path: Path) -> None:
    lake = with_a_rejected_row(tmp_path)
    mapping = SourceMapping(values={"price": {"five": "5"}})
    (done,) = replay(lake, settings=TenantSettings(sources={"default": mapping}))
    assert done.stored == 1
    assert stored(lake)[SENT_FIELDS].to_list() == [["title", "price"]]


def test_a_lake_of_an_earlier_release_gets_the_column(tmp_path: Path) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    old = pa.schema([field for field in RAW_ITEMS.schema if field.name != SENT_FIELDS])
    earlier = dataclasses.replace(RAW_ITEMS, schema=old, added_columns=())
    tables._create(Lake(lake), earlier)
    ensure_tables(Lake(lake))
    ensure_tables(Lake(lake))  # once is enough
    assert Lake(lake).table(RAW_ITEMS).version() == 1
    running = service(DeltaSink(Lake(lake)))
    how = {"data_type": DataType.ITEMS, "format": FileFormat.JSON}
    ingest(running, tmp_path, as_json([FULL, {"price": 2}]), "b0", **how)
    ingest(service(DeltaSink(Lake(lake))), tmp_path, as_json([{"price": 2}]), "b1", **how)
    Lake(lake).table(RAW_ITEMS).optimize.compact()
    assert stored(lake)[SENT_FIELDS].to_list() == [None, ["price"]]


def test_an_edited_row_sends_the_fields_that_it_sent_and_those_filled_in(tmp_path: Path) -> None:
    lake = with_a_rejected_row(tmp_path)
    exported = tmp_path / "bad.csv"
    export_rows(Quarantine(cache(Lake(lake).table), "acme").rows(), exported)
    header, row = csv.reader(exported.read_text().splitlines())
    values = dict(zip(header, row, strict=True)) | {"price": "5", "category": "c"}
    exported.write_text(f"{','.join(header)}\n{','.join(values.values())}\n")
    (done,) = replay(lake, settings=TenantSettings(), edited=read_edited(exported))
    assert done.stored == 1
    assert stored(lake)[SENT_FIELDS].to_list() == [["title", "category", "price"]]


def test_messages_send_the_fields_they_name_and_of_one_time_the_last_counts(
    tmp_path: Path,
) -> None:
    lake = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(lake))
    process = Process(lake)
    where = Partition("items-raw", 0)
    (assignment,) = process.sink.take_over({where: (DataType.ITEMS, Bounds(0, 1_000, 1))})
    moment = {"updated_at": 1_767_225_600_000}
    said = [{"price": 1} | moment, {"price": 2} | moment, {"price": 1} | moment, {"title": None}]
    records = [
        SimpleNamespace(
            key=b"acme:i", value=as_json([row]).encode(), offset=n, timestamp=0, headers=()
        )
        for n, row in enumerate(said)
    ]
    process.store(process.intake.prepare([PartitionBatch(assignment, records, len(records))]))
    rows = stored(lake).sort("source_ref")
    assert rows[SENT_FIELDS].to_list() == [["price"]] * 3 + [["title"]]


def test_events_of_several_requests_know_theirs() -> None:
    bodies = [b'[{"item_id":"i"},{"item_id":"j"}]', b'{"item_id":"i"}']
    plain = [plain_body(body, DataType.ITEMS, LIMITS) for body in bodies]
    read = [texts_of(parse_events(body, LIMITS), COLUMNS) for body in bodies]
    for parts in (plain, read):
        chunk = EventRows(parts, COLUMNS).parse(parts, COLUMNS.names)  # type: ignore[arg-type]
        assert chunk.requests is not None
        assert chunk.requests.to_list() == [0, 0, 1]
