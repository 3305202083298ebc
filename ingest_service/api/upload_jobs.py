"""What became of uploads: their jobs, and every error and warning however many."""

from collections.abc import Iterator
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from ingest_service.api.auth import may_see
from ingest_service.api.models import (
    FindingsPage,
    RowIssuesPage,
    UploadJob,
    UploadJobs,
    UploadRowIssue,
    job_body,
)
from ingest_service.api.problems import MEDIA_TYPE
from ingest_service.api.services import Services, services_of
from lakehouse.control.database import ANSWER_KIND, ApiKey, Job, JobNotFound

MAX_PAGE: Final = 10_000

_PROBLEM: Final[dict[str, Any]] = {"content": {MEDIA_TYPE: {"schema": {"type": "object"}}}}
_PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "No valid API key.", **_PROBLEM},
    403: {"description": "The key is another tenant's, or may not read.", **_PROBLEM},
    404: {"description": "The tenant has no such job.", **_PROBLEM},
    422: {"description": "A parameter is wrong.", **_PROBLEM},
}
_CSV: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "All of them: line, column, code, reason.", "content": {"text/csv": {}}}
}

Kind = Annotated[Literal["errors", "warnings"], Query(description="Which row issues.")]

router = APIRouter(
    prefix="/v1/tenants/{tenant_id}/ingest/uploads", tags=["uploads"], responses=_PROBLEMS
)


async def own_job(
    job_id: str,
    key: Annotated[ApiKey, Depends(may_see)],
    services: Annotated[Services, Depends(services_of)],
) -> Job:
    """Return a job of the caller's tenant; another tenant's is as unknown as none."""
    job = await run_in_threadpool(services.control.jobs.get, job_id)
    if job.tenant_id != key.tenant_id or job.kind == ANSWER_KIND:
        raise JobNotFound
    return job


@router.get("")
async def uploads(
    key: Annotated[ApiKey, Depends(may_see)],
    services: Annotated[Services, Depends(services_of)],
    limit: Annotated[int, Query(ge=1, le=1_000)] = 100,
) -> UploadJobs:
    """Return the tenant's newest uploads, newest first."""
    jobs = await run_in_threadpool(
        services.control.jobs.list, key.tenant_id, limit=limit, besides=ANSWER_KIND
    )
    return UploadJobs(uploads=[job_body(job) for job in jobs])


@router.get("/{job_id}")
async def upload(job: Annotated[Job, Depends(own_job)]) -> UploadJob:
    """Return how far an upload is, or what came of it."""
    return job_body(job)


@router.get("/{job_id}/row-issues")
async def row_issues(
    job: Annotated[Job, Depends(own_job)],
    services: Annotated[Services, Depends(services_of)],
    kind: Kind = "errors",
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 1_000,
) -> RowIssuesPage:
    """Return a page of an upload's errors or warnings; they are kept for 30 days by default."""

    def read() -> RowIssuesPage:
        store = services.row_issues
        total = store.count(job.tenant_id, job.batch_id, kind)
        found = store.page(job.tenant_id, job.batch_id, kind, offset=offset, limit=limit)
        end = offset + len(found)
        return RowIssuesPage(
            kind=kind,
            total=total,
            offset=offset,
            row_issues=[UploadRowIssue.model_validate(issue) for issue in found],
            next_offset=end if found and end < total else None,
        )

    return await run_in_threadpool(read)


@router.get("/{job_id}/row-issues.csv", response_class=StreamingResponse, responses=_CSV)
@router.get(
    "/{job_id}/findings.csv", response_class=StreamingResponse, responses=_CSV, deprecated=True
)
async def row_issues_csv(
    job: Annotated[Job, Depends(own_job)],
    services: Annotated[Services, Depends(services_of)],
    kind: Kind = "errors",
) -> StreamingResponse:
    """Return all errors or warnings of an upload as a CSV file."""
    content: Iterator[bytes] = services.row_issues.csv(job.tenant_id, job.batch_id, kind)
    name = f'attachment; filename="{job.job_id}-{kind}.csv"'
    return StreamingResponse(content, headers={"Content-Disposition": name}, media_type="text/csv")


@router.get("/{job_id}/findings", deprecated=True)
async def findings(page: Annotated[RowIssuesPage, Depends(row_issues)]) -> FindingsPage:
    """Return what `row-issues` does, under its earlier name."""
    same = page.model_dump(exclude={"row_issues"})
    return FindingsPage(findings=page.row_issues, **same)
