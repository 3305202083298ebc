"""Windows over one user's rows stay cheap however many rows that user has."""

import re
from pathlib import Path

import pytest

from lakehouse.settings import LakeSettings
from lakehouse.spark.runtime import spark_configuration

ROOT = Path(__file__).parents[3]
LIST_WINDOW = re.compile(
    r"collect_(?:list|set)\([^()]*\)\s+over\b\s*(\([^()]*(?:\{\{.*?\}\})?.*?\)\s*as\b|\w+)", re.S
)
BOUNDED = re.compile(r"rows between \{\{ var\('\w+'\) \| int \}\} preceding and 1 preceding")


def unbounded_lists(sql: str) -> list[str]:
    """Return the windows that collect lists without a fixed number of rows."""
    return [window for window in LIST_WINDOW.findall(sql) if not BOUNDED.search(window)]


@pytest.mark.parametrize("folder", ["dbt_project/models", "macros"])
def test_no_window_collects_a_list_of_all_earlier_rows(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.sql"))
    assert files
    assert {f.name: found for f in files if (found := unbounded_lists(f.read_text("utf-8")))} == {}


def test_an_unbounded_list_is_found() -> None:
    window = "over (order by t rows between unbounded preceding and current row) as items"
    assert unbounded_lists(f"select collect_list(item_id) {window}")
    assert unbounded_lists("select collect_set(item_id) over so_far as items")


def test_sliding_windows_use_segment_trees(tmp_path: Path) -> None:
    settings = LakeSettings(home=str(tmp_path))
    assert spark_configuration(settings, [])["spark.sql.window.segmentTree.enabled"] == "true"
