"""Jobs, their ends and their dead owners, on every backend."""

import os
import signal
import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from lakehouse.control.database import ControlDatabase, JobNotFound, TenantNotFound
from lakehouse.control.owner import Owner, is_dead, this_process
from lakehouse.errors import EtaError

_START_A_JOB = """
import sys, time
from lakehouse.control.database import ControlDatabase
print(ControlDatabase.open(sys.argv[1]).jobs.start("acme", "upload", "b"), flush=True)
time.sleep(600)
"""


@pytest.fixture
def acme(database: ControlDatabase) -> ControlDatabase:
    database.tenants.add("acme")
    return database


def _other_process_with_a_job(url: str) -> tuple["subprocess.Popen[str]", str]:
    process = subprocess.Popen(
        [sys.executable, "-c", _START_A_JOB, url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_job_runs_until_it_is_finished(acme: ControlDatabase, clock: Any) -> None:
    job_id = acme.jobs.start("acme", "upload", "batch-1")
    job = acme.jobs.get(job_id)
    started = clock.now
    assert (job.tenant_id, job.kind, job.batch_id) == ("acme", "upload", "batch-1")
    assert (job.state, job.created_at, job.finished_at, job.result) == (
        "running", started, None, None,
    )  # fmt: skip
    clock.advance(5)
    acme.jobs.finish(job_id, "succeeded", {"stored": 3, "reasons": ["a"]})
    done = replace(
        job, state="succeeded", finished_at=clock.now, result={"stored": 3, "reasons": ["a"]}
    )
    assert acme.jobs.get(job_id) == done


@pytest.mark.parametrize("state", ["succeeded", "failed", "refused"])
def test_an_ended_job_does_not_end_again(acme: ControlDatabase, state: str) -> None:
    job_id = acme.jobs.start("acme", "upload", "b")
    acme.jobs.finish(job_id, state, {})
    with pytest.raises(EtaError, match="ended already"):
        acme.jobs.finish(job_id, "failed", {"late": True})
    assert acme.jobs.get(job_id).state == state
    assert acme.jobs.get(job_id).result == {}


def test_a_state_that_is_no_end_is_refused(acme: ControlDatabase) -> None:
    job_id = acme.jobs.start("acme", "upload", "b")
    with pytest.raises(ValueError, match="running"):
        acme.jobs.finish(job_id, "running", {})


@pytest.mark.parametrize("job_id", ["nothing", "", "a\0b", "é", "x" * 500])
def test_an_unknown_job_is_not_found_whatever_its_id(acme: ControlDatabase, job_id: str) -> None:
    with pytest.raises(JobNotFound):
        acme.jobs.get(job_id)
    with pytest.raises(JobNotFound):
        acme.jobs.finish(job_id, "failed", {})


def test_a_job_needs_a_tenant(database: ControlDatabase) -> None:
    with pytest.raises(TenantNotFound):
        database.jobs.start("nobody", "upload", "b")


def test_jobs_are_listed_per_tenant_newest_first(acme: ControlDatabase, clock: Any) -> None:
    acme.tenants.add("globex")
    jobs = []
    for _ in range(3):
        jobs.append(acme.jobs.start("acme", "upload", "b"))
        clock.advance(1)
    acme.jobs.start("globex", "upload", "b")
    assert [job.job_id for job in acme.jobs.list("acme")] == jobs[::-1]
    assert [job.job_id for job in acme.jobs.list("acme", limit=2)] == jobs[:0:-1]


def test_so_many_of_each_tenant_s_newest_jobs(acme: ControlDatabase, clock: Any) -> None:
    acme.tenants.add("globex")
    for number in range(4):
        for tenant in ("globex", "acme"):
            acme.jobs.start(tenant, "upload", f"{tenant}-{number}")
        clock.advance(1)
    found = acme.jobs.newest(limit=2)
    assert [job.batch_id for job in found] == ["acme-3", "acme-2", "globex-3", "globex-2"]
    each = [job for tenant in ("acme", "globex") for job in acme.jobs.list(tenant, limit=2)]
    assert [*found] == each


def test_a_killed_owner_s_job_is_failed_and_a_live_owner_s_is_not(
    acme: ControlDatabase, url: str
) -> None:
    own = acme.jobs.start("acme", "upload", "b")
    other, lost = _other_process_with_a_job(url)
    assert acme.jobs.recover() == 0
    os.kill(other.pid, signal.SIGKILL)
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)  # ended, and still a zombie
    assert acme.jobs.recover() == 1
    other.wait()
    job = acme.jobs.get(lost)
    assert job.state == "failed"
    assert job.finished_at is not None
    assert job.result is not None
    assert "send the same batch again" in job.result["remedy"]
    assert acme.jobs.get(own).state == "running"
    assert acme.jobs.recover() == 0


def test_an_owner_that_was_wrongly_given_up_may_still_finish(
    acme: ControlDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = acme.jobs.start("acme", "upload", "b")
    with monkeypatch.context() as patch:
        patch.setattr("lakehouse.control.jobs.is_gone", lambda *_: True)
        assert acme.jobs.recover() == 1
    acme.jobs.finish(job_id, "succeeded", {"stored": 1})
    assert acme.jobs.get(job_id).state == "succeeded"
    with pytest.raises(EtaError, match="ended already"):
        acme.jobs.finish(job_id, "failed", {})


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({}, False, id="this process lives"),
        pytest.param({"started": "1"}, True, id="its number was given to another process"),
        pytest.param({"pid": 2**22 + 1}, True, id="no process has that number"),
        pytest.param({"space": "earlier boot"}, True, id="the machine was started again"),
        pytest.param({"host": "elsewhere", "pid": 2**22 + 1}, False, id="another host's"),
    ],
)
def test_who_counts_as_dead(change: dict[str, Any], expected: bool) -> None:
    owner: Owner = replace(this_process(), **change)
    assert is_dead(owner) is expected
