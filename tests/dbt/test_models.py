"""Each model against the slow and obvious computation over the same rows."""

import json
import math
import os
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from lakehouse.storage.build_reports import read_build_reports
from lakehouse.training.lake_state import SOURCES
from tests.support import reference
from tests.support.lake import DERIVED_TABLES, SessionLake, at
from tests.support.tenants import EXPONENTS, LATE_EVENING, UNIFORM_USERS, VIEWING


def rounded(rows: dict) -> dict:
    """The same rows with floats to six digits, as many as a rating keeps."""
    return {
        key: tuple(round(value, 6) if isinstance(value, float) else value for value in row)
        for key, row in rows.items()
    }


def test_staging_keeps_the_first_known_row_of_each_event(lake: SessionLake, built: dict) -> None:
    found = lake.table("staging.stg_interactions", "modelled")
    expected = {(r["event_id"], r["batch_id"], r["source_ref"]) for r in built["staged"]}
    assert set(found.select("event_id", "batch_id", "source_ref").iter_rows()) == expected
    assert found.height == len(expected)


def test_staging_says_where_every_raw_row_went(lake: SessionLake, built: dict) -> None:
    (counts,) = lake.table("ops.staging_counts", "modelled").to_dicts()
    conflicts = lake.table("ops.staging_conflicts", "modelled").height
    assert counts["staged_count"] == len(built["staged"])
    assert counts["conflict_count"] == conflicts > 0
    assert counts["duplicate_count"] > 0
    assert counts["raw_count"] == 420
    assert counts["staged_count"] + counts["duplicate_count"] + conflicts == 420


def test_what_dbt_made_of_each_model_and_test_is_kept(lake: SessionLake, built: dict) -> None:
    began = datetime.now(UTC) - timedelta(days=1)
    reports = read_build_reports(lake.settings.home_dir, since=began, limit=1_000)
    whole = [r for r in reports if r.command == "build" and r.is_success and r.tenant_id is None]
    ended = {(node.name, node.kind): node.status for r in whole for node in r.nodes}
    assert ended["training_data", "model"] == "success"
    assert ended["staging_accounts_for_every_raw_row", "test"] == "pass"
    assert {name for name, kind in ended if kind == "model"} >= {"training_data", "user_features"}


def test_user_features(lake: SessionLake, built: dict) -> None:
    found = {
        row[0]: row[1:]
        for row in lake.table("features.user_features", "modelled")
        .select("user_id", "total_interactions", "unique_items", "avg_rating", "last_interaction")
        .iter_rows()
    }
    assert rounded(found) == rounded(reference.user_features(built["staged"]))


def test_item_features(lake: SessionLake, built: dict) -> None:
    found = {
        row[0]: row[1:]
        for row in lake.table("features.item_features", "modelled")
        .select("item_id", "popularity", "unique_users", "avg_rating")
        .iter_rows()
    }
    assert rounded(found) == rounded(reference.item_features(built["staged"]))


def test_recent_interactions(lake: SessionLake, built: dict) -> None:
    found = {
        (row["user_id"], row["recency_rank"]): row["event_id"]
        for row in lake.table("features.recent_interactions", "modelled").iter_rows(named=True)
    }
    assert found == reference.recent(built["staged"])


def test_item_availability(lake: SessionLake, built: dict) -> None:
    found = dict(
        lake.table("training.item_availability", "modelled")
        .select("item_id", "available_at")
        .iter_rows()
    )
    assert found == reference.availability(built["staged"], built["items"])


def test_positives_and_explicit_negatives(lake: SessionLake, built: dict) -> None:
    found = {
        (row["user_id"], row["item_id"]): (row["event_time"], row["event_id"])
        for row in lake.table("training.positives", "modelled").iter_rows(named=True)
    }
    assert found == reference.positives(built["staged"])
    disliked = lake.table("training.explicit_negatives", "modelled").select("user_id", "item_id")
    assert set(disliked.iter_rows()) == reference.explicit_negatives(built["staged"])
    assert disliked.height > 0


def test_sampled_negatives_are_drawn_from_exactly_the_eligible_items(
    lake: SessionLake, built: dict
) -> None:
    eligible = reference.eligible_items(built["staged"], built["items"])
    drawn: dict[tuple[str, str], list[dict]] = {pair: [] for pair in eligible}
    for row in lake.table("training.sampled_negatives", "modelled").iter_rows(named=True):
        drawn[row["user_id"], row["positive_item_id"]].append(row)
    for pair, rows in drawn.items():
        items = [row["item_id"] for row in rows]
        wanted = min(4, len(eligible[pair]))
        assert len(items) == len(set(items)) == wanted
        assert set(items) <= eligible[pair]
        assert {row["eligible_count"] for row in rows} <= {len(eligible[pair])}
        assert {row["sampling_probability"] for row in rows} <= {
            wanted / max(len(eligible[pair]), 1)
        }
    assert any(len(eligible[pair]) < 4 for pair in eligible), "no case with too few items"


