"""What one tenant declares and another does not: event types, and consent of its users.

Meaning, weight and undoing of types, who is trained on, and who pays nothing for either.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lakehouse.control.database import ControlDatabase
from lakehouse.quality.gate import run_gate
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.content_hash import ContentHash
from lakehouse.training.export.run import ExportFormat, export_snapshot
from lakehouse.training.publish import publish
from tests.dbt.rounds.conftest import Contents
from tests.support.clickstream import GREY, MONOPOLY, ORDER, TEE, UNO
from tests.support.declared import (
    DEVICES,
    HALF_LIFE,
    HEAVIER,
    KNOWN_LATER,
    LISTED,
    PLAIN,
    RANDOM,
    SHOP,
    SITE,
    TYPED,
    TYPES,
    UNTIED,
    Declared,
    Label,
    labels,
    random_rows,
    settings_of,
)
from tests.support.devices import known_before, minutes, owner_of
from tests.support.growth import TIMEOUT
from tests.support.lake import NOON, SessionLake
from tests.support.shown import Candidates, showing, shown_beside
from tests.support.stories import CUTOFF, Known, Stories

pytestmark = pytest.mark.timeout(TIMEOUT)


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


def test_types_have_the_meaning_and_the_weight_that_the_tenant_declared(declared: Declared) -> None:
    assert declared.labels[0] == {
        ("u", "i1"): ("save", 1.0, None, 3.0),
        ("u", "i2"): ("play", 1.0, None, 0.5),
        ("u", "i3"): ("save", 1.0, None, 3.0),
        ("u", "i4"): ("skipped", 0.0, "explicit", 0.5),
    }


def test_a_later_interaction_undoes_and_another_declaration_counts(
    lake: SessionLake, refreshed: Contents
) -> None:
    assert labels(lake, TYPED) == {
        ("u", "i1"): ("play", 1.0, None, 1.0),
        ("u", "i2"): ("play", 1.0, None, 0.5),
        ("u", "i4"): ("skipped", 0.0, "explicit", 0.5),
    }


def test_nothing_is_undone_by_what_became_known_after_the_cutoff(
    declared: Declared, by_cutoff: list[Known]
) -> None:
    assert declared.labels[2] == {
        ("u", "i1"): ("save", 1.0, None, 4.0),
        ("u", "i2"): ("play", 1.0, None, 0.5),
        ("u", "i3"): ("save", 1.0, None, 4.0),
        ("u", "i4"): ("skipped", 0.0, "explicit", 0.5),
    }


def test_labels_are_those_of_a_row_by_row_reference(lake: SessionLake, refreshed: Contents) -> None:
    rows = [*random_rows(1, "a"), *random_rows(2, "b")]
    expected = reference(rows, HEAVIER)
    assert labels(lake, RANDOM) == expected
    without_undoing = reference(rows, {**HEAVIER, "unsave": {"meaning": "neutral"}})
    assert len(expected.items() ^ without_undoing.items()) > 5
    assert {label[0] for label in expected.values()} == {"save", "play", "skipped"}


def test_negatives_carry_their_positives_weight_and_examples_that_of_the_data(
    lake: SessionLake, refreshed: Contents
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


def test_who_has_withdrawn_consent_is_in_no_training_table_and_comes_back(
    declared: Declared, by_cutoff: list[Known]
) -> None:
    """What is withdrawn now is not trained on now, also where it became known after the cutoff."""
    first, second, with_cutoff = declared.trained_on
    assert first == ["late", "leaves", "never-asked"]
    assert second == ["comes-back", "never-asked"]
    assert with_cutoff == second
    assert declared.features_of[:2] == [5, 5], "features stay"


def test_a_run_without_users_has_nothing_of_consent_in_its_sql(stories: Stories) -> None:
    assert "withdrawn" not in stories.one_event["training_data"]
    assert "stg_users" not in stories.one_event["training_data"]
    assert "impressions" not in stories.one_event["training_data"]


def test_who_declares_nothing_keeps_files_rows_and_hash(
    lake: SessionLake, declared: Declared
) -> None:
    before, after = declared.plain_files[:2]
    assert before
    assert before == after, "another tenant's declaration wrote this tenant's rows"
    rows = lake.table("training.training_data", PLAIN).with_columns(tenant_id=pl.lit(PLAIN))
    assert rows["type_weight"].to_list() == [1.0] * rows.height
    counted = ContentHash()
    counted.update(rows.drop("type_weight"))
    (contents,) = lake.table("training.training_contents", PLAIN).to_dicts()
    assert contents["content_hash"] == counted.hexdigest()
    assert (contents["event_types"], contents["half_life_days"]) == (None, None)


def test_attributes_that_are_chosen_later_reach_the_examples_that_are_there(
    grown: Contents,
) -> None:
    examples = grown["training.training_examples", RANDOM]
    found = examples.filter(pl.col("item_id") == "j1")["item_texts"].to_list()
    assert found
    assert all(row == {"by": "Acme"} for row in found)
    plain = grown["training.training_examples", PLAIN]
    assert plain["item_texts"].null_count() == plain.height
    assert plain["context_hour"].to_list() == plain["event_time"].dt.hour().to_list()


def test_a_run_without_chosen_attributes_has_nothing_of_them_in_its_sql(stories: Stories) -> None:
    for word in ("stg_users", "stg_tenant_settings", "from_utc_timestamp", "get_json_object"):
        assert word not in stories.one_event["training_examples"]


def test_a_run_without_declared_types_has_nothing_of_them_in_its_sql(stories: Stories) -> None:
    for word in ("event_types", "rating", "pair_undoings", "draw_index, type_weight"):
        assert word not in stories.one_event["training_data"]
    assert "1.0d as type_weight" in stories.one_event["training_data"]


def test_an_export_puts_in_the_age(lake: SessionLake, refreshed: Contents, tmp_path: Path) -> None:
    made = publish(lake.settings, TYPED, gate=None, now=datetime.now(UTC))
    assert made.newest_known_at == KNOWN_LATER
    assert made.parameters.half_life_days == HALF_LIFE
    assert made.parameters.positive_types == ("play", "save")
    names = [one["name"] for one in made.parameters.event_types or ()]
    assert names == ["opened", "play", "skipped", "unsave", "save"]

    export_snapshot(Lake(lake.settings), made, ExportFormat.PARQUET, tmp_path / "typed")
    rows = pl.read_parquet(tmp_path / "typed/training_data/*/label=1.0/*.parquet")
    found = dict(rows.select("item_id", "sample_weight").iter_rows())
    days = {"i1": 1, "i2": 3}  # after 2026-05-01 12:00; t is 2026-07-02 00:00
    weights = {"i1": 1.0, "i2": 0.5}
    assert found == pytest.approx(
        {name: weights[name] * 0.5 ** ((61.5 - days[name]) / 10) for name in days}, rel=1e-12
    )

    plain = publish(lake.settings, PLAIN, gate=None, now=datetime.now(UTC))
    export_snapshot(Lake(lake.settings), plain, ExportFormat.PARQUET, tmp_path / "plain")
    rows = pl.read_parquet(tmp_path / "plain/training_data/*/label=1.0/*.parquet")
    assert "sample_weight" not in rows.columns


def test_the_gate_and_the_models_tests_know_declared_types(
    lake: SessionLake, refreshed: Contents, tmp_path: Path
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


def test_the_examples_of_segments_specification_are_interactions(declared: Declared) -> None:
    assert declared.mapped[0].height == 0
    found = declared.mapped[1].select("event_id", "item_id", "interaction_type")
    assert {row[0]: row[1:] for row in found.rows()} == {
        "m0": (MONOPOLY, "view"),
        "m1": (MONOPOLY, "click"),
        "m2": (MONOPOLY, "view"),
        "Product Clicked": (MONOPOLY, "click"),
        "Product Added to Wishlist": (MONOPOLY, "like"),
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
    lake: SessionLake, grown: Contents
) -> None:
    staged = grown["staging.stg_interactions", SHOP]
    assert set(staged["batch_id"]) == {"webhook"}, "what came first stays"
    counts = {row["batch_id"]: row for row in grown["ops.staging_counts", SHOP].to_dicts()}
    names = ("raw_count", "staged_count", "duplicate_count", "conflict_count")
    assert [counts["csv"][name] for name in names] == [2, 0, 1, 1]
    assert [counts["webhook"][name] for name in names] == [14, 14, 0, 0]
    assert (counts["webhook"]["event_count"], counts["webhook"]["unmapped_count"]) == (17, 2)
    assert [tuple(one.values()) for one in counts["webhook"]["left_out"]] == [
        ("Order Completed", "no_item", 2),
        ("Order Completed", "no_user", 1),
        ("Order Completed", "repeated_item", 1),
        ("Product Viewed", "bad_item", 1),
        ("Product Viewed", "no_item", 2),
    ]
    assert (counts["csv"]["event_count"], counts["csv"]["left_out"]) == (None, None)


def test_the_examples_of_ga4_are_of_declared_types_which_undo(grown: Contents) -> None:
    rows = grown["staging.stg_interactions", SITE].select("event_id", "rating").rows()
    assert {name: None if number is None else float(number) for name, number in rows} == {
        f"g0:{TEE}": None,
        f"g1:{TEE}": None,
        f"g2:{TEE}": None,
        f"late:{GREY}": None,
        f"purchase:T_12345_1:{TEE}": 10.01,
        f"purchase:T_12345_1:{GREY}": 21.01,
        f"refund:T_12345_1:{TEE}": None,
    }
    data = grown["training.training_data", SITE].filter(pl.col("label") == 1)
    assert data.select("item_id", "interaction_type", "type_weight").rows() == [
        (GREY, "purchase", 0.5)
    ]


def test_impressions_are_clicked_by_what_happened_after_them_within_the_window(
    declared: Declared, grown: Contents
) -> None:
    def clicks(rows: pl.DataFrame) -> dict[str, datetime | None]:
        return dict(rows.select("event_id", "clicked_at").iter_rows())

    before, after = map(clicks, declared.shown[:2])
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
    places = {row["event_id"]: row for row in declared.shown[1].to_dicts()}
    names = ("user_id", "item_id", "shown_position", "page", "policy_id", "is_clicked", "shown_at")
    home = NOON + timedelta(minutes=1)
    found = [places[f"home:{item}"] for item in (TEE, GREY)]
    assert [tuple(row[name] for name in names) for row in found] == [
        ("u", TEE, 1, "home", "als-7", False, home),
        ("u", GREY, 9, "home", "als-7", True, home),
    ]
    assert places[f"list:{GREY}"]["shown_position"] == 1
    assert places[f"list:{GREY}"]["page"] == "related_products"
    assert grown["features.impressions", SHOP].height == 0
    (counts,) = [
        row for row in grown["ops.staging_counts", SITE].to_dicts() if row["impression_count"] == 8
    ]
    assert (counts["event_count"], counts["raw_count"]) == (5, 0)
    assert [tuple(one.values()) for one in counts["left_out"]] == [("view_item_list", "no_user", 1)]


def test_items_shown_beside_the_clicked_one_and_left_alone_become_negatives(
    declared: Declared,
) -> None:
    """Every row against the lists one by one; a late click takes a negative away."""
    positive = frozenset({"click", "purchase", "like"})
    first = shown_beside(*declared.lists[0], positive)
    both = shown_beside(*(old + new for old, new in zip(*declared.lists, strict=True)), positive)
    assert min(len(first), len(both)) > 50
    for rows, candidates, most in zip(declared.beside[:2], (first, both), (1, 2), strict=True):
        assert_shown(rows, candidates, most)
    clicked = {(row["user_id"], row["item_id"]) for row in declared.lists[1][1]}
    taken = {(*pair,) for pair in declared.beside[0].select("user_id", "item_id").iter_rows()}
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


def test_each_item_beside_the_clicked_one_is_as_likely_to_be_taken(declared: Declared) -> None:
    """Thirds of the candidates, in the order of their names, are taken as often."""
    rows = declared.beside[1]
    positive = frozenset({"click", "purchase", "like"})
    candidates = shown_beside(
        *(old + new for old, new in zip(*declared.lists, strict=True)), positive
    )
    taken = {(*row,) for row in rows.select(PAIR).iter_rows()}
    found, expected = [0.0] * 3, [0.0] * 3
    for (who, anchor), names in candidates.items():
        for number, name in enumerate(sorted(names)):
            third = 3 * number // len(names)
            expected[third] += min(2, len(names)) / len(names)
            found[third] += (who, anchor, name) in taken
    statistic = sum((n - m) ** 2 / m for n, m in zip(found, expected, strict=True))
    assert statistic < 13.8, (found, expected)  # p = 0.001 at 2 degrees; draws without replacement


def test_shown_negatives_are_counted_hashed_and_published(
    lake: SessionLake, refreshed: Contents
) -> None:
    (row,) = lake.table("training.training_contents", LISTED).to_dicts()
    rows = refreshed["training.training_data", LISTED]
    kinds = dict(rows["negative_type"].value_counts().iter_rows())
    assert row["shown_negative_count"] == kinds["shown"]
    assert row["example_count"] == rows.height
    assert row["shown_per_positive"] == 2
    hashes = [ContentHash(), ContentHash()]
    whole = rows.with_columns(tenant_id=pl.lit(LISTED))
    hashes[0].update(whole)
    hashes[1].update(whole.with_columns(shown_position=pl.lit(None, pl.Int32)))
    assert hashes[0].hexdigest() == row["content_hash"] != hashes[1].hexdigest()
    assert refreshed["training.training_contents", SITE]["shown_negative_count"][0] == 0

    made = publish(lake.settings, LISTED, gate=None, now=datetime.now(UTC))
    assert (made.counts.shown_negatives, made.row_count) == (kinds["shown"], rows.height)
    assert made.parameters.shown_per_positive == 2
    assert made.parameters.clickstream is not None
    assert made.parameters.clickstream["shown_negatives"] == 2
    names = {one["event_name"] for one in made.parameters.clickstream["events"]}
    assert names >= {"purchase", "recommendation_shown"}


def reference_owners(
    declared: Declared, by: datetime | None, rows_by: datetime | None = None
) -> dict[str, tuple[str, datetime | None]]:
    """Whose each interaction is, event by event, by the ties that were known at a time."""
    rows = declared.sent_by_devices
    ties = [row for row in rows if by is None or row["known_at"] <= by]
    return {
        row["event_id"]: owner_of(row, ties)
        for row in rows
        if row["event_name"].startswith("Product")
        and (rows_by is None or row["known_at"] <= rows_by)
    }


def test_events_of_an_anonymous_id_are_those_of_the_user_that_it_is_tied_to(
    declared: Declared, by_cutoff: list[Known]
) -> None:
    """Merges, splits by an untying and shared devices, against a look at each event alone."""
    first, last, with_cutoff = declared.devices
    assert last == reference_owners(declared, None)
    assert first == reference_owners(declared, minutes(400), minutes(400))
    assert with_cutoff == reference_owners(declared, CUTOFF)
    moved = {(first[name][0][0], last[name][0][0]) for name in first if first[name] != last[name]}
    assert moved >= {("d", "p"), ("p", "d")}, "the events merge and split no device"
    assert sum(known is not None for _, known in last.values()) > 20


def test_training_sees_what_was_known_to_be_the_users_then(
    declared: Declared, grown: Contents
) -> None:
    users = reference_owners(declared, None)
    rows = [row for row in declared.sent_by_devices if row["event_id"] in users]
    earlier = known_before(rows, users)
    examples = grown["training.training_examples", DEVICES]
    columns = ("user_id", "event_time", "user_total_interactions", "user_unique_items")
    found = set(examples.select(columns).iter_rows())
    assert len(found) > 30

    def item_of(row: Mapping[str, Any]) -> str:
        return json.loads(row["properties"])["product_id"]

    for user_id, time, count, item_count in found:
        before = [item_of(row) for row in earlier(user_id, time)]
        assert (count or 0, item_count or 0) == (len(before), len(set(before)))
    histories = grown["training.user_histories", DEVICES]
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


def test_who_ties_no_anonymous_ids_has_no_interactions_of_them(
    declared: Declared, grown: Contents
) -> None:
    rows = grown["staging.stg_clickstream", UNTIED]
    named = {row["event_id"] for row in declared.sent_by_devices if row["user_id"] is not None}
    assert set(grown["staging.stg_interactions", UNTIED]["event_id"]) <= named
    assert set(rows.filter(pl.col("user_id").is_null())["reason"]) == {"no_user"}
    assert rows["anonymous_id"].null_count() == rows.height
    assert grown["staging.stg_identity_ties", UNTIED].height == 0


def test_a_run_without_mapped_events_has_no_clickstream_in_its_sql(stories: Stories) -> None:
    assert "clickstream" not in stories.one_event["stg_interactions"]
