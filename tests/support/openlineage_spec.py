"""Events against OpenLineage's own JSON schemas, from a folder like `spec/` of its repository.

The schemas come with no package. A reviewer who has them (Apache License 2.0, `git clone
https://github.com/OpenLineage/OpenLineage`) says `ETA_TEST_OPENLINEAGE_SPEC=OpenLineage/spec`.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]
from referencing import Registry, Resource
from referencing.exceptions import NoSuchResource

EVENT = "RunEvent"
_HOLDERS = ("facets", "inputFacets", "outputFacets")


class Spec:
    """The schemas of a folder, found by their names: a version may be another than the event's."""

    def __init__(self, folder: Path) -> None:
        found = [json.loads(path.read_bytes()) for path in sorted(folder.rglob("*.json"))]
        self._by_name = {
            _name(schema["$id"]): schema
            for schema in found
            if isinstance(schema, dict) and "$defs" in schema and "$id" in schema
        }
        self._registry: Registry[Any] = Registry(retrieve=self._retrieve)  # type: ignore[call-arg]

    def faults(self, event: Mapping[str, Any]) -> list[str]:
        """Return what is wrong with an event and its facets; a schema that is not there, too."""
        found = list(self._faults(event, event["schemaURL"]))
        for facet in facets_of(event):
            found += self._faults(facet, facet["_schemaURL"])
        return found

    def _faults(self, value: Mapping[str, Any], url: str) -> Iterator[str]:
        place, _, pointer = url.partition("#")
        if _name(place) not in self._by_name:
            yield f"{url}: no such schema"
            return
        schema = {"$ref": f"{place}#{pointer}"}
        checked = Draft202012Validator(
            schema,
            registry=self._registry,
            format_checker=Draft202012Validator.FORMAT_CHECKER,
        )
        for error in checked.iter_errors(value):
            yield f"{_name(place)}: {error.json_path}: {error.message}"

    def _retrieve(self, uri: str) -> Resource[Any]:
        schema = self._by_name.get(_name(uri))
        if schema is None:
            raise NoSuchResource(uri)
        return Resource.from_contents(schema)


def facets_of(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Every facet of an event: of its run, its job and its datasets."""
    for holder in (event["run"], event["job"], *event["inputs"], *event["outputs"]):
        for kind in _HOLDERS:
            yield from holder.get(kind, {}).values()


def _name(uri: str) -> str:
    return uri.partition("#")[0].rpartition("/")[2]
