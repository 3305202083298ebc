"""Every kind of event is as OpenLineage's schemas say, and as the client's classes say."""

import copy
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openlineage.client.serde import Serde

from lakehouse.lineage.events import run_events
from lakehouse.lineage.facts import Dataset, Job, Run, run_id
from tests.support.lineage import check_event
from tests.support.openlineage_spec import Spec, facets_of

FOLDER = os.environ.get("ETA_TEST_OPENLINEAGE_SPEC")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SCHEMA = "https://json-schema.org/draft/2020-12/schema"


def events(error: str | None = None) -> list[dict[str, Any]]:
    """A run with everything that any of ours has."""
    tables = [
        Dataset(
            "eta", "raw.items", "3", [("user_id", "string")], "file:///lake/raw/items", "acme",
            rows=4, size=5, files=6,
        ),
        Dataset("kafka://127.0.0.1:9092", "events", partitions=[{"partition": 1, "offset": 2}]),
        Dataset("eta", "staging.x", uri="s3://bucket/lake/staging/x", rows=0),
        Dataset("eta/acme", "file.items", rows=7),
    ]  # fmt: skip
    run = Run(
        Job("eta", "model.x", run_id("eta", "model.x", "1")), NOON, NOON, tables, tables, error,
        Job("eta", "models", run_id("eta", "models", "1")), {"run_id": "r"},
    )  # fmt: skip
    return [json.loads(Serde.to_json(event)) for event in run_events(run)]


ALL = [*events(), *events("the model x failed")]


def test_events_are_as_the_classes_of_the_client_say() -> None:
    for event in ALL:
        check_event(event)
    kinds = {facet["_schemaURL"].rpartition("/")[2] for event in ALL for facet in facets_of(event)}
    assert len(kinds) == 12


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("run", "runId"), "no uuid"),
        (("eventTime",), "yesterday"),
        (("job", "name"), 7),
        (("job", "facets", "jobType", "processingType"), None),
        (("outputs", 0, "outputFacets", "outputStatistics", "rowCount"), "4"),
        (("outputs", 0, "facets", "schema", "fields", 0, "name"), 1),
        (("outputs", 0, "facets", "symlinks", "identifiers"), {}),
        (("inputs", 0, "inputFacets", "subset", "inputCondition"), "acme"),
        (("run", "facets", "tags", "tags", 0, "value"), 3),
        (("run", "facets", "parent", "run", "runId"), 3),
    ],
)
def test_the_check_finds_a_wrong_value(place: tuple[Any, ...], value: Any) -> None:
    event = copy.deepcopy(events()[1])
    holder: Any = event
    for key in place[:-1]:
        holder = holder[key]
    assert place[-1] in holder if isinstance(holder, dict) else holder
    holder[place[-1]] = value
    with pytest.raises((AssertionError, ValueError, TypeError)):
        check_event(event)


@pytest.mark.skipif(
    not FOLDER,
    reason="no real data: ETA_TEST_OPENLINEAGE_SPEC names no folder `spec` of OpenLineage",
)
def test_events_are_as_openlineages_schemas_say() -> None:
    spec = Spec(Path(FOLDER or ""))
    assert [fault for event in ALL for fault in spec.faults(event)] == []


def test_a_schema_is_found_by_its_name_and_can_refuse(tmp_path: Path) -> None:
    """A spec of two files: what the check above does with those of OpenLineage."""
    main = {
        "$schema": SCHEMA,
        "$id": "https://openlineage.io/spec/9-0-0/OpenLineage.json",
        "$defs": {
            "RunEvent": {"type": "object", "required": ["eventTime"]},
            "JobFacet": {"type": "object", "required": ["_producer"]},
        },
    }
    facet = {
        "$schema": SCHEMA,
        "$id": "https://openlineage.io/spec/facets/9-0-0/JobTypeJobFacet.json",
        "$defs": {
            "JobTypeJobFacet": {
                "allOf": [
                    {"$ref": "https://openlineage.io/spec/1-0-0/OpenLineage.json#/$defs/JobFacet"},
                    {"properties": {"integration": {"const": "ETA"}}},
                ]
            }
        },
    }
    for name, schema in (("OpenLineage", main), ("facets/JobTypeJobFacet", facet)):
        path = tmp_path / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(schema))
    event = {**ALL[0], "inputs": [], "outputs": [], "run": {"runId": "r"}}
    assert Spec(tmp_path).faults(event) == []
    event["job"] = copy.deepcopy(event["job"])
    event["job"]["facets"]["jobType"]["integration"] = "other"
    del event["eventTime"]
    assert len(Spec(tmp_path).faults(event)) == 2
    told = Spec(tmp_path).faults({**ALL[1], "inputs": [], "outputs": []})
    assert all("no such schema" in fault for fault in told)
    assert len(told) == 2  # of the facets of the run: a schema that is not there is a fault
