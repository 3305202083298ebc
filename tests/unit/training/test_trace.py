"""From a row of a training set back to the line it came in with."""

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from deltalake import DeltaTable, write_deltalake
from typer.testing import CliRunner

from ingest_service.sinks.delta import DeltaSink
from lakehouse.cli.main import app
from lakehouse.contracts.kinds import OnError
from lakehouse.contracts.tables import OPS_INGEST_LEDGER, RAW_INTERACTIONS
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.manifest import Manifest
from lakehouse.training.publish import publish
from lakehouse.training.trace import STAGED, Step, trace
from tests.support.ingesting import ingest, service
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, write_table, write_training_tables

ODD = "o'Brien\"; -- ü"
MS = round(NOON.timestamp() * 1000)
FILE = f"""user_id,item_id,interaction_type,timestamp
u1,i1,view,{MS - 3_600_000}
nobody,i1,no such type,{MS}
u1,i1,click,{MS}
"{ODD.replace('"', '""')}",i2,dislike,{MS}
"""


def labelled(user_id: str, item_id: str, anchor: str | None = None, **row: Any) -> dict[str, Any]:
    """A row of training data; one that is drawn for `anchor` is a sampled negative."""
    drawn = {"draw_index": 3, "negative_type": "sampled", "sampling_probability": 0.25}
    rest = drawn if anchor else {"draw_index": 0, "negative_type": None}
    return {
        "user_id": user_id,
        "item_id": item_id,
        "anchor_item_id": anchor or item_id,
        "interaction_type": None,
        "sampling_probability": None,
        "event_time": NOON,
        **rest,
        "label": 0.0 if anchor else 1.0,
        **row,
    }


@pytest.fixture
def published(settings: LakeSettings, tmp_path: Path) -> Manifest:
    """What the service stored of a file, staged and labelled; a neighbour has the same ids."""
    lake = Lake(settings)
    ensure_tables(lake)
    ingest(service(DeltaSink(lake)), tmp_path, FILE, on_error=OnError.QUARANTINE)
    raw = pl.DataFrame(DeltaTable(lake.location(RAW_INTERACTIONS)).to_pyarrow_table())
    staged = raw.drop("context").with_columns(attributed_at=pl.lit(None, pl.Datetime("us", "UTC")))
    rows = staged.to_arrow(compat_level=pl.CompatLevel.oldest())
    write_table(settings, STAGED.replace(".", "/"), rows, {})
    disliked: dict[str, Any] = {
        "label": 0.0,
        "negative_type": "explicit",
        "interaction_type": "dislike",
    }
    own = [
        labelled("u1", "i1", interaction_type="click"),
        labelled("u1", "i7", anchor="i1"),
        labelled("u1", "i6", anchor="i1", negative_type="shown", draw_index=5, shown_position=2),
        labelled(ODD, "i2", **disliked),
    ]
    neighbours = [labelled("u1", "i8", interaction_type="click")]
    parameters = {**PARAMETERS, "shown_per_positive": 1}
    write_training_tables(settings, {"acme": own, "globex": neighbours}, parameters=parameters)
    made = publish(settings, "acme", gate=None, now=NOON)
    publish(settings, "globex", gate=None, now=NOON)
    return made


def texts(steps: list[Step]) -> list[str]:
    return [step.text for step in steps]


def test_a_positive_leads_to_its_lines_and_batch(
    settings: LakeSettings, published: Manifest
) -> None:
    steps = trace(Lake(settings), published, "u1", "i1")
    kinds = [step.kind for step in steps]
    assert kinds == ["training row", "event", "raw row", "event", "raw row", "batch"]
    assert steps[0].text == "positive: click at 2026-05-01 12:00:00Z"
    assert "view on i1 at 2026-05-01 11:00:00Z, known since 2026-05-01 00:00" in steps[1].text
    assert steps[2].text.startswith("csv, batch b1, line 2, in part-b1-")
    assert steps[4].text.startswith("csv, batch b1, line 4, in part-b1-")
    assert steps[4].table == "raw.interactions"
    assert "4 received, 3 stored, 0 duplicate, 1 quarantined, 0 suppressed" in steps[5].text


def test_a_drawn_negative_leads_to_its_positives_events(
    settings: LakeSettings, published: Manifest
) -> None:
    first, *rest = texts(trace(Lake(settings), published, "u1", "i7"))
    drawn = "sampled negative, draw 3 for the positive on i1 at 2026-05-01 12:00:00Z"
    assert first == f"{drawn}, taken with probability 0.25"
    assert rest == texts(trace(Lake(settings), published, "u1", "i1"))[1:]


def test_a_shown_negative_is_no_explicit_one(settings: LakeSettings, published: Manifest) -> None:
    first, *_ = texts(trace(Lake(settings), published, "u1", "i6"))
    assert first.startswith("shown negative, draw 5 for the positive on i1 at")


def test_a_lake_of_an_earlier_release_is_read(settings: LakeSettings, published: Manifest) -> None:
    """Its staging has no `attributed_at`; a ledger may be lost."""
    lake = Lake(settings)
    location = lake.location(STAGED.replace(".", "/"))
    rows = DeltaTable(location).to_pyarrow_table().drop_columns(["attributed_at"])
    write_deltalake(location, rows, mode="overwrite", schema_mode="overwrite")
    before = trace(lake, published, "u1", "i1")
    assert len(before) == 6
    shutil.rmtree(lake.location(OPS_INGEST_LEDGER))
    *same, last = trace(lake, published, "u1", "i1")
    assert same == before[:-1]
    assert last.text == "b1: not in the ledger"


def test_ids_are_values_and_no_part_of_a_statement(
    settings: LakeSettings, published: Manifest
) -> None:
    steps = texts(trace(Lake(settings), published, ODD, "i2"))
    assert steps[0] == "explicit negative: dislike at 2026-05-01 12:00:00Z"
    assert "line 5" in steps[2]


@pytest.mark.parametrize(
    ("user", "item"), [("u1", "i8"), ("U1", "i1"), ("u1", "' or true --"), ("", "")]
)
def test_what_the_set_does_not_have_is_told(
    settings: LakeSettings, published: Manifest, user: str, item: str
) -> None:
    with pytest.raises(EtaError, match="has no row of this user and this item"):
        trace(Lake(settings), published, user, item)


def test_what_left_raw_or_staging_is_told(settings: LakeSettings, published: Manifest) -> None:
    lake = Lake(settings)
    lake.table(RAW_INTERACTIONS).delete("interaction_type = 'view'")
    steps = texts(trace(lake, published, "u1", "i1"))
    assert steps[2] == "csv, batch b1, line 2: not held any more: it expired, or was corrected"
    assert "in part-" in steps[4]
    lake.table(STAGED).delete()
    assert texts(trace(lake, published, "u1", "i1"))[1:] == ["no event on i1 is held any more"]


def test_the_command_prints_the_steps(settings: LakeSettings, published: Manifest) -> None:
    result = CliRunner().invoke(app, ["trace", "--tenant", "acme", "u1", "i1"])
    assert result.exit_code == 0, result.output
    lines = [line.split("\t") for line in result.stdout.splitlines()]
    assert lines[0] == ["step", "table", "what"]
    assert [line[0] for line in lines[1:3]] == ["training row", "event"]
    missing = CliRunner().invoke(app, ["trace", "--tenant", "globex", "u1", "i1"])
    assert missing.exit_code == 1
    assert "has no row" in missing.stderr
