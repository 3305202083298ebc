"""What is refused when a set is opened: in a sentence, with a remedy, before a row is given out."""

import ast
import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import eta_data
from eta_data import DamagedError, DataError, OtherDataError, TrainingSet
from tests.support.exported import NOON, SNAPSHOT, manifest_of, rows_of, write_export

PART = "training_data/2026-05-01/label=0.0/part-00000.parquet"


def test_it_needs_pyarrow_and_numpy_and_nothing_else_to_be_imported() -> None:
    """`deltalake` and torch are imported in the functions that need them."""
    allowed = {*sys.stdlib_module_names, "eta_data", "pyarrow", "numpy"}
    files = list(Path(eta_data.__file__).parent.glob("**/*.py"))
    assert len(files) >= 15
    for file in files:
        body = ast.parse(file.read_text()).body
        names = [a.name for node in body if isinstance(node, ast.Import) for a in node.names]
        names += [node.module or "." for node in body if isinstance(node, ast.ImportFrom)]
        assert {name.partition(".")[0] for name in names} <= allowed, file.name
        assert "pickle" not in file.read_text(), file.name


@pytest.fixture
def copy(export: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(export, tmp_path / "copy"))


def rewrite(path: Path, change: Callable[[pa.Table], pa.Table]) -> None:
    table = pq.ParquetFile(path).read()
    pq.write_table(change(table), path, row_group_size=40)


