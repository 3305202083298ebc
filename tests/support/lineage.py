"""A server that takes events of OpenLineage as a real one does, and a check of what it was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import attr
from openlineage.client import event_v2, facet_v2

GENERATED = [value for name, value in vars(facet_v2).items() if hasattr(value, "__file__")]
RUN_EVENT = {"eventTime", "eventType", "inputs", "outputs", "job", "run", "producer", "schemaURL"}


class Server:
    """Takes events on 127.0.0.1; `answers` are its next statuses, 201 after them."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.bodies: list[bytes] = []
        self.heads: list[dict[str, str]] = []
        self.answers: list[int] = []
        self.wait = threading.Event()
        self.wait.set()
        self.url = ""


@contextmanager
def lineage_server() -> Iterator[Server]:
    """A server on a free port; while `wait` is cleared it answers nothing."""
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            found.wait.wait()
            status = found.answers.pop(0) if found.answers else 201
            if status == 201 and self.path == "/api/v1/lineage":
                found.bodies.append(body)
                found.events.append(json.loads(body))
                found.heads.append(dict(self.headers))
            self.send_response(status)
            if status == 307:
                self.send_header("Location", f"{found.url}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        found.wait.set()
        server.shutdown()
        server.server_close()


def events_of(path: Path) -> list[dict[str, Any]]:
    """The events of a file, each of them checked."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    for event in found:
        check_event(event)
    return found


def check_event(event: dict[str, Any]) -> None:
    """Assert that an event has what OpenLineage's classes require, and nothing that they lack.

    The client's classes are generated from the JSON schemas, of which it ships no copy.
    """
    assert set(event) == RUN_EVENT
    assert event["schemaURL"].endswith("/OpenLineage.json#/$defs/RunEvent")
    UUID(event["run"]["runId"])
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    for kind in (event["job"], *event["inputs"], *event["outputs"]):
        assert type(kind["namespace"]) is str
        assert type(kind["name"]) is str
    run = event_v2.Run(event["run"]["runId"])
    event_v2.RunEvent(
        eventTime=event["eventTime"],
        eventType=event_v2.RunState(event["eventType"]),
        run=run,
        job=event_v2.Job(event["job"]["namespace"], event["job"]["name"]),
    )
    holders = [event["run"], event["job"], *event["inputs"], *event["outputs"]]
    for holder in holders:
        for kind in ("facets", "inputFacets", "outputFacets"):
            for facet in holder.get(kind, {}).values():
                _check_facet(facet)
    for dataset in (*event["inputs"], *event["outputs"]):
        assert dataset["namespace"]
        assert dataset["name"]


def _check_facet(facet: dict[str, Any]) -> None:
    name = facet["_schemaURL"].rpartition("/")[2]
    [kind] = {getattr(module, name) for module in GENERATED if hasattr(module, name)}
    fields = {field.name: field for field in attr.fields(kind)}
    assert set(facet) <= set(fields), name
    _check_value(kind, facet, name)
    assert facet["_producer"] == "https://pypi.org/project/eta-lakehouse"


def _check_value(kind: Any, value: Any, place: str) -> None:
    """Assert that a value of JSON is what a type of the client's classes says."""
    origin = get_origin(kind)
    if attr.has(kind):
        _check_object(kind, value, place)
    elif origin in (Union, UnionType):
        assert any(_fits(one, value, place) for one in get_args(kind)), place
    elif origin is list:
        assert isinstance(value, list), place
        for number, inner in enumerate(value):
            _check_value(get_args(kind)[0], inner, f"{place}[{number}]")
    elif origin is dict:
        assert isinstance(value, dict), place
    elif kind in (str, int, float, bool, type(None)):
        assert type(value) is kind, place


def _check_object(kind: Any, value: Any, place: str) -> None:
    assert isinstance(value, dict), place
    hints = get_type_hints(kind)
    fields = {field.name: field for field in attr.fields(kind)}
    assert set(value) <= set(fields), place
    needed = {one.name for one in fields.values() if one.default is attr.NOTHING}
    assert needed <= set(value), place
    for name, inner in value.items():
        _check_value(hints[name], inner, f"{place}.{name}")


def _fits(kind: Any, value: Any, place: str) -> bool:
    try:
        _check_value(kind, value, place)
    except AssertionError:
        return False
    return True


def ends(events: list[dict[str, Any]], name: str = "") -> list[dict[str, Any]]:
    """The events that end a run, of the jobs whose name begins so."""
    return [
        event
        for event in events
        if event["eventType"] != "START" and event["job"]["name"].startswith(name)
    ]
