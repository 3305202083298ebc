"""Tenants that the gate judges, each with a defect of its own, and what is to be told of it."""

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from lakehouse.contracts.quality import Least, Most, QualitySettings
from lakehouse.contracts.tables import RAW_ITEMS
from lakehouse.contracts.tenant import TenantSettings, TimeRange
from lakehouse.retention.expiry import expire_rows
from lakehouse.storage.lake import Lake
from tests.support.clickstream import event, store_events
from tests.support.gate_rows import (
    DAY,
    NOW,
    bought,
    catalogue,
    clicks,
    conflicting,
    crowded,
    disliked,
    future,
    partly_early,
    priced,
    rated,
    weeks,
)
from tests.support.lake import NOON, SessionLake, interaction, item, user

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

LONG_AGO = NOW - 400 * DAY

ONE_SAMPLED = "negative_type = 'sampled' and draw_index = 1 and anchor_item_id = 'i0'"

# What is broken below raw, one tenant each: table, column and its new value (None: the rows go),
# which rows; and the check that is to tell.
BROKEN = {
    "gate-no-user": (
        ("staging.stg_interactions", "user_id", "null", "event_id = 'e0'"),
        "staged_user_id_is_given",
    ),
    "gate-no-item": (
        ("staging.stg_interactions", "item_id", "null", "event_id = 'v19'"),
        "staged_item_id_is_given",
    ),
    "gate-type": (
        ("staging.stg_interactions", "interaction_type", "'stare'", "event_id = 'v19'"),
        "staged_interaction_type_is_known",
    ),
    "gate-early": (
        (
            "staging.stg_interactions",
            "event_time",
            "timestamp '2019-12-31 23:59:59'",
            "event_id = 'v19'",
        ),
        "staged_event_time_is_in_range",
    ),
    "gate-twice": (
        ("staging.stg_interactions", "event_id", "'v18'", "event_id = 'v19'"),
        "staged_event_id_is_unique",
    ),
    "gate-unstaged": (
        ("staging.stg_interactions", None, None, "true"),
        "staged_rows_follow_the_raw_rows",
    ),
    "gate-catalogue-twice": (
        ("staging.stg_items", "event_id", "'i1'", "event_id = 'i2'"),
        "staged_catalogue_rows_are_unique",
    ),
    "gate-unbalanced": (
        ("training.training_data", None, None, ONE_SAMPLED),
        "labels_are_balanced",
    ),
    "gate-no-positives": (
        ("training.training_data", None, None, "true"),
        "positive_events_yield_positives",
    ),
    "gate-lost-positive": (
        ("training.training_data", None, None, "anchor_item_id = 'i0'"),
        "positives_are_as_many_as_counted",
    ),
    "gate-repeated": (
        ("training.training_data", "draw_index", "2", ONE_SAMPLED),
        "examples_are_unique",
    ),
    "gate-no-id": (
        ("training.training_data", "item_id", "null", ONE_SAMPLED),
        "example_ids_are_given",
    ),
    "gate-mislabelled": (
        ("training.training_data", "sampling_probability", "2", ONE_SAMPLED),
        "labels_agree_with_their_kind",
    ),
    "gate-feature-user": (
        ("features.user_features", "user_id", "null", "user_id = 'subject-1'"),
        "user_feature_keys_are_given",
    ),
    "gate-feature-item": (
        ("features.item_features", "item_id", "null", "item_id = 'i1'"),
        "item_feature_keys_are_given",
    ),
    "gate-user-twice": (
        ("features.user_features", "user_id", "'subject-2'", "user_id = 'subject-1'"),
        "user_features_are_unique",
    ),
    "gate-item-twice": (
        ("features.item_features", "item_id", "'i2'", "item_id = 'i1'"),
        "item_features_are_unique",
    ),
    "gate-user-counts": (
        ("features.user_features", "interactions_7d", "0", "user_id = 'subject-1'"),
        "user_counts_agree",
    ),
    "gate-item-counts": (
        ("features.item_features", "view_count", "view_count + 1", "item_id = 'i1'"),
        "item_counts_agree",
    ),
    "gate-lost-user": (
        ("features.user_features", None, None, "user_id = 'subject-1'"),
        "features_cover_the_interactions",
    ),
    "gate-old-features": (
        (
            "features.user_features",
            "last_interaction",
            "last_interaction - interval 3 hours",
            "true",
        ),
        "features_are_as_new_as_staging",
    ),
    "gate-old-set": (
        (
            "training.training_contents",
            "newest_known_at",
            "newest_known_at - interval 3 hours",
            "true",
        ),
        "training_set_is_as_new_as_staging",
    ),
}

