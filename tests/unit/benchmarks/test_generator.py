"""The generated log: repeatable, long-tailed, and its later events move no item's hour."""

from pathlib import Path

import polars as pl
import pytest

from benchmarks.training.generator import MIXED, YOUNG_HOURS, Log
from benchmarks.training.raw import later_events, read_news, store, store_catalogue
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_ITEMS
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake


def whole(log: Log) -> pl.DataFrame:
    return pl.concat(log.pieces(piece_rows=4_000))


def test_a_seed_gives_the_same_log_and_another_seed_another() -> None:
    assert whole(Log(10_000, seed=3)).equals(whole(Log(10_000, seed=3)))
    assert not whole(Log(10_000, seed=3)).equals(whole(Log(10_000, seed=4)))


def test_pieces_follow_each_other_in_time() -> None:
    log = whole(Log(10_000))
    assert log.height == 10_000
    assert log.get_column("event_time").is_sorted()


def test_users_and_items_are_long_tailed_and_items_appear_over_time() -> None:
    log = whole(Log(200_000))
    for column, top_share in (("user_id", 0.06), ("item_id", 0.4)):
        counts = log.group_by(column).len().get_column("len").sort(descending=True)
        top = counts.head(max(1, len(counts) // 100)).sum() / log.height
        assert top > top_share, column
        assert counts.median() <= 5
    seen = log.group_by("item_id").agg(
        first=pl.col("event_time").min(), last=pl.col("event_time").max()
    )
    hour = pl.col("event_time").min()
    assert seen.select(
        (pl.col("last") - pl.col("first")).max() <= pl.duration(hours=YOUNG_HOURS + 2)
    ).item()
    late = seen.filter(pl.col("first") > log.select(hour).item() + pl.duration(hours=96))
    assert late.height > seen.height * 0.3


def test_types_and_ratings_have_their_shares() -> None:
    log = whole(Log(20_000, types=tuple(MIXED.items()), rated_share=0.25))
    shares = dict(log.group_by("interaction_type").len().iter_rows())
    assert shares.keys() == MIXED.keys()
    for name, share in MIXED.items():
        assert shares[name] / log.height == pytest.approx(share, abs=0.02)
    assert log.get_column("rating").is_not_null().mean() == pytest.approx(0.25, abs=0.02)


@pytest.fixture
def settings(tmp_path: Path) -> LakeSettings:
    return LakeSettings(home=tmp_path)


def raw_rows(settings: LakeSettings) -> pl.DataFrame:
    return pl.read_delta(str(Lake(settings).table(RAW_INTERACTIONS).table_uri))


def test_rows_reach_raw_in_commits_of_a_piece_with_distinct_identities(
    settings: LakeSettings,
) -> None:
    assert store(settings, "t", Log(9_000).pieces(piece_rows=4_000)) == 9_000
    held = raw_rows(settings)
    assert held.get_column("event_id").n_unique() == held.height == 9_000
    assert held.group_by("batch_id").len().get_column("len").sort().to_list() == [
        1_000,
        4_000,
        4_000,
    ]
    assert held.group_by("known_at").len().height == 3


def test_later_events_are_of_held_users_and_items_and_after_everything(
    settings: LakeSettings,
) -> None:
    store(settings, "t", Log(9_000).pieces())
    held = raw_rows(settings)
    events = later_events(settings, "t", 0.01)
    users = held.get_column("user_id").n_unique()
    assert events.get_column("user_id").n_unique() == round(users * 0.01)
    assert events.join(held, on="user_id", how="anti").is_empty()
    assert events.join(held, on="item_id", how="anti").is_empty()
    assert events.get_column("event_time").min() > held.get_column("event_time").max()


def test_the_news_file_is_read_whole_and_in_order(real_data: Path) -> None:
    pieces = list(read_news(real_data / "news_clicks.parquet", piece_rows=1_000_000))
    assert [piece.height for piece in pieces] == [1_000_000, 518_889]
    assert pl.concat(pieces).get_column("event_time").is_sorted()


def test_the_catalogue_covers_every_item_and_changes_its_price(settings: LakeSettings) -> None:
    log = Log(9_000)
    store_catalogue(settings, "t", log.catalogue())
    items = pl.read_delta(str(Lake(settings).table(RAW_ITEMS).table_uri))
    assert items.get_column("event_id").n_unique() == items.height == 2 * log.item_count
    assert whole(log).join(items, on="item_id", how="anti").is_empty()
    assert items.group_by("item_id").agg(pl.col("price").n_unique()).get_column("price").min() == 2
