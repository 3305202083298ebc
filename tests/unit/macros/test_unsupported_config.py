"""A config that `delta_merge` would not apply is refused, by name and with what to do."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.macros import CompilerError, macros


def check(**config: Any) -> None:
    """Call the macro in a model with this config, and what every model of the project has."""
    held = {"unique_key": ["tenant_id"], "file_format": "delta", **config}
    macros(
        "spark/refuse_unsupported_config.sql",
        model=SimpleNamespace(name="mine"),
        config=SimpleNamespace(get=lambda name, default=None: held.get(name, default)),
    )["refuse_unsupported_config"]()


@pytest.mark.parametrize(
    ("config", "todo"),
    [
        ({"persist_docs": {"relation": True}}, "eta docs"),
        ({"contract": SimpleNamespace(enforced=True)}, "test their types"),
        ({"grants": {"select": ["anna"]}}, "rights"),
        ({"on_schema_change": "append_new_columns"}, "added_columns"),
        ({"on_schema_change": "sync_all_columns"}, "--full-refresh"),
        ({"incremental_strategy": "insert_overwrite"}, "unique_key"),
        ({"merge_update_columns": ["a"]}, "unique_key"),
        ({"tblproperties": {"a": "b"}}, "stats_columns"),
        ({"location_root": "/elsewhere"}, "its schema"),
        ({"file_format": "parquet"}, "Delta"),
    ],
)
def test_what_would_be_ignored_is_refused_by_its_name(config: dict[str, Any], todo: str) -> None:
    with pytest.raises(CompilerError, match="mine: its materialization does not apply") as caught:
        check(**config)
    assert f"`{next(iter(config))}" in str(caught.value)
    assert todo in str(caught.value)


def test_all_of_them_are_named_at_once() -> None:
    with pytest.raises(CompilerError, match=r"`persist_docs` .*, `grants` .*; take that out"):
        check(persist_docs={"columns": True}, grants={"select": ["anna"]})


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"on_schema_change": "fail"},
        {"on_schema_change": "ignore"},  # dbt's default; a changed column fails all the same
        {"contract": SimpleNamespace(enforced=False), "persist_docs": {}, "grants": {}},
        {"stats_columns": ["as_of"], "change_feed": True, "added_columns": {"a": "int"}},
    ],
)
def test_what_is_applied_or_empty_is_fine(config: dict[str, Any]) -> None:
    check(**config)
