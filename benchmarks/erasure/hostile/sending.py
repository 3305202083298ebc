"""Sends packages by the ways that customers use: HTTP, signed webhooks, the client, Kafka.

A thing that is sent again is sent as a customer would: the same bytes, signed again where they are
signed. Returns what the answers say was suppressed and quarantined.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import fastavro
import httpx
from standardwebhooks.webhooks import Webhook

from benchmarks.erasure.hostile.homes import environment_of
from benchmarks.erasure.hostile.payloads import SETTINGS, Package
from eta_client import ClientOptions, EtaClient
from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.tenant import DataType, TenantSettings
from lakehouse.control.database import ControlDatabase, NewSecret
from lakehouse.dev.kafka import start_broker, stop_broker
from lakehouse.dev.registry import start_registry, stop_registry
from lakehouse.settings import LakeSettings
from tests.support.service import RunningService
from tests.support.stream import Lane

KAFKA_WAYS: Final = ("kafka-json", "kafka-avro")


@dataclass
class Sent:
    """What the answers said, summed up per way."""

    received: Counter[str] = field(default_factory=Counter)
    suppressed: Counter[str] = field(default_factory=Counter)
    quarantined: Counter[str] = field(default_factory=Counter)

    def add(self, way: str, received: int, suppressed: int, quarantined: int) -> None:
        """Count one answer."""
        self.received[way] += received
        self.suppressed[way] += suppressed
        self.quarantined[way] += quarantined


class Customer:
    """One tenant's systems."""

    def __init__(self, service: RunningService, tenant_id: str, scratch: Path) -> None:
        self._service = service
        self.tenant_id = tenant_id
        self._scratch = scratch
        self._times = 0
        service.add_tenant(tenant_id, TenantSettings.model_validate(SETTINGS))
        database = ControlDatabase.open(service.lake.control_url)
        self._sources = {
            "webhook": _source(database, tenant_id, "generic", "interactions", "nested"),
            "segment": _source(database, tenant_id, "segment", "clickstream", "segment"),
        }
        database.close()

    def set_settings(self, document: dict[str, Any]) -> None:
        """Change the tenant's settings."""
        database = ControlDatabase.open(self._service.lake.control_url)
        database.set_tenant_settings(self.tenant_id, TenantSettings.model_validate(document))
        database.close()

    def send(self, packages: Sequence[Package]) -> Sent:
        """Send everything but what goes through Kafka; every answer has to be one of the good."""
        self._times += 1
        sent = Sent()
        for package in packages:
            if package.way in ("csv", "json", "items"):
                self._upload(package, sent)
            elif package.way in ("events", "clickstream"):
                self._events(package, sent)
            elif package.way in self._sources:
                self._webhook(package, sent)
        self._track([package for package in packages if package.way == "sdk"])
        return sent

    def _upload(self, package: Package, sent: Sent) -> None:
        path = "upload-json" if package.way == "json" else "upload-csv"
        answer = self._service.upload(
            self.tenant_id, package.body, path=path, on_error="quarantine", **package.options
        )
        body = _expect(answer, package)
        sent.add(package.way, body["rows_received"], body["suppressed"], body["quarantined"])

    def _events(self, package: Package, sent: Sent) -> None:
        answer = httpx.post(
            f"{self._service.base_url}/v1/{package.way}",
            content=package.body,
            headers={**self._authorization, "Content-Type": "application/json"},
            timeout=60,
        )
        body = _expect(answer, package)
        sent.add(package.way, body["received"], body["suppressed"], body["rejected"])

    def _webhook(self, package: Package, sent: Sent) -> None:
        source, moment = self._sources[package.way], datetime.now(UTC)
        message_id = f"m-{package.name}-{self._times}"
        signed = Webhook(source.secret).sign(message_id, moment, package.body.decode())
        answer = httpx.post(
            f"{self._service.base_url}/v1/webhooks/{source.source_id}",
            content=package.body,
            headers={
                "webhook-id": message_id,
                "webhook-timestamp": str(int(moment.timestamp())),
                "webhook-signature": signed,
                "content-type": "application/json",
            },
            timeout=60,
        )
        body = _expect(answer, package)
        received = sum(body[name] for name in ("stored", "duplicate", "rejected", "suppressed"))
        sent.add(package.way, received, body["suppressed"], body["rejected"])

    def _track(self, packages: Sequence[Package]) -> None:
        spool = self._scratch / f"spool-{self.tenant_id}-{self._times}"
        options = ClientOptions(spool=spool, flush_seconds=0.1)
        secret = self._service.keys[self.tenant_id]
        with EtaClient(
            self._service.base_url, secret, options=options, on_rejected=lambda _: None
        ) as client:
            for package in packages:
                for row in json.loads(package.body):
                    client.track(
                        row["user_id"],
                        row["item_id"],
                        row["interaction_type"],
                        timestamp=row["timestamp"],
                        event_id=row["event_id"],
                    )
            client.flush(60)

    @property
    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._service.keys[self.tenant_id]}"}


