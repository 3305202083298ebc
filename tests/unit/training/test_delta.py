"""Deltas: what they hold, what they cost, whom they refuse, and that none is ever half there."""

import hashlib
import os
import random
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from itertools import cycle, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, Field, write_deltalake
from deltalake.schema import PrimitiveType

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.apply import apply_deltas
from lakehouse.training.export.comparing import compared
from lakehouse.training.export.delta import (
    default_delta_destination,
    find_base,
    plan_delta,
    write_delta,
)
from lakehouse.training.export.delta_document import Delta
from lakehouse.training.export.parquet import SCHEMA, PartFiles
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.export.windows import windows
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import list_snapshots, publish
from lakehouse.training.rows import ORDER
from lakehouse.training.snapshot_expiry import expire_snapshots
from lakehouse.training.snapshots import TRAINING_SETS
from lakehouse.training.version_changes import Bits
from tests.conftest import PROJECT_DIR
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON
from tests.support.snapshot_histories import SnapshotHistory
from tests.support.training import PARAMETERS, examples, write_training_tables
from tests.unit.training.test_delta_histories import tree
from tests.unit.training.test_evaluation import made

PARQUET = ExportFormat.PARQUET


def published(
    settings: LakeSettings, rows: list[dict[str, Any]], hour: int, tenant: str = "acme", **how: Any
) -> Manifest:
    others = {"globex": examples(7, seed=5)} if tenant == "acme" else {}
    write_training_tables(settings, {tenant: rows, **others}, **how)
    return publish(settings, tenant, gate=None, now=NOON + timedelta(hours=hour))


