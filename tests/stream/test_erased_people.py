"""Topics keep what people sent longer than the lake does: reading them again brings nobody back."""

from datetime import UTC, datetime

from lakehouse.contracts.tenant import DataType
from lakehouse.control.database import ControlDatabase
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.verify import search
from lakehouse.privacy.worker import Worker
from tests.support.erasure import NoModels, person
from tests.support.stream import Lane, event

CLICK = {"event_name": "page", "session_id": "s1", "item_id": None, "interaction_type": None}


def test_a_topic_read_again_and_sent_again_brings_no_erased_person_back(lane: Lane) -> None:
    gone, other = person(), person()
    interactions = [
        event(n, user_id=user, event_id=f"{user[-4:]}-{n}")
        for n in range(20)
        for user in (gone, other)
    ]
    interactions.append(event(90, user_id=gone, interaction_type="nonsense"))
    clicks = [
        event(n, **CLICK, user_id=user, event_id=None) for n in range(5) for user in (gone, other)
    ]
    lane.send(*interactions)
    lane.send(*clicks, kind=DataType.CLICKSTREAM)
    with lane.consuming(reject_share=1.0):
        lane.wait_received(51)
    database = ControlDatabase.open(lane.lake.control_url)
    assert search(lane.lake, database, "acme", IdentifierPatterns([gone])).findings
    of_others = lane.raw().filter(user_id=other).sort("event_id")

    request = database.erasures.request("acme", [gone]).request_id
    worker = Worker(lane.lake, database, NoModels(), lambda: datetime.now(UTC))
    assert worker.work()[0].completed == (request,)
    assert not search(lane.lake, database, "acme", IdentifierPatterns([gone])).findings

    lane.send(*interactions)
    topics = frozenset({lane.topic(), lane.topic(DataType.CLICKSTREAM)})
    with lane.consuming(reread=topics, reject_share=1.0):
        lane.wait_received(51 + 51 + 41)
    # nothing of the person came in, and everything of the other was known
    ledger = lane.rows_of_ledger()
    assert ledger["suppressed"].sum() == 21 + 5 + 21
    assert not search(lane.lake, database, "acme", IdentifierPatterns([gone])).findings
    assert lane.raw().filter(user_id=other).sort("event_id").equals(of_others)
    assert set(lane.raw()["user_id"]) == {other}
    assert not lane.check().wrong
    database.close()
