"""What one tenant declares and another does not: event types, and consent of its users.

Meaning, weight and undoing of types, who is trained on, and who pays nothing for either.
"""

import json
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lakehouse.contracts.tables import RAW_CLICKSTREAM
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.quality.gate import run_gate
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.content_hash import ContentHash
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.publish import publish
from tests.support.clickstream import (
    GA4_EVENTS,
    GA4_LIST,
    GREY,
    ITEMS,
    MONOPOLY,
    ORDER,
    RECOMMENDED,
    SEGMENT_CALLS,
    TEE,
    UNO,
    event,
    segment_event,
    store_events,
)
from tests.support.devices import (
    FIRST_BATCHES,
    device_events,
    known_before,
    minutes,
    owner_of,
)
from tests.support.lake import NOON, SessionLake, interaction, item, user
from tests.support.shown import Candidates, random_lists, showing, shown_beside
from tests.support.stories import compiled

pytestmark = pytest.mark.timeout(1800)

DAY = timedelta(days=1)
KNOWN_FIRST, KNOWN_LATER = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 6, 10, tzinfo=UTC)
CUTOFF = "2026-06-05 00:00:00"
TYPED, RANDOM, PLAIN, LATE = "typed", "typed-random", "five-types", "five-types-late"
ASKING = "asking"
"""A tenant whose users are asked whether they may be trained on."""
YES, NO = '{"training": true}', '{"training": false, "mail": true}'
SHOP, SITE = "clicks-of-segment", "clicks-of-ga4"
DEVICES, UNTIED = "devices-of-people", "devices-of-nobody"
"""The same generated clickstream: one tenant ties anonymous ids to users, the other does not."""
LISTED = "lists-of-items"
"""A tenant that takes negatives from what it showed: one of each positive, then two."""
LIST_USERS = 40
TABLES = (
    "training.training_data",
    "training.training_users",
    "training.training_examples",
    "training.training_contents",
    "training.user_histories",
)
STAGED = (
    "staging.stg_identity_ties",
    "staging.stg_clickstream",
    "staging.stg_interactions",
    "features.user_feature_history",
    "features.item_features",
    "features.recent_interactions",
    "features.impressions",
    "ops.staging_conflicts",
    "ops.staging_counts",
)
TYPES: dict[str, Any] = {
    "opened": {"meaning": "neutral"},
    "skipped": {"meaning": "negative", "weight": 0.5},
    "play": {"meaning": "positive", "weight": 2, "value": {"scale": 0.8}},
    "save": {"meaning": "positive", "strength": 2, "weight": 3},
    "unsave": {"meaning": "neutral", "undoes": "save"},
}
HEAVIER = TYPES | {"save": {**TYPES["save"], "weight": 4}}
SHOPPING: dict[str, Any] = {
    "view": {},
    "add_to_cart": {"meaning": "positive", "strength": 3},
    "remove_from_cart": {"meaning": "neutral", "undoes": "add_to_cart"},
    "purchase": {"value": {"scale": 42.02}},
    "refund": {"meaning": "neutral", "undoes": "purchase"},
}
BY_GA4 = {
    "event_types": SHOPPING,
    "clickstream": {
        "preset": "ga4",
        "events": {"purchase": {"value": "price"}},
        "impressions": {"click_window_minutes": 30, "clicked_by": ["view", "add_to_cart"]},
    },
}
HALF_LIFE = 10.0
Label = tuple[str, float, str | None, float]


def settings_of(types: Mapping[str, Any], **more: Any) -> TenantSettings:
    declared = {"event_types": types, "half_life_days": HALF_LIFE}
    return TenantSettings.model_validate(declared | more)


def seen_by_another(prefix: str) -> list[dict[str, Any]]:
    """Six items that may be drawn for everybody else."""
    return [interaction(f"{prefix}{n}", "v", f"j{n}", "opened", NOON - DAY) for n in range(6)]


def first_rows() -> list[dict[str, Any]]:
    def of_u(event_id: str, item_id: str, kind: str, rating: float | None = None) -> dict[str, Any]:
        return interaction(event_id, "u", item_id, kind, NOON + int(event_id[1:]) * DAY, rating)

    return [
        *seen_by_another("v"),
        of_u("e1", "i1", "play", 0.4),
        of_u("e2", "i1", "save"),
        of_u("e3", "i2", "play", 0.2),
        of_u("e4", "i3", "save"),
        of_u("e5", "i4", "skipped"),
        of_u("e6", "i5", "opened"),
        of_u("e7", "i6", "streamed"),  # declared once, not any more
    ]


def later_rows() -> list[dict[str, Any]]:
    return [interaction(f"f{n}", "u", f"i{n}", "unsave", NOON + (20 + n) * DAY) for n in (1, 2, 3)]


def random_rows(seed: int, prefix: str) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    return [
        interaction(
            f"{prefix}{n}",
            f"u{rng.randrange(6)}",
            f"i{rng.randrange(8)}",
            rng.choice([*TYPES, "streamed"]),
            NOON + timedelta(hours=rng.randrange(200)),
            rng.choice([None, 0.0, 0.25, 0.5, 1.0]),
        )
        for n in range(150)
    ]


