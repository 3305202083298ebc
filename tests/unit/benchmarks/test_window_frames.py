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
NAMED_WINDOW = re.compile(r"(\w+) as (\(\s*partition by .*?\))(?=,|\n)", re.S)
BOUNDED = re.compile(r"rows between \{\{[^}]*\}\} preceding and (?:1 preceding|current row)")
ONE_LIST = re.compile(r"\(\s*partition by tenant_id, user_id, shown_at, session_id, page\s*\)")
"""What was shown at one time: as many rows as the list has items."""


def unbounded_lists(sql: str) -> list[str]:
    """Return the windows that collect lists without a fixed number of rows."""
    named = dict(NAMED_WINDOW.findall(sql))
    return [
        window
        for window in LIST_WINDOW.findall(sql)
        if not BOUNDED.search(frame := named.get(window, window)) and not ONE_LIST.match(frame)
    ]


@pytest.mark.parametrize("folder", ["dbt_project/models", "macros"])
def test_no_window_collects_a_list_of_all_earlier_rows(folder: str) -> None:
    files = sorted((ROOT / folder).rglob("*.sql"))
    assert files
    assert {f.name: found for f in files if (found := unbounded_lists(f.read_text("utf-8")))} == {}


def test_an_unbounded_list_is_found() -> None:
    window = "over (order by t rows between unbounded preceding and current row) as items"
    assert unbounded_lists(f"select collect_list(item_id) {window}")
    assert unbounded_lists("select collect_set(item_id) over so_far as items")
    of_all = "select collect_list(item_id) over so_far as items window so_far as (\n{}\n)\n"
    order = "partition by user_id order by t "
    assert unbounded_lists(of_all.format(order))
    assert not unbounded_lists(
        of_all.format(f"{order}rows between {{{{ n }}}} preceding and current row")
    )


def test_sliding_windows_use_segment_trees(tmp_path: Path) -> None:
    settings = LakeSettings(home=str(tmp_path))
    assert spark_configuration(settings, [])["spark.sql.window.segmentTree.enabled"] == "true"