SMALL: dict[str, Any] = {"minimum_events": 20}
"""A tenant of few events has its periods compared all the same."""


# What is sent, one tenant each: interactions, catalogue; the tenant's thresholds; the failures.
SENT: dict[str, tuple[list[dict], list[dict], dict[str, Any], set[str]]] = {
    "gate-steady": (weeks(), catalogue(), SMALL, set()),
    "gate-good": (clicks(), catalogue(), {}, set()),
    "gate-on-scale": (clicks() + rated(5.0), catalogue(), {}, set()),
    "gate-own-scale": (
        clicks() + rated(9.0),
        catalogue(),
        {"rating_scale": {"least": 1, "most": 10}, "off_scale_share": Most(fail=0)},
        set(),
    ),
    "gate-priced": (
        clicks() + bought("i2"),
        priced(),
        {"unpriced_purchase_share": Most(fail=0)},
        set(),
    ),
    "gate-no-prices": (
        clicks() + bought(),
        catalogue(),
        {"unpriced_purchase_share": Most(fail=0)},
        set(),
    ),
    "gate-no-catalogue": (clicks(), [], {}, set()),
    "gate-own-range": (clicks(datetime(1998, 1, 1, tzinfo=UTC)), [], {}, set()),
    "gate-few-items": (clicks(items=3), [], {}, set()),
    "gate-part-catalogue": (clicks(), catalogue(4), {}, set()),
    "gate-range": (
        clicks(),
        catalogue(),
        {},
        {"raw_event_time_is_in_range", "staged_event_time_is_in_range"},
    ),
    "gate-orphans": (clicks(), catalogue(15), {}, {"items_are_in_the_catalogue"}),
    "gate-stale": (clicks(), catalogue(), {"age_hours": Most(fail=90)}, {"data_is_fresh"}),
    # its interactions are as old, but not its clickstream
    "gate-fresh-events": (clicks(), catalogue(), {"age_hours": Most(fail=90)}, set()),
    "gate-future": (clicks() + future(), catalogue(), {}, {"events_are_not_from_the_future"}),
    "gate-off-scale": (
        clicks() + rated(5.5),
        catalogue(),
        {"off_scale_share": Most(fail=0)},
        {"ratings_are_on_their_scale"},
    ),
    "gate-conflicts": (
        clicks() + conflicting(),
        catalogue(),
        {"conflict_share": Most(fail=0.3)},
        {"few_events_conflict"},
    ),
    "gate-too-early": (
        clicks(),
        partly_early(catalogue()),
        {"early_item_share": Most(fail=0.2)},
        {"items_exist_before_their_events"},
    ),
    "gate-unpriced": (
        clicks() + bought(),
        priced(),
        {"unpriced_purchase_share": Most(fail=0.5)},
        {"purchases_have_a_price"},
    ),
    "gate-fallen": (
        weeks(newest=8),
        catalogue(),
        SMALL | {"volume_ratio_least": Least(fail=0.2)},
        {"volume_has_not_fallen"},
    ),
    "gate-leapt": (
        weeks(newest=168),
        catalogue(),
        SMALL | {"volume_ratio_most": Most(fail=3)},
        {"volume_has_not_leapt"},
    ),
    "gate-types": (
        weeks(kind="like"),
        catalogue(),
        SMALL | {"type_drift": Most(fail=0.5)},
        {"types_have_not_drifted"},
    ),
    "gate-popular": (
        weeks(items=10),
        catalogue(),
        SMALL | {"popularity_drift": Most(fail=0.4)},
        {"popularity_has_not_drifted"},
    ),
    # one of 11 users has 20 of 30 interactions
    "gate-one-user": (
        clicks(),
        catalogue(),
        SMALL | {"minimum_users": 11, "top_user_share": Most(fail=0.6)},
        {"no_user_dominates"},
    ),
    "gate-one-of-few-users": (
        clicks(),
        catalogue(),
        SMALL | {"minimum_users": 12, "top_user_share": Most(fail=0.6)},
        set(),
    ),
    "gate-one-item": (
        clicks() + crowded(),
        catalogue(),
        SMALL | {"top_item_share": Most(fail=0.6)},
        {"no_item_dominates"},
    ),
    "gate-skewed": (
        clicks() + disliked(),
        catalogue(),
        {"explicit_negative_share": Most(fail=0.6)},
        {"wishes_outnumber_dislikes"},
    ),
    "gate-undrawn": (
        clicks(items=3),
        [],
        {"shortfall_share": Most(fail=0.4)},
        {"negatives_can_be_drawn"},
    ),
    # the same with the thresholds as they are: warnings
    "gate-warned": (
        weeks(newest=168, kind="view", items=10)
        + clicks()
        + rated(7.0)
        + conflicting()
        + bought()
        + future(),
        partly_early(priced()),
        SMALL,
        set(),
    ),
    "gate-warned-user": (clicks(), catalogue(), SMALL | {"minimum_users": 11}, set()),
    "gate-warned-item": (clicks() + crowded(), catalogue(), SMALL, set()),
    "gate-warned-labels": (clicks() + disliked(), catalogue(), {}, set()),
    "gate-warned-fallen": (weeks(newest=8), catalogue(), SMALL, set()),
    "gate-expired": (clicks(LONG_AGO - DAY), [], {}, set()),
    "gate-raw": (clicks(), catalogue(), {}, set()),
}
KNOWN_AT = {
    "gate-stale": NOW - timedelta(hours=100),
    "gate-fresh-events": NOW - timedelta(hours=100),
    "gate-warned-fallen": NOW - timedelta(hours=80),
    "gate-expired": LONG_AGO,
}
RANGES = {
    "gate-range": TimeRange(start=NOON, end=datetime(2027, 1, 1)),
    "gate-own-range": TimeRange(start=datetime(1990, 1, 1), end=datetime(2027, 1, 1)),
}
RAW_CHECKS = {
    "raw_event_id_is_given",
    "raw_user_id_is_given",
    "raw_item_id_is_given",
    "raw_interaction_type_is_known",
    "raw_event_time_is_in_range",
    "raw_catalogue_item_id_is_given",
    "raw_price_is_not_negative",
    "raw_state_user_id_is_given",
    "raw_state_event_id_is_given",
}
FAILURES = {
    **{tenant: failures for tenant, (*_, failures) in SENT.items()},
    **{tenant: {check} for tenant, (_, check) in BROKEN.items()},
    "gate-raw": RAW_CHECKS,
    "gate-clickstream": set[str](),
}
WARNINGS = {
    "gate-few-items": {"negatives_can_be_drawn"},
    "gate-part-catalogue": {"items_are_in_the_catalogue"},
    "gate-warned-fallen": {"volume_has_not_fallen", "data_is_fresh"},
    "gate-warned-labels": {"wishes_outnumber_dislikes"},
    "gate-warned-user": {"no_user_dominates"},
    "gate-warned-item": {"no_item_dominates"},
    "gate-warned": {
        "events_are_not_from_the_future",
        "items_exist_before_their_events",
        "ratings_are_on_their_scale",
        "few_events_conflict",
        "purchases_have_a_price",
        "volume_has_not_leapt",
        "types_have_not_drifted",
        "popularity_has_not_drifted",
    },
}


