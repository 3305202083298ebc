"""A record names whom any version of its mapping says, whatever the settings say by now."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import count

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, update
from standardwebhooks.webhooks import Webhook

from ingest_service.api.app import create_app
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.contracts.tenant import DataType, FileFormat, SourceMapping
from lakehouse.control import schema
from lakehouse.control.tenants import SettingsHistoryLost
from lakehouse.errors import EtaError
from lakehouse.privacy.known import stored_identifiers
from lakehouse.privacy.mapping_history import MappingHistory
from lakehouse.privacy.readers import Readers
from lakehouse.privacy.restored import erase_again
from lakehouse.storage.lake import Lake
from tests.support.erasure import FIRST_MS, TENANT, ErasableLake

HEADER = "user_id,item_id,interaction_type,timestamp\n"
NUMBERS = count()


def of(path: str, **more) -> SourceMapping:
    return SourceMapping(columns={"user_id": path}, **more)


class Sender:
    """Sends rejected records by every way of a mapping; each names another person."""

    def __init__(self, lake: ErasableLake, client: TestClient, path: str = "Kunde") -> None:
        self.lake, self._client, self._path = lake, client, path
        key = lake.database.keys.create(TENANT, {"ingest"}).secret
        self._headers = {"X-API-Key": key}
        self._source = lake.database.webhooks.add(
            TENANT, "shop", adapter="generic", data_type="interactions", mapping="shopfile"
        )

    def csv(self, who: str) -> None:
        text = f"{self._path},item_id,interaction_type,timestamp\n{who},i,odd,{FIRST_MS}\n"
        self.lake.upload(text, mapping="shopfile")

    def json(self, who: str) -> None:
        self.lake.upload(self._event(who), file_format=FileFormat.JSON, mapping="shopfile")

    def events(self, who: str) -> dict:
        answer = self._client.post(
            "/v1/events?mapping=shopfile",
            content=f"[{self._event(who)}]",
            headers={**self._headers, "Content-Type": "application/json"},
        )
        assert answer.status_code in (200, 422), answer.text
        return answer.json()

    def webhook(self, who: str) -> dict:
        name, now, body = f"m{next(NUMBERS)}", datetime.now(UTC), self._event(who)
        answer = self._client.post(
            f"/v1/webhooks/{self._source.source_id}",
            content=body,
            headers={
                "webhook-id": name,
                "webhook-timestamp": str(int(now.timestamp())),
                "webhook-signature": Webhook(self._source.secret).sign(name, now, body),
                "content-type": "application/json",
            },
        )
        assert answer.status_code < 300, answer.text
        return answer.json()

    def waiting(self, who: str) -> None:
        self.lake.database.messages.receive(
            self._source.source_id, f"m{next(NUMBERS)}", 1, self._event(who).encode(), "s"
        )

    def _event(self, who: str) -> str:
        return json.dumps(
            {self._path: who, "item_id": "i", "interaction_type": "odd", "timestamp": FIRST_MS}
        )


WAYS = ("csv", "json", "events", "webhook", "waiting")
CHANGES: list = [
    pytest.param([{"shopfile": of("Client")}], id="another column"),
    pytest.param([{}], id="removed"),
    pytest.param([{}, {"shopfile": of("Client")}], id="removed, and another of that name"),
    pytest.param([{"shop2": of("Kunde")}], id="renamed"),
    pytest.param([{"shopfile": SourceMapping()}], id="without columns"),
    pytest.param([{"shopfile": of("a.b")}, {"shopfile": of("c|d")}], id="changed twice"),
]


@pytest.fixture
def sender(lake: ErasableLake) -> Iterator[Sender]:
    lake.set_sources(shopfile=of("Kunde"))
    with TestClient(create_app(lake.services)) as client:
        yield Sender(lake, client)


@pytest.mark.parametrize("versions", CHANGES)
def test_a_changed_mapping_hides_nobody(sender: Sender, versions: list[dict]) -> None:
    lake = sender.lake
    gone, kept = [f"gone-by-{way}" for way in WAYS], [f"kept-by-{way}" for way in WAYS]
    for way, *people in zip(WAYS, gone, kept, strict=True):
        for who in people:
            getattr(sender, way)(who)
    for sources in versions:
        lake.set_sources(**sources)

    history = MappingHistory.read(lake.database, TENANT)
    rows = set(gone) - {"gone-by-waiting"}
    assert stored_identifiers(Lake(lake.settings), TENANT, gone, history) == rows
    found = lake.search(*gone)
    counts = Counter({one.place: 0 for one in found.findings})
    for one in found.findings:
        counts[one.place] += one.count
    assert counts == {"raw/quarantine": 4, "webhook_messages": 1}

    request = lake.erase(*gone)
    [done] = lake.work()
    assert done.completed == (request,), done.reasons
    certificate = lake.database.erasures.get(request).certificate
    assert certificate is not None
    assert certificate["rows_deleted"]["raw.quarantine"] == 4
    assert certificate["subjects_without_rows"] == 1
    assert lake.search(*gone).is_clean
    left = b"".join(lake.rows(RAW_QUARANTINE)["raw"].to_list()).decode()
    assert not any(who in left for who in gone)
    assert all(who in left for who in kept if who != "kept-by-waiting")

    answer = sender.webhook("gone-by-csv")  # the source still names the mapping
    assert answer["suppressed"] == 1, answer
    if "shopfile" in lake.tenant.sources:
        assert sender.events("gone-by-csv")["suppressed"] == 1
    assert lake.search(*gone).is_clean


def test_an_event_that_came_without_its_mapping_is_its_persons(lake: ErasableLake) -> None:
    lake.set_sources(shopfile=of("Kunde"))
    sent = {"item_id": "i", "interaction_type": "click", "timestamp": FIRST_MS}
    lines = [{**sent, "Kunde": "gone"}, {**sent, "user_id": "b", "Kunde": "gone", "item_id": None}]
    text = "\n".join(map(json.dumps, lines))
    lake.upload(text, file_format=FileFormat.JSON)
    assert lake.rows(RAW_QUARANTINE).height == 2
    erased(lake, "gone")
    assert [json.loads(raw)["user_id"] for raw in lake.rows(RAW_QUARANTINE)["raw"]] == ["b"]
    again = lake.upload(text, file_format=FileFormat.JSON)
    assert (again.counts.suppressed, again.counts.quarantined) == (1, 1)


def test_people_of_an_earlier_mapping_are_recognised_after_a_restore(sender: Sender) -> None:
    lake = sender.lake
    lake.erase("back")
    lake.work()
    lists = lake.database.suppressed(TENANT)
    with lake.database.connections.write() as connection:
        connection.execute(delete(schema.suppressions))
        connection.execute(update(schema.suppression_lists).values(version=lists.version + 1))
    sender.csv("back")
    lake.erase("back")  # on the list again, and not carried out: as after a restored backup
    lake.set_sources()
    assert [
        one.subject_count for one in erase_again(Lake(lake.settings), lake.database, None, by="x")
    ]


@pytest.mark.parametrize("damage", ["missing", "unreadable"])
def test_without_the_history_nothing_is_green(sender: Sender, damage: str) -> None:
    lake, table = sender.lake, schema.tenant_settings
    sender.csv("gone")
    lake.set_sources()
    with lake.database.connections.write() as connection:
        second = table.c.version == 2
        if damage == "missing":
            connection.execute(delete(table).where(second))
        else:
            document = {"sources": {"shopfile": {"columns": ["Kunde"]}}}
            connection.execute(update(table).where(second).values(document=document))
    with pytest.raises(SettingsHistoryLost):
        lake.search("gone")
    request = lake.erase("gone")
    lake.work()
    held = lake.database.erasures.get(request)
    assert (held.state, held.certificate) == ("waiting", None)
    assert "version 2" in held.waits_for[0]
    sender.webhook("somebody")  # what is sent is still taken in


def test_of_a_mapping_that_no_version_knows_every_value_may_be_a_person() -> None:
    readers = Readers(MappingHistory([{"own": of("Kunde")}]))
    for layout, raw in (
        (SourceLayout(columns=("a", "b"), mapping="lost"), b"7,8"),
        (SourceLayout(format="json", columns=("x",), mapping="lost"), b'{"a":7,"b":{"c":[8]}}'),
    ):
        named = readers.of(DataType.INTERACTIONS, layout).named(raw)
        assert named.users | named.untold >= {"7", "8"}


NAMES = st.sampled_from(["default", "own", "other", "contract", "segment"])
MAPPINGS = st.builds(of, st.sampled_from(["Kunde", "Client", "who.id", "a|b", "user_id"]))
VERSIONS = st.lists(st.dictionaries(NAMES, MAPPINGS, max_size=3), min_size=1, max_size=4)


@settings(deadline=None, max_examples=60)
@given(VERSIONS, VERSIONS, NAMES, st.sampled_from(list(DataType)))
def test_a_later_version_takes_nobody_away(before, after, name: str, kind: DataType) -> None:
    layout = SourceLayout(format="json", columns=("x",), mapping=name)
    early = Readers(MappingHistory(before))
    late = Readers(MappingHistory([*before, *after]))
    had, has = early.fields(kind, layout), late.fields(kind, layout)
    if MappingHistory(before).of_layout(layout):
        assert had.user <= has.user
    for version in (*before, *after):
        if name in version:
            own = Readers(MappingHistory([version])).fields(kind, layout)
            assert own.user <= has.user


# --- values that a mapping reads as others ---


MAPPED = of("user_id", values={"user_id": {"A9": "anne", "B1": "bert"}})
PLAIN = of("user_id")


def rows(*lines: tuple[str, str]) -> str:
    return HEADER + "".join(
        f"{who},i{next(NUMBERS)},{kind},{FIRST_MS + next(NUMBERS) * 1000}\n" for who, kind in lines
    )


def erased(lake: ErasableLake, *subjects: str) -> dict:
    request = lake.erase(*subjects)
    [done] = lake.work()
    assert done.completed == (request,), done.reasons
    certificate = lake.database.erasures.get(request).certificate
    assert certificate is not None
    return dict(certificate)


def stored(lake: ErasableLake) -> list[str]:
    return sorted(lake.rows(RAW_INTERACTIONS)["user_id"].to_list())


@pytest.mark.parametrize("asked", ["A9", "anne"])
@pytest.mark.parametrize("later", [MAPPED, PLAIN, None], ids=["the same", "no words", "removed"])
def test_an_id_as_sent_and_as_stored_is_one_person(
    lake: ErasableLake, asked: str, later: SourceMapping | None
) -> None:
    lake.set_sources(shop=MAPPED)
    lake.upload(
        rows(("A9", "click"), ("A9", "odd"), ("B1", "click"), ("B1", "odd")), mapping="shop"
    )
    assert stored(lake) == ["anne", "bert"]
    lake.set_sources(**({} if later is None else {"shop": later}))
    history = MappingHistory.read(lake.database, TENANT)
    assert stored_identifiers(Lake(lake.settings), TENANT, [asked], history) == {asked}

    certificate = erased(lake, asked)
    assert stored(lake) == ["bert"]
    assert b"A9" not in b"".join(lake.rows(RAW_QUARANTINE)["raw"].to_list())
    assert certificate["rows_deleted"] == {
        "raw.interactions": 1,
        "raw.clickstream": 0,
        "raw.users": 0,
        "raw.quarantine": 1,
    }
    is_widened = asked == "A9"
    assert certificate["mapped_ids"] == {"erased": int(is_widened), "not_erased": 0}
    assert len(certificate["subjects"]) == 1 + is_widened
    assert certificate["subjects_without_rows"] == 0

    if later is not None:
        again = lake.upload(rows(("A9", "click"), ("A9", "odd"), ("B1", "odd")), mapping="shop")
        assert (again.counts.suppressed, again.counts.quarantined) == (2, 1)
        assert stored(lake) == ["bert"]
    assert lake.search("A9", "anne").is_clean


def test_an_id_that_gets_another_meaning_later_stays_suppressed(lake: ErasableLake) -> None:
    lake.set_sources(shop=PLAIN)
    lake.upload(rows(("A9", "click")), mapping="shop")
    erased(lake, "A9")
    lake.set_sources(shop=MAPPED)
    again = lake.upload(rows(("A9", "click"), ("A9", "odd"), ("B1", "click")), mapping="shop")
    assert (again.counts.suppressed, again.counts.stored) == (2, 1)


def test_rows_under_what_another_source_sends_for_a_person_stay_and_are_told(
    lake: ErasableLake,
) -> None:
    lake.set_sources(shop=MAPPED)
    lake.upload(rows(("A9", "click")), mapping="shop")
    lake.upload(rows(("A9", "click")), mapping="contract")
    assert stored(lake) == ["A9", "anne"]
    certificate = erased(lake, "anne")
    assert certificate["mapped_ids"] == {"erased": 0, "not_erased": 1}
    assert stored(lake) == ["A9"], "of another source it may be another person"
    assert erased(lake, "A9")["mapped_ids"] == {"erased": 1, "not_erased": 0}
    assert stored(lake) == []


def test_words_lead_to_words_and_round() -> None:
    history = MappingHistory(
        [
            {"a": of("u", values={"user_id": {" A ": "b", "x": " "}})},
            {"a": of("u", values={"user_id": {"b": "c", "c": "A"}})},
        ]
    )
    assert history.stored_as(["A"]) == {"b", "c"}
    assert history.stored_as(["x"]) == frozenset()
    assert history.sent_as(["c"]) == {"b"}


# --- alias calls, and paths that a record does not have as the mapping means them ---


PATHS: list = [
    pytest.param("who.id|who.alt", {"who": "X"}, id="a text where the path goes on"),
    pytest.param("who.id|who.alt", {"who": [{"id": "X"}]}, id="a list on the way"),
    pytest.param("who.id|who.alt", {"who": [[{"alt": ["X"]}], 7]}, id="lists of lists"),
    pytest.param("who.id|who.alt", {"who": ["X"]}, id="a list of texts on the way"),
    pytest.param("who.id|who.alt", {"who": {"id": {"v": "X"}}}, id="an object at its end"),
    pytest.param("who.id|who.alt", {"who.id": None, "who": {"id": "X"}}, id="both forms"),
    pytest.param("who.id|who.alt", {"who": {"id": None, "alt": "X"}}, id="the other one"),
    pytest.param("a.b.c", {"a": {"b.c": "X"}}, id="a name with a dot"),
    pytest.param("a.b.c", {"a": {"b": "X"}}, id="a text further down"),
    pytest.param("who", [{"who": "X"}], id="an event in a list"),
]


@pytest.mark.parametrize(("path", "record"), PATHS)
@pytest.mark.parametrize("cut", [0, 1], ids=["whole", "cut"])
def test_a_path_covers_what_stands_on_it(path: str, record, cut: int) -> None:
    readers = Readers(MappingHistory([{"own": of(path)}]))
    layout = SourceLayout(format="json", columns=("x",), mapping="own")
    raw = json.dumps(record).encode()
    named = readers.of(DataType.INTERACTIONS, layout).named(raw[: len(raw) - cut])
    assert named.is_of({"X"}.__contains__, frozenset().__contains__)


@pytest.mark.parametrize(
    "record",
    [{"whose": "X"}, {"id": "X"}, {"who": {"name": "X"}}, {"x": {"who": {"id": "X"}}}],
)
def test_what_is_on_no_path_is_nobody(record: dict) -> None:
    readers = Readers(MappingHistory([{"own": of("who.id|who.alt")}]))
    layout = SourceLayout(format="json", columns=("x",), mapping="own")
    named = readers.of(DataType.INTERACTIONS, layout).named(json.dumps(record).encode())
    assert not named.users | named.anonymous | named.untold


ALIAS = {"type": "alias", "previousId": "vic;semi", "userId": "other-2"}
SHAPES: list[Callable[[dict], object]] = [lambda c: c, lambda c: {"batch": [c]}, lambda c: [c]]


@pytest.mark.parametrize("shape", SHAPES, ids=["alone", "batch", "list"])
@pytest.mark.parametrize("mapping", ["segment", "own"])
def test_an_alias_call_names_both_of_its_people(shape, mapping: str) -> None:
    readers = Readers(MappingHistory([{"own": of("userId")}]))
    layout = SourceLayout(format="json", columns=("x",), mapping=mapping)
    reader = readers.of(DataType.CLICKSTREAM, layout)
    for raw in (json.dumps(shape(ALIAS)), json.dumps(shape(ALIAS))[:-1]):
        named = reader.named(raw.encode())
        assert {"vic;semi", "other-2"} <= named.users


def test_an_alias_call_is_erased_and_suppressed(sender: Sender) -> None:
    lake = sender.lake
    source = lake.database.webhooks.add(
        TENANT, "calls", adapter="segment", data_type="clickstream", mapping="segment"
    )
    sender._source = source
    sender._event = lambda _: json.dumps(ALIAS)  # type: ignore[method-assign]
    assert sender.webhook("")["rejected"] == 1
    erased(lake, "vic;semi")
    assert lake.rows(RAW_QUARANTINE).is_empty()
    answer = sender.webhook("")
    assert (answer["suppressed"], answer["rejected"]) == (1, 0)


def test_an_error_names_the_version() -> None:
    assert isinstance(SettingsHistoryLost(3), EtaError)
    assert "version 3" in SettingsHistoryLost(3).message
