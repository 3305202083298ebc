"""Well-known layouts: what is proposed for each, against its mapping in `docs/layouts.md`.

`tests/data/layouts` has a few made-up rows of each.
"""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from ingest_service.sources.inspecting.answer import answer_of
from ingest_service.sources.inspecting.inspection import InspectOrder, inspect
from lakehouse.contracts.tenant import DataType, TenantSettings

PROJECT = Path(__file__).parents[3]
LAYOUTS = PROJECT / "tests/data/layouts"
PAGE = PROJECT / "docs/layouts.md"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
MOST_CORRECTIONS = 2

CASES = [
    # the file, its section in the page, the corrections that its proposal needs, rows skipped
    ("2019-Oct.csv", "REES46", [], 1),
    ("UserBehavior.csv", "Taobao", [], 1),
    ("yoochoose-clicks.dat", "YooChoose", [], 0),
    ("clicks_hour_000.csv", "Globo", [], 0),
    ("retailrocket-events.csv", "RetailRocket", [], 1),
    ("orders_export_1.csv", "Shopify orders", [], 0),
    ("google-analytics.csv", "Google Analytics", ["timestamps.timestamp.time_zone"], 1),
    ("u.data", "MovieLens 100k", [], 0),
    ("ratings.dat", "MovieLens 1M", [], 0),
]
cases = pytest.mark.parametrize(
    ("name", "section", "corrections", "skipped"), CASES, ids=[case[1] for case in CASES]
)


def settings_of(section: str) -> dict[str, Any]:
    """The settings file in a section of the page."""
    text = PAGE.read_text().split(f"## {section}\n")[1].split("\n## ")[0]
    found = re.search(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert found is not None
    document: dict[str, Any] = yaml.safe_load(found[1])
    return document


def looked_at(name: str, data_type: DataType | None = None, **how: Any) -> dict[str, Any]:
    order = InspectOrder(LAYOUTS / name, data_type=data_type, name=name, **how)
    return answer_of(inspect(order, NOW))


def flat(mapping: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Every setting by its path."""
    found: dict[str, Any] = {}
    for key, value in mapping.items():
        inner = flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        found |= inner
    return found


@cases
def test_the_proposal_is_the_mapping_but_for_few_corrections(
    name: str, section: str, corrections: list[str], skipped: int
) -> None:
    answer = looked_at(name)
    wanted = settings_of(section)
    assert answer["data_type"] == "interactions"
    proposed, own = flat(answer["proposed_mapping"]), flat(wanted["sources"]["default"])
    differing = {key for key in proposed.keys() | own.keys() if proposed.get(key) != own.get(key)}
    assert sorted(differing) == corrections
    assert len(corrections) <= MOST_CORRECTIONS
    settings = yaml.safe_load(answer["proposed_settings_yaml"])
    assert settings.get("time_range") == wanted.get("time_range")


@cases
def test_the_mapping_of_the_page_reads_the_file(
    name: str, section: str, corrections: list[str], skipped: int
) -> None:
    settings = TenantSettings.model_validate(settings_of(section))
    answer = looked_at(
        name,
        DataType.INTERACTIONS,
        settings=settings,
        mapping=settings.mapping("default", DataType.INTERACTIONS),
    )
    counts = answer["counts"]
    assert counts["looked_at"] > 2
    # rows of a type that the map skips are no wrong rows of anything else
    assert {reason["code"] for reason in answer["reasons"]} <= {"unknown_interaction_type"}
    assert counts["would_reject"] <= skipped
    assert counts["would_store"] >= counts["looked_at"] - skipped
    assert answer["rows"]


@pytest.mark.parametrize(
    ("name", "section"), [("2019-Oct.csv", "REES46"), ("orders_export_1.csv", "Shopify orders")]
)
def test_a_catalogue_beside_the_events_is_proposed(name: str, section: str) -> None:
    answer = looked_at(name, DataType.ITEMS)
    assert answer["proposed_mapping"] == settings_of(section)["sources"]["items"]
    assert answer["counts"]["would_reject"] == 0
    assert all(row["price"] and row["updated_at"] for row in answer["rows"])


def test_a_catalogue_of_its_own_is_proposed() -> None:
    answer = looked_at("movies.dat")
    assert answer["data_type"] == "items"
    assert answer["proposed_mapping"] == settings_of("MovieLens 1M")["sources"]["items"]
    assert answer["rows"][2]["title"] == "Misérables, Les (1995)"


def test_a_typed_header_is_read_as_well() -> None:
    answer = looked_at("ml-100k.inter")
    assert [column["meaning"] for column in answer["columns"]] == [
        "user_id",
        "item_id",
        "rating",
        "timestamp",
    ]
    assert answer["counts"]["would_store"] == 8


def test_every_layout_has_a_file_and_a_section() -> None:
    named = {name for name, *_ in CASES} | {"ml-100k.inter", "movies.dat"}
    assert named == {path.name for path in LAYOUTS.iterdir()}
    sections = re.findall(r"^## (.*)$", PAGE.read_text(), re.MULTILINE)
    assert sections == [section for _, section, *_ in CASES]
