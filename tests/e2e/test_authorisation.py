"""Every operation of the API's description against every caller who may not use it.

The operations, their parameters, bodies and scopes are those of `/openapi.json`; a new endpoint is
in the matrix the moment it exists.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from lakehouse.contracts.tables import SERVICE_TABLES
from lakehouse.contracts.tenant import EvaluationSettings
from lakehouse.control.connection import connect
from lakehouse.control.database import SCOPES, ControlDatabase
from lakehouse.storage.lake import Lake
from lakehouse.training.card.evaluation import gather_evaluation, make_evaluation_card
from lakehouse.training.card.kept import keep_card
from lakehouse.training.card.sections import make_card
from lakehouse.training.evaluation import make_evaluations
from tests.support.cards import contents, published
from tests.support.evaluation import evaluated, write_evaluation_tables
from tests.support.lake import NOON
from tests.support.rows import interactions_csv
from tests.support.service import METRICS_TOKEN, OPERATOR_TOKEN, RunningService
from tests.support.training import examples

VICTIM, STRANGER = "acme", "stranger"
PAGE = {page + file for page in ("/dashboard", "/upload") for file in ("", "/page.css", "/page.js")}
PUBLIC = {"/health/live", "/health/ready", *PAGE}
REFUSED = {401, 403, 404}
_HTTP = httpx.Client(timeout=30)


@dataclass(frozen=True)
class Operation:
    """One operation, ready to be sent for the victim's data."""

    method: str
    path: str
    url: str
    params: dict[str, str]
    body: Any
    schemes: dict[str, list[str]]

    def send(self, service: RunningService, headers: dict[str, str]) -> httpx.Response:
        files = None
        if self.body == "form":
            files = {"file": ("rows.csv", interactions_csv(3))}
        return _HTTP.request(
            self.method,
            service.base_url + self.url,
            params=self.params,
            headers=headers,
            json=None if files else self.body,
            files=files,
        )


WRITTEN = (
    *("api_keys", "jobs", "audit_log", "webhook_messages", "idempotency_keys"),
    *("erasures", "erasure_subjects", "suppressions"),
)
"""Tables of the control database that requests write to."""


class World:
    """The victim, a stranger, and keys of every kind."""

    def __init__(self, service: RunningService) -> None:
        self.service = service
        service.add_tenant(STRANGER)
        self.control = control = ControlDatabase.open(service.lake.control_url)
        sent = service.upload(VICTIM, interactions_csv(5)).json()
        self.job, self.batch = sent["job_id"], sent["batch_id"]
        self.spare_key = control.keys.create(VICTIM).key_id
        self.source = control.webhooks.add(
            VICTIM, "shop", adapter="generic", data_type="interactions", mapping="contract"
        ).source_id
        self.erasure = control.erasures.request(VICTIM, ["somebody"]).request_id
        manifest = published(service.lake, examples(5))
        keep_card(Lake(service.lake), manifest, make_card(contents(service.lake, manifest)))
        write_evaluation_tables(service.lake, {VICTIM: evaluated(40)})
        [divided] = make_evaluations(
            service.lake, {VICTIM: EvaluationSettings()}, lambda _: None, lambda: NOON
        )
        made = make_evaluation_card(gather_evaluation(Lake(service.lake), divided))
        keep_card(Lake(service.lake), divided, made)
        revoked = control.keys.create(VICTIM, SCOPES)
        control.keys.revoke(revoked.key_id)
        expired = control.keys.create(VICTIM, SCOPES)
        control.keys.rotate(expired.key_id, timedelta(0))
        strange = control.keys.create(STRANGER, SCOPES).secret
        self.strangers = {
            "no key": None,
            "an unknown key": "eta_0123456789abcdef_" + "A" * 43,
            "a revoked key": revoked.secret,
            "an expired key": expired.secret,
        }
        self.other_tenant = strange
        self.scoped = {s: control.keys.create(VICTIM, {s}).secret for s in SCOPES}
        self.operations = list(self._operations())

    def _operations(self) -> Iterator[Operation]:
        found = httpx.get(f"{self.service.base_url}/openapi.json").json()
        known = {
            "tenant_id": VICTIM,
            "job_id": self.job,
            "batch_id": self.batch,
            "key_id": self.spare_key,
            "source": self.source,
            "user_id": "someone",
            "request_id": self.erasure,
            "data_type": "interactions",
            "snapshot": "current",
        }
        for path, methods in found["paths"].items():
            for method, operation in methods.items():
                named = {p["name"]: p for p in operation.get("parameters", [])}
                inside = {n: known[n] for n, p in named.items() if p["in"] == "path"}
                params = {
                    n: known[n] for n, p in named.items() if p["in"] == "query" and p["required"]
                }
                schemes = {
                    name: scopes
                    for scheme in operation.get("security", [])
                    for name, scopes in scheme.items()
                }
                body = _body(operation.get("requestBody"))
                yield Operation(method.upper(), path, path.format(**inside), params, body, schemes)

    def state(self) -> dict[str, Any]:
        """Everything that a request could write: table versions and rows of the database."""
        versions: dict[str, Any] = {
            spec.full_name: Lake(self.service.lake).table(spec).version() for spec in SERVICE_TABLES
        }
        connections = connect(self.service.lake.control_url)
        with connections.read() as connection:
            for table in WRITTEN:
                count = connection.execute(text(f"select count(*) from {table}")).scalar()
                versions[table] = count
            versions["revoked"] = connection.execute(
                text("select count(*) from api_keys where revoked_at is not null")
            ).scalar()
        connections.close()
        return versions


