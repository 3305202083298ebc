"""Jobs that outlive a process and requests that come twice, on every backend."""

from datetime import timedelta
from typing import Any

import pytest

from lakehouse.control.database import (
    ControlDatabase,
    DatabaseUnreachable,
    IdempotencyKey,
    IdempotencyKeyReused,
    KeyLimits,
    TooManyKeys,
    Work,
)
from lakehouse.control.job_queue import KEY_LIFETIME, MAX_STARTS

KEY = IdempotencyKey("k", "asked")


@pytest.fixture
def acme(database: ControlDatabase) -> ControlDatabase:
    database.tenants.add("acme")
    return database


@pytest.fixture
def everybody_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lakehouse.control.jobs.is_gone", lambda *_: True)


def work(batch_id: str = "b1", spool_name: str | None = None, tenant: str = "acme") -> Work:
    """An upload; queued when it has a file."""
    return Work(tenant, "upload-csv", batch_id, {"a": 1}, spool_name)


def test_queued_job_is_begun_once_and_reports(acme: ControlDatabase) -> None:
    job = acme.queue.accept(work(spool_name="f1")).job
    assert (job.state, job.starts, job.request, job.spool_name) == ("queued", 0, {"a": 1}, "f1")
    assert acme.queue.needs("f1")
    begun = acme.queue.begin(job.job_id)
    assert begun is not None
    assert (begun.state, begun.starts) == ("running", 1)
    assert acme.queue.begin(job.job_id) is None
    acme.queue.report(job.job_id, {"rows_read": 5})
    assert acme.jobs.get(job.job_id).progress == {"rows_read": 5}
    acme.jobs.finish(job.job_id, "succeeded", {})
    acme.queue.report(job.job_id, {"rows_read": 6})
    assert acme.jobs.get(job.job_id).progress == {"rows_read": 5}
    assert not acme.queue.needs("f1")


def test_living_processes_keep_their_jobs(acme: ControlDatabase) -> None:
    acme.queue.accept(work(spool_name="f1"))
    assert acme.queue.adopt() == []


@pytest.mark.usefixtures("everybody_dies")
def test_job_that_keeps_killing_its_process_is_given_up(acme: ControlDatabase) -> None:
    job_id = acme.queue.accept(work(spool_name="f1")).job.job_id
    for _ in range(MAX_STARTS):
        assert acme.queue.adopt() == [job_id]
        assert acme.jobs.recover() == 0
        assert acme.queue.begin(job_id) is not None
    assert acme.queue.adopt() == []
    job = acme.jobs.get(job_id)
    assert (job.state, job.finished_at is None) == ("failed", False)
    assert not acme.queue.needs("f1")


@pytest.mark.usefixtures("everybody_dies")
def test_being_stopped_on_purpose_does_not_count(acme: ControlDatabase) -> None:
    job_id = acme.queue.accept(work(spool_name="f1")).job.job_id
    for _ in range(MAX_STARTS + 2):
        acme.queue.begin(job_id)
        acme.queue.put_back(job_id)
    assert acme.queue.adopt() == [job_id]


@pytest.mark.usefixtures("everybody_dies")
def test_adopted_jobs_come_oldest_first(acme: ControlDatabase, clock: Any) -> None:
    jobs = []
    for number in range(3):
        jobs.append(acme.queue.accept(work(f"b{number}", f"f{number}")).job.job_id)
        clock.advance(1)
    assert acme.queue.adopt() == jobs


def test_key_is_bound_to_one_job_of_its_tenant(acme: ControlDatabase) -> None:
    acme.tenants.add("globex")
    first = acme.queue.accept(work("b1"), KEY)
    busy = acme.queue.accept(work("b2"), KEY)
    acme.jobs.finish(first.job.job_id, "succeeded", {"status": 200, "body": {}})
    known = acme.queue.accept(work("b3"), KEY)
    other = acme.queue.accept(work("b4", tenant="globex"), KEY)

    assert [a.outcome for a in (first, busy, known, other)] == ["new", "busy", "known", "new"]
    assert known.job.job_id == busy.job.job_id == first.job.job_id
    assert known.job.result == {"status": 200, "body": {}}
    assert len(acme.jobs.list("acme")) == 1
    with pytest.raises(IdempotencyKeyReused):
        acme.queue.accept(work("b5"), IdempotencyKey("k", "something else"))


