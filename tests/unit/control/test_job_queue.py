"""Jobs that outlive a process and requests that come twice, on every backend."""

from datetime import timedelta
from typing import Any

import pytest

from lakehouse.control.database import Claim, ControlDatabase, IdempotencyKeyReused, Work
from lakehouse.control.job_queue import KEY_LIFETIME, MAX_STARTS

KEY = Claim("k", "asked")


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
        acme.queue.accept(work("b5"), Claim("k", "something else"))


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
