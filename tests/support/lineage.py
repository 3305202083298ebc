"""A server that takes events of OpenLineage as a real one does, and a check of what it was sent."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

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
    needed = {one.name for one in fields.values() if one.default is attr.NOTHING}
    assert needed <= set(facet), name
    assert facet["_producer"] == "https://pypi.org/project/eta-lakehouse"


def ends(events: list[dict[str, Any]], name: str = "") -> list[dict[str, Any]]:
    """The events that end a run, of the jobs whose name begins so."""
    return [
        event
        for event in events
        if event["eventType"] != "START" and event["job"]["name"].startswith(name)
    ]