def plain_rows(prefix: str, count: int = 40) -> list[dict[str, Any]]:
    rng = random.Random(5)
    kinds = ("view", "click", "purchase", "like", "dislike")
    return [
        interaction(
            f"{prefix}{n}",
            f"u{rng.randrange(5)}",
            f"i{rng.randrange(12)}",
            rng.choice(kinds),
            NOON + timedelta(hours=n),
            rng.choice([None, 0.5]),
        )
        for n in range(count)
    ]


def reference(
    rows: Iterable[Mapping[str, Any]], types: Mapping[str, Any]
) -> dict[tuple[str, str], Label]:
    """(user, item) → type, label, kind of negative and weight, pair by pair, row by row."""
    pairs: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for row in rows:
        pairs.setdefault((row["user_id"], row["item_id"]), []).append(row)
    return {pair: label for pair, found in pairs.items() if (label := _label(found, types))}


def _label(rows: list[Mapping[str, Any]], types: Mapping[str, Any]) -> Label | None:
    def is_undone(row: Mapping[str, Any]) -> bool:
        return any(
            types.get(other["interaction_type"], {}).get("undoes") == row["interaction_type"]
            and other["event_time"] > row["event_time"]
            for other in rows
        )

    def weight(row: Mapping[str, Any]) -> float:
        declared = types[row["interaction_type"]]
        scale = declared.get("value", {}).get("scale")
        factor = 1.0
        if scale is not None and row["rating"] is not None:
            factor = min(max(row["rating"] / scale, 0.0), 1.0)
        return declared.get("weight", 1) * factor

    standing = [row for row in rows if row["interaction_type"] in types and not is_undone(row)]
    of = {
        meaning: [r for r in standing if types[r["interaction_type"]]["meaning"] == meaning]
        for meaning in ("positive", "negative")
    }
    if of["positive"]:
        strengths = {name: (one.get("strength", 1), name) for name, one in types.items()}
        best = max(strengths[row["interaction_type"]] for row in of["positive"])[1]
        heaviest = max(weight(row) for row in of["positive"] if row["interaction_type"] == best)
        return best, 1.0, None, heaviest
    if of["negative"]:
        first = min(of["negative"], key=lambda row: (row["event_time"], row["event_id"]))
        return first["interaction_type"], 0.0, "explicit", weight(first)
    return None


def labels(lake: SessionLake, tenant_id: str) -> dict[tuple[str, str], Label]:
    rows = lake.table("training.training_data", tenant_id).filter(pl.col("draw_index") == 0)
    columns = ("user_id", "item_id", "interaction_type", "label", "negative_type", "type_weight")
    return {(row[0], row[1]): tuple(row[2:]) for row in rows.select(columns).rows()}


@dataclass
class Told:
    """What the tables held after each run."""

    first: dict[tuple[str, str], Label]
    with_cutoff: dict[tuple[str, str], Label]
    grown: dict[tuple[str, str], pl.DataFrame]
    refreshed: dict[tuple[str, str], pl.DataFrame]
    plain_files: list[set[Path]]
    plain_sql: str
    trained_on: list[list[str]]
    """Users of `ASKING` in the training tables: after each run by changes, with the cutoff."""
    features_of: list[int]
    """Of how many of its users there are features, after the same runs."""
    asking_sql: str
    unmapped_sql: str
    examples_sql: str
    """Of the staging of interactions, in a run about a tenant that maps no clickstream."""
    mapped: list[pl.DataFrame]
    """The rows of `SHOP` that are staged, before and after it maps its clickstream."""
    shown: list[pl.DataFrame]
    """The impressions of `SITE`, before and after a click on one became known."""
    sent_by_devices: list[dict[str, Any]]
    """The events of `DEVICES` with their provenance."""
    devices: list[dict[str, tuple[str, datetime | None]]]
    """Whose its staged events are: after the first run, after all, with the cutoff."""
    lists: list[tuple[list[dict[str, Any]], list[dict[str, Any]]]]
    """What `LISTED` showed and what its users did, of two batches."""
    beside: list[pl.DataFrame]
    """Its shown negatives: one of each positive of the first batch, then two of both batches."""


def contents(lake: SessionLake) -> dict[tuple[str, str], pl.DataFrame]:
    tenants = (TYPED, RANDOM, PLAIN, LATE, ASKING, SHOP, SITE, DEVICES, UNTIED, LISTED)
    tables = (*TABLES, *STAGED)
    return {(table, name): lake.table(table, name) for table in tables for name in tenants}


def shown_negatives(lake: SessionLake) -> pl.DataFrame:
    rows = lake.table("training.training_data", LISTED)
    return rows.filter(pl.col("negative_type") == "shown")


