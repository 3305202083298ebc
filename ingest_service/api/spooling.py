"""Writing to the spool from a coroutine."""

from http import HTTPStatus
from typing import Final

from fastapi.concurrency import run_in_threadpool

from ingest_service.api.problems import ProblemError
from ingest_service.sources.uploads.spool import SpoolFile

WRITE_BYTES: Final = 1024 * 1024


async def write(target: SpoolFile, data: bytes) -> None:
    """Append to a spool file; raises `ProblemError` 507 when the disk is full."""
    try:
        await run_in_threadpool(target.write, data)
    except OSError:
        raise ProblemError(
            HTTPStatus.INSUFFICIENT_STORAGE,
            "spool_full",
            "the service could not keep the file while reading it",
            remedy="try again later; the operator should look at the disk of the spool folder",
        ) from None
