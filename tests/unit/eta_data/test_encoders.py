"""Ids as numbers: of the training rows alone, the same for the same values, tied to their data."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from eta_data import DamagedError, DataError, Encoders, OtherDataError, TrainingSet
from tests.support.exported import rows_of, write_export


@pytest.fixture
def encoders(data: TrainingSet) -> Encoders:
    return Encoders.fit(data, {"user": "user_id", "item": ["item_id", "anchor_item_id"]})


def test_numbers_follow_the_sorted_values(data: TrainingSet, encoders: Encoders) -> None:
    users = sorted(set(rows_of(120).column("user_id").to_pylist()))
    assert encoders["user"].values.to_pylist() == users
    assert encoders["user"].size == len(users) + 1
    codes = encoders["user"].codes(pa.array([users[0], None, "nobody", users[-1]]))
    assert codes.to_pylist() == [1, 0, 0, len(users)]
    assert encoders["user"].decode(codes).to_pylist() == [users[0], None, None, users[-1]]
    lists = encoders["user"].codes(pa.array([[users[1], None], None, [], ["nobody"]]))
    assert lists.to_pylist() == [[2, 0], None, [], [0]]


@pytest.mark.parametrize("group", [False, True])
def test_columns_come_encoded(data: TrainingSet, encoders: Encoders, group: bool) -> None:
    expected = {row["row"]: row for row in rows_of(120).to_pylist()}
    columns = ["row", "user_id", "item_id"]
    for batch in data.arrow(10, encoders=encoders, columns=columns, group=group):
        assert batch.schema.field("user_id").type == pa.int32()
        for name, of in (("user_id", "user"), ("item_id", "item")):
            values = encoders[of].decode(batch.column(name)).to_pylist()
            numbers = batch.column("row").to_pylist()
            assert values == [expected[number][name] for number in numbers]


def test_what_was_saved_is_loaded(data: TrainingSet, encoders: Encoders, tmp_path: Path) -> None:
    encoders.save(tmp_path / "e")
    loaded = Encoders.load(tmp_path / "e")
    for name, encoder in encoders.encoders.items():
        assert loaded[name].values.equals(encoder.values)
        assert loaded[name].columns == encoder.columns
    assert next(iter(data.arrow(5, encoders=loaded))).num_rows == 5
    assert [path.name for path in tmp_path.iterdir()] == ["e"]
    with pytest.raises(DataError, match="is there already"):
        encoders.save(tmp_path / "e")


def test_other_data_is_refused_until_it_is_meant(
    data: TrainingSet, encoders: Encoders, tmp_path: Path
) -> None:
    other = TrainingSet.open(write_export(tmp_path / "o", rows_of(121)), "acme")
    with pytest.raises(OtherDataError, match="were fitted on snapshot"):
        other.arrow(5, encoders=encoders)
    batches = list(other.arrow(5, encoders=encoders.for_other_data(), remainder="keep"))
    codes = [code for batch in batches for code in batch.column("item_id").to_pylist()]
    assert 0 in codes


def test_changed_files_are_refused(encoders: Encoders, tmp_path: Path) -> None:
    encoders.save(tmp_path / "e")
    described = (tmp_path / "e/encoders.json").read_text()
    for spoiled in (described[:50], described.replace('"user"', '"../user"'), "[]"):
        (tmp_path / "e/encoders.json").write_text(spoiled)
        with pytest.raises(DamagedError, match="not those that were saved"):
            Encoders.load(tmp_path / "e")
    (tmp_path / "e/encoders.json").write_text(described)
    content = (tmp_path / "e/user.parquet").read_bytes()
    (tmp_path / "e/user.parquet").write_bytes(content[:-1] + b"x")
    with pytest.raises(DamagedError, match="not those that were saved"):
        Encoders.load(tmp_path / "e")
    with pytest.raises(DataError, match="holds no encoders"):
        Encoders.load(tmp_path)


def test_the_stored_form_names_no_class_and_no_value(encoders: Encoders, tmp_path: Path) -> None:
    encoders.save(tmp_path / "e")
    document = json.loads((tmp_path / "e/encoders.json").read_text())
    assert set(document) == {"format", "tenant_id", "snapshot_id", "content_hash", "encoders"}
    assert set(document["encoders"]["user"]) == {"columns", "size", "sha256"}


def test_columns_of_one_encoder_have_one_type(data: TrainingSet) -> None:
    with pytest.raises(DataError, match="several types"):
        Encoders.fit(data, {"x": ["user_id", "row"]})
    with pytest.raises(DataError, match="name that cannot be"):
        Encoders.fit(data, {"../x": "user_id"})
    numbers = Encoders.fit(data, {"row": "row"})["row"]
    assert numbers.codes(pa.array([0, 611, 612, None])).to_pylist() == [1, 612, 0, 0]
