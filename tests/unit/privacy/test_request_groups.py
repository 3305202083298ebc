"""Each request goes on or fails by itself; one that cannot go on says why, and can be withdrawn."""

from datetime import UTC, datetime, timedelta

import pytest

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.errors import EtaError
from lakehouse.privacy import erasure_pass
from lakehouse.privacy.raw_tables import People
from lakehouse.privacy.storage_locations import KEYS
from lakehouse.privacy.verify import Finding, Search
from lakehouse.privacy.worker import Worker
from tests.support.erasure import TENANT, ErasableLake, interactions


@pytest.mark.parametrize("failure", [ValueError("odd"), EtaError("it is so", remedy="do this")])
def test_a_request_that_fails_holds_up_no_other(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    lake.upload(interactions([("good", 1), ("bad", 1), ("fine", 1), ("kept", 1)]))
    good, bad, fine = lake.erase("good"), lake.erase("bad"), lake.erase("fine")
    real = erasure_pass.delete_rows

    def failing(settings, people: People, *rest):
        if "bad" in people.subjects:
            raise failure
        return real(settings, people, *rest)

    monkeypatch.setattr(erasure_pass, "delete_rows", failing)
    [done] = lake.work()
    assert set(done.completed) == {good, fine}
    assert done.waiting == (bad,)
    assert lake.database.erasures.get(bad).state == "waiting"
    if isinstance(failure, EtaError):
        assert done.reasons == ("it is so: do this",)
    later = lake.erase("kept")  # what failed alone is alone from then on
    [done] = lake.work()
    assert done.completed == (later,)
    monkeypatch.setattr(erasure_pass, "delete_rows", real)
    [done] = lake.work()
    assert done.completed == (bad,)
    assert lake.rows(RAW_INTERACTIONS).height == 0


def test_a_value_that_cannot_go_holds_up_its_own_request_alone(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.upload(interactions([("good", 1), ("bad", 1)]))
    good, bad = lake.erase("good"), lake.erase("bad")
    real = erasure_pass.search

    def stuck(settings, database, tenant_id, patterns):
        found = real(settings, database, tenant_id, patterns)
        if "bad" not in patterns.texts:
            return found
        return Search((Finding("file", "/x/y", None, "rows", 1),), found.files, found.bytes)

    monkeypatch.setattr(erasure_pass, "search", stuck)
    [done] = lake.work()
    assert done.completed == (good,)
    assert done.waiting == (bad,)
    assert "still found in file: /x/y (rows)" in done.reasons
    assert KEYS  # the kinds of places are those of `places`


def test_a_request_needs_attention_after_its_tries_and_can_be_withdrawn(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.settings = lake.settings.model_copy(update={"erasure_tries": 2})
    lake.upload(interactions([("who", 1), ("twice", 1)]))
    request = lake.erase("who", "twice")
    other = lake.erase("twice")
    real = erasure_pass.delete_rows

    def failing(settings, people: People, *rest):
        if "who" in people.subjects:
            raise OSError
        return real(settings, people, *rest)

    monkeypatch.setattr(erasure_pass, "delete_rows", failing)
    assert lake.work()[0].completed == (other,)
    assert lake.database.erasures.get(request).state == "waiting"
    lake.work()
    found = lake.database.erasures.get(request)
    assert found.state == "needs_attention"
    assert f"eta privacy withdraw {request}" in found.waits_for[-1]
    assert lake.database.erasures.open_tenants() == [TENANT]

    assert lake.database.erasures.withdraw(request, TENANT, by="test").state == "withdrawn"
    assert lake.database.erasures.open_tenants() == []
    assert lake.database.erasures.people.of([request]) == []
    assert lake.work() == []
    report = lake.upload(interactions([("who", 2), ("twice", 2)]))
    assert (report.counts.stored, report.counts.suppressed) == (1, 1), "the other request counts"
    with pytest.raises(EtaError, match="is withdrawn"):
        lake.database.erasures.withdraw(request, by="test")
    with pytest.raises(EtaError, match="is completed"):
        lake.database.erasures.withdraw(other, by="test")
    actions = [entry.action for entry in lake.database.audit.list(TENANT)]
    assert actions.count("privacy.withdraw") == 1


def test_a_request_needs_attention_when_its_time_is_over(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = lake.erase("who")
    monkeypatch.setattr(erasure_pass, "raise_fence", _away)
    then = datetime.now(UTC) + timedelta(hours=25)
    Worker(lake.settings, lake.database, lake.models, lambda: then).work()
    assert lake.database.erasures.get(request).state == "needs_attention"


def test_an_upload_holds_up_the_requests_that_are_younger(lake: ErasableLake) -> None:
    lake.upload(interactions([("older", 1), ("younger", 1)]))
    older = lake.erase("older")
    job = lake.database.jobs.start(TENANT, "upload", "b")
    younger = lake.erase("younger")
    [done] = lake.work()
    assert done.completed == (older,)
    assert done.waiting == (younger,)
    assert lake.database.erasures.get(younger).waits_for == done.reasons
    lake.database.jobs.finish(job, "succeeded", {})
    ended = lake.work()[0]
    assert ended.completed == (younger,)


def test_a_request_that_is_carried_out_cannot_be_withdrawn(lake: ErasableLake) -> None:
    request = lake.erase("who")
    lake.database.erasures.move(request, state="running", step="raw")
    with pytest.raises(EtaError, match="is running"):
        lake.database.erasures.withdraw(request, by="test")


def _away(*_: object) -> None:
    raise EtaError("away", remedy="wait")


def test_a_request_that_went_on_meanwhile_cannot_be_withdrawn(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.upload(interactions([("who", 1)]))
    request = lake.erase("who")
    before = lake.database.erasures.get(request)
    lake.work()
    monkeypatch.setattr(lake.database.erasures, "get", lambda *_: before)
    with pytest.raises(EtaError, match="is completed"):
        lake.database.erasures.withdraw(request, by="test")
    monkeypatch.undo()
    assert lake.database.erasures.get(request).state == "completed"
    assert lake.upload(interactions([("who", 2)])).counts.suppressed == 1
