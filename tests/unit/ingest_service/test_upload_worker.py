"""The worker of the queued uploads looks for those of processes that died after its start."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ingest_service.api import worker as worker_module
from ingest_service.api.worker import UploadWorker
from lakehouse.errors import EtaError


class Queue:
    """A queue in which a job is left by a process that dies while this one runs."""

    def __init__(self) -> None:
        self.looks = 0
        self.begun: list[str] = []

    def adopt(self) -> list[str]:
        self.looks += 1
        if self.looks == 2:
            raise EtaError("the database is away", remedy="wait")
        return ["left"] if self.looks == 3 else []

    def begin_again(self, job_id: str) -> None:
        self.begun.append(job_id)


def test_a_job_that_is_left_later_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker_module, "LOOK_SECONDS", 0.01)
    queue, recovered = Queue(), []
    control: Any = SimpleNamespace(
        queue=queue,
        jobs=SimpleNamespace(
            recover=lambda: recovered.append(1), get=lambda _: SimpleNamespace(spool_name=None)
        ),
    )

    async def work() -> None:
        services: Any = SimpleNamespace(control=control)
        worker = UploadWorker(services, asyncio.Semaphore(1))
        await worker.start()
        for _ in range(500):
            if queue.begun:
                break
            await asyncio.sleep(0.01)
        await asyncio.wait_for(worker.stop(), 5)

    asyncio.run(work())
    assert queue.begun == ["left"]
    assert len(recovered) >= 2