def _source(database: ControlDatabase, tenant_id: str, *what: str) -> NewSecret:
    adapter, data_type, mapping = what
    return database.webhooks.add(
        tenant_id, f"the {adapter}", adapter=adapter, data_type=data_type, mapping=mapping
    )


def _expect(answer: httpx.Response, package: Package) -> Any:
    assert answer.status_code in (200, 207, 422), (package.name, answer.status_code, answer.text)
    body = answer.json()
    assert "batch_id" in body or "stored" in body, (package.name, answer.text[:500])
    return body


class Topics:
    """A broker, a registry and a consumer that ends in the lake."""

    def __init__(self, lane: "CountingLane", registry: str) -> None:
        self._lane = lane
        self._schema = avro_schema(DataType.INTERACTIONS)
        text = json.dumps({"schema": json.dumps(self._schema)})
        answer = httpx.post(
            f"{registry}/subjects/hostile-value/versions",
            content=text,
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
            timeout=60,
        )
        answer.raise_for_status()
        self._head = b"\0" + int(answer.json()["id"]).to_bytes(4, "big")
        self._count = self._taken_in = 0

    def send(self, tenant_id: str, packages: Sequence[Package]) -> None:
        """Write the messages of a tenant into the topic."""
        messages = [self._message(p) for p in packages if p.way in KAFKA_WAYS]
        self._lane.send(*messages, key=tenant_id.encode())
        self._count += len(messages)

    def take_in(self, *, is_again: bool = False) -> None:
        """Let a consumer read what was sent, or the whole topic from its beginning."""
        reread = frozenset({self._lane.topic()}) if is_again else frozenset()
        with _private(), self._lane.consuming(reread=reread, reject_share=1.0):
            self._taken_in += self._count
            self._lane.wait_received(self._taken_in)

    def _message(self, package: Package) -> bytes:
        if package.way == "kafka-json":
            return package.body
        out = BytesIO()
        fastavro.schemaless_writer(out, self._schema, json.loads(package.body))
        return self._head + out.getvalue()


class CountingLane(Lane):
    """A lane that counts only what came from topics: other sources write to the same lake."""

    def received(self) -> int:
        """How many messages the ledger has."""
        ledger = self.rows_of_ledger()
        return int(ledger.filter(ledger["source"] == "kafka")["received"].sum())


@contextmanager
def _private() -> Iterator[None]:
    """Make files as `eta consume` does; the consumer of a trial runs in the trial's process."""
    before = os.umask(0o077)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def topics(home: Path) -> Iterator[Topics]:
    """Run a broker and a registry outside of the home, and a consumer on demand."""
    with TemporaryDirectory(prefix="eta-hostile-broker-") as folder:
        settings = LakeSettings(home=Path(folder))
        broker = start_broker(settings, ())
        try:
            registry = start_registry(settings).addresses["url"]
            with _private():
                lane = CountingLane(
                    broker.addresses["bootstrap_servers"], home, registry, tenants=()
                )
            yield Topics(lane, registry)
            lane.close()
        finally:
            stop_registry(settings)
            stop_broker(settings)


def eta(
    home: Path, *arguments: str, program: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    """Run the command as an operator does; `program` stands for `eta` where it is broken."""
    command = [sys.executable, "-m", *(program or ("lakehouse.cli",)), *arguments]
    return subprocess.run(
        command, env=environment_of(home), capture_output=True, text=True, check=False
    )