def store_gate_tenants(lake: SessionLake) -> None:
    """What the service would have stored."""
    for tenant in FAILURES:
        interactions, items, *_ = SENT.get(tenant, SENT["gate-good"])
        lake.store(tenant, interactions, known_at=KNOWN_AT.get(tenant))
        if items:
            lake.store(tenant, items, spec=RAW_ITEMS, known_at=NOON)
    by_segment = {"clickstream": {"preset": "segment", "impressions": {}}}
    lake.set_tenant("gate-clickstream", TenantSettings.model_validate(by_segment))
    seen, shown = {"product_id": "i1"}, {"products": [{"product_id": "i1"}]}
    when = {"event_time": NOW - DAY}
    views = [event(f"s{n}", "Product Viewed", seen, "subject-1", **when) for n in range(3)]
    lists = [event("shown", "Product List Viewed", shown, "subject-1", **when)]
    store_events(lake, "gate-clickstream", views + lists)
    lake.set_tenant("gate-fresh-events", TenantSettings.model_validate(by_segment))
    unmapped = event("opened", "Page Opened", {}, "subject-1", **when)
    # events of a tenant that maps none say nothing of its interactions
    for tenant in ("gate-fresh-events", "gate-stale"):
        store_events(lake, tenant, [unmapped], known_at=NOW)


