"""No job and no erasure is shown as running whose process is gone, on this host or another."""

import signal
import subprocess
import sys
import threading
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from lakehouse.control import jobs as jobs_module
from lakehouse.control import schema
from lakehouse.control.database import ControlDatabase, IdempotencyKey, Work
from lakehouse.control.jobs import LEASE

_WORK = """
import sys, time
from lakehouse.control.database import ControlDatabase
database = ControlDatabase.open(sys.argv[1])
print(database.jobs.start("acme", "upload", "b"), flush=True)
database.erasures.move(sys.argv[2], state="running", step="raw")
print("moved", flush=True)
time.sleep(600)
"""


@pytest.fixture
def acme(database: ControlDatabase) -> ControlDatabase:
    database.tenants.add("acme")
    return database


def of_another_host(database: ControlDatabase, job_id: str) -> None:
    table = schema.jobs
    with database.connections.write() as connection:
        connection.execute(
            update(table).where(table.c.job_id == job_id).values(owner_host="elsewhere")
        )


def queued(database: ControlDatabase, spool_name: str | None = "f1") -> str:
    claim = IdempotencyKey("k", "asked")
    return database.queue.accept(Work("acme", "upload-csv", "b1", {}, spool_name), claim).job.job_id


def test_a_killed_process_s_work_is_not_shown_as_running(acme: ControlDatabase, url: str) -> None:
    request = acme.erasures.request("acme", ["u1"]).request_id
    process = subprocess.Popen(
        [sys.executable, "-c", _WORK, url, request], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout as told:
        job_id = told.readline().strip()
        assert told.readline() == "moved\n"
        assert acme.jobs.get(job_id).state == "running"
        assert acme.erasures.get(request).state == "running"
        process.send_signal(signal.SIGKILL)
        process.wait()
    job = acme.jobs.get(job_id)
    assert (job.state, acme.jobs.list("acme")) == ("failed", (job,))
    assert job.result is not None
    assert "send the same batch again" in job.result["remedy"]
    assert job.finished_at is not None
    erasure = acme.erasures.get(request)
    assert (erasure.state, erasure.step) == ("waiting", "raw")
    assert "eta privacy work" in erasure.waits_for[0]
    assert not erasure.notes
    acme.erasures.move(request, state="running", step="raw")
    assert acme.erasures.get(request).state == "running"
    assert acme.erasures.get(request).waits_for == ()


def test_another_host_s_job_is_failed_when_its_lease_is_over(
    acme: ControlDatabase, clock: Any
) -> None:
    job_id = acme.jobs.start("acme", "upload", "b")
    of_another_host(acme, job_id)
    clock.advance(LEASE.total_seconds() - 1)
    assert acme.jobs.recover() == 0
    assert acme.jobs.get(job_id).state == "running"
    assert acme.jobs.unfinished("acme", clock.now) == (job_id,)
    clock.advance(1)
    assert acme.jobs.get(job_id).state == "failed"
    assert acme.jobs.unfinished("acme", clock.now) == ()
    assert acme.jobs.recover() == 1
    assert acme.jobs.get(job_id).state == "failed"
    acme.jobs.finish(job_id, "succeeded", {})  # it lived after all
    assert acme.jobs.get(job_id).state == "succeeded"


def test_another_host_s_file_is_taken_over_when_its_lease_is_over(
    acme: ControlDatabase, clock: Any
) -> None:
    job_id = queued(acme)
    acme.queue.begin(job_id)
    of_another_host(acme, job_id)
    assert acme.queue.adopt() == []
    clock.advance(LEASE.total_seconds())
    assert acme.jobs.get(job_id).state == "queued"
    assert acme.queue.adopt() == [job_id]
    clock.advance(LEASE.total_seconds() * 2)
    assert acme.queue.adopt() == []  # this process is seen to live, renewed or not


def test_a_repeated_request_does_not_wait_for_a_host_that_is_gone(
    acme: ControlDatabase, clock: Any
) -> None:
    of_another_host(acme, queued(acme, spool_name=None))
    work = Work("acme", "upload-csv", "b2", {}, None)
    assert acme.queue.accept(work, IdempotencyKey("k", "asked")).outcome == "busy"
    clock.advance(LEASE.total_seconds())
    assert acme.queue.accept(work, IdempotencyKey("k", "asked")).outcome == "again"


def test_a_job_of_a_version_without_leases_is_left_alone_for_a_day(
    acme: ControlDatabase, clock: Any
) -> None:
    job_id = acme.jobs.start("acme", "upload", "b")
    of_another_host(acme, job_id)
    with acme.connections.write() as connection:
        connection.execute(update(schema.jobs).values(held_until=None))
    clock.advance(timedelta(days=1).total_seconds() - 1)
    assert acme.jobs.recover() == 0
    clock.advance(1)
    assert acme.jobs.recover() == 1


def test_a_living_process_renews_its_own_jobs_alone(
    acme: ControlDatabase, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, other = acme.jobs.start("acme", "upload", "b"), acme.jobs.start("acme", "upload", "c")
    of_another_host(acme, other)
    renewed = threading.Event()
    renew = acme.jobs.renew

    def tell() -> None:
        renew()
        renewed.set()

    monkeypatch.setattr(jobs_module, "RENEWAL", timedelta(milliseconds=10))
    monkeypatch.setattr(acme.jobs, "renew", tell)
    clock.advance(LEASE.total_seconds())
    with acme.jobs.kept():
        assert renewed.wait(10)
    of_another_host(acme, own)
    assert acme.jobs.get(own).state == "running"
    assert acme.jobs.get(other).state == "failed"
