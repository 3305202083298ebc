"""Positives with their negatives in one batch."""

import shutil
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from eta_data import DamagedError, DataError, TrainingSet
from eta_data.groups import Groups
from tests.support.exported import rows_of, write_export


@pytest.mark.parametrize("range_rows", [1, 50, 10_000], ids="ranges of {} rows".format)
def test_a_group_is_a_positive_and_its_negatives_in_order(
    tmp_path: Path, range_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_export(tmp_path / "acme", rows_of(120), group_rows=13, file_rows=77)
    data = TrainingSet.open(folder, "acme")
    of = Groups.of
    monkeypatch.setattr(Groups, "of", lambda source: of(source, range_rows))
    assert len(Groups.of(data.source).ranges) > (500 // range_rows) // 20
    positives = explicit = 0
    for batch in data.arrow(7, group=True, window_rows=21, streams=2, remainder="keep"):
        groups: dict[int, list[dict[str, object]]] = {}
        for row in batch.to_pylist():
            groups.setdefault(row.pop("group_number"), []).append(row)
        assert list(groups) == list(range(len(groups)))
        for group in groups.values():
            assert [row["draw_index"] for row in group] == list(range(len(group)))
            assert len({(row["user_id"], row["anchor_item_id"], row["event_time"])
                        for row in group}) == 1  # fmt: skip
            assert [row["label"] for row in group[1:]] == [0.0] * (len(group) - 1)
            positives += group[0]["label"] == 1.0
            explicit += group[0]["label"] == 0.0
            assert len(group) == (5 if group[0]["label"] == 1.0 else 1)
    assert (positives, explicit) == (120, 12)


def test_chosen_columns_alone_are_given_out(data: TrainingSet) -> None:
    batch = next(iter(data.arrow(7, group=True, columns=["item_id"])))
    assert batch.schema.names == ["item_id", "group_number"]


def test_files_out_of_order_are_refused(export: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(export, tmp_path / "copy"))
    path = next(folder.rglob("*.parquet"))
    table = pq.ParquetFile(path).read()
    pq.write_table(table.take(list(reversed(range(table.num_rows)))), path, row_group_size=40)
    with pytest.raises(DataError, match="not in order of event_time"):
        TrainingSet.open(folder, "acme").arrow(7, group=True)


def test_negatives_without_their_positive_are_refused(tmp_path: Path) -> None:
    rows = rows_of(60)
    is_lost = pc.and_(pc.equal(rows.column("item_id"), "i30"), pc.equal(rows.column("label"), 1.0))
    lost = rows.filter(pc.invert(is_lost))
    data = TrainingSet.open(write_export(tmp_path / "acme", lost), "acme")
    with pytest.raises(DamagedError, match="without their one positive"):
        list(data.arrow(7, group=True))


def test_what_is_needed_is_named(data: TrainingSet, tmp_path: Path) -> None:
    folder = write_export(tmp_path / "acme", rows_of(20).drop_columns(["anchor_item_id"]))
    with pytest.raises(DataError, match="need the columns anchor_item_id"):
        TrainingSet.open(folder, "acme").arrow(7, group=True)
    taken = rows_of(20).append_column("group_number", [list(range(102))])
    with pytest.raises(DamagedError, match="group_number of its own"):
        TrainingSet.open(write_export(tmp_path / "b", taken), "acme").arrow(7, group=True)
