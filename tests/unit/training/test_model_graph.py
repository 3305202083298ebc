"""The graph that the DAGs are rendered from: tables, their tests, edges past what is only text."""

from typing import Any

import pytest

from lakehouse.errors import EtaError
from lakehouse.training.model_graph import contract


def node(
    name: str, *parents: str, kind: str = "model", how: str = "table", tags: tuple[str, ...] = ()
) -> dict[str, Any]:
    return {
        "name": name,
        "resource_type": kind,
        "config": {"materialized": how},
        "tags": list(tags),
        "depends_on": {"nodes": list(parents)},
        "raw_code": "select 1",
    }


def manifest(*nodes: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": {n["name"]: n for n in nodes}, "metadata": {"project_name": "eta"}}


def edges(graph: dict[str, Any]) -> dict[str, list[str]]:
    return {name: node["depends_on"]["nodes"] for name, node in graph["nodes"].items()}


def test_an_edge_leads_past_ephemeral_models() -> None:
    found = contract(
        manifest(
            node("staged__ranked", "source.raw", how="ephemeral"),
            node("staged__kept", "staged__ranked", how="ephemeral"),
            node("staged", "staged__kept"),
            node("feature__kept", "staged", how="ephemeral"),
            node("feature", "feature__kept", how="view"),
        )
    )
    assert edges(found) == {"staged": [], "feature": ["staged"]}
    assert "raw_code" not in found["nodes"]["staged"]


def test_what_is_built_on_request_is_left_out_with_its_tests() -> None:
    found = contract(
        manifest(
            node("staged"),
            node("evaluated", "staged", tags=("on_request",)),
            node("evaluated_is_right", "evaluated", kind="test", how="test"),
            node("both_are_right", "evaluated", "staged", kind="test", how="test"),
            node("staged_is_right", "staged", kind="test", how="test"),
        )
    )
    assert set(edges(found)) == {"staged", "staged_is_right"}


def test_a_test_of_several_models_needs_one_that_is_built_last() -> None:
    both = node("both", "first", "last", kind="test", how="test")
    contract(manifest(node("first"), node("middle", "first"), node("last", "middle"), both))
    with pytest.raises(EtaError, match="test both"):
        contract(manifest(node("first"), node("last"), both))