def store_devices(lake: SessionLake) -> list[dict[str, Any]]:
    """Store what became known of the devices soon after it happened; return it as stored."""
    tying = {"clickstream": {"preset": "segment", "identity": {}}}
    lake.set_tenant(DEVICES, TenantSettings.model_validate(tying))
    lake.set_tenant(UNTIED, TenantSettings.model_validate({"clickstream": {"preset": "segment"}}))
    sent = []
    for number, known in enumerate(FIRST_BATCHES):
        rows = device_events(number, 120, known - 180, known, "xy"[number])
        for name in (DEVICES, UNTIED):
            stored = lake.store(name, rows, spec=RAW_CLICKSTREAM, known_at=minutes(known))
            sent += stored if name == DEVICES else []
    return sent


def owners(lake: SessionLake) -> dict[str, tuple[str, datetime | None]]:
    """Event → its user in the staged interactions, and when that became known if it was later."""
    rows = lake.table("staging.stg_interactions", DEVICES)
    columns = ("event_id", "user_id", "attributed_at")
    return {event_id: tuple(row) for event_id, *row in rows.select(columns).iter_rows()}


def shop_events() -> list[dict[str, Any]]:
    """The examples of Segment's specification, and what cannot be an interaction."""
    calls = [segment_event(f"m{n}", name, "u", n) for n, name in enumerate(SEGMENT_CALLS)]
    viewed, completed = SEGMENT_CALLS["Product Viewed"], SEGMENT_CALLS["Order Completed"]
    products = completed["products"]
    return [
        *calls,
        segment_event("anonymous", "Order Completed", None, 9),
        event("of its column", "Product Viewed", {"name": "Monopoly"}, item_id="i-column"),
        event("without item", "Product Viewed", {"name": "Monopoly"}),
        event("without properties", "Product Viewed", None),
        event("no products", "Order Completed", {"order_id": "o1", "products": []}),
        event("twice", "Order Completed", {"order_id": "o2", "products": [*products, products[0]]}),
        event("without order", "Order Completed", {"products": ["i1", 7, None]}),
        event("too long", "Product Viewed", {"product_id": "i" * 513}),
        event("unmapped", "Cart Viewed", {"products": products}),
        event("unmapped, too", "Product Shared", viewed),
    ]


def shown_events() -> list[dict[str, Any]]:
    """A list seen 40 and 10 minutes before the first view, and what was recommended later."""
    return [
        event("early", "view_item_list", GA4_LIST, minutes=-40),
        event("list", "view_item_list", GA4_LIST, minutes=-10),
        event("list", "view_item_list", GA4_LIST, minutes=-10),
        event("home", "recommendation_shown", RECOMMENDED, minutes=1),
        event("unseen", "view_item_list", GA4_LIST, None),
    ]


def site_events(first: int, names: Iterable[str]) -> list[dict[str, Any]]:
    return [
        event(f"g{n}", name, GA4_EVENTS[name], minutes=n) for n, name in enumerate(names, first)
    ]


def asked(number: int, user_id: str, consent: str | None, day: int = 0) -> dict[str, Any]:
    return user(user_id, consent, f"said-{number}", updated_at=NOON + day * DAY)


def likes_and_dislikes() -> list[dict[str, Any]]:
    kinds = {"liked": "like", "disliked": "dislike", "seen": "view"}
    return [
        interaction(f"{who}-{item}", who, item, kind, NOON + timedelta(hours=number))
        for number, (who, item, kind) in enumerate(
            (who, item, kind)
            for who in ("never-asked", "leaves", "comes-back", "stays-away", "late")
            for item, kind in kinds.items()
        )
    ]


def trained_on(lake: SessionLake) -> list[str]:
    """Who is in the training tables; a user is in all of them or in none."""
    names = ("training_data", "training_users", "training_examples", "user_histories")
    (found,) = {
        tuple(sorted(set(lake.table(f"training.{name}", ASKING)["user_id"]))) for name in names
    }
    return list(found)


