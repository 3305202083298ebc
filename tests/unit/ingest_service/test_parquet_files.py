"""Parquet files: types as texts, nested columns by their paths, what a hostile one may cost."""

import json
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from math import inf, nan
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.tenant import DataType, SourceMapping
from tests.support.tables import parquet, take

AT = datetime(2026, 1, 2, 3, 4, 5, 678_901)


def table(count: int = 1, **columns: Any) -> pa.Table:
    """A table of good rows with other columns."""
    base = {
        "user_id": [f"u{n}" for n in range(count)],
        "item_id": ["i"] * count,
        "interaction_type": ["view"] * count,
        "timestamp": pa.array([AT] * count, pa.timestamp("us", "UTC")),
    }
    return pa.table(base | columns)


@pytest.mark.parametrize(
    ("values", "expected", "warnings"),
    [
        pytest.param(pa.array([12345678901234567]), "12345678901234567", set(), id="int64"),
        pytest.param(
            pa.array([2**64 - 1], pa.uint64()), "18446744073709551615", set(), id="uint64"
        ),
        pytest.param(pa.array(["00123"]), "00123", set(), id="text"),
        pytest.param(pa.array(["x"]).dictionary_encode(), "x", set(), id="dictionary"),
        pytest.param(pa.array([b"legacy"]), "legacy", set(), id="bytes that are text"),
        pytest.param(pa.array([123.0]), "123", {"typed_identifier"}, id="double"),
        pytest.param(
            pa.array([2.0**53 + 2]),
            "9007199254740994",
            {"typed_identifier", "long_number_identifier"},
            id="a double that holds no odd numbers",
        ),
        pytest.param(pa.array([0.1], pa.float32()), "0.1", {"typed_identifier"}, id="float"),
        pytest.param(pa.array([Decimal(12)], pa.decimal128(20)), "12", set(), id="decimal"),
        pytest.param(
            pa.array([date(2026, 5, 1)]),
            "2026-05-01T00:00:00.000000",
            {"typed_identifier"},
            id="date",
        ),
        pytest.param(pa.array([True]), "true", {"typed_identifier"}, id="truth value"),
    ],
)
def test_identifiers_keep_their_digits_and_odd_types_are_told(
    tmp_path: Path, values: pa.Array, expected: str, warnings: set[str]
) -> None:
    taken = take(tmp_path, parquet(table(item_id=values)))
    assert [row["item_id"] for row in taken.stored] == [expected]
    assert set(taken.warnings) == warnings


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "Europe/Berlin", "+02:00"])
def test_times_of_every_unit_and_zone_are_moments(
    tmp_path: Path, unit: str, zone: str | None
) -> None:
    moment = AT.replace(tzinfo=UTC) if zone else AT
    values = pa.array([moment.replace(microsecond=0)], pa.timestamp(unit, zone))
    taken = take(tmp_path, parquet(table(timestamp=values)))
    assert taken.stored[0]["event_time"] == AT.replace(tzinfo=UTC, microsecond=0)


def test_times_of_12_bytes_are_utc_whatever_the_mapping_says(tmp_path: Path) -> None:
    content = parquet(table(), use_deprecated_int96_timestamps=True)
    mapping = {"timestamps": {"timestamp": {"unit": "iso", "time_zone": "Asia/Tokyo"}}}
    taken = take(tmp_path, content, SourceMapping.model_validate(mapping))
    assert taken.stored[0]["event_time"] == AT.replace(tzinfo=UTC)


def test_positions_are_row_groups_and_their_rows(tmp_path: Path) -> None:
    kinds = ["view", "view", "stare", "view", "gaze"]
    content = parquet(table(5, interaction_type=kinds), row_group_size=2)
    taken = take(tmp_path, content)
    assert [place for place, *_ in taken.errors] == ["row group 2, row 1", "row group 3, row 1"]
    assert [issue.line for issue in taken.report.errors.kept] == [3, 5]
    refs = [row["source_ref"] for row in taken.stored + taken.kept]
    assert refs == [
        "group00001:row:0000000001",
        "group00001:row:0000000002",
        "group00002:row:0000000002",
        "group00002:row:0000000001",
        "group00003:row:0000000001",
    ]


def test_a_row_in_quarantine_has_every_column(tmp_path: Path) -> None:
    content = parquet(table(interaction_type=["stare"], shop=[7], tags=[["a", "b"]]))
    taken = take(tmp_path, content)
    assert json.loads(taken.kept[0]["raw"]) == {
        "user_id": "u0",
        "item_id": "i",
        "interaction_type": "stare",
        "timestamp": "2026-01-02T03:04:05.678901Z",
        "shop": "7",
        "tags": ["a", "b"],
    }


def test_nested_columns_of_rows_in_quarantine_are_those_of_the_row(tmp_path: Path) -> None:
    count = 1_100  # several pieces of the nested column in a row group
    kinds = ["stare" if number % 257 in (0, 256) else "view" for number in range(count)]
    boxes = [{"at": {"n": number}} if number % 3 else None for number in range(count)]
    content = parquet(table(count, interaction_type=kinds, box=boxes), row_group_size=700)
    kept = [json.loads(row["raw"]) for row in take(tmp_path, content).kept]
    assert len(kept) == kinds.count("stare") == 9
    for row in kept:
        assert row["box"] == boxes[int(row["user_id"][1:])]


def test_nested_columns_are_read_by_a_path_or_refused(tmp_path: Path) -> None:
    content = parquet(
        table(2, who=[{"id": "w1", "at": {"home": "x"}}, None], context=[{"session_id": "s"}] * 2)
    )
    by_path = take(tmp_path, content, SourceMapping(columns={"user_id": "who.id|user_id"}))
    assert [row["user_id"] for row in by_path.stored] == ["w1", "u1"]
    assert by_path.stored[0]["context"]["session_id"] == "s"
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content, SourceMapping(columns={"user_id": "who"}))
    assert raised.value.code == "nested_column"
    assert "who.id, who.at.home" in raised.value.remedy


