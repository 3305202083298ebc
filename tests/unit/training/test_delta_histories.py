"""After any history an export and its deltas are the whole, byte for byte; nightly after 1,000."""

import os
from itertools import pairwise
from pathlib import Path

import pyarrow as pa
import pytest

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.training.arrow_tables import settled
from lakehouse.training.export.apply import apply_deltas
from lakehouse.training.export.delta import plan_delta, write_delta
from lakehouse.training.export.run import export_snapshot
from lakehouse.training.snapshots import TRAINING_SETS
from tests.support.lake import NOON
from tests.support.snapshot_histories import SnapshotHistory

SEEDS = int(os.environ.get("ETA_TEST_DELTA_HISTORIES", "30"))
SNAPSHOTS = 4
PER_TEST = 10

pytestmark = pytest.mark.timeout(3600)


def tree(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("first", range(0, SEEDS, PER_TEST))
def test_an_export_and_its_deltas_are_the_whole(tmp_path: Path, first: int) -> None:
    for seed in range(first, min(first + PER_TEST, SEEDS)):
        play(tmp_path / str(seed), seed)


def test_lists_that_are_all_empty_are_written_too(tmp_path: Path) -> None:
    """A history in which a file's piece has no interaction before any of its events."""
    play(tmp_path / "901", 901)


def test_a_part_of_an_empty_buffer_is_put_together_with_others() -> None:
    kind = pa.timestamp("us", tz="UTC")
    beyond = pa.Array.from_buffers(kind, 0, [None, pa.py_buffer(b"")], offset=1)
    lists = [
        pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), beyond)
        for offsets in ([0, 0], [0, None, 0], [0])
    ]
    whole = pa.array([[NOON], None, []], pa.list_(kind))
    table = pa.table({"lists": pa.chunked_array([*lists, whole]), "row": range(6)})
    with pytest.raises(pa.ArrowIndexError):
        table.combine_chunks()
    found = settled(table).combine_chunks()["lists"].to_pylist()
    assert found == [[], [], None, [NOON], None, []]


def play(root: Path, seed: int) -> None:
    """Publish snapshots between random changes; every delta and chain has to give the export."""
    root.mkdir()
    history = SnapshotHistory(LakeSettings(home=root / "a höme"), seed)
    rng, lake = history.rng, history.lake
    kind, chosen = history.choice()
    made = []
    deltas: dict[tuple[int, int], Path] = {}
    for number in range(SNAPSHOTS):
        for _ in range(rng.randrange(4)):
            history.step()
        if rng.random() < 0.1:
            history.erase()
        made.append(history.publish())
        export_snapshot(lake, made[-1], kind, root / f"export-{number}", **chosen)
        for base in range(number):
            held = TRAINING_SETS.read(lake, "acme", made[base].snapshot_id)
            if held.withdrawn_at is not None:
                with pytest.raises(EtaError, match="take the whole export"):
                    plan_delta(lake, held, made[-1], **chosen)
                continue
            plan = plan_delta(lake, held, made[-1], **chosen)
            to = root / f"delta-{base}-{number}"
            delta = write_delta(plan, to, range_rows=rng.choice([1, 4, 500_000]))
            assert delta.base.rows + delta.rows.added - delta.rows.removed == delta.result.rows
            deltas[base, number] = to
    places = range(SNAPSHOTS)
    ways = [[pair] for pair in deltas] + [
        list(pairwise(places[start:end]))
        for start in places
        for end in range(start + 3, SNAPSHOTS + 1)
    ]
    for steps in ways:
        if not set(steps) <= set(deltas):
            continue
        to = root / f"applied-{steps}"
        size = rng.choice([1, 3, 100_000])
        base, end = root / f"export-{steps[0][0]}", root / f"export-{steps[-1][1]}"
        apply_deltas([deltas[step] for step in steps], base, to, window_rows=size)
        assert tree(to) == tree(end), (seed, steps)