@pytest.fixture(scope="module")
def told(lake: SessionLake) -> Told:
    """Rows, a run; more rows and another declaration, a run; with a cutoff; from the beginning."""

    def plain_files() -> set[Path]:
        return {path for path in lake.data_files() if f"tenant_id={PLAIN}/" in f"{path}"}

    for tenant_id in (TYPED, RANDOM):
        lake.set_tenant(tenant_id, settings_of(TYPES))
    lake.store(TYPED, first_rows(), known_at=KNOWN_FIRST)
    random_first = [*seen_by_another("v"), *random_rows(1, "a")]
    lake.store(RANDOM, random_first, known_at=KNOWN_FIRST)
    lake.store(PLAIN, plain_rows("p"), known_at=KNOWN_FIRST)
    lake.store(ASKING, likes_and_dislikes(), known_at=KNOWN_FIRST)
    lake.store_users(
        ASKING,
        [asked(1, "leaves", YES), asked(2, "comes-back", NO), asked(3, "stays-away", NO)],
        known_at=KNOWN_FIRST,
    )
    branded = item("j1", attributes='{"brand": "Acme"}', updated_at=NOON - 2 * DAY)
    lake.store_items(RANDOM, [branded], known_at=KNOWN_FIRST)
    store_events(lake, SHOP, shop_events(), known_at=KNOWN_FIRST, batch_id="webhook")
    lake.set_tenant(SITE, TenantSettings.model_validate(BY_GA4))
    store_events(lake, SITE, site_events(0, [*GA4_EVENTS][:4]), known_at=KNOWN_FIRST)
    store_events(lake, SITE, shown_events(), known_at=KNOWN_FIRST)
    sent = store_devices(lake)
    lists = [random_lists(number, "xy"[number], LIST_USERS) for number in range(2)]
    lake.set_tenant(LISTED, showing(1))
    store_events(lake, LISTED, lists[0][0], known_at=KNOWN_FIRST)
    lake.store(LISTED, lists[0][1], known_at=KNOWN_FIRST)
    lake.dbt("run")
    beside = [shown_negatives(lake)]
    devices = [owners(lake)]
    shown = [lake.table("features.impressions", SITE)]
    first, files = labels(lake, TYPED), [plain_files()]
    who, features = [trained_on(lake)], [lake.table("features.user_features", ASKING).height]
    mapped = [lake.table("staging.stg_interactions", SHOP)]

    lake.set_tenant(LISTED, showing(2))
    store_events(lake, LISTED, lists[1][0], known_at=KNOWN_LATER)
    lake.store(LISTED, lists[1][1], known_at=KNOWN_LATER)
    lake.set_tenant(TYPED, settings_of(HEAVIER))
    chosen = {"time_zone": "Asia/Kolkata", "item_attributes": {"by": "brand"}}
    lake.set_tenant(RANDOM, settings_of(HEAVIER, examples=chosen))
    by_segment = TenantSettings.model_validate({"clickstream": {"preset": "segment"}})
    lake.set_tenant(SHOP, by_segment)
    # the purchase once more out of the shop's own system, and its refund on the site
    told_again = interaction(f"purchase:{ORDER}:{UNO}", "u", UNO, "purchase", NOON + DAY, 3)
    of_another = interaction(f"purchase:{ORDER}:{MONOPOLY}", "v", MONOPOLY, "purchase", NOON)
    lake.store(SHOP, [told_again, of_another], known_at=KNOWN_LATER, batch_id="csv")
    late = event("late", "view_item", {"items": ITEMS[1:]}, minutes=5)
    store_events(lake, SITE, [*site_events(9, ["refund"]), late], known_at=KNOWN_LATER)
    lake.store(TYPED, later_rows(), known_at=KNOWN_LATER)
    lake.store(RANDOM, random_rows(2, "b"), known_at=KNOWN_LATER)
    lake.store_users(
        ASKING,
        [
            asked(4, "leaves", NO, 1),
            asked(5, "comes-back", YES, 1),
            asked(6, "stays-away", '{"mail": true}', 1),
            asked(7, "stays-away", None, 2),
            asked(8, "late", NO, 2),
        ],
        known_at=KNOWN_LATER,
    )
    for name in (DEVICES, UNTIED):
        more = device_events(3, 120, 0, 600, "z")
        stored = lake.store(name, more, spec=RAW_CLICKSTREAM, known_at=KNOWN_LATER)
        sent += stored if name == DEVICES else []
    # No table is so small that all rows of a tenant are replaced, or kept for a run: touched users
    # are, by one statement.
    by_user = ("--vars", "{rewrite_rows: 0, rewrite_share: 2, few_rows: 0}")
    asking_sql = compiled(lake.dbt("run", *by_user), "training_data")
    files.append(plain_files())
    who.append(trained_on(lake))
    features.append(lake.table("features.user_features", ASKING).height)
    mapped.append(lake.table("staging.stg_interactions", SHOP))
    shown.append(lake.table("features.impressions", SITE))

    lake.store(LATE, plain_rows("l"), known_at=KNOWN_LATER)
    outcome = lake.dbt("run", *by_user)
    plain_sql = compiled(outcome, "training_data")
    unmapped_sql = compiled(outcome, "stg_interactions")
    examples_sql = compiled(outcome, "training_examples")
    grown = contents(lake)
    beside.append(shown_negatives(lake))
    devices.append(owners(lake))

    by_cutoff = ("--select", "+training_examples", "training_users", "user_histories")
    lake.dbt("run", "--vars", f"{{cutoff: '{CUTOFF}'}}", *by_cutoff)
    with_cutoff = labels(lake, TYPED)
    devices.append(owners(lake))
    who.append(trained_on(lake))
    lake.dbt("run", "--full-refresh")
    return Told(
        *(first, with_cutoff, grown, contents(lake), files, plain_sql),
        trained_on=who,
        features_of=features,
        asking_sql=asking_sql,
        unmapped_sql=unmapped_sql,
        examples_sql=examples_sql,
        mapped=mapped,
        shown=shown,
        sent_by_devices=sent,
        devices=devices,
        lists=lists,
        beside=beside,
    )


