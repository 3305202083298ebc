"""Tables that were put back, dropped, built again or vacuumed after a snapshot was published.

What leaves the lake is then the same as before, or an error that says why not and what to do.
"""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from eta_data import DataError, TrainingSet
from lakehouse.cli.main import app
from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.evaluation import make_evaluations
from lakehouse.training.export.catalogue import items
from lakehouse.training.manifest import AVAILABILITY, CATALOGUE, EXAMPLES, TRAINING_DATA, Manifest
from lakehouse.training.pinned import open_pinned
from lakehouse.training.publish import publish
from lakehouse.training.rows import tenant_batches
from lakehouse.training.snapshots import TRAINING_SETS
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables

ROWS = examples(20)
ITEMS = [
    {"tenant_id": "acme", "event_id": f"c{n}", "item_id": f"i{n}", "title": f"t{n}"}
    | {"batch_id": "b", "source_ref": f"line:{n}", "updated_at": NOON, "known_at": NOON}
    for n in range(9)
]
BY = ["event_time", "anchor_item_id", "draw_index"]


def published(settings: LakeSettings, rows: list[dict[str, Any]], hour: int) -> Manifest:
    tenants = {"acme": rows, "globex": examples(3, seed=5)}
    write_training_tables(settings, tenants, catalogue=ITEMS)
    return publish(settings, "acme", gate=None, now=NOON + timedelta(hours=hour))


@pytest.fixture
def pair(settings: LakeSettings) -> tuple[Manifest, Manifest]:
    return published(settings, ROWS, 0), published(settings, ROWS[1:], 1)


def restore(place: str) -> None:
    DeltaTable(place).restore(0)


def optimize(place: str) -> None:
    DeltaTable(place).optimize.compact()


def vacuum(place: str) -> None:
    DeltaTable(place).vacuum(0, dry_run=False, enforce_retention_duration=False)


def drop(place: str) -> None:
    shutil.rmtree(place)


def build_again(place: str) -> None:
    """The same rows in the same order of versions: only Delta's id of the table is another."""
    versions = range(DeltaTable(place).version() + 1)
    held = [DeltaTable(place, version=number).to_pyarrow_table() for number in versions]
    shutil.rmtree(place)
    for rows in held:
        write_deltalake(place, rows, mode="overwrite", partition_by=["tenant_id"])


def put_back(place: str) -> None:
    """From a copy of the first version; later runs then wrote other rows: one id, same numbers."""
    table = DeltaTable(place)
    rows = pl.DataFrame(table.to_pyarrow_table())
    key = "user_id" if "user_id" in rows.columns else "item_id"
    others = rows.with_columns(pl.format("x{}", key).alias(key))
    for number in range(1, table.version() + 1):
        Path(place, f"_delta_log/{number:020}.json").unlink()
    arrow = others.to_arrow(compat_level=pl.CompatLevel.oldest())
    for _ in range(table.version()):
        write_deltalake(place, arrow, mode="overwrite", partition_by=["tenant_id"])


def shorten_log(place: str) -> None:
    table = DeltaTable(place)
    table.create_checkpoint()
    for number in range(table.version()):
        Path(place, f"_delta_log/{number:020}.json").unlink()


HARMLESS = [restore, optimize]
HARMFUL = {
    vacuum: "a vacuum deleted data files of training.training_data",
    drop: "there is no table training.training_data",
    build_again: "training.training_data was dropped and built again",
    put_back: r"version \d of training.training_data has other files: the table was put back",
    shorten_log: r"the log of training.training_data does not have version \d",
}


def eta(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, [*words])
    return result.exit_code, result.output


def place_of(settings: LakeSettings, table: str = TRAINING_DATA) -> str:
    return f"{settings.lake}/{table.replace('.', '/')}"


def loaded(settings: LakeSettings, manifest: Manifest) -> pl.DataFrame:
    data = TrainingSet.open(settings.lake, "acme", manifest.snapshot_id)
    batches = list(data.arrow(64, remainder="keep"))
    return pl.DataFrame(pa.Table.from_batches(batches)).sort(BY)


def exported(settings: LakeSettings, *words: str) -> dict[str, bytes]:
    to = settings.home_dir / "out"
    assert eta("export", "--tenant", "acme", *words, "--to", str(to))[0] == 0
    found = {str(file.relative_to(to)): file.read_bytes() for file in to.rglob("*.parquet")}
    shutil.rmtree(to)
    return found


@pytest.mark.parametrize("harm", HARMLESS)
def test_what_keeps_old_versions_changes_no_answer(
    settings: LakeSettings, pair: tuple[Manifest, Manifest], harm: Callable[[str], None]
) -> None:
    first, second = pair
    ways = (("--snapshot", first.snapshot_id), ("--since", first.snapshot_id))
    before = [exported(settings, *way) for way in ways], loaded(settings, first)
    for table in (TRAINING_DATA, EXAMPLES, CATALOGUE, AVAILABILITY):
        harm(place_of(settings, table))
    assert [exported(settings, *way) for way in ways] == before[0]
    assert loaded(settings, first).equals(before[1])
    assert "The rows differ." in eta(
        "training", "diff", "--tenant", "acme", first.snapshot_id, second.snapshot_id
    )[1]  # fmt: skip


