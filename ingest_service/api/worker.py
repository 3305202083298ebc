"""Runs queued uploads one after the other, those of earlier processes first."""

import asyncio
import logging
from asyncio import Queue, Semaphore
from threading import Event
from typing import Final

from fastapi.concurrency import run_in_threadpool

from ingest_service.api.services import Services
from ingest_service.api.work import StoppedError, progress_of, run_upload
from ingest_service.background import Background
from lakehouse.control.database import Job
from lakehouse.errors import EtaError

LOOK_SECONDS: Final = 60.0
"""How often jobs of processes that died meanwhile are looked for."""

_log = logging.getLogger(__name__)

AGAIN_SECONDS: Final = 1.0
"""After this a job whose end could not be recorded is looked at again."""
STOP_SECONDS: Final = 60.0

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
        self._working = Background("reading queued uploads", self._work)
        self._looking = Background("looking for lost jobs", self._look)

    async def start(self) -> None:
        """Adopt what dead processes left, and begin; look again each minute."""
        await self._adopt()
        self._working.start()
        self._looking.start()

    def add(self, job_id: str) -> None:
        """Run a queued job of this process when its turn comes."""
        self._queue.put_nowait(job_id)

    async def stop(self) -> None:
        """Leave what is not done to the next start; a job that runs ends after its piece."""
        self._stopping.set()
        await self._looking.stop()
        self._queue.put_nowait("")
        await self._working.stop(STOP_SECONDS)

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
            # In a task of its own: whatever ends it, the next job is taken.
            running = asyncio.create_task(self._in_turn(job_id))
            await asyncio.wait({running})
            error = None if running.cancelled() else running.exception()
            if error is not None and not self._stopping.is_set():
                _log.error("upload job %s failed: %s", job_id, type(error).__qualname__)
                # Had its end been recorded, nothing will be begun; else the job is tried again.
                asyncio.get_running_loop().call_later(AGAIN_SECONDS, self._queue.put_nowait, job_id)

    async def _in_turn(self, job_id: str) -> None:
        async with self._turns:
            await run_in_threadpool(self._run, job_id)

    def _run(self, job_id: str) -> None:
        queue = self._services.control.queue
        job = queue.begin_again(job_id)
        try:
            if job is not None:
                self._read(job)
        except StoppedError:
            queue.put_back(job_id)
        finally:
            queue.write_endings()  # until its end is recorded, a job still needs its file
            self._drop_file(job_id)

    def _drop_file(self, job_id: str) -> None:
        """Delete what an ended job has left on the disk."""
        name = self._services.control.jobs.get(job_id).spool_name
        if name is not None and not self._services.control.queue.needs(name):
            self._services.spool.path(name).unlink(missing_ok=True)

    def _read(self, job: Job) -> None:
        services = self._services
        path = services.spool.path(job.spool_name or "")
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            services.control.queue.finish(job.job_id, "failed", _FILE_GONE)
            return
        watch = progress_of(services, job, size, self._stopping.is_set)
        run_upload(services, job, path, is_repeat=True, keeps_answer=True, watch=watch)