def test_an_object_of_the_contract_may_be_a_record(tmp_path: Path) -> None:
    values = {"item_id": ["i"], "attributes": [{"colour": "red", "sizes": ["s", "m"]}]}
    taken = take(tmp_path, parquet(pa.table(values)), data_type=DataType.ITEMS)
    assert json.loads(taken.stored[0]["attributes"]) == {"colour": "red", "sizes": ["s", "m"]}


def test_values_of_a_record_are_those_of_json(tmp_path: Path) -> None:
    kind = pa.struct(
        {
            "single": pa.float32(),
            "whole": pa.int64(),
            "price": pa.decimal128(6, 2),
            "is_new": pa.bool_(),
            "by_shop": pa.map_(pa.string(), pa.list_(pa.float32())),
        }
    )
    value = {"single": 0.1, "whole": 3, "is_new": True, "by_shop": {"a": [0.2, None]}}
    values = pa.array([value | {"price": Decimal("1.50")}, None], kind)
    taken = take(
        tmp_path,
        parquet(pa.table({"item_id": ["i", "j"], "attributes": values})),
        data_type=DataType.ITEMS,
    )
    assert json.loads(taken.stored[0]["attributes"]) == value | {"price": 1.5}
    assert taken.stored[1]["attributes"] is None


@pytest.mark.parametrize("value", [{"x": nan}, {"y": b"\xff"}, {"z": [{"x": inf}]}])
def test_what_json_does_not_have_makes_a_wrong_row(tmp_path: Path, value: dict[str, Any]) -> None:
    inner = pa.struct({"x": pa.float64()})
    kind = pa.struct({"x": pa.float64(), "y": pa.binary(), "z": pa.list_(inner)})
    values = pa.array([{"x": 1.0}, value], kind)
    content = parquet(pa.table({"item_id": ["i", "j"], "attributes": values}))
    taken = take(tmp_path, content, data_type=DataType.ITEMS)
    assert taken.errors == [("row group 1, row 2", "attributes", "bad_json")]
    assert len(taken.kept) == len(taken.stored) == 1


def test_a_missing_column_is_named_with_those_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, parquet(table().drop_columns(["item_id"])))
    assert raised.value.code == "missing_columns"
    assert "'user_id'" in raised.value.remedy


def test_texts_that_are_not_utf8_are_wrong_rows(tmp_path: Path) -> None:
    values = pa.array([b"good", b"\xff\xfe", b"fine"])
    raw = parquet(table(3, item_id=values))
    text = pa.Array.from_buffers(pa.string(), 3, values.buffers())
    for content in (
        raw,
        parquet(table(3, item_id=text)),
        parquet(table(3, item_id=text), use_dictionary=False),
    ):
        taken = take(tmp_path, content)
        assert taken.errors == [("row group 1, row 2", "item_id", "not_utf8")]
        assert len(taken.stored) == 2


def test_encrypted_columns_are_refused_with_a_sentence(tmp_path: Path) -> None:
    content = parquet(table())
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content[:-4] + b"PARE")
    assert raised.value.code == "password_protected"


@pytest.mark.parametrize("at", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_a_damaged_file_is_refused_and_nothing_of_it_is_stored(tmp_path: Path, at: float) -> None:
    content = bytearray(parquet(table(2_000)))
    start = int(len(content) * at)
    content[start : start + 60] = bytes(range(60))
    with suppress(FileRefusedError):
        taken = take(tmp_path, bytes(content))
        assert taken.report.counts.received == 2_000


def test_a_long_text_in_very_many_rows_is_refused(tmp_path: Path) -> None:
    count = 60_000
    long = pa.DictionaryArray.from_arrays(pa.array([0] * count, pa.int32()), ["x" * 1_000_000])
    content = parquet(table(count, item_id=long))
    assert len(content) < 3_000_000
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content)
    assert raised.value.code == "file_too_large"


def test_a_cell_of_ten_megabytes_is_refused_with_its_place(tmp_path: Path) -> None:
    content = parquet(table(2, item_id=["i", "".join(map(str, range(2_000_000)))]))
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, content)
    assert raised.value.code == "record_too_long"
    assert "row group 1, row 2" in raised.value.message


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, parquet(table(0)))
    assert raised.value.code == "no_rows"


def test_a_column_that_is_read_may_come_once(tmp_path: Path) -> None:
    doubled = table().append_column("user_id", [["x"]])
    with pytest.raises(FileRefusedError) as raised:
        take(tmp_path, parquet(doubled))
    assert raised.value.code == "duplicate_header"


def test_large_texts_are_read_in_small_pieces(tmp_path: Path) -> None:
    count = 200
    titles = [f"{n}" + "y" * 600_000 for n in range(count)]
    content = parquet(table(count, location=titles), use_dictionary=False, row_group_size=count)
    path = tmp_path / "rows.parquet"
    path.write_bytes(content)
    from ingest_service.readers.parquet.reader import PIECE_BYTES, ParquetRows
    from ingest_service.readers.table.columns import TableColumns

    with ParquetRows(path, TableColumns.of(DataType.INTERACTIONS, SourceMapping())) as rows:
        pieces = list(rows.pieces())
    assert sum(piece.batch.num_rows for piece in pieces) == count
    assert all(piece.batch.num_rows * 600_000 <= PIECE_BYTES for piece in pieces)
    assert [piece.first for piece in pieces] == sorted({piece.first for piece in pieces})
    assert pq.read_metadata(path).num_row_groups == 1