def gate_settings() -> dict[str, TenantSettings]:
    """The settings of the tenants that were added."""
    found = {"gate-empty": TenantSettings()}
    for tenant, (_, _, thresholds, _) in SENT.items():
        if thresholds or tenant in RANGES or tenant == "gate-good":
            found[tenant] = TenantSettings(
                time_range=RANGES.get(tenant, TimeRange()),
                quality=QualitySettings.model_validate(thresholds),
            )
    return found


def plant_below_raw(session: "SparkSession") -> None:
    """Break every tenant of `BROKEN`, with one update and one delete per table."""
    updates, deletes = defaultdict(list), defaultdict(list)
    for tenant, ((table, column, value, which), _) in BROKEN.items():
        chosen = f"(tenant_id = '{tenant}' and {which})"
        if column is None:
            deletes[table].append(chosen)
        else:
            updates[table].append((column, value, chosen))
    deletes["training.training_contents"].append("tenant_id = 'gate-no-positives'")
    for table, changes in updates.items():
        cases = defaultdict(list)
        for column, value, which in changes:
            cases[column].append(f"when {which} then {value}")
        columns = ", ".join(
            f"{column} = case {' '.join(found)} else {column} end"
            for column, found in cases.items()
        )
        rows = " or ".join(which for *_, which in changes)
        assert session.sql(f"update {table} set {columns} where {rows}").collect()[0][0] > 0
    for table, choices in deletes.items():
        assert session.sql(f"delete from {table} where {' or '.join(choices)}").collect()[0][0] > 0


def plant_in_raw(lake: SessionLake) -> None:
    """Rows that ingestion would refuse, and rows that expired; no build comes after them."""
    bad = [
        interaction("", "subject-1"),
        interaction("no-user", user_id=""),
        interaction("no-item", item_id=""),
        interaction("no-type", interaction_type="stare"),
        interaction("no-time", event_time=datetime(2031, 1, 1, tzinfo=UTC)),
    ]
    lake.store("gate-raw", bad)
    wrong = [item("", "nameless"), item("i1", "negative", price=Decimal(-1))]
    lake.store_items("gate-raw", wrong)
    lake.store_users("gate-raw", [user("", None, "nobody"), user("subject-1", None, "")])
    (gone,) = expire_rows(Lake(lake.settings), {}, NOW, tenant_id="gate-expired")
    assert gone.rows == 30
