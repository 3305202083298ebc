"""The graph of models that the DAGs are rendered from: dbt's manifest, made to read as a pipeline.

A model of this project is two files, and half of the nodes are never tables. As tasks they would
hide the pipeline, and left out they would take its edges along; so here an edge leads from table
to table, past what is only text.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.whole_files import write_whole
from lakehouse.training.build import ON_REQUEST, run_dbt

PROFILE: Final = "eta"

_ON_REQUEST_TAG: Final = ON_REQUEST.partition(":")[2]
_KEPT: Final = (
    "alias",
    "config",
    "depends_on",
    "description",
    "fqn",
    "name",
    "original_file_path",
    "package_name",
    "path",
    "resource_type",
    "schema",
    "tags",
    "unique_id",
)


def graph_path(settings: LakeSettings) -> Path:
    """Where the graph is written and where the DAGs look for it."""
    return settings.checkout / "target" / "dags" / "manifest.json"


def write_graph(settings: LakeSettings) -> Path:
    """Parse the project as `target` sees it and write the graph, whole or not at all.

    dbt's own parse stays in `target/`, where the tasks take it from instead of parsing again.
    Raises `EtaError` when dbt cannot parse, or when a test belongs to no one model.
    """
    path = graph_path(settings)
    outcome = run_dbt(settings, ["parse", "--profile", PROFILE, "--target", settings.spark_target])
    if not outcome.success:
        raise EtaError("dbt could not parse the project", remedy="run `dbt parse` to see why")
    graph = contract(outcome.result.to_dict())
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(graph, sort_keys=True, default=str))
    return path


def contract(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest's tables, views and their tests, with edges from one to the next.

    What is built on request only is left out, with its tests. A test of several models must have
    one that is built after the others: with that one it runs.
    """
    nodes = manifest["nodes"]
    tables = {name for name, node in nodes.items() if _is_task(node)}
    parents = {name: _parents(nodes, name, tables) for name in nodes}
    kept = {}
    for name, node in nodes.items():
        if name not in tables and not _tests_tables(nodes, node, parents[name]):
            continue
        if node["resource_type"] == "test":
            _refuse_without_last(node["name"], parents[name] & tables, parents)
        kept[name] = {part: node[part] for part in _KEPT if part in node}
        kept[name]["depends_on"] = {"macros": [], "nodes": sorted(parents[name])}
    return {
        "metadata": {"project_name": manifest["metadata"]["project_name"]},
        "nodes": kept,
        "sources": {},
        "exposures": {},
    }


def _is_task(node: Mapping[str, Any]) -> bool:
    return bool(
        node["resource_type"] in ("model", "seed", "snapshot")
        and node["config"]["materialized"] != "ephemeral"
        and _ON_REQUEST_TAG not in node["tags"]
    )


def _parents(nodes: Mapping[str, Any], name: str, tables: set[str]) -> set[str]:
    """The tables that a node reads, directly or through nodes that are no tables."""
    found: set[str] = set()
    for parent in nodes[name]["depends_on"].get("nodes", ()):
        if parent in tables:
            found.add(parent)
        elif parent in nodes:
            found |= _parents(nodes, parent, tables)
    return found


def _tests_tables(nodes: Mapping[str, Any], node: Mapping[str, Any], parents: set[str]) -> bool:
    """Whether a node is a test, and of nothing that is built on request only."""
    tested = [nodes[parent] for parent in node["depends_on"].get("nodes", ()) if parent in nodes]
    is_left_out = any(_ON_REQUEST_TAG in parent["tags"] for parent in tested)
    return node["resource_type"] == "test" and bool(parents) and not is_left_out


def _refuse_without_last(test: str, tested: set[str], parents: Mapping[str, set[str]]) -> None:
    def built_before(name: str) -> set[str]:
        found = set(parents[name])
        return found.union(*(built_before(parent) for parent in found))

    if not any(tested - {name} <= built_before(name) for name in tested):
        raise EtaError(
            f"the test {test} is about models of which none is built after the others",
            remedy="let it read one model that depends on the others, or make two tests of it",
        )