@pytest.mark.parametrize(("harm", "why"), HARMFUL.items())
def test_what_cannot_be_answered_any_more_says_why_and_what_helps(
    settings: LakeSettings,
    pair: tuple[Manifest, Manifest],
    harm: Callable[[str], None],
    why: str,
) -> None:
    first, _ = pair
    name = first.snapshot_id
    card = settings.home_dir / "card"
    assert eta("training", "card", "acme", name, "--to", str(card))[0] == 0
    kept = TRAINING_SETS.read_card(Lake(settings), first)
    harm(place_of(settings))
    row = ROWS[0]
    for words in (
        ("export", "--tenant", "acme", "--snapshot", name),
        ("export", "--tenant", "acme", "--since", name),
        ("trace", "--tenant", "acme", "--snapshot", name, row["user_id"], row["item_id"]),
    ):
        code, told = eta(*words)
        assert (code, "not kept any more" in told) == (1, True), told
        assert "What to do" in told
    with pytest.raises(EtaError, match=why) as refusal:
        list(tenant_batches(Lake(settings), first, TRAINING_DATA))
    assert "`eta prepare` publishes the current one again" in refusal.value.remedy
    with pytest.raises(DataError, match=r"not kept any more|has no version") as refusal_of_loader:
        TrainingSet.open(settings.lake, "acme", name)
    assert "`eta prepare`" in refusal_of_loader.value.remedy
    # a card made of what is left does not replace that of the whole
    code, told = eta("training", "card", "acme", name, "--to", str(card))
    if "Not in the card: rows" in told:
        assert "made while the rows could be read" in told
        assert TRAINING_SETS.read_card(Lake(settings), first) == kept


@pytest.mark.parametrize("table", [EXAMPLES, CATALOGUE, AVAILABILITY])
def test_no_other_pinned_table_is_taken_for_that_of_the_snapshot(
    settings: LakeSettings, pair: tuple[Manifest, Manifest], table: str
) -> None:
    put_back(place_of(settings, table))
    with pytest.raises(EtaError, match=f"of {table} (has other files|does not have)"):
        open_pinned(Lake(settings), pair[1], table)


def test_a_table_id_is_compared_where_a_manifest_names_no_files(
    settings: LakeSettings, pair: tuple[Manifest, Manifest]
) -> None:
    older = pair[0].model_copy(update={"parts": None})
    open_pinned(Lake(settings), older, TRAINING_DATA)
    build_again(place_of(settings))
    with pytest.raises(EtaError, match="dropped and built again"):
        open_pinned(Lake(settings), older, TRAINING_DATA)


@pytest.mark.parametrize("harm", [build_again, shorten_log])
def test_the_current_set_is_published_again_where_its_rows_are_gone(
    settings: LakeSettings, harm: Callable[[str], None]
) -> None:
    first = published(settings, ROWS, 0)
    assert published(settings, ROWS, 1) == first
    harm(place_of(settings, CATALOGUE))
    second = publish(settings, "acme", gate=None, now=NOON + timedelta(hours=2))
    assert second.snapshot_id != first.snapshot_id
    assert publish(settings, "acme", gate=None, now=NOON + timedelta(hours=3)) == second
    for name in second.pinned:
        open_pinned(Lake(settings), second, name)


def test_the_current_set_is_published_again_where_a_vacuum_took_its_files(
    settings: LakeSettings,
) -> None:
    first = published(settings, ROWS, 0)
    assert published(settings, ROWS, 1) == first
    vacuum(place_of(settings))
    second = publish(settings, "acme", gate=None, now=NOON + timedelta(hours=2))
    assert second.snapshot_id != first.snapshot_id
    assert loaded(settings, second).height == first.counts.rows


def test_an_evaluation_snapshot_is_made_again_where_its_rows_are_gone(
    settings: LakeSettings,
) -> None:
    write_evaluation_tables(settings, {"acme": evaluated(50)})

    def made(hour: int) -> Manifest:
        now = NOON + timedelta(hours=hour)
        wanted = {"acme": EvaluationSettings()}
        (found,) = make_evaluations(settings, wanted, lambda _: None, lambda: now)
        return found

    first = made(0)
    assert made(1) == first
    build_again(place_of(settings, "evaluation.evaluation_data"))
    with pytest.raises(EtaError, match="dropped and built again") as refusal:
        open_pinned(Lake(settings), first, "evaluation.evaluation_data")
    assert "`eta evaluation make --tenant acme`" in refusal.value.remedy
    assert made(2).snapshot_id != first.snapshot_id


def test_items_of_an_export_are_in_order_without_a_catalogue(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": ROWS})
    manifest = publish(settings, "acme", gate=None, now=NOON)
    found = items(Lake(settings), manifest)["item_id"]
    assert found.is_sorted()