def test_types_have_the_meaning_and_the_weight_that_the_tenant_declared(told: Told) -> None:
    assert told.first == {
        ("u", "i1"): ("save", 1.0, None, 3.0),
        ("u", "i2"): ("play", 1.0, None, 0.5),
        ("u", "i3"): ("save", 1.0, None, 3.0),
        ("u", "i4"): ("skipped", 0.0, "explicit", 0.5),
    }


def test_a_later_interaction_undoes_and_another_declaration_counts(
    lake: SessionLake, told: Told
) -> None:
    assert labels(lake, TYPED) == {
        ("u", "i1"): ("play", 1.0, None, 1.0),
        ("u", "i2"): ("play", 1.0, None, 0.5),
        ("u", "i4"): ("skipped", 0.0, "explicit", 0.5),
    }


def test_nothing_is_undone_by_what_became_known_after_the_cutoff(told: Told) -> None:
    assert told.with_cutoff == {
        ("u", "i1"): ("save", 1.0, None, 4.0),
        ("u", "i2"): ("play", 1.0, None, 0.5),
        ("u", "i3"): ("save", 1.0, None, 4.0),
        ("u", "i4"): ("skipped", 0.0, "explicit", 0.5),
    }


def test_labels_are_those_of_a_row_by_row_reference(lake: SessionLake, told: Told) -> None:
    rows = [*random_rows(1, "a"), *random_rows(2, "b")]
    expected = reference(rows, HEAVIER)
    assert labels(lake, RANDOM) == expected
    without_undoing = reference(rows, {**HEAVIER, "unsave": {"meaning": "neutral"}})
    assert len(expected.items() ^ without_undoing.items()) > 5
    assert {label[0] for label in expected.values()} == {"save", "play", "skipped"}


def test_negatives_carry_their_positives_weight_and_examples_that_of_the_data(
    lake: SessionLake, told: Told
) -> None:
    rows = lake.table("training.training_data", RANDOM)
    weights = dict(rows.filter(pl.col("label") == 1).select(_key(), "type_weight").iter_rows())
    drawn = rows.filter(pl.col("negative_type") == "sampled").select(_key(), "type_weight")
    assert drawn.height > 10
    assert [weights[key] for key, _ in drawn.iter_rows()] == drawn["type_weight"].to_list()
    assert len(set(drawn["type_weight"])) > 2

    key = ["user_id", "anchor_item_id", "draw_index"]
    examples = lake.table("training.training_examples", RANDOM)
    assert (
        examples.select(*key, "type_weight")
        .sort(key)
        .equals(rows.select(*key, "type_weight").sort(key))
    )


def _key() -> pl.Expr:
    return pl.concat_str("user_id", pl.lit("|"), "anchor_item_id").alias("key")


def test_incremental_runs_equal_a_full_refresh(told: Told) -> None:
    assert [key for key in told.grown if not told.grown[key].equals(told.refreshed[key])] == []


def test_who_has_withdrawn_consent_is_in_no_training_table_and_comes_back(told: Told) -> None:
    """What is withdrawn now is not trained on now, also where it became known after the cutoff."""
    first, second, with_cutoff = told.trained_on
    assert first == ["late", "leaves", "never-asked"]
    assert second == ["comes-back", "never-asked"]
    assert with_cutoff == second
    assert told.features_of == [5, 5], "features stay"
    assert "not exists (select /*+ broadcast(withdrawn) */ 1 from eta_withdrawn" in told.asking_sql


def test_a_run_without_users_has_nothing_of_consent_in_its_sql(told: Told) -> None:
    assert "from staging.stg_interactions where" in told.plain_sql
    assert "withdrawn" not in told.plain_sql
    assert "stg_users" not in told.plain_sql
    assert "impressions" not in told.plain_sql


def test_who_declares_nothing_keeps_files_rows_and_hash(lake: SessionLake, told: Told) -> None:
    before, after = told.plain_files
    assert before
    assert before == after, "another tenant's declaration wrote this tenant's rows"
    rows = lake.table("training.training_data", PLAIN).with_columns(tenant_id=pl.lit(PLAIN))
    assert rows["type_weight"].to_list() == [1.0] * rows.height
    counted = ContentHash()
    counted.update(rows.drop("type_weight"))
    (contents,) = lake.table("training.training_contents", PLAIN).to_dicts()
    assert contents["content_hash"] == counted.hexdigest()
    assert (contents["event_types"], contents["half_life_days"]) == (None, None)


def test_attributes_that_are_chosen_later_reach_the_examples_that_are_there(told: Told) -> None:
    examples = told.grown["training.training_examples", RANDOM]
    found = examples.filter(pl.col("item_id") == "j1")["item_texts"].to_list()
    assert found
    assert all(row == {"by": "Acme"} for row in found)
    plain = told.grown["training.training_examples", PLAIN]
    assert plain["item_texts"].null_count() == plain.height
    assert plain["context_hour"].to_list() == plain["event_time"].dt.hour().to_list()


