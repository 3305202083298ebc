"""The leak auditor: clean on what the models build, and each planted trap is caught."""

import pytest
from pyspark.sql import SparkSession
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.training.audit import run_audit
from tests.support.lake import SessionLake
from tests.support.tenants import LEAKY

# check → the table it looks at, and what a trap would have put there
PLANTED = {
    "examples_see_their_user_before_the_event": (
        "training.training_examples",
        "user_total_interactions = user_total_interactions + 1",
        "user_total_interactions is not null",
    ),
    "examples_see_their_item_before_the_event": (
        "training.training_examples",
        "item_popularity = item_popularity + 100",
        "item_popularity is not null",
    ),
    "user_histories_end_before_the_event": (
        "training.user_histories",
        "item_ids = array_append(item_ids, 'its own target')",
        "size(item_ids) < 50",
    ),
    "negatives_are_of_their_positives_time": (
        "training.training_examples",
        "user_unique_items = null",
        "label = 0 and user_unique_items is not null",
    ),
    "interactions_have_the_catalogue_of_their_time": (
        "features.enriched_interactions",
        "price = 12345",
        "price is not null",
    ),
    "sampled_negatives_existed_in_their_hour": (
        "training.item_availability",
        "available_at = timestamp '2029-01-01 00:00:00'",
        "true",
    ),
    "sampled_negatives_are_unknown_to_their_user": (
        "training.training_data",
        "item_id = anchor_item_id",
        "draw_index = 1",
    ),
    "labels_were_known_by_the_cutoff": (
        "staging.stg_interactions",
        "known_at = timestamp '2029-01-01 00:00:00'",
        "true",
    ),
    "flagged_days_are_not_trained_on": (
        "features.user_feature_history",
        "agent_count = 1",
        "user_id = 'u1'",
    ),
    "examples_have_the_catalogue_of_their_time": (
        "training.training_examples",
        "item_texts = map('brand', 'of tomorrow')",
        "item_texts is not null",
    ),
    "withdrawn_users_are_not_trained_on": (
        "staging.stg_users",
        """consent = '{"training": false}'""",
        "user_id = 'u1'",
    ),
    "impressions_are_clicked_after_they_were_shown": (
        "features.impressions",
        "shown_at = clicked_at + interval 1 minute",
        "is_clicked",
    ),
    "merges_count_from_when_they_were_known": (
        "staging.stg_clickstream",
        "attributed_at = null",
        "attributed_at is not null",
    ),
    "shown_negatives_stood_beside_their_positive": (
        "features.impressions",
        "shown_at = shown_at + interval 1 day",
        "not is_clicked",
    ),
    "drawn_popularity_was_counted_before": (
        "training.training_data",
        "drawn_popularity = drawn_popularity + 1",
        "drawn_by = 'popularity'",
    ),
}
CUTOFF = "2028-01-01T00:00:00"
TENANTS = dict(zip(PLANTED, LEAKY, strict=True))
"""Each trap lies in a tenant of its own."""
ALSO = {
    # a positive may be of an item that its catalogue offers only later; drawn, it came too early
    "sampled_negatives_existed_in_their_hour": {
        TENANTS["sampled_negatives_are_unknown_to_their_user"]
    }
}


@pytest.fixture(scope="module")
def planted(lake: SessionLake, built: dict) -> SparkSession:
    """Tables that are clean by every check, then hold every trap; no build comes after them."""
    assert [check for check in run_audit(lake.settings) if not check.passed] == []
    session = SparkSession.active()
    for check, (table, change, which) in PLANTED.items():
        planting = f"update {table} set {change} where tenant_id = '{TENANTS[check]}'"
        assert session.sql(f"{planting} and {which}").collect()[0][0] > 0, planting
    return session


def test_every_check_catches_its_trap_and_no_other(
    lake: SessionLake, planted: SparkSession
) -> None:
    checks = run_audit(lake.settings, cutoff=CUTOFF)
    caught = {}
    for check in checks:
        (compiled,) = lake.settings.home_dir.glob(f"target/compiled/**/leaks/{check.name}.sql")
        rows = planted.sql(compiled.read_text()).select("tenant_id").collect()
        assert len(rows) == check.rows
        caught[check.name] = {row.tenant_id for row in rows} - ALSO.get(check.name, set())
    assert caught == {check: {tenant} for check, tenant in TENANTS.items()}


def test_the_command_names_the_leaks_and_fails(planted: SparkSession) -> None:
    leaky = TENANTS["user_histories_end_before_the_event"]
    result = CliRunner().invoke(app, ["audit", "--tenant", leaky])
    assert result.exit_code == 1
    verdicts = dict(line.split("\t")[1::-1] for line in result.stdout.splitlines()[1:])
    assert verdicts == {
        check: "LEAK" if tenant == leaky else "ok" for check, tenant in TENANTS.items()
    }
    assert "its own history" in result.stderr
