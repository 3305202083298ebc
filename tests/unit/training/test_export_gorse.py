"""Gorse's import takes every line of an export: fields, times, ids and types as it checks them."""

import json
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from lakehouse.contracts.identifying import IdentifyingFields
from lakehouse.errors import EtaError
from lakehouse.privacy.text_files import named_in_text
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.publish import publish
from tests.support.evaluation import evaluated
from tests.support.lake import NOON
from tests.support.training import AGING, COUNTED_UNTIL, PARAMETERS, examples, write_training_tables
from tests.unit.training.test_evaluation import published as evaluation
from tests.unit.training.test_export import CATALOGUE

ODD = ('a,b|"c"', "tab\tand\nline", "ü|3 🎲", " NA ", "=1+1", "back\\slash", "\u2028x")
FIELDS = {
    "users": {"UserId": str},
    "items": {
        "ItemId": str,
        "IsHidden": bool,
        "Categories": list,
        "Timestamp": str,
        "Labels": dict,
        "Comment": str,
    },
    "feedback": {
        "FeedbackType": str,
        "UserId": str,
        "ItemId": str,
        "Timestamp": str,
        "Value": float,
    },
}
"""File → the fields of Gorse's data model and their types (`User`, `Item`, `Feedback`)."""


def exported(settings: LakeSettings, rows: list[dict[str, Any]], to: Path, **how: Any) -> Path:
    write_training_tables(settings, {"acme": rows}, **how)
    manifest = publish(settings, "acme", gate=None, now=NOON)
    export_snapshot(Lake(settings), manifest, ExportFormat.GORSE, to)
    return to


def taken_in(folder: Path, kind: str) -> list[dict[str, Any]]:
    """Read a file as the importer does: a value a line, and its checks of ids (`ValidateId`)."""
    text = (folder / f"{kind}.jsonl").read_text(encoding="utf-8")
    found = [json.loads(line) for line in text.split("\n")[:-1]]
    for row in found:
        for name, value in row.items():
            assert type(value) is FIELDS[kind][name] or (name, value) == ("Labels", None)
        ids = [row.get("UserId", "u"), row.get("ItemId", "i"), row.get("FeedbackType", "t")]
        for one in [*ids, *row.get("Categories", [])]:
            assert one.strip()
            assert "/" not in one
        if "Timestamp" in row:
            datetime.fromisoformat(row["Timestamp"])
    return found


def test_gorse_takes_users_items_and_feedback(settings: LakeSettings, tmp_path: Path) -> None:
    rows = examples(60, users=ODD)
    to = exported(settings, rows, tmp_path / "out", catalogue=CATALOGUE)
    users = [row["UserId"] for row in taken_in(to, "users")]
    assert sorted(users) == sorted({row["user_id"] for row in rows})
    feedback = taken_in(to, "feedback")
    acted = [row for row in rows if row["negative_type"] != "sampled"]
    assert sorted(
        (
            row["FeedbackType"],
            row["UserId"],
            row["ItemId"],
            datetime.fromisoformat(row["Timestamp"]),
        )
        for row in feedback
    ) == sorted(
        (row["interaction_type"], row["user_id"], row["item_id"], row["event_time"])
        for row in acted
    )
    assert Counter(row["FeedbackType"] for row in feedback) == {"click": 60, "dislike": 6}
    items = {row["ItemId"]: row for row in taken_in(to, "items")}
    assert set(items) == {row["item_id"] for row in rows}
    assert items["i0"]["Categories"] == ['boots, "dry"']
    assert items["i0"]["Labels"] == {"category": 'boots, "dry"'}
    assert items["i0"]["Comment"] == 'The "dry"\tboots\n9'
    assert items["i1"]["Categories"] == []
    assert items["i1"]["Labels"] is None
    assert datetime.fromisoformat(items["i1"]["Timestamp"]) == NOON
    told = (to / "README.md").read_text()
    assert 'positive_feedback_types = ["click"]' in told
    assert 'negative_feedback_types = ["dislike"]' in told
    assert "read_feedback_types = []" in told