def test_a_run_without_chosen_attributes_has_nothing_of_them_in_its_sql(told: Told) -> None:
    for word in ("stg_users", "stg_tenant_settings", "from_utc_timestamp", "get_json_object"):
        assert word not in told.examples_sql


def test_a_run_without_declared_types_has_nothing_of_them_in_its_sql(told: Told) -> None:
    for word in ("event_types", "rating", "pair_undoings", "draw_index, type_weight"):
        assert word not in told.plain_sql
    assert "1.0d as type_weight" in told.plain_sql


def test_an_export_puts_in_the_age(lake: SessionLake, told: Told, tmp_path: Path) -> None:
    made = publish(lake.settings, TYPED, gate=None, now=datetime.now(UTC))
    assert made.newest_known_at == KNOWN_LATER
    assert made.parameters.half_life_days == HALF_LIFE
    assert made.parameters.positive_types == ("play", "save")
    names = [one["name"] for one in made.parameters.event_types or ()]
    assert names == ["opened", "play", "skipped", "unsave", "save"]

    export_snapshot(Lake(lake.settings), made, ExportFormat.PARQUET, tmp_path / "typed")
    rows = pl.read_parquet(tmp_path / "typed/training_data/*/label=1.0/*.parquet")
    found = dict(rows.select("item_id", "sample_weight").iter_rows())
    days = {"i1": 1, "i2": 3}  # after 2026-05-01 12:00; t is 2026-06-10 00:00
    weights = {"i1": 1.0, "i2": 0.5}
    assert found == pytest.approx(
        {name: weights[name] * 0.5 ** ((39.5 - days[name]) / 10) for name in days}, rel=1e-12
    )

    plain = publish(lake.settings, PLAIN, gate=None, now=datetime.now(UTC))
    export_snapshot(Lake(lake.settings), plain, ExportFormat.PARQUET, tmp_path / "plain")
    rows = pl.read_parquet(tmp_path / "plain/training_data/*/label=1.0/*.parquet")
    assert "sample_weight" not in rows.columns


def test_the_gate_and_the_models_tests_know_declared_types(
    lake: SessionLake, told: Told, tmp_path: Path
) -> None:
    settings = LakeSettings(home=tmp_path, lake_uri=lake.settings.lake)
    database = ControlDatabase.open(settings.control_url)
    database.tenants.add(TYPED, settings=settings_of(TYPES | {"streamed": {"meaning": "neutral"}}))
    unknown = run_gate(settings, [PLAIN, TYPED])
    assert {name: result.failures for name, result in unknown.items()} == {PLAIN: (), TYPED: ()}
    database.set_tenant_settings(TYPED, settings_of(HEAVIER))
    assert run_gate(settings, [TYPED])[TYPED].passed, "rows of a type of earlier settings stay"
    database.tenants.add(LISTED, settings=showing(2))
    assert run_gate(settings, [LISTED])[LISTED].passed, "shown negatives are no sampled ones"
    database.close()
    lake.dbt("test", "--select", "stg_interactions,test_type:data", "training_data,test_type:data")


def test_the_examples_of_segments_specification_are_interactions(told: Told) -> None:
    assert told.mapped[0].height == 0
    found = told.mapped[1].select("event_id", "item_id", "interaction_type")
    assert {row[0]: row[1:] for row in found.rows()} == {
        "m0": (MONOPOLY, "view"),
        "m1": (MONOPOLY, "click"),
        "m2": (MONOPOLY, "view"),
        f"purchase:{ORDER}:{MONOPOLY}": (MONOPOLY, "purchase"),
        f"purchase:{ORDER}:{UNO}": (UNO, "purchase"),
        f"dislike:{ORDER}:{MONOPOLY}": (MONOPOLY, "dislike"),
        f"dislike:{ORDER}:{UNO}": (UNO, "dislike"),
        f"purchase:o2:{MONOPOLY}": (MONOPOLY, "purchase"),
        f"purchase:o2:{UNO}": (UNO, "purchase"),
        "of its column": ("i-column", "view"),
        "without order:i1": ("i1", "purchase"),
        "without order:7": ("7", "purchase"),
    }


def test_what_is_told_twice_counts_once_and_what_is_left_out_is_counted(
    lake: SessionLake, told: Told
) -> None:
    staged = told.grown["staging.stg_interactions", SHOP]
    assert set(staged["batch_id"]) == {"webhook"}, "what came first stays"
    counts = {row["batch_id"]: row for row in told.grown["ops.staging_counts", SHOP].to_dicts()}
    names = ("raw_count", "staged_count", "duplicate_count", "conflict_count")
    assert [counts["csv"][name] for name in names] == [2, 0, 1, 1]
    assert [counts["webhook"][name] for name in names] == [12, 12, 0, 0]
    assert (counts["webhook"]["event_count"], counts["webhook"]["unmapped_count"]) == (15, 2)
    assert [tuple(one.values()) for one in counts["webhook"]["left_out"]] == [
        ("Order Completed", "no_item", 2),
        ("Order Completed", "no_user", 1),
        ("Order Completed", "repeated_item", 1),
        ("Product Viewed", "bad_item", 1),
        ("Product Viewed", "no_item", 2),
    ]
    assert (counts["csv"]["event_count"], counts["csv"]["left_out"]) == (None, None)


