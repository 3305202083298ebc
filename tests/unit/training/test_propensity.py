"""Propensities of positions: the truth of a made-up log is found, and what is not known is told."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.impression_counts import Propensities, propensities
from lakehouse.training.propensity import Cells, estimate
from lakehouse.training.tenant_settings import publish_tenant_settings

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=400)
POSITIONS = 6
TRUTH = 1 / np.arange(1, POSITIONS + 1) ** 0.8
"""Of a page; the second position is looked at 0.57 times as often as the first."""
TOLERANCE = 0.12
"""Relative: three standard errors of the least of them in the log below."""


def ranked_log(seed: int, lists: int, *, items: int = 200) -> list[tuple[int, int, bool]]:
    """(item, position from 0 on, clicked) of lists that a noisy ranker made, the best items first.

    So what is shown first is better: click rates by position are no propensities.
    """
    chance = np.random.default_rng(seed)
    attraction = 0.5 * chance.beta(1, 4, items) + 0.01
    rows = []
    for _ in range(lists):
        candidates = chance.choice(items, 20, replace=False)
        scores = np.log(attraction[candidates]) + 0.7 * chance.normal(size=20)
        shown = candidates[np.argsort(-scores)[:POSITIONS]]
        clicked = chance.random(POSITIONS) < TRUTH * attraction[shown]
        rows += list(zip(shown.tolist(), range(POSITIONS), clicked.tolist(), strict=True))
    return rows


def cells(rows: list[tuple[int, int, bool]]) -> Cells:
    keys = sorted({row[:2] for row in rows})
    counts = {key: np.zeros(2) for key in keys}
    for item, position, clicked in rows:
        counts[item, position] += (1, clicked)
    table = np.array([counts[key] for key in keys])
    pairs = np.array(keys)
    return Cells(pairs[:, 0], pairs[:, 1], table[:, 0], table[:, 1])


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_truth_of_a_log_without_any_random_position_is_found(seed: int) -> None:
    rows = ranked_log(seed, 20_000)
    found = estimate(cells(rows), POSITIONS)
    relative = np.array([one.propensity for one in found]) / TRUTH
    assert np.abs(relative - 1).max() < TOLERANCE
    errors = np.array([one.standard_error for one in found])
    assert errors[0] == 0
    assert (np.abs(relative - 1)[1:] < 4 * errors[1:] / TRUTH[1:]).all()
    clicks = np.bincount([row[1] for row in rows], [row[2] for row in rows])
    assert np.abs(clicks / clicks[0] / TRUTH - 1).max() > 2 * TOLERANCE, "a click rate would not do"


def test_expected_clicks_are_those_counted_of_each_position() -> None:
    counted = cells(ranked_log(4, 500))
    theta = np.array([one.propensity for one in estimate(counted, POSITIONS)])
    shown = np.bincount(counted.items, counted.impressions * theta[counted.positions])
    gamma = np.bincount(counted.items, counted.clicks) / np.where(shown > 0, shown, 1)
    expected = counted.impressions * theta[counted.positions] * gamma[counted.items]
    for numbers in (counted.positions, counted.items):
        of = np.bincount(numbers, expected), np.bincount(numbers, counted.clicks)
        assert np.allclose(*of, rtol=1e-6)


def test_positions_that_share_no_clicked_item_are_not_compared() -> None:
    parts = [(0, 0, True), (0, 1, True), (0, 1, False), (1, 2, True), (1, 3, True), (2, 0, False)]
    unclicked = [(2, 2, False), (2, 4, False)]
    first, second, *others = estimate(cells([*parts, *unclicked]), 5)
    assert (first.propensity, second.propensity) == (1, near(0.5))
    assert [one.propensity for one in others] == [None, None, None]
    assert second.standard_error is None, "of two items there is none"


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([], id="nothing"),
        pytest.param([(0, 0, False), (0, 1, False)], id="no click"),
        pytest.param([(0, 0, True), (1, 1, True)], id="an item per position"),
        pytest.param([(0, 0, True), (0, 1, False)], id="clicks at one position"),
    ],
)
def test_a_log_that_tells_nothing_is_told_so(rows: list[tuple[int, int, bool]]) -> None:
    nothing = Cells(*(np.zeros(0, kind) for kind in (np.int64, np.int64, float, float)))
    with pytest.raises(EtaError, match="no two positions can be compared"):
        estimate(cells(rows) if rows else nothing, 2)


# The command, over a table as the models write it.


def impression(item: str, position: int, **more: Any) -> dict[str, Any]:
    row = {"page": "home", "is_clicked": False, "shown_at": NOON, "clicked_at": None}
    return {
        "tenant_id": "acme",
        "item_id": item,
        "shown_position": position,
        "known_at": NOON + timedelta(minutes=1),
        **row,
        **more,
    }


def clicked(item: str, position: int, **more: Any) -> dict[str, Any]:
    at = more.get("shown_at", NOON) + timedelta(minutes=5)
    return impression(item, position, is_clicked=True, clicked_at=at, **more)


ROWS = [
    *(clicked("i", 1), clicked("i", 2), impression("i", 2)),
    *(clicked("i", 2, page="o'neill"), clicked("i", 3, page="o'neill")),
    *(impression("i", 3, page="o'neill"), impression("i", 90)),
    *(impression("i", 1, tenant_id="other"), clicked("i", 2, tenant_id="other")),
]


@pytest.fixture
def lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSettings:
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    window = {"clickstream": {"preset": "segment", "impressions": {"click_window_minutes": 30}}}
    told = {"acme": TenantSettings.model_validate(window)}
    publish_tenant_settings(Lake(settings), told, NOON)
    return settings


def store(lake: LakeSettings, rows: list[dict[str, Any]]) -> None:
    moments = {name: pa.timestamp("us", "UTC") for name in ("shown_at", "clicked_at", "known_at")}
    kinds = {
        **dict.fromkeys(("tenant_id", "item_id", "page"), pa.string()),
        "shown_position": pa.int32(),
        "is_clicked": pa.bool_(),
        **moments,
    }
    table = pa.Table.from_pylist(rows, pa.schema(list(kinds.items())))
    place = f"{lake.lake}/features/impressions"
    write_deltalake(place, table, mode="append", partition_by=["tenant_id"])


def near(number: float) -> Any:
    return pytest.approx(number, rel=1e-6)


def counted(found: Propensities) -> list[tuple[int, int, int, float | None]]:
    return [
        (one.position, one.impressions, one.clicks, one.estimate.propensity)
        for one in found.positions
    ]


def test_an_item_has_an_attraction_on_each_page_and_a_tenant_its_own_rows(
    lake: LakeSettings,
) -> None:
    store(lake, ROWS)
    found = propensities(Lake(lake), "acme", LATER)
    assert counted(found) == [(1, 1, 1, 1), (2, 3, 2, near(0.5)), (3, 2, 1, near(0.25))]
    home = propensities(Lake(lake), "acme", LATER, page="home")
    assert counted(home) == [(1, 1, 1, 1), (2, 2, 1, near(0.5))]
    other = propensities(Lake(lake), "acme", LATER, page="o'neill")
    assert counted(other) == [(2, 1, 1, 1), (3, 2, 1, near(0.5))]


def test_the_first_position_of_a_sender_that_counts_from_0_is_counted(lake: LakeSettings) -> None:
    store(lake, [clicked("i", 0), clicked("i", 1), impression("i", 1), impression("i", -1)])
    found = propensities(Lake(lake), "acme", LATER)
    assert counted(found) == [(0, 1, 1, 1), (1, 2, 1, near(0.5))]


def test_as_of_counts_nothing_later_and_no_window_that_is_open(lake: LakeSettings) -> None:
    as_of, hour = NOON + timedelta(hours=1), timedelta(hours=1)
    late = [
        impression("i", 1, shown_at=NOON + timedelta(minutes=31)),  # open for a minute more
        impression("i", 2, known_at=NOON + 2 * hour),
        clicked("i", 2, shown_at=NOON + 3 * hour, known_at=NOON + 4 * hour),
    ]
    # by a window that was longer when the table was made
    rows = [clicked("i", 1), clicked("i", 2)]
    rows.append(impression("i", 2, is_clicked=True, clicked_at=NOON + 2 * hour))
    store(lake, [*rows, *late])
    assert counted(propensities(Lake(lake), "acme", as_of, page="home")) == [
        (1, 1, 1, 1),
        (2, 2, 1, near(0.5)),
    ]
    everything = counted(propensities(Lake(lake), "acme", LATER, page="home"))
    assert [row[1:3] for row in everything] == [(2, 1), (4, 3)]
    with pytest.raises(EtaError, match="no impressions were counted"):
        propensities(Lake(lake), "acme", NOON)


def test_the_command_prints_and_writes_what_can_be_joined(lake: LakeSettings) -> None:
    store(lake, ROWS)
    words = ["training", "propensity", "--tenant", "acme", "--page", "home", "--as-of"]
    told = CliRunner().invoke(app, [*words, f"{LATER:%Y-%m-%d}"])
    assert told.exit_code == 0, told.output
    lines = [line.split("\t") for line in told.stdout.splitlines()]
    assert lines[1:] == [
        ["1", "1", "1", "1.0000", "1.0000", "-"],
        ["2", "2", "1", "0.5000", "0.5000", "-"],
    ]
    document = json.loads((lake.home_dir / "propensity" / "acme.json").read_text())
    assert {row["position"]: row["propensity"] for row in document["positions"]} == {
        1: 1,
        2: near(0.5),
    }
    assert (document["as_of"][:10], document["page"]) == (f"{LATER:%Y-%m-%d}", "home")


def test_a_tenant_without_impressions_is_told_what_to_do(lake: LakeSettings) -> None:
    words = ["training", "propensity", "--tenant", "acme"]
    before = CliRunner().invoke(app, words)
    assert before.exit_code == 1
    assert "features.impressions does not exist yet" in before.stderr
    store(lake, [clicked("i", 1, tenant_id="other")])
    nothing = CliRunner().invoke(app, words)
    assert nothing.exit_code == 1
    assert "no impressions were counted" in nothing.stderr
    wrong = CliRunner().invoke(app, [*words[:3], "no'body"])
    assert wrong.exit_code == 1
    assert "the tenant id is not valid" in wrong.stderr
