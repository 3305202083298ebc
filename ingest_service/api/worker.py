"""Runs queued uploads one after the other, those of earlier processes first."""

import asyncio
import logging
from asyncio import Queue, Semaphore, Task
from threading import Event
from typing import Final

from fastapi.concurrency import run_in_threadpool

from ingest_service.api.services import Services
from ingest_service.api.work import StoppedError, progress_of, run_upload
from lakehouse.control.database import Job
from lakehouse.errors import EtaError

LOOK_SECONDS: Final = 60.0
"""How often jobs of processes that died meanwhile are looked for."""

_log = logging.getLogger(__name__)

_FILE_GONE = {
    "error": "the file that the job was to read is gone",
    "remedy": "send it again: rows that were stored are not stored twice",
}


class UploadWorker:
    """One coroutine that takes its turn among the uploads that somebody waits for."""

    def __init__(self, services: Services, turns: Semaphore) -> None:
        self._services = services
        self._turns = turns
        self._queue: Queue[str] = Queue()
        self._stopping = Event()
        self._task: Task[None] | None = None
        self._looking: Task[None] | None = None

    async def start(self) -> None:
        """Adopt what dead processes left, and begin; look again each minute."""
        await self._adopt()
        self._task = asyncio.create_task(self._work())
        self._looking = asyncio.create_task(self._look())

    def add(self, job_id: str) -> None:
        """Run a queued job of this process when its turn comes."""
        self._queue.put_nowait(job_id)

    async def stop(self) -> None:
        """Leave what is not done to the next start; a job that runs ends after its piece."""
        self._stopping.set()
        if self._looking is not None:
            self._looking.cancel()
        if self._task is not None:
            self._queue.put_nowait("")
            await self._task

    async def _adopt(self) -> None:
        for job_id in await run_in_threadpool(self._services.control.queue.adopt):
            self._queue.put_nowait(job_id)

    async def _look(self) -> None:
        """End, or take over, the jobs of processes that died since the start."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                await run_in_threadpool(self._services.control.jobs.recover)
                await self._adopt()
            except EtaError as error:  # the database is away: it is looked for again
                _log.warning("lost jobs were not looked for: %s", error.message)

    async def _work(self) -> None:
        while not self._stopping.is_set():
            job_id = await self._queue.get()
            if self._stopping.is_set():
                return
            async with self._turns:
                await run_in_threadpool(self._run, job_id)

    def _run(self, job_id: str) -> None:
        queue = self._services.control.queue
        try:
            job = queue.begin(job_id)
            if job is not None:
                self._read(job)
        except StoppedError:
            queue.put_back(job_id)
        except Exception as error:  # noqa: BLE001 - the next job must not suffer from it
            _log.error("upload job %s failed: %s", job_id, type(error).__qualname__)

    def _read(self, job: Job) -> None:
        services = self._services
        path = services.spool.path(job.spool_name or "")
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            services.control.jobs.finish(job.job_id, "failed", _FILE_GONE)
            return
        watch = progress_of(services, job, size, self._stopping.is_set)
        try:
            run_upload(services, job, path, is_repeat=True, keeps_answer=True, watch=watch)
        finally:
            if not services.control.queue.needs(path.name):  # else it is run again
                path.unlink(missing_ok=True)
