"""Snapshots appear whole, once per content, and stay as they are."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.objects import LocalFolder
from lakehouse.training import publish as publishing
from lakehouse.training.candidates import candidates
from lakehouse.training.manifest import AVAILABILITY, CATALOGUE, EXAMPLES, TRAINING_DATA, diff
from lakehouse.training.publish import (
    current_snapshot,
    find_snapshot,
    list_snapshots,
    pinned_versions,
    publish,
    published_tenants,
    read_snapshot,
)
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, examples, write_table, write_training_tables

LATER = NOON + timedelta(hours=1)


def test_a_manifest_says_what_was_published(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(20), "globex": examples(5, seed=2)})
    made = publish(settings, "acme", gate={"passed": True}, now=NOON)
    assert made.snapshot_id == f"20260501T120000000Z-{made.content_hash[:8]}"
    assert made.counts.model_dump() == {
        "positives": 20, "sampled_negatives": 80, "explicit_negatives": 2,
        "shortfall": 3, "positives_without_negatives": 1, "liked_and_disliked": 2,
    }  # fmt: skip
    assert made.label_balance == 20 / 102
    assert made.source_versions == {"raw.interactions": 7, "ops.tenant_settings": 1}
    assert made.parameters.model_dump() == {
        "seed": 42, "cutoff": None, "negatives_per_positive": 4,
        "positive_types": ("click",), "negative_types": ("dislike",),
    }  # fmt: skip
    assert made.training_data.location == "training/training_data"
    assert {column.name: column.type for column in made.columns}["event_time"] == "timestamp"
    assert made.gate == {"passed": True}
    assert made.code_version
    assert current_snapshot(Lake(settings), "acme") == made
    assert current_snapshot(Lake(settings), "globex") is None
    assert published_tenants(Lake(settings)) == ["acme"]


def test_a_manifest_says_by_which_mapping_events_became_interactions(
    settings: LakeSettings,
) -> None:
    told = {"events": [{"event_name": "Played", "interaction_type": "click"}]}
    parameters = {**PARAMETERS, "clickstream": json.dumps(told)}
    write_training_tables(settings, {"acme": examples(5)}, parameters=parameters)
    made = publish(settings, "acme", gate=None, now=NOON)
    assert made.parameters.clickstream == told
    assert read_snapshot(Lake(settings), "acme", made.snapshot_id) == made


def test_a_manifest_holds_no_identifier(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(20, users=("user-4711",))})
    made = publish(settings, "acme", gate=None, now=NOON)
    stored = Path(settings.lake, "training_sets/acme", f"{made.snapshot_id}.json").read_text()
    assert "user-4711" not in stored
    assert '"i1"' not in stored


def test_the_same_content_is_published_once(settings: LakeSettings) -> None:
    rows = examples(20)
    write_training_tables(settings, {"acme": rows})
    first = publish(settings, "acme", gate=None, now=NOON)
    # another tenant moves the table on; this tenant's rows lie elsewhere in it
    write_training_tables(settings, {"globex": examples(3), "acme": rows}, shuffle=3)
    assert publish(settings, "acme", gate=None, now=LATER) == first
    assert list_snapshots(Lake(settings), "acme") == [first]


@pytest.mark.parametrize(
    ("rows", "parameters"),
    [
        pytest.param(examples(21), PARAMETERS, id="one more positive"),
        pytest.param(examples(20, seed=9), PARAMETERS, id="other draws"),
        pytest.param(examples(20), {**PARAMETERS, "seed": 43}, id="another seed"),
        pytest.param(examples(20), {**PARAMETERS, "cutoff": "2026-01-01"}, id="a cutoff"),
        pytest.param(
            examples(20),
            {**PARAMETERS, "clickstream": '{"events": [{"event_name": "Played"}]}'},
            id="another mapping of the clickstream",
        ),
    ],
)
def test_other_content_is_a_new_snapshot(
    settings: LakeSettings, rows: list[dict[str, Any]], parameters: dict[str, Any]
) -> None:
    write_training_tables(settings, {"acme": examples(20)})
    first = publish(settings, "acme", gate=None, now=NOON)
    write_training_tables(settings, {"acme": rows}, parameters=parameters)
    second = publish(settings, "acme", gate=None, now=LATER)
    assert list_snapshots(Lake(settings), "acme") == [first, second]
    assert current_snapshot(Lake(settings), "acme") == second
    assert read_snapshot(Lake(settings), "acme", first.snapshot_id) == first
    assert set(diff(first, second)) >= {"pinned.training.training_data.version"}
    versions = pinned_versions(Lake(settings))["training/training_data"]
    assert versions == {first.training_data.version, second.training_data.version}


def test_killed_before_the_pointer_moved_the_old_snapshot_is_current(
    settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_training_tables(settings, {"acme": examples(20)})
    first = publish(settings, "acme", gate=None, now=NOON)
    write_training_tables(settings, {"acme": examples(21)})
    write = LocalFolder.write

    def killed(folder: LocalFolder, name: str, content: bytes) -> None:
        if name == "current.json":
            raise KeyboardInterrupt
        write(folder, name, content)

    with monkeypatch.context() as patched:
        patched.setattr(LocalFolder, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            publish(settings, "acme", gate=None, now=LATER)
    assert current_snapshot(Lake(settings), "acme") == first
    second = publish(settings, "acme", gate=None, now=LATER + timedelta(seconds=1))
    assert current_snapshot(Lake(settings), "acme") == second


def test_tables_of_different_runs_are_not_published(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(20)})
    data = f"{settings.lake}/training/training_data"
    DeltaTable(data).alter.set_table_properties(
        {"eta.watermark.raw.interactions": "8"}, raise_if_not_exists=False
    )
    with pytest.raises(EtaError, match="different runs"):
        candidates(settings, NOON)


def test_a_killed_run_of_one_tenant_is_not_published(settings: LakeSettings) -> None:
    """It moves no watermark: the number of rows tells."""
    write_training_tables(settings, {"acme": examples(20)})
    DeltaTable(f"{settings.lake}/training/training_data").delete("user_id = 'u1'")
    with pytest.raises(EtaError, match="different runs"):
        publish(settings, "acme", gate=None, now=NOON)


def test_who_has_nothing_is_told(settings: LakeSettings) -> None:
    with pytest.raises(EtaError, match="does not exist yet"):
        publish(settings, "acme", gate=None, now=NOON)
    write_training_tables(settings, {"acme": examples(2)})
    with pytest.raises(EtaError, match="no training set"):
        publish(settings, "globex", gate=None, now=NOON)
    with pytest.raises(EtaError, match="nothing is published"):
        find_snapshot(Lake(settings), "acme", "current")
    for wrong in ("../../x", "20260501T120000000Z-00000000", ""):
        with pytest.raises(EtaError, match="no snapshot"):
            read_snapshot(Lake(settings), "acme", wrong)
    with pytest.raises(EtaError, match="tenant id"):
        current_snapshot(Lake(settings), "../acme")


def test_a_manifest_that_is_cut_or_of_another_place_is_told(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(2), "globex": examples(3)})
    made, other = (publish(settings, name, gate=None, now=NOON) for name in ("acme", "globex"))
    lake, folder = Lake(settings), Path(settings.lake, "training_sets/acme")
    manifest, pointer = folder / f"{made.snapshot_id}.json", folder / "current.json"
    neighbours = folder.with_name("globex") / f"{other.snapshot_id}.json"
    whole = manifest.read_bytes()
    for content in (b"", whole[:40], b"[]", b"\xff"):
        manifest.write_bytes(content)
        with pytest.raises(EtaError, match=r"training_sets/acme/\w+-\w+\.json in the lake cannot"):
            current_snapshot(lake, "acme")
    manifest.write_bytes(neighbours.read_bytes())
    with pytest.raises(EtaError, match="of another snapshot or tenant"):
        find_snapshot(lake, "acme", made.snapshot_id)
    manifest.write_bytes(whole)
    for content in (b"", b"{}", b"[1]"):
        pointer.write_bytes(content)
        with pytest.raises(EtaError, match=r"training_sets/acme/current\.json in the lake cannot"):
            current_snapshot(lake, "acme")


def test_no_id_leads_to_another_tenant(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(2), "globex": examples(3)})
    publish(settings, "acme", gate=None, now=NOON)
    theirs = publish(settings, "globex", gate=None, now=NOON).snapshot_id
    with pytest.raises(EtaError, match="no snapshot"):
        read_snapshot(Lake(settings), "acme", f"../globex/{theirs}")


def test_the_pointer_is_one_small_file(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(2)})
    made = publish(settings, "acme", gate=None, now=NOON)
    folder = Path(settings.lake, publishing.FOLDER, "acme")
    assert sorted(path.name for path in folder.iterdir()) == [
        f"{made.snapshot_id}.json",
        "current.json",
    ]
    assert json.loads((folder / "current.json").read_text()) == {"snapshot_id": made.snapshot_id}


def test_counts_that_do_not_add_up_to_the_rows_are_not_published(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(5)})
    place = "training/training_contents"
    rows = Lake(settings).table(place).to_pyarrow_table().to_pylist()
    wrong = [{**row, "positive_count": row["positive_count"] + 1} for row in rows]
    write_table(settings, place, pa.Table.from_pylist(wrong), PARAMETERS)
    with pytest.raises(EtaError, match="different runs"):
        publish(settings, "acme", gate=None, now=NOON)


def test_the_manifest_says_what_is_in_each_pinned_table(settings: LakeSettings) -> None:
    rows = examples(20)
    write_training_tables(settings, {"acme": rows, "globex": examples(3, seed=4)})
    first = publish(settings, "acme", gate=None, now=NOON)
    assert first.parts is not None
    assert first.parts.keys() == first.pinned.keys()
    assert first.parts[EXAMPLES].rows == first.parts[TRAINING_DATA].rows == len(rows)
    assert first.parts[AVAILABILITY].rows == len({row["item_id"] for row in rows})
    assert first.parts[CATALOGUE].rows == first.parts[CATALOGUE].files == 0
    held = first.parts[TRAINING_DATA]
    (file,) = Path(settings.lake, "training/training_data/tenant_id=acme").iterdir()
    assert (held.files, held.bytes) == (1, file.stat().st_size)
    # other rows lie in other files, which is no difference that somebody asks for
    write_training_tables(settings, {"acme": examples(21)})
    second = publish(settings, "acme", gate=None, now=NOON + timedelta(days=1))
    assert second.parts is not None
    assert second.parts[TRAINING_DATA].files_hash != held.files_hash
    assert not any(name.startswith("parts") for name in diff(first, second))