def test_the_examples_of_ga4_are_of_declared_types_which_undo(told: Told) -> None:
    rows = told.grown["staging.stg_interactions", SITE].select("event_id", "rating").rows()
    assert {name: None if number is None else float(number) for name, number in rows} == {
        f"g0:{TEE}": None,
        f"g1:{TEE}": None,
        f"g2:{TEE}": None,
        f"late:{GREY}": None,
        f"purchase:T_12345_1:{TEE}": 10.01,
        f"purchase:T_12345_1:{GREY}": 21.01,
        f"refund:T_12345_1:{TEE}": None,
    }
    data = told.grown["training.training_data", SITE].filter(pl.col("label") == 1)
    assert data.select("item_id", "interaction_type", "type_weight").rows() == [
        (GREY, "purchase", 0.5)
    ]


def test_impressions_are_clicked_by_what_happened_after_them_within_the_window(told: Told) -> None:
    def clicks(rows: pl.DataFrame) -> dict[str, datetime | None]:
        return dict(rows.select("event_id", "clicked_at").iter_rows())

    before, after = map(clicks, told.shown)
    assert before == {
        f"early:{TEE}": None,  # 40 minutes
        f"early:{GREY}": None,
        f"list:{TEE}": NOON,
        f"list:{GREY}": None,  # bought, which is no click here
        f"home:{TEE}": None,  # put into the cart at that very moment, viewed before
        f"home:{GREY}": None,
    }
    known_later = NOON + timedelta(minutes=5)
    assert after == before | {f"list:{GREY}": known_later, f"home:{GREY}": known_later}
    places = {row["event_id"]: row for row in told.shown[1].to_dicts()}
    names = ("user_id", "item_id", "shown_position", "page", "policy_id", "is_clicked", "shown_at")
    home = NOON + timedelta(minutes=1)
    found = [places[f"home:{item}"] for item in (TEE, GREY)]
    assert [tuple(row[name] for name in names) for row in found] == [
        ("u", TEE, 1, "home", "als-7", False, home),
        ("u", GREY, 9, "home", "als-7", True, home),
    ]
    assert places[f"list:{GREY}"]["shown_position"] == 1
    assert places[f"list:{GREY}"]["page"] == "related_products"
    assert told.grown["features.impressions", SHOP].height == 0
    (counts,) = [
        row
        for row in told.grown["ops.staging_counts", SITE].to_dicts()
        if row["impression_count"] == 8
    ]
    assert (counts["event_count"], counts["raw_count"]) == (5, 0)
    assert [tuple(one.values()) for one in counts["left_out"]] == [("view_item_list", "no_user", 1)]


def test_items_shown_beside_the_clicked_one_and_left_alone_become_negatives(told: Told) -> None:
    """Every row against the lists one by one; a late click takes a negative away."""
    positive = frozenset({"click", "purchase", "like"})
    first = shown_beside(*told.lists[0], positive)
    both = shown_beside(*(old + new for old, new in zip(*told.lists, strict=True)), positive)
    assert min(len(first), len(both)) > 50
    for rows, candidates, most in zip(told.beside, (first, both), (1, 2), strict=True):
        assert_shown(rows, candidates, most)
    clicked = {(row["user_id"], row["item_id"]) for row in told.lists[1][1]}
    taken = {(*pair,) for pair in told.beside[0].select("user_id", "item_id").iter_rows()}
    assert taken & clicked, "no negative was clicked later"


PAIR = ("user_id", "anchor_item_id", "item_id")


def assert_shown(rows: pl.DataFrame, candidates: Candidates, most: int) -> None:
    """Each positive has the most that it can have, of its candidates, with their probability."""
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows.sort("draw_index").to_dicts():
        found.setdefault((row["user_id"], row["anchor_item_id"]), []).append(row)
    assert found.keys() == candidates.keys()
    for pair, drawn in found.items():
        count = min(most, len(candidates[pair]))
        assert [row["draw_index"] for row in drawn] == list(range(5, 5 + count))
        assert len({row["item_id"] for row in drawn}) == count
        for row in drawn:
            assert row["shown_position"] == candidates[pair][row["item_id"]]
            assert row["sampling_probability"] == count / len(candidates[pair])
            assert row["eligible_count"] == len(candidates[pair])
            assert (row["label"], row["event_id"]) == (0.0, None)