def test_training_data_is_the_union(lake: SessionLake, built: dict) -> None:
    data = lake.table("training.training_data", "modelled")
    sizes = {
        name: lake.table(f"training.{name}", "modelled").height
        for name in ("positives", "sampled_negatives", "explicit_negatives")
    }
    (counts,) = lake.table("training.training_contents", "modelled").to_dicts()
    assert data.height == sum(sizes.values())
    assert data["label"].sum() == sizes["positives"] == counts["positive_count"]
    assert counts["sampled_negative_count"] == sizes["sampled_negatives"]
    assert counts["shortfall_count"] == 4 * sizes["positives"] - sizes["sampled_negatives"] > 0


def test_every_eligible_item_is_as_likely_as_the_next(lake: SessionLake, built: dict) -> None:
    counts = dict.fromkeys((f"i{n}" for n in range(1, 8)), 0)
    for item_id in lake.table("training.sampled_negatives", "uniform")["item_id"]:
        counts[item_id] += 1
    total = UNIFORM_USERS * 4
    assert sum(counts.values()) == total
    chi2 = sum((count - total / 7) ** 2 / (total / 7) for count in counts.values())
    assert chi2 < 22.5, counts  # p = 0.001 at 6 degrees of freedom; the draw is fixed by the seed


@pytest.mark.parametrize("exponent", EXPONENTS)
def test_a_popular_item_is_drawn_as_often_as_its_popularity_says(
    lake: SessionLake, built: dict, exponent: float
) -> None:
    """The item in was seen n times before the day of the clicks."""
    rows = lake.table("training.training_data", f"drawn-{100 * exponent:g}")
    rows = rows.filter(pl.col("negative_type") == "sampled")
    weights = {f"i{n}": n**exponent for n in range(1, 8)}
    total = sum(weights.values())
    assert set(rows["item_id"]) == {*weights}
    assert not rows.select("user_id", "item_id").is_duplicated().any()
    for (item_id,), drawn in rows.group_by("item_id"):
        weight = weights[str(item_id)]
        chance = min(1.0, 4 * weight / total)
        spread = (UNIFORM_USERS * chance * (1 - chance)) ** 0.5
        assert abs(drawn.height - UNIFORM_USERS * chance) <= 4 * spread + 1, item_id
        assert drawn["drawn_popularity"].unique().to_list() == [int(str(item_id)[1:])]
        assert drawn["drawn_by"].unique().to_list() == ["popularity"]
        assert drawn["sampling_probability"].to_numpy() == pytest.approx(chance, rel=1e-4)
        assert drawn["logq"].to_numpy() == pytest.approx(math.log(weight / total), rel=1e-4)


def test_no_identifier_enters_a_delta_log(lake: SessionLake, built: dict) -> None:
    """What stands in a log outlives the row."""
    for table in DERIVED_TABLES:
        log = Path(lake.settings.lake, table.replace(".", "/"), "_delta_log")
        entries = [entry for entry in log.rglob("*") if entry.is_file()]
        assert entries
        for entry in entries:
            assert b"zqx4711" not in entry.read_bytes(), entry


def test_time_is_utc(lake: SessionLake, built: dict) -> None:
    features = lake.table("features.user_features", "zoned")
    assert features["last_interaction"].item() == LATE_EVENING
    available = lake.table("training.item_availability", "zoned")
    assert available["available_at"].item() == at("05-02 23:00")


def test_a_tenants_settings_shape_its_training_set_alone(lake: SessionLake, built: dict) -> None:
    assert lake.table("training.positives", "plain").height == 5
    assert lake.table("training.sampled_negatives", "plain").height == 20
    assert lake.table("training.positives", "viewer").height == 14
    assert set(lake.table("training.sampled_negatives", "viewer")["draw_index"]) == {1, 2}

    before = lake.table("training.training_data", "plain")
    lake.set_tenant("viewer", VIEWING.model_copy(update={"negatives_per_positive": 1}))
    lake.dbt("run", "--select", "+training_contents")  # what is published as one
    assert set(lake.table("training.sampled_negatives", "viewer")["draw_index"]) == {1}
    assert lake.table("training.training_data", "plain").equals(before)


def test_the_sources_that_decide_what_is_new_are_those_that_models_read(built: dict) -> None:
    manifest = json.loads(Path(os.environ["DBT_TARGET_PATH"], "manifest.json").read_text())
    read = {
        parent.removeprefix("source.eta.")
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
        for parent in node["depends_on"]["nodes"]
        if parent.startswith("source.")
    }
    assert read == set(SOURCES)


READS = re.compile(r"reads=(?:merged\((.*?)\),\n|(\{.*?\n    \}|\{[^\n]*\}))", re.DOTALL)


def test_every_model_names_the_parents_that_its_scope_looks_at(built: dict) -> None:
    """A run asks for each parent once, for whichever model comes first: dbt has to know of all."""
    manifest = json.loads(Path(os.environ["DBT_TARGET_PATH"], "manifest.json").read_text())
    assert unnamed_parents(manifest) == {}


def unnamed_parents(manifest: dict) -> dict[str, set[str]]:
    unnamed = {}
    models = {k: node for k, node in manifest["nodes"].items() if node["resource_type"] == "model"}
    for node in models.values():
        found = READS.search(node["raw_code"])
        names = re.findall(r"'(\w+)':\s*[\[{]", found[0]) if found else []
        parents = {f"model.eta.{name}" for name in names} & models.keys()
        if missing := parents - set(node["depends_on"]["nodes"]):
            unnamed[node["name"]] = missing
    return unnamed
