"""Whose devices an erasure takes: own ones, shared ones, ones that changed hands."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from deltalake import write_deltalake

from lakehouse.contracts.tables import OPS_SHARED_DEVICES, RAW_CLICKSTREAM
from lakehouse.privacy.devices import (
    attributed_rows,
    device_hash,
    note_shared,
    own_devices,
    shared_devices,
)
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.clickstream import event, store_events
from tests.support.lake import NOON, SessionLake, interaction

ROWS = [
    *[("own", "gone"), ("own", None)],
    *[("shared", "gone"), ("shared", "bob")],
    *[("handed", "gone"), ("handed", None), ("handed", "bob")],
    *[("both", "gone"), ("both", "too")],
    *[("bobs", "bob"), (None, "gone"), ("blank", "gone"), ("blank", "")],
    *[("carla", "gone"), ("carla", None)],
    # whoever is not logged in, and whoever has no cookie
    *[("own", "undefined"), ("own", "0"), ("0-0", "gone"), ("0-0", None), ("null-s", "null")],
]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    rows = [
        event(f"e{n}", "page", None, user, minutes=n, anonymous_id=device)
        for n, (device, user) in enumerate(ROWS)
    ]
    store_events(SessionLake(settings), "acme", rows)
    SessionLake(settings).store("acme", [interaction("i", "carla")])
    neighbours = [event("e", "page", None, "bob", anonymous_id="own")]
    store_events(SessionLake(settings), "other", neighbours)
    SessionLake(settings).store("other", [interaction("i", "own")])
    return Lake(settings)


def staged(lake: Lake, name: str, rows: Iterable[dict[str, object]]) -> None:
    frame = pl.DataFrame(list(rows)).with_columns(tenant_id=pl.lit("acme"))
    write_deltalake(f"{lake.location('staging')}/{name}", frame.to_arrow(), mode="append")


def ties(lake: Lake, *said: str | None) -> None:
    """What the models know of the device that was handed over; null: it was untied."""
    rows = [
        {"anonymous_id": "handed", "user_id": user, "tied_at": NOON + timedelta(minutes=n)}
        for n, user in enumerate(said)
    ]
    staged(lake, "stg_identity_ties", rows)


def test_a_device_is_ones_own_where_nobody_else_of_the_tenant_stands_beside_it(lake: Lake) -> None:
    assert {name for name, _ in own_devices(lake, "acme", {"gone"})} == {"own", "blank"}
    together = own_devices(lake, "acme", {"gone", "too"})
    assert {name for name, _ in together} == {"own", "blank", "both"}
    assert own_devices(lake, "acme", {"nobody"}) == set()
    assert own_devices(lake, "acme", {"null"}) == set()
    assert "carla" in shared_devices(lake, "acme", {"gone"}), "a user is called like it"
    # an id that is asked for itself is no device of the other
    assert ("own", "gone") not in own_devices(lake, "acme", {"gone", "own"})


@pytest.mark.parametrize(
    ("said", "is_shared"),
    [
        pytest.param([], True, id="the models know no tie"),
        pytest.param(["gone", None, "bob"], False, id="untied in between"),
        pytest.param(["gone", "bob", None], True, id="both before it was untied"),
        pytest.param(["gone", None], True, id="the other came since the models ran"),
    ],
)
def test_a_device_that_changed_hands_is_not_shared(
    lake: Lake, said: list[str | None], is_shared: bool
) -> None:
    if said:
        ties(lake, *said)
    shared = shared_devices(lake, "acme", {"gone"})
    assert shared == {"shared", "both", "carla"} | ({"handed"} if is_shared else set())


def test_what_is_noted_of_a_shared_device_names_nobody(lake: Lake) -> None:
    note_shared(lake, "acme", {"shared"}, datetime.now(UTC))
    [row] = lake.table(OPS_SHARED_DEVICES).to_pyarrow_table().to_pylist()
    assert row["device_hash"] == device_hash("acme", "shared") != device_hash("other", "shared")
    assert "shared" not in str(row)


def test_events_that_staging_gave_to_a_person_are_found_by_their_place(lake: Lake) -> None:
    assert attributed_rows(lake, "acme", {"gone"}, set()).is_empty()
    raw = pl.DataFrame(lake.table(RAW_CLICKSTREAM).to_pyarrow_table())
    raw = raw.filter(pl.col("tenant_id") == "acme")
    given = raw.with_columns(user_id=pl.lit("gone")).filter(
        pl.col("anonymous_id").is_in(["handed", "shared"])
    )
    columns = ("anonymous_id", "user_id", "batch_id", "source_ref")
    staged(lake, "stg_clickstream", given.select(columns).to_dicts())
    found = attributed_rows(lake, "acme", {"gone"}, {"shared"})
    places = raw.filter(pl.col("anonymous_id") == "handed")["source_ref"].to_list()
    assert sorted(found["source_ref"]) == sorted(places)
    assert set(found["owner"]) == {"gone"}
    assert attributed_rows(lake, "acme", {"bob"}, set()).is_empty()