def test_a_category_with_a_slash_fits(settings: LakeSettings, tmp_path: Path) -> None:
    catalogue = [CATALOGUE[0] | {"category": "shoes/boots"}]
    to = exported(settings, examples(5), tmp_path / "out", catalogue=catalogue)
    items = {row["ItemId"]: row for row in taken_in(to, "items")}
    assert items["i0"]["Categories"] == ["shoes|boots"]
    assert items["i0"]["Labels"] == {"category": "shoes/boots"}


def test_shown_negatives_are_read_feedback_and_weights_are_values(
    settings: LakeSettings, tmp_path: Path
) -> None:
    rows = [{**row, "type_weight": 0.5, "shown_position": None} for row in examples(20)]
    for row in rows:
        if row["draw_index"] == 4:
            row |= {"negative_type": "shown", "shown_position": 2}
    declared = json.dumps([{"name": "click", "weight": 0.5, "label": "positive"}])
    parameters = {**PARAMETERS, **AGING, "event_types": declared}
    parameters["shown_per_positive"] = 1
    to = exported(settings, rows, tmp_path / "out", parameters=parameters)
    feedback = taken_in(to, "feedback")
    counted = Counter(row["FeedbackType"] for row in feedback)
    assert counted == {"click": 20, "shown_negative": 20, "dislike": 2}
    for row in feedback:
        days = (COUNTED_UNTIL - datetime.fromisoformat(row["Timestamp"])) / timedelta(days=1)
        assert row["Value"] == pytest.approx(0.5 * 0.5 ** (days / 30))
    assert 'read_feedback_types = ["shown_negative"]' in (to / "README.md").read_text()


@pytest.mark.parametrize("user_id", ["a/b", " ", "/", "a\0b"])
def test_an_id_that_gorse_refuses_is_refused(
    settings: LakeSettings, tmp_path: Path, user_id: str
) -> None:
    with pytest.raises(EtaError, match="Gorse cannot hold: 26 ") as refusal:
        exported(settings, examples(5, users=(user_id,)), tmp_path / "out")
    assert user_id.strip("/ ") == "" or user_id not in str(refusal.value)
    assert list(tmp_path.glob("*out*")) == []


def test_an_evaluation_snapshot_is_refused(settings: LakeSettings, tmp_path: Path) -> None:
    manifest = evaluation(settings, evaluated(20))
    with pytest.raises(EtaError, match="Gorse divides"):
        export_snapshot(Lake(settings), manifest, ExportFormat.GORSE, tmp_path / "out")


def test_an_erasure_finds_people_in_it(settings: LakeSettings, tmp_path: Path) -> None:
    to = exported(settings, examples(30, users=ODD), tmp_path / "out")
    for name in ("users", "feedback"):
        for user in ODD:
            with (to / f"{name}.jsonl").open("rb") as file:
                assert named_in_text(file, IdentifyingFields(), frozenset([user]))


def test_ids_that_mysql_takes_for_one_are_told(settings: LakeSettings, tmp_path: Path) -> None:
    alike = (
        "case",
        "Case",
        "caf\u00e9",
        "cafe\u0301",
        "cafe",
        "end",
        "end  ",
        " end",
        "stra\u00dfe",
    )
    to = exported(settings, examples(60, users=alike), tmp_path / "out")
    users = [row["UserId"] for row in taken_in(to, "users")]
    assert sorted(users) == sorted(alike)
    text = (to / "README.md").read_text()
    assert "**With MySQL** 4 users and 0 items would be lost" in text
    to = exported(settings, examples(60), tmp_path / "others")
    assert "MySQL" not in (to / "README.md").read_text()


def test_an_id_that_is_too_long_for_its_databases_is_refused(
    settings: LakeSettings, tmp_path: Path
) -> None:
    for length in (256, 257):
        rows = examples(10, users=("\u00fc" * length,))
        if length == 256:
            exported(settings, rows, tmp_path / "fits")
            continue
        with pytest.raises(EtaError, match="of more than 256 characters"):
            exported(settings, rows, tmp_path / "out")
        assert not (tmp_path / "out").exists()
