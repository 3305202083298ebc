"""A failure at any step of an upload: it is told, the next one is taken, and no other tenant waits.

The steps are numbered by running once and counting; then each of them fails in turn.
"""

import asyncio
from collections import Counter
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

from ingest_service.api import work, worker
from ingest_service.dedupe.history import DeltaHistory
from ingest_service.dedupe.window import BatchSession, BatchWindow
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.delta_batch import DeltaBatch
from ingest_service.sources.ingest import IngestService
from ingest_service.sources.reading import BatchRun
from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.contracts.validator import Validator
from lakehouse.control.endings import Endings
from lakehouse.control.job_queue import JobQueue
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from tests.support.app import App
from tests.support.faults import ERRORS, Faults

OUTER = ("work", "ingest_service.api.work", "UploadWorker", "JobQueue", "Endings", "IngestService")
HEADER = "event_id,user_id,item_id,interaction_type,timestamp\n"


def csv(name: str) -> bytes:
    return f"{HEADER}{name},u,i,view,1767225600000\n".encode()


async def upload(
    client: httpx.AsyncClient, app: App, tenant: str, name: str, key: str | None = None, **more: str
) -> httpx.Response:
    headers = app.headers(tenant, **{"content-type": "text/csv"})
    if key is not None:
        headers["Idempotency-Key"] = key
    params = {"tenant_id": tenant, "data_type": "interactions", **more}
    return await client.post(
        "/internal/data/upload-csv", params=params, content=csv(name), headers=headers
    )


async def ended(client: httpx.AsyncClient, app: App, answer: httpx.Response) -> str:
    """Wait until a job has ended; return how."""
    url = answer.json()["url"]
    async with asyncio.timeout(10):
        while True:
            job = await client.get(url, headers=app.headers("bad"))
            if job.status_code == 200 and job.json()["state"] not in ("queued", "running"):
                return str(job.json()["state"])
            await asyncio.sleep(0.02)


async def no_file_left(app: App) -> None:
    """Wait until no upload lies in the spool."""
    async with asyncio.timeout(10):  # a file goes when its job is looked at again
        while list(app.lake.spool_dir.glob("*.upload")):
            await asyncio.sleep(0.02)


def patch(patches: pytest.MonkeyPatch, faults: Faults) -> None:
    """Make each step of an upload one that may fail."""
    for owner, names in (
        (work, ("run_upload", "_ingest", "_upload", "upload_result")),
        (JobQueue, ("accept", "begin_again", "needs")),
        (Endings, ("finish", "write")),
        (IngestService, ("ingest",)),
        (BatchRun, ("read",)),
        (Validator, ("validate",)),
        (DeltaHistory, ("unseen",)),
        (BatchSession, ("start", "publish")),
        (BatchWindow, ("judge",)),
        (DeltaSink, ("begin", "recorded", "commit", "commit_if", "compact", "location")),
        (DeltaBatch, ("append", "commit", "abort")),
    ):
        faults.patch(patches, owner, *names)
    patches.setattr(worker, "run_upload", work.run_upload)
    patches.setattr(UploadWorker, "_run", faults.job("UploadWorker._run", UploadWorker._run))


UploadWorker = worker.UploadWorker


@pytest.fixture
def app(tmp_path: Path) -> Any:
    made = App(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("is_async", [False, True], ids=["waiting", "asynchronous"])
def test_a_failure_at_any_step_of_an_upload_is_its_own(
    app: App, monkeypatch: pytest.MonkeyPatch, is_async: bool
) -> None:
    monkeypatch.setattr(worker, "AGAIN_SECONDS", 0.02)
    faults = Faults("bad")
    patch(monkeypatch, faults)
    how = {"async": "true"} if is_async else {}
    tried: list[str] = []

    async def once(client: httpx.AsyncClient, name: str) -> None:
        answer = await upload(client, app, "bad", name, key=name, **how)
        if answer.status_code == 202:
            await ended(client, app, answer)
        else:
            assert answer.status_code == 200 or answer.status_code >= 500, answer.text

    async def fail_at(client: httpx.AsyncClient, step: int, error: str) -> None:
        faults.arm(step, ERRORS[error])
        async with asyncio.timeout(10):
            _, good = await asyncio.gather(
                once(client, f"b{step}"), upload(client, app, "good", f"g{step}")
            )
            assert good.status_code == 200, (step, error, good.text)
            faults.disarm()
            again = await upload(client, app, "bad", f"b{step}", key=f"b{step}-again")
            assert again.status_code == 200, (step, error, again.text)
            same = await upload(client, app, "bad", f"b{step}", key=f"b{step}", **how)
            assert same.status_code in (200, 202), (step, error, same.text)
            if same.status_code == 202:
                await ended(client, app, same)
        tried.append(f"b{step}")

    async def program(client: httpx.AsyncClient) -> None:
        await once(client, "first")
        steps = list(faults.names)
        first = {name: steps.index(name) + 1 for name in steps}
        if is_async:  # what is within `ingest` is the same for both
            first = {name: at for name, at in first.items() if name.startswith(OUTER)}
        repeated = {"Endings.write", "JobQueue.needs", "DeltaSink.commit_if"} & set(steps)
        last = {len(steps) - steps[::-1].index(name) for name in repeated}
        for step, error in zip(sorted({*first.values(), *last}), cycle(ERRORS), strict=False):
            await fail_at(client, step, error)
        await no_file_left(app)

    app.run(program)
    assert len(tried) > 8
    stored = Counter(row["event_id"] for row in app.rows(RAW_INTERACTIONS, "bad"))
    assert set(stored.values()) == {1}
    assert set(tried) <= set(stored)
    assert check_ledger(Lake(app.lake)).wrong == ()
    states = {job.state for job in app.control.jobs.list("bad", limit=1_000)}
    assert states <= {"succeeded", "failed"}


def test_a_job_whose_end_is_recorded_late_leaves_no_file(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Endings.write
    refused: list[str] = []

    def failing_once(self: Endings) -> None:
        if self._unwritten and not refused:
            refused.append("once")
            raise OSError(5, "injected")
        write(self)

    monkeypatch.setattr(Endings, "write", failing_once)

    async def program(client: httpx.AsyncClient) -> None:
        answer = await upload(client, app, "bad", "one", **{"async": "true"})
        assert await ended(client, app, answer) == "succeeded"
        await no_file_left(app)

    app.run(program)
    assert refused == ["once"]