def cut(folder: Path) -> None:
    content = (folder / PART).read_bytes()
    (folder / PART).write_bytes(content[: len(content) // 2])


def cut_to_nothing(folder: Path) -> None:
    (folder / PART).write_bytes(b"")


def remove_a_file(folder: Path) -> None:
    (folder / PART).unlink()


def add_a_file(folder: Path) -> None:
    shutil.copy(folder / PART, (folder / PART).with_name("part-00099.parquet"))


def another_type(folder: Path) -> None:
    rewrite(
        folder / PART,
        lambda t: t.set_column(4, "draw_index", t.column("draw_index").cast(pa.int64())),
    )


def one_column_less(folder: Path) -> None:
    rewrite(folder / PART, lambda t: t.drop_columns(["row"]))


def a_column_twice(folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        rewrite(path, lambda t: t.append_column("row", t.column("row")))


def the_label_in_the_file_too(folder: Path) -> None:
    for path in folder.rglob("*.parquet"):
        rewrite(path, lambda t: t.append_column("label", pa.array([1.0] * t.num_rows)))


def rows_of_somebody_else(folder: Path) -> None:
    def change(table: pa.Table) -> pa.Table:
        return table.set_column(0, "tenant_id", pa.array(["globex"] * table.num_rows))

    rewrite(folder / PART, change)


def a_manifest_cut_in_half(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text[: len(text) // 2])


def a_newer_format(folder: Path) -> None:
    (folder / "manifest.json").write_text(json.dumps(manifest_of(rows_of(120), format=2)))


def a_location_outside(folder: Path) -> None:
    pinned = {"training.training_data": {"location": "../../globex/data", "version": 1}}
    (folder / "manifest.json").write_text(json.dumps(manifest_of(rows_of(120), pinned=pinned)))


def withdrawn(folder: Path) -> None:
    document = manifest_of(rows_of(120), withdrawn_at="2026-06-01T00:00:00Z")
    (folder / "manifest.json").write_text(json.dumps(document))


def another_tenants_manifest(folder: Path) -> None:
    document = manifest_of(rows_of(120), tenant_id="globex")
    (folder / "manifest.json").write_text(json.dumps(document))


def no_manifest(folder: Path) -> None:
    (folder / "manifest.json").unlink()


def two_exports_in_one(folder: Path) -> None:
    shutil.copytree(folder / "training_data/2026-05-01", folder / "training_data/2026-05-02")


def nothing_in_it(folder: Path) -> None:
    shutil.rmtree(folder / "training_data")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        pytest.param(cut, "is not a whole Parquet file", id="a file cut in half"),
        pytest.param(cut_to_nothing, "is not a whole Parquet file", id="an empty file"),
        pytest.param(remove_a_file, "its manifest says", id="a file missing"),
        pytest.param(add_a_file, "its manifest says", id="a file too many"),
        pytest.param(another_type, "draw_index is int32, there int64", id="another type"),
        pytest.param(one_column_less, "row is int64, there missing", id="a column less"),
        pytest.param(a_column_twice, "two columns called row", id="two columns of a name"),
        pytest.param(the_label_in_the_file_too, "stands both in", id="label twice"),
        pytest.param(rows_of_somebody_else, "not of acme", id="rows of another tenant"),
        pytest.param(a_manifest_cut_in_half, "cannot be read", id="manifest cut"),
        pytest.param(a_newer_format, "cannot be read", id="newer format"),
        pytest.param(a_location_outside, "cannot be read", id="path out of the lake"),
        pytest.param(withdrawn, "was withdrawn", id="withdrawn"),
        pytest.param(another_tenants_manifest, "another tenant than acme", id="another tenant's"),
        pytest.param(no_manifest, "no lake with a snapshot of acme", id="no manifest"),
        pytest.param(two_exports_in_one, "several exports", id="two exports"),
        pytest.param(nothing_in_it, "no Parquet file", id="no file"),
    ],
)
def test_what_is_not_a_whole_export_is_refused(
    copy: Path, spoil: Callable[[Path], None], message: str
) -> None:
    assert len(TrainingSet.open(copy, "acme")) == 612
    spoil(copy)
    with pytest.raises(DataError, match=message) as caught:
        TrainingSet.open(copy, "acme")
    assert "What to do: " in str(caught.value)
    assert "globex" not in str(caught.value)


def test_a_snapshot_is_the_one_that_was_asked_for(export: Path) -> None:
    assert TrainingSet.open(export, "acme", SNAPSHOT).snapshot == SNAPSHOT
    with pytest.raises(DataError, match=f"is snapshot {SNAPSHOT}, not"):
        TrainingSet.open(export, "acme", "20260501T120000000Z-00000000")
    for tenant in ("../acme", "Acme", "", "a/b"):
        with pytest.raises(DataError, match="no tenant id"):
            TrainingSet.open(export, tenant)
    with pytest.raises(DataError, match="no id of a snapshot"):
        TrainingSet.open(export.parent, "acme", "../../secret")
    with pytest.raises(DataError, match="is not divided"):
        TrainingSet.open(export, "acme", split="train")
    with pytest.raises(DataError, match="has no tables"):
        TrainingSet.open(export, "acme", table="training.training_data")


def test_changed_bytes_are_found_by_their_checksums(copy: Path) -> None:
    TrainingSet.open(copy, "acme", verify=True)
    content = bytearray((copy / PART).read_bytes())
    content[200] ^= 1
    (copy / PART).write_bytes(content)
    with pytest.raises(DamagedError, match="is not what was exported"):
        TrainingSet.open(copy, "acme", verify=True)
    (copy / "SHA256SUMS").write_text(f"{'0' * 64}  ../../etc/passwd\n")
    with pytest.raises(DamagedError, match="outside of its own folder"):
        TrainingSet.open(copy, "acme", verify=True)
    (copy / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match="no SHA256SUMS"):
        TrainingSet.open(copy, "acme", verify=True)


def test_bytes_that_changed_after_opening_end_the_reading(copy: Path) -> None:
    data = TrainingSet.open(copy, "acme")
    for path in copy.rglob("*.parquet"):
        path.write_bytes(bytes([0]) * path.stat().st_size)
    with pytest.raises(DamagedError, match="is damaged"):
        next(iter(data.arrow(10)))
    shutil.rmtree(copy)
    with pytest.raises(DamagedError, match="is gone"):
        next(iter(data.arrow(10)))


@pytest.mark.parametrize("when", ["after it was opened", "while it is read"])
@pytest.mark.parametrize("group", [False, True])
def test_a_file_that_was_replaced_after_opening_ends_the_reading(
    copy: Path, when: str, group: bool
) -> None:
    """Also by one of the same rows, row groups and bytes: an order is never of two exports."""
    loader = TrainingSet.open(copy, "acme").arrow(8, window_rows=24, streams=2, group=group)
    batches = iter(loader)
    if when == "while it is read":
        next(batches)
    for path in copy.rglob("*.parquet"):
        turned = path.with_name("turned")
        table = pq.ParquetFile(path).read()
        row = table.column_names.index("row")
        other = pa.array([10_000 + value for value in table["row"].to_pylist()])
        changed = table.set_column(row, "row", other)
        pq.write_table(changed, turned, row_group_size=40, compression="zstd")
        turned.replace(path)
    with pytest.raises(DamagedError, match="was changed since the set was opened") as error:
        list(batches)
    assert "open the set again" in str(error.value)


def test_the_catalogue_is_compared_with_its_checksum_too(copy: Path) -> None:
    catalogue = copy / "items.parquet"
    pq.write_table(pa.table({"item_id": ["i1"], "train_positive_count": [1]}), catalogue)
    digest = hashlib.sha256(catalogue.read_bytes()).hexdigest()
    with (copy / "SHA256SUMS").open("a") as sums:
        sums.write(f"{digest}  items.parquet\n")
    TrainingSet.open(copy, "acme", verify=True)
    pq.write_table(pa.table({"item_id": ["i2"], "train_positive_count": [9]}), catalogue)
    with pytest.raises(DamagedError, match=r"items\.parquet is not what was exported"):
        TrainingSet.open(copy, "acme", verify=True)


def test_rows_are_chosen_by_a_value(data: TrainingSet) -> None:
    rows = pa.Table.from_batches(list(data.arrow(64, remainder="keep"))).to_pylist()
    for column, value in (
        *(("label", 1.0), ("label", 1), ("label", 0.0), ("user_id", "u3"), ("draw_index", 2)),
        *(("event_time", NOON), ("tenant_id", None), ("user_id", "nobody")),
    ):
        chosen = data.where(column, value)
        expected = [row["row"] for row in rows if row[column] == value]
        assert len(chosen) == len(expected), column
        if expected:
            batches = chosen.arrow(16, columns=["row"], remainder="keep")
            found = [row for batch in batches for row in batch.column("row").to_pylist()]
            assert sorted(found) == sorted(expected)
    twice = data.where("label", 0.0).where("user_id", "u3")
    assert len(twice) == sum(row["label"] == 0 and row["user_id"] == "u3" for row in rows)
    with pytest.raises(OtherDataError):
        data.arrow(16).load_state_dict(data.where("label", 1.0).arrow(16).state_dict())
    wrong: list[tuple[str, object]] = [
        ("user_id", 7),
        ("row", "1"),
        ("label", object()),
        ("row", 1 << 70),
        ("label", True),
    ]
    for column, odd in wrong:
        with pytest.raises(DataError, match=f"{column} is .*, and never such a"):
            data.where(column, odd)
    with pytest.raises(DataError, match="no column colour"):
        data.where("colour", "red")


def test_files_may_spell_one_type_in_several_ways(copy: Path) -> None:
    """Dictionaries, large strings, other units and zones of times are the same values."""
    zone = pa.timestamp("ms", tz="Asia/Tokyo")

    def change(table: pa.Table) -> pa.Table:
        table = table.set_column(1, "user_id", table.column("user_id").dictionary_encode())
        table = table.set_column(2, "item_id", table.column("item_id").cast(pa.large_string()))
        return table.set_column(5, "event_time", table.column("event_time").cast(zone))

    rewrite(copy / PART, change)
    data = TrainingSet.open(copy, "acme")
    found = [row for batch in data.arrow(10, remainder="keep") for row in batch.to_pylist()]
    assert sorted(found, key=lambda row: row["row"]) == [
        {**row, "row": number} for number, row in enumerate(rows_of(120).to_pylist())
    ]


def test_the_label_may_stand_in_the_file(tmp_path: Path) -> None:
    rows = rows_of(30)
    folder = write_export(tmp_path / "acme", rows)
    shutil.rmtree(folder / "training_data")
    (folder / "training_data/2026-05-01").mkdir(parents=True)
    pq.write_table(rows, folder / "training_data/2026-05-01/part-0.parquet", row_group_size=50)
    data = TrainingSet.open(folder, "acme")
    batches = list(data.arrow(10, remainder="keep"))
    assert sum(sum(batch.column("label").to_pylist()) for batch in batches) == 30
    positives = data.where("label", 1.0)
    assert len(positives) == 30
    grouped = list(data.arrow(5, group=True, remainder="keep"))
    assert sum(batch.num_rows for batch in grouped) == rows.num_rows


def test_an_export_without_statistics_has_its_tenants_read(copy: Path) -> None:
    for path in copy.rglob("*.parquet"):
        table = pq.ParquetFile(path).read()
        pq.write_table(table, path, row_group_size=40, write_statistics=False)
    assert len(TrainingSet.open(copy, "acme")) == 612
    assert len(list(TrainingSet.open(copy, "acme").arrow(10, group=True))) == 13
    rows_of_somebody_else(copy)
    with pytest.raises(DamagedError, match="not of acme"):
        TrainingSet.open(copy, "acme")