def test_each_item_beside_the_clicked_one_is_as_likely_to_be_taken(told: Told) -> None:
    """Thirds of the candidates, in the order of their names, are taken as often."""
    rows = told.beside[-1]
    positive = frozenset({"click", "purchase", "like"})
    candidates = shown_beside(*(old + new for old, new in zip(*told.lists, strict=True)), positive)
    taken = {(*row,) for row in rows.select(PAIR).iter_rows()}
    found, expected = [0.0] * 3, [0.0] * 3
    for (who, anchor), names in candidates.items():
        for number, name in enumerate(sorted(names)):
            third = 3 * number // len(names)
            expected[third] += min(2, len(names)) / len(names)
            found[third] += (who, anchor, name) in taken
    statistic = sum((n - m) ** 2 / m for n, m in zip(found, expected, strict=True))
    assert statistic < 13.8, (found, expected)  # p = 0.001 at 2 degrees; draws without replacement


def test_shown_negatives_are_counted_hashed_and_published(lake: SessionLake, told: Told) -> None:
    (row,) = lake.table("training.training_contents", LISTED).to_dicts()
    rows = told.refreshed["training.training_data", LISTED]
    kinds = dict(rows["negative_type"].value_counts().iter_rows())
    assert row["shown_negative_count"] == kinds["shown"]
    assert row["example_count"] == rows.height
    assert row["shown_per_positive"] == 2
    hashes = [ContentHash(), ContentHash()]
    whole = rows.with_columns(tenant_id=pl.lit(LISTED))
    hashes[0].update(whole)
    hashes[1].update(whole.with_columns(shown_position=pl.lit(None, pl.Int32)))
    assert hashes[0].hexdigest() == row["content_hash"] != hashes[1].hexdigest()
    assert told.refreshed["training.training_contents", SITE]["shown_negative_count"][0] == 0

    made = publish(lake.settings, LISTED, gate=None, now=datetime.now(UTC))
    assert (made.counts.shown_negatives, made.row_count) == (kinds["shown"], rows.height)
    assert made.parameters.shown_per_positive == 2


def reference_owners(
    told: Told, by: datetime | None, rows_by: datetime | None = None
) -> dict[str, tuple[str, datetime | None]]:
    """Whose each interaction is, event by event, by the ties that were known at a time."""
    rows = told.sent_by_devices
    ties = [row for row in rows if by is None or row["known_at"] <= by]
    return {
        row["event_id"]: owner_of(row, ties)
        for row in rows
        if row["event_name"].startswith("Product")
        and (rows_by is None or row["known_at"] <= rows_by)
    }


def test_events_of_an_anonymous_id_are_those_of_the_user_that_it_is_tied_to(told: Told) -> None:
    """Merges, splits by an untying and shared devices, against a look at each event alone."""
    first, last, with_cutoff = told.devices
    assert last == reference_owners(told, None)
    assert first == reference_owners(told, minutes(400), minutes(400))
    assert with_cutoff == reference_owners(told, datetime.fromisoformat(f"{CUTOFF}+00:00"))
    moved = {(first[name][0][0], last[name][0][0]) for name in first if first[name] != last[name]}
    assert moved >= {("d", "p"), ("p", "d")}, "the events merge and split no device"
    assert sum(known is not None for _, known in last.values()) > 20


def test_training_sees_what_was_known_to_be_the_users_then(told: Told) -> None:
    users = reference_owners(told, None)
    rows = [row for row in told.sent_by_devices if row["event_id"] in users]
    earlier = known_before(rows, users)
    examples = told.grown["training.training_examples", DEVICES]
    columns = ("user_id", "event_time", "user_total_interactions", "user_unique_items")
    found = set(examples.select(columns).iter_rows())
    assert len(found) > 30

    def item_of(row: Mapping[str, Any]) -> str:
        return json.loads(row["properties"])["product_id"]

    for user_id, time, count, item_count in found:
        before = [item_of(row) for row in earlier(user_id, time)]
        assert (count or 0, item_count or 0) == (len(before), len(set(before)))
    histories = told.grown["training.user_histories", DEVICES]
    for user_id, time, items in histories.select("user_id", "event_time", "item_ids").iter_rows():
        assert items == [item_of(row) for row in earlier(user_id, time)][-50:]
    seen_at_once = [
        (user_id, time)
        for user_id, time, *_ in found
        if len(
            [
                row
                for row in rows
                if users[row["event_id"]][0] == user_id and row["event_time"] < time
            ]
        )
        > len(earlier(user_id, time))
        > 0
    ]
    assert len(seen_at_once) > 10, "no merge became known later than an event"


def test_who_ties_no_anonymous_ids_has_no_interactions_of_them(told: Told) -> None:
    rows = told.grown["staging.stg_clickstream", UNTIED]
    named = {row["event_id"] for row in told.sent_by_devices if row["user_id"] is not None}
    assert set(told.grown["staging.stg_interactions", UNTIED]["event_id"]) <= named
    assert set(rows.filter(pl.col("user_id").is_null())["reason"]) == {"no_user"}
    assert rows["anonymous_id"].null_count() == rows.height
    assert told.grown["staging.stg_identity_ties", UNTIED].height == 0


def test_a_run_without_mapped_events_has_no_clickstream_in_its_sql(told: Told) -> None:
    assert "clickstream" not in told.unmapped_sql