@pytest.mark.parametrize("spool_name", [None, "f2"])
def test_attempt_that_failed_is_made_again_under_its_batch_id(
    acme: ControlDatabase, spool_name: str | None
) -> None:
    first = acme.queue.accept(work("b1", spool_name and "f1"), KEY).job
    acme.queue.begin(first.job_id)
    acme.jobs.finish(first.job_id, "failed", {"error": "x"})
    again = acme.queue.accept(work("b2", spool_name), KEY)

    assert (again.outcome, again.job.job_id, again.job.batch_id) == ("again", first.job_id, "b1")
    assert (again.job.result, again.job.spool_name) == (None, spool_name)
    assert again.job.state == ("queued" if spool_name else "running")


@pytest.mark.usefixtures("everybody_dies")
def test_attempt_whose_process_died_is_made_again(acme: ControlDatabase) -> None:
    acme.queue.accept(work("b1"), KEY)
    assert acme.queue.accept(work("b2"), KEY).outcome == "again"


def test_old_keys_are_forgotten(acme: ControlDatabase, clock: Any) -> None:
    acme.queue.accept(work("b1"), KEY)
    clock.advance((KEY_LIFETIME - timedelta(hours=1)).total_seconds())
    assert acme.queue.forget_keys() == 0
    clock.advance(7_200)
    assert acme.queue.forget_keys() == 1
    assert acme.queue.accept(work("b2"), KEY).outcome == "new"


def test_a_tenant_holds_so_many_keys_and_those_of_yesterday_make_room(
    acme: ControlDatabase, clock: Any
) -> None:
    acme.tenants.add("other")
    limits = KeyLimits(keys=3)

    def accept(n: int, tenant: str = "acme") -> str:
        answered = acme.queue.accept(work(tenant=tenant), IdempotencyKey(f"k{n}", "asked"), limits)
        acme.queue.finish(answered.job.job_id, "succeeded", {"n": n})
        return answered.outcome

    for n in range(3):
        assert accept(n) == "new"
    for _ in range(2):
        with pytest.raises(TooManyKeys):
            accept(3)
    assert [accept(n) for n in range(3)] == ["known"] * 3
    assert accept(0, "other") == "new"
    assert acme.queue.accept(work()).outcome == "new"  # without a key
    clock.advance(24 * 3_600 + 61)
    assert [accept(n) for n in (3, 4, 5)] == ["new"] * 3
    assert acme.queue.answer_totals()[0] <= 4


def test_answers_beyond_a_tenants_bytes_are_not_kept_whole(acme: ControlDatabase) -> None:
    limits = KeyLimits(answer_bytes=1_000)
    found = []
    for n in range(4):
        accepted = acme.queue.accept(work(), IdempotencyKey(f"k{n}", "asked"), limits)
        acme.queue.finish(accepted.job.job_id, "succeeded", {"body": "x" * 600})
        found.append(accepted.keeps_whole)
    assert found == [True, True, False, False]
    keys, size = acme.queue.answer_totals()
    assert (keys, size > 2_400) == (4, True)


def test_an_end_that_could_not_be_recorded_is_recorded_later(
    acme: ControlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = acme.queue.accept(work(), KEY).job.job_id
    second = acme.queue.accept(work(), IdempotencyKey("other", "asked")).job.job_id
    with monkeypatch.context() as patches:

        def away() -> Any:
            raise DatabaseUnreachable

        patches.setattr(acme.connections, "write", away)
        acme.queue.finish(first, "succeeded", {"status": 200, "body": {}})
        with pytest.raises(KeyError), acme.queue.running(second):
            raise KeyError
    assert acme.jobs.get(first).state == "running"
    again = acme.queue.accept(work(), KEY)
    assert (again.outcome, again.job.result) == ("known", {"status": 200, "body": {}})
    assert acme.jobs.get(second).state == "failed"
    assert acme.queue.accept(work(), IdempotencyKey("other", "asked")).outcome == "again"


def test_a_job_that_came_to_no_end_is_begun_again_a_few_times(acme: ControlDatabase) -> None:
    job_id = acme.queue.accept(work(spool_name="f1")).job.job_id
    for _ in range(MAX_STARTS):
        assert acme.queue.begin_again(job_id) is not None
    assert acme.queue.begin_again(job_id) is None
    assert acme.jobs.get(job_id).state == "failed"