def changed(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the first ten removed, five changed and some of another seed added."""
    kept = [dict(row) for row in rows[10:]]
    for row in kept[:5]:
        row["interaction_type"] = "like"
    return kept + examples(8, seed=99, users=("nul\0\n", "ü"))


class Pair:
    """Two snapshots, their exports, and the delta between them."""

    def __init__(self, settings: LakeSettings, root: Path, positives: int = 60, **chosen: Any):
        self.settings, self.lake, self.root = settings, Lake(settings), root
        rows = examples(positives)
        self.base = published(settings, rows, 0)
        self.result = published(settings, changed(rows), 1)
        self.exports = [root / "base", root / "result"]
        for manifest, to in zip((self.base, self.result), self.exports, strict=True):
            export_snapshot(self.lake, manifest, PARQUET, to, **chosen)
        self.delta = self.written(self.base, self.result, "delta", **chosen)

    def written(self, base: Manifest, result: Manifest, name: str, **chosen: Any) -> Path:
        write_delta(plan_delta(self.lake, base, result, **chosen), self.root / name)
        return self.root / name

    def applied(self, *deltas: Path, onto: Path | None = None) -> Path:
        to = self.root / "applied"
        apply_deltas(deltas or [self.delta], onto or self.exports[0], to)
        return to


@pytest.fixture
def pair(settings: LakeSettings, tmp_path: Path) -> Pair:
    return Pair(settings, tmp_path)


def document(folder: Path) -> Delta:
    return Delta.model_validate_json((folder / "delta.json").read_bytes())


def test_a_delta_holds_what_changed_by_kind_and_gives_the_whole(pair: Pair) -> None:
    told = document(pair.delta)
    added = len(examples(8, seed=99))
    assert told.rows.model_dump() == {"added": added, "changed": 5, "removed": 10}
    assert told.base.content_hash == pair.base.content_hash
    for kind, count in told.rows.model_dump().items():
        rows = pl.read_parquet(pair.delta / kind / "*.parquet")
        assert rows.height == count
        assert rows.equals(rows.sort(ORDER))
    assert pl.read_parquet_schema(next((pair.delta / "removed").iterdir())).names() == list(ORDER)
    assert tree(pair.applied()) == tree(pair.exports[1])
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    assert subprocess.run(check, cwd=pair.delta, capture_output=True, check=False).returncode == 0


def test_files_that_both_snapshots_have_are_not_read(
    settings: LakeSettings, tmp_path: Path
) -> None:
    history = SnapshotHistory(settings, seed=3)
    base = history.publish()
    held = list(Path(settings.lake).glob("training/*/*/*.parquet"))
    assert len(held) >= 3
    new = dict(next(iter(history.rows.values()))) | {"user_id": "new"}
    history.rows["new", new["anchor_item_id"], new["draw_index"]] = new
    for table in history.tables.values():
        table.change(lambda _: False, [new], "rewrite", random.Random(1))
    result = history.publish()
    for file in held:
        file.unlink()
    for features in ((), ("all",)):
        plan = plan_delta(history.lake, base, result, features=features)
        found = write_delta(plan, tmp_path / f"delta{len(features)}")
        assert found.rows.model_dump() == {"added": 1, "changed": 0, "removed": 0}


@pytest.mark.parametrize("seed", range(3))
def test_a_list_that_changed_under_a_row_that_stays_is_a_change(
    settings: LakeSettings, tmp_path: Path, seed: int
) -> None:
    history = SnapshotHistory(settings, seed)
    base = history.publish()
    user, time = sorted(history.lists)[0]
    history.change_list(user, time)
    result = history.publish()
    plan = plan_delta(history.lake, base, result, history=3)
    assert (plan.base_rows, plan.result_rows) == (0, 0)
    found = write_delta(plan, tmp_path / "delta").rows
    keys = [(row["user_id"], row["event_time"]) for row in history.rows.values()]
    assert (found.added, found.changed, found.removed) == (0, keys.count((user, time)), 0)
    assert found.changed > 0


@pytest.mark.parametrize("chosen", [{}, {"features": ["all"], "history": 3}], ids=["plain", "all"])
def test_a_delta_is_as_large_as_its_rows(
    settings: LakeSettings, tmp_path: Path, chosen: dict[str, Any]
) -> None:
    """Against an export of a set of the changed rows alone, all files counted."""
    rows = examples(6_000)
    base = published(settings, rows, 0)
    part = [row | {"interaction_type": "like"} for row in rows[:15_000]]
    result = published(settings, part + rows[15_000:], 1)
    lake = Lake(settings)
    write_delta(plan_delta(lake, base, result, **chosen), tmp_path / "delta")
    assert document(tmp_path / "delta").rows.changed == 15_000
    alone = published(settings, part, 2)
    export_snapshot(lake, alone, PARQUET, tmp_path / "export", **chosen)
    sizes = [sum(map(len, tree(tmp_path / name).values())) for name in ("delta", "export")]
    assert sizes[0] <= 1.2 * sizes[1], sizes


def test_no_change_and_nothing_but_change(settings: LakeSettings, tmp_path: Path) -> None:
    lake, rows = Lake(settings), examples(20)
    first = published(settings, rows, 0)
    other = {**PARAMETERS, "seed": 7}
    second = published(settings, rows, 1, parameters=other)  # other parameters, the same rows
    third = published(settings, [row | {"item_id": "z"} for row in rows], 2)
    fourth = published(settings, examples(20, seed=5, users=("else",)), 3)
    snapshots = [first, second, third, fourth]
    for number, manifest in enumerate(snapshots):
        export_snapshot(lake, manifest, PARQUET, tmp_path / f"export{number}")
    deltas = []
    for number in range(1, 4):
        base, result = snapshots[number - 1 : number + 1]
        deltas.append(tmp_path / f"delta{number}")
        write_delta(plan_delta(lake, base, result), deltas[-1])
    counts = [tuple(document(delta).rows.model_dump().values()) for delta in deltas]
    assert counts == [(0, 0, 0), (0, len(rows), 0), (fourth.row_count, 0, len(rows))]
    apply_deltas(deltas, tmp_path / "export0", tmp_path / "applied")
    assert tree(tmp_path / "applied") == tree(tmp_path / "export3")


def test_a_column_that_came_with_a_release_changes_no_row(
    settings: LakeSettings, tmp_path: Path
) -> None:
    """Weights came after the first snapshots; without, a row weighs 1."""
    rows = examples(20)
    base = published(settings, rows, 0)
    for name in ("training_data", "training_examples"):
        table = DeltaTable(f"{settings.lake}/training/{name}")
        table.alter.add_columns(Field("type_weight", PrimitiveType("double")))
    result = published(settings, [row | {"type_weight": 1.0} for row in rows], 1)
    assert result.snapshot_id != base.snapshot_id
    for features in ((), ("all",)):
        plan = plan_delta(Lake(settings), base, result, features=features)
        assert plan.base_rows == len(rows)
        found = write_delta(plan, tmp_path / f"delta{len(features)}")
        assert not any(found.rows.model_dump().values())


def test_rows_of_one_key_are_refused() -> None:
    row = {"event_time": NOON, "user_id": "u", "anchor_item_id": "i", "draw_index": 0, "label": 1.0}
    with pytest.raises(EtaError, match="the same user, item, time and draw"):
        list(compared(pl.DataFrame([row, row]), pl.DataFrame([row])))


def test_rows_that_were_missed_are_told(pair: Pair) -> None:
    """The content hash is a sum: what was read has to make the one out of the other."""
    wrong = pair.result.model_copy(update={"content_hash": "0" * 32})
    with pytest.raises(EtaError, match="not those its manifest names"):
        write_delta(plan_delta(pair.lake, pair.base, wrong), pair.root / "wrong")
    assert not (pair.root / "wrong").exists()


# what a delta can not be made of


@pytest.mark.parametrize(
    ("base", "result", "error"),
    [
        ("result", "result", "nothing came after it"),
        ("result", "base", "was published after"),
    ],
)
def test_snapshots_in_the_wrong_order_are_refused(
    pair: Pair, base: str, result: str, error: str
) -> None:
    with pytest.raises(EtaError, match=error):
        plan_delta(pair.lake, getattr(pair, base), getattr(pair, result))


def test_snapshots_of_others_and_of_evaluations_are_refused(
    settings: LakeSettings, pair: Pair
) -> None:
    other = publish(settings, "globex", gate=None, now=NOON)
    with pytest.raises(EtaError, match="has no snapshot of that id"):
        find_base(pair.lake, "acme", other.snapshot_id)
    write_evaluation_tables(settings, {"acme": evaluated(20), "globex": evaluated(9, seed=5)})
    evaluation = made(settings)[0]
    with pytest.raises(EtaError, match="evaluation snapshot has no deltas"):
        find_base(pair.lake, "acme", evaluation.snapshot_id)
    with pytest.raises(EtaError, match="evaluation snapshot has no deltas"):
        plan_delta(pair.lake, evaluation, pair.result)
    with pytest.raises(EtaError, match="has no snapshot of that id"):
        find_base(pair.lake, "acme", "../../globex/x")


@pytest.mark.parametrize("how", ["withdrawn", "vacuumed", "no log"])
@pytest.mark.parametrize("chosen", [{}, {"features": ["item"], "history": 1}])
def test_a_base_that_is_gone_is_told_with_what_to_do(
    settings: LakeSettings, pair: Pair, how: str, chosen: dict[str, Any]
) -> None:
    base = pair.base
    if how == "withdrawn":
        TRAINING_SETS.withdraw(pair.lake, base, NOON)
        base = TRAINING_SETS.read(pair.lake, "acme", base.snapshot_id)
    for name in ("training_data", "training_examples", "user_histories"):
        table = DeltaTable(f"{settings.lake}/training/{name}")
        if how == "vacuumed":
            table.vacuum(0, dry_run=False, enforce_retention_duration=False)
        if how == "no log":
            table.create_checkpoint()
            for entry in Path(settings.lake, f"training/{name}/_delta_log").glob("*.json"):
                if int(entry.stem) < table.version():
                    entry.unlink()
    with pytest.raises(EtaError, match=r"withdrawn on|not kept any more") as refusal:
        plan_delta(pair.lake, base, pair.result, **chosen)
    assert "take the whole export: `eta export --tenant acme" in refusal.value.remedy
    assert base.snapshot_id in refusal.value.message


def test_of_a_result_that_is_gone_no_whole_export_is_promised(
    settings: LakeSettings, pair: Pair
) -> None:
    third = published(settings, examples(3), 2)
    assert third.snapshot_id
    table = DeltaTable(f"{settings.lake}/training/training_data")
    table.vacuum(0, dry_run=False, enforce_retention_duration=False)
    with pytest.raises(EtaError, match="not kept any more") as refusal:
        plan_delta(pair.lake, pair.base, pair.result)
    assert "whole" not in refusal.value.remedy


def test_sets_whose_columns_differ_have_no_delta(settings: LakeSettings, pair: Pair) -> None:
    table = DeltaTable(f"{settings.lake}/training/training_examples")
    table.update({"item_popularity": "item_popularity + 1"}, predicate="tenant_id = 'acme'")
    names = [n for n in table.to_pyarrow_table().schema.names if n != "context_location"]
    fewer = DeltaTable(f"{settings.lake}/training/training_examples").to_pyarrow_table()
    write_deltalake(
        f"{settings.lake}/training/training_examples",
        fewer.select(names),
        mode="overwrite",
        schema_mode="overwrite",
    )
    later = publish(settings, "acme", gate=None, now=NOON + timedelta(hours=3))
    with pytest.raises(EtaError, match="other columns for what was chosen") as refusal:
        plan_delta(pair.lake, pair.result, later, features=["all"])
    assert "whole export" in refusal.value.remedy
    plan_delta(pair.lake, pair.result, later, features=["item"])


@pytest.mark.parametrize(
    ("one", "other", "error"),
    [
        ({"half_life_days": 30.0}, {"half_life_days": 30.0}, "half-life"),
        ({}, {"event_types": ({"name": "click", "weight": 1.0},)}, "one of the snapshots has weig"),
        ({"shown_per_positive": 2}, {}, "one of the snapshots has shown"),
        ({"negatives": {"popularity": 1}}, {}, "one of the snapshots are all drawn uniformly"),
    ],
)
def test_columns_that_move_in_every_row_have_no_delta(
    pair: Pair, one: dict[str, Any], other: dict[str, Any], error: str
) -> None:
    base, result = (
        manifest.model_copy(update={"parameters": manifest.parameters.model_copy(update=update)})
        for manifest, update in ((pair.base, one), (pair.result, other))
    )
    with pytest.raises(EtaError, match=error) as refusal:
        plan_delta(pair.lake, base, result)
    assert "whole export" in refusal.value.remedy


# what cannot be put together


def resealed(folder: Path) -> None:
    """Write the list of checksums again, as somebody would who hides a change."""
    names = sorted(name for name in tree(folder) if name != "SHA256SUMS")
    lines = [
        f"{hashlib.sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in names
    ]
    (folder / "SHA256SUMS").write_text("".join(lines))


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-9])


def part(folder: Path) -> Path:
    return sorted(folder.rglob("*.parquet"))[-1]


def without_a_row(pair: Pair) -> None:
    file = part(pair.exports[0])
    rows = pq.read_table(file)
    pq.write_table(rows.slice(0, rows.num_rows - 1), file)
    resealed(pair.exports[0])


def without_what_is_removed(pair: Pair) -> None:
    for file in pair.exports[0].rglob("*.parquet"):
        rows = pq.read_table(file)
        pq.write_table(rows.slice(20), file)
    resealed(pair.exports[0])


def outside(pair: Pair) -> None:
    (pair.root / "other").write_text("")
    with (pair.delta / "SHA256SUMS").open("a") as file:
        file.write(f"{hashlib.sha256().hexdigest()}  ../other\n")


BROKEN: dict[str, tuple[Callable[[Pair], object], str]] = {
    "cut base": (lambda pair: cut(part(pair.exports[0])), "missing, cut or changed"),
    "cut delta": (lambda pair: cut(part(pair.delta)), "missing, cut or changed"),
    "file gone": (lambda pair: part(pair.exports[0]).unlink(), "missing, cut or changed"),
    "delta.json changed": (
        lambda pair: (pair.delta / "delta.json").write_text("{}"),
        "cannot be read",
    ),
    "no list": (lambda pair: (pair.exports[0] / "SHA256SUMS").unlink(), "no SHA256SUMS"),
    "no manifest": (lambda pair: (pair.exports[0] / "manifest.json").unlink(), "cannot be read"),
    "path outside": (outside, "missing, cut or changed"),
    "a row less": (without_a_row, "do not make the rows of snapshot"),
    "nothing to remove": (without_what_is_removed, "are not there"),
}


@pytest.mark.parametrize("how", BROKEN)
def test_what_was_cut_or_changed_is_refused(pair: Pair, how: str) -> None:
    spoil, error = BROKEN[how]
    spoil(pair)
    with pytest.raises(EtaError, match=error) as refusal:
        pair.applied()
    assert refusal.value.remedy
    assert not list(pair.root.glob("*applied*"))


def test_a_delta_goes_onto_its_base_alone_and_in_order(settings: LakeSettings, pair: Pair) -> None:
    third = published(settings, examples(15), 2)
    later = pair.written(pair.result, third, "later")
    export_snapshot(pair.lake, third, PARQUET, pair.root / "third")
    for deltas, onto in (
        ([pair.delta], pair.exports[1]),
        ([later], pair.exports[0]),
        ([later, pair.delta], pair.exports[0]),
        ([pair.delta, pair.delta], pair.exports[0]),
    ):
        with pytest.raises(EtaError, match="begins at snapshot") as refusal:
            pair.applied(*deltas, onto=onto)
        assert "or take the whole" in refusal.value.remedy
    assert tree(pair.applied(pair.delta, later)) == tree(pair.root / "third")


def test_folders_that_are_no_export_are_refused(settings: LakeSettings, pair: Pair) -> None:
    recbole = pair.root / "recbole"
    export_snapshot(pair.lake, pair.base, ExportFormat.RECBOLE, recbole)
    write_evaluation_tables(settings, {"acme": evaluated(20), "globex": evaluated(9, seed=5)})
    evaluation = pair.root / "evaluation"
    export_snapshot(pair.lake, made(settings)[0], PARQUET, evaluation)
    empty = pair.root / "empty"
    empty.mkdir()
    for onto, error in (
        (recbole, "no training set in Parquet"),
        (evaluation, "is no training set's"),
        (empty, "no SHA256SUMS"),
        (pair.delta, "is a delta and no export"),
    ):
        with pytest.raises(EtaError, match=error):
            pair.applied(onto=onto)
    with pytest.raises(EtaError, match=r"no delta.json"):
        pair.applied(pair.exports[1])
    with pytest.raises(EtaError, match="there already"):
        apply_deltas([pair.delta], pair.exports[0], pair.exports[1])


def test_a_delta_of_another_tenant_is_refused(settings: LakeSettings, tmp_path: Path) -> None:
    pair = Pair(settings, tmp_path)
    for name in ("delta.json", "manifest.json"):
        file = pair.delta / name
        file.write_text(file.read_text().replace('"acme"', '"globex"'))
    resealed(pair.delta)
    with pytest.raises(EtaError, match="of another tenant"):
        pair.applied()


@pytest.mark.parametrize(
    "chosen",
    [
        {"features": ["item"]},
        {"features": ["all"]},
        {"features": ["item", "user"], "history": 2},
        {"features": ["item", "user"], "history": 3},
        {"history": 3},
    ],
)
def test_features_chosen_on_one_side_alone_are_refused(
    settings: LakeSettings, tmp_path: Path, chosen: dict[str, Any]
) -> None:
    pair = Pair(settings, tmp_path)
    delta = pair.written(pair.base, pair.result, "chosen", **chosen)
    with pytest.raises(EtaError, match="the export has no features, and") as refusal:
        pair.applied(delta)
    assert "with the features and the history of the export" in refusal.value.remedy
    onto = tmp_path / "featured"
    export_snapshot(pair.lake, pair.base, PARQUET, onto, features=["item", "user"], history=1)
    for other in (delta, pair.delta):
        with pytest.raises(EtaError, match=r"the export has .* and histories of 1, and"):
            pair.applied(other, onto=onto)


def test_features_in_another_order_are_the_same(pair: Pair) -> None:
    for number, manifest in enumerate((pair.base, pair.result)):
        to = pair.root / f"featured{number}"
        export_snapshot(pair.lake, manifest, PARQUET, to, features=["user", "item"], history=1)
    chosen = {"features": ["item", "user"], "history": 1}
    delta = pair.written(pair.base, pair.result, "chosen", **chosen)
    applied = pair.applied(delta, onto=pair.root / "featured0")
    assert tree(applied) == tree(pair.root / "featured1")


def test_columns_that_the_list_of_features_hides_are_refused(
    settings: LakeSettings, tmp_path: Path
) -> None:
    pair = Pair(settings, tmp_path, features=["item"])
    (pair.exports[0] / "features.json").unlink()
    resealed(pair.exports[0])
    plain = pair.written(pair.base, pair.result, "plain")
    with pytest.raises(EtaError, match="other columns than those"):
        pair.applied(plain)


# strangers


def snippets() -> list[str]:
    text = (PROJECT_DIR / "docs/training-sets.md").read_text()
    return re.findall(r"```python\n(.*?)```", text.split("## Deltas")[1], re.DOTALL)


@pytest.mark.parametrize("chosen", [{}, {"features": ["all"], "history": 2}], ids=["plain", "all"])
def test_a_stranger_applies_a_delta_as_the_readme_says(
    settings: LakeSettings,
    tmp_path: Path,
    chosen: dict[str, Any],
) -> None:
    pair = Pair(settings, tmp_path, **chosen)
    readme = (pair.delta / "README.md").read_text()
    files = f"{pair.exports[1]}/**/*.parquet"
    label = {"label": pl.Float64}
    wanted = pl.read_parquet(files, hive_partitioning=True, hive_schema=label).sort(ORDER)
    for number, code in enumerate(snippets()):
        assert code in readme
        names: dict[str, Any] = {"base": str(pair.exports[0]), "delta": str(pair.delta)}
        exec(code, names)
        whole = names["whole"] if number == 0 else names["whole"].pl()
        assert whole.height == wanted.height
        compared_columns = [name for name in wanted.columns if name in SCHEMA.names or number == 0]
        found = whole.select(compared_columns).sort(ORDER)
        assert found.cast(wanted.select(compared_columns).schema).equals(
            wanted.select(compared_columns)
        )
    assert number == 1


# whole or not at all

_KILLED = """
import os, signal, sys
from pathlib import Path
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export import apply, delta, parquet, run
from lakehouse.training.snapshots import TRAINING_SETS

stage, what, root = sys.argv[1], sys.argv[2], Path(sys.argv[3])

def end(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

if stage == "rows":
    parquet.PartFiles.write = end
elif stage == "files":
    parquet.PartFiles.close = end
elif stage == "checksums":
    run.write_checksums = end
else:
    Path.rename = end
if what == "delta":
    lake = Lake(LakeSettings())
    base, result = TRAINING_SETS.all_of(lake, "acme")
    delta.write_delta(delta.plan_delta(lake, base, result), root / "killed")
else:
    apply.apply_deltas([root / "delta"], root / "base", root / "killed")
"""


@pytest.mark.parametrize("what", ["delta", "apply"])
@pytest.mark.parametrize("stage", ["rows", "files", "checksums", "rename"])
def test_killed_on_the_way_nothing_is_there(pair: Pair, stage: str, what: str) -> None:
    command = [sys.executable, "-c", _KILLED, stage, what, str(pair.root)]
    environment = os.environ | {"PYTHONPATH": str(PROJECT_DIR)}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (pair.root / "killed").exists()
    [left] = pair.root.glob(".killed.*")
    if what == "delta" and stage != "rename":
        with pytest.raises(EtaError, match=r"no delta\.json|no SHA256SUMS"):
            pair.applied(left)
    # and is made by the same command afterwards
    if what == "delta":
        pair.written(pair.base, pair.result, "killed")
        assert tree(pair.root / "killed") == tree(pair.delta)
    else:
        apply_deltas([pair.delta], pair.exports[0], pair.root / "killed")
        assert tree(pair.root / "killed") == tree(pair.exports[1])


def test_rows_in_any_pieces_give_the_same_bytes(tmp_path: Path) -> None:
    """An export has them in ranges of times, an applier in windows."""
    numbers = pl.Series("number", np.random.default_rng(1).random(150_000))
    texts = (numbers.cast(pl.String) + "-" * 40).alias("text")
    lists = pl.DataFrame(texts).select(list=pl.concat_list("text", pl.lit("a"))).to_series()
    rows = pl.DataFrame([numbers, texts, lists]).to_arrow(compat_level=pl.CompatLevel.oldest())
    written = []
    for number, sizes in enumerate(([1 << 20], [777, 50_000])):
        files = PartFiles(tmp_path / str(number), rows.schema, 1 << 30)
        at = 0
        for size in cycle(sizes):
            files.write(rows.slice(at, size))
            at += size
            if at >= rows.num_rows:
                break
        files.close()
        written.append(tree(tmp_path / str(number)))
    assert written[0] == written[1]


# where it is


def test_an_expiry_of_either_snapshot_takes_the_delta_along(pair: Pair) -> None:
    third = published(pair.settings, examples(4), 24 * 400)
    folder = pair.lake.home / "exports/acme"
    for base, result in ((pair.base, pair.result), (pair.result, third)):
        write_delta(
            plan_delta(pair.lake, base, result), default_delta_destination(pair.lake, base, result)
        )
    (folder / f".{third.snapshot_id}-delta-since-{pair.result.snapshot_id}.0f0f0f0f").mkdir()
    # the first snapshot expires, an hour before the second
    expire_snapshots(pair.lake, {}, NOON + timedelta(days=730, minutes=30))
    kept = f"{third.snapshot_id}-delta-since-{pair.result.snapshot_id}"
    assert sorted(path.name for path in folder.iterdir()) == [f".{kept}.0f0f0f0f", kept]
    expire_snapshots(pair.lake, {}, NOON + timedelta(days=731))
    assert list(folder.iterdir()) == []
    assert list_snapshots(pair.lake, "acme") == [third]


def test_bits_are_those_of_the_mask() -> None:
    rng = np.random.default_rng(1)
    for _ in range(2_000):
        mask = rng.random(rng.integers(40)) < 0.5
        start, rows, rest = int(rng.integers(50)), int(rng.integers(30)), bool(rng.integers(2))
        whole = np.concatenate([mask, np.full(100, rest)])
        found = Bits(mask).unpacked(start, rows, rest=rest)
        assert (found == whole[start : start + rows]).all()


def test_windows_hold_all_rows_of_their_moments_and_no_more(settings: LakeSettings) -> None:
    rng = random.Random(4)
    for _ in range(200):
        streams = []
        for _ in range(rng.randrange(1, 5)):
            times = sorted(rng.randrange(12) for _ in range(rng.randrange(20)))
            rows = pl.DataFrame(
                {"event_time": [NOON + timedelta(seconds=time) for time in times]},
                schema={"event_time": pl.Datetime("us", "UTC")},
            )
            size = rng.randrange(1, 5)
            streams.append([rows.slice(0, 0), *(list(rows.iter_slices(size)) if times else [])])
        found = list(windows(streams))
        for number, frames in enumerate(streams):
            assert pl.concat([window[number] for window in found]).equals(pl.concat(frames))
        spans = [pl.concat(window).get_column("event_time") for window in found]
        bounds = [(span.min(), span.max()) for span in spans if span.len()]
        assert all(a[1] < b[0] for a, b in pairwise(bounds))