def _body(described: dict[str, Any] | None) -> Any:
    if described is None:
        return None
    if "multipart/form-data" in described["content"]:
        return "form"
    content = described["content"]["application/json"]
    if "examples" in content:
        return next(iter(content["examples"].values()))["value"]
    return content.get("example", {})


@pytest.fixture(scope="module")
def world(service: RunningService) -> Iterator[World]:
    made = World(service)
    yield made
    made.control.close()


def _key(secret: str | None) -> list[dict[str, str]]:
    if secret is None:
        return [{}]
    return [{"Authorization": f"Bearer {secret}"}, {"X-API-Key": secret}]


def test_the_description_guards_all_but_health_and_the_page(
    world: World,
) -> None:
    assert len(world.operations) >= 15
    unguarded = {operation.path for operation in world.operations if not operation.schemes}
    assert unguarded == PUBLIC | {"/v1/webhooks/{source}"}


def test_nobody_without_a_good_key_gets_in(world: World) -> None:
    before = world.state()
    tried = 0
    for operation in world.operations:
        if operation.path in PUBLIC:
            continue
        for name, secret in world.strangers.items():
            for headers in _key(secret):
                answer = operation.send(world.service, headers)
                _is_refused(operation, name, answer)
                tried += 1
    assert tried > 100
    assert world.state() == before


def test_no_key_opens_another_tenants_data(world: World) -> None:
    before = world.state()
    for operation in world.operations:
        names_a_tenant = VICTIM in (*operation.url.split("/"), *operation.params.values())
        if not names_a_tenant and operation.path != "/v1/webhooks/{source}":
            continue
        for headers in _key(world.other_tenant):
            _is_refused(operation, "another tenant's key", operation.send(world.service, headers))
    assert world.state() == before


def test_an_id_of_another_tenant_is_unknown_under_ones_own(world: World) -> None:
    before = world.state()
    for operation in world.operations:
        if not any(name in operation.path for name in ("{job_id}", "{key_id}", "{request_id}")):
            continue
        own = Operation(
            operation.method,
            operation.path,
            operation.url.replace(f"/{VICTIM}/", f"/{STRANGER}/"),
            operation.params,
            operation.body,
            operation.schemes,
        )
        answer = own.send(world.service, _key(world.other_tenant)[0])
        assert answer.status_code == 404, (operation, answer.text)
    assert world.state() == before


def test_a_key_needs_one_of_the_scopes_that_are_described(world: World) -> None:
    before = world.state()
    allowed: list[tuple[Operation, str]] = []
    for operation in world.operations:
        scopes = operation.schemes.get("Bearer")
        if scopes is None:
            continue
        assert scopes, operation
        for scope, secret in world.scoped.items():
            if scope in scopes:
                allowed.append((operation, secret))
                continue
            for headers in _key(secret):
                answer = operation.send(world.service, headers)
                assert answer.status_code == 403, (operation, scope, answer.text)
                assert answer.json()["code"] == "missing_scope"
    assert world.state() == before
    for operation, secret in allowed:
        answer = operation.send(world.service, _key(secret)[0])
        assert answer.status_code not in REFUSED, (operation, answer.text)


def test_the_token_of_the_metrics_opens_them_alone_and_no_key_does(world: World) -> None:
    (metrics,) = [o for o in world.operations if list(o.schemes) == ["Metrics"]]
    for secret in [world.other_tenant, OPERATOR_TOKEN, *world.scoped.values()]:
        for headers in _key(secret):
            assert metrics.send(world.service, headers).status_code == 401
    good = metrics.send(world.service, {"Authorization": f"Bearer {METRICS_TOKEN}"})
    assert good.status_code == 200
    for operation in world.operations:
        if operation is metrics or not operation.schemes:
            continue
        for headers in _key(METRICS_TOKEN):
            answer = operation.send(world.service, headers)
            assert answer.status_code == 401, (operation, answer.text)
            assert VICTIM not in answer.text


def _is_refused(operation: Operation, who: str, answer: httpx.Response) -> None:
    assert answer.status_code in REFUSED, (operation, who, answer.text)
    told = set(answer.json())
    assert told == {"type", "title", "status", "code", "detail", "remedy"}, (operation, who)


def test_the_operators_token_opens_every_tenants_quality_and_cards(world: World) -> None:
    opened = [o for o in world.operations if {"Operator", "Bearer"} <= o.schemes.keys()]
    assert {o.path for o in opened} == {
        "/v1/quality",
        "/v1/tenants/{tenant_id}/quality",
        "/v1/training/cards/{snapshot}",
        "/v1/evaluation/cards/{snapshot}",
    }
    for operation in opened:
        if "{snapshot}" in operation.path:  # whose: the token belongs to no tenant
            operation.params["tenant_id"] = VICTIM
        for headers in _key(OPERATOR_TOKEN):
            answer = operation.send(world.service, headers)
            assert answer.status_code == 200, answer.text
            assert VICTIM in answer.text


def test_a_key_sees_its_own_tenant_alone_in_the_overview(world: World) -> None:
    for secret, tenant in ((world.other_tenant, STRANGER), (world.scoped["read"], VICTIM)):
        answer = _HTTP.get(f"{world.service.base_url}/v1/quality", headers=_key(secret)[0])
        assert [found["tenant_id"] for found in answer.json()["tenants"]] == [tenant]
