"""Looking at a file before it is uploaded: nothing of it is stored, or stays on the disk."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from ingest_service.api.auth import may_ingest
from ingest_service.api.body import announced_length, received
from ingest_service.api.events import settings_of
from ingest_service.api.problems import ProblemError
from ingest_service.api.services import Services, services_of
from ingest_service.api.uploads import PROBLEMS, file_body, named_mapping
from ingest_service.sources.inspecting.answer import answer_of
from ingest_service.sources.inspecting.inspection import LOOKED_AT, InspectOrder, inspect
from ingest_service.sources.inspecting.request import InspectParameters
from lakehouse.contracts.settings_model import problems
from lakehouse.contracts.tenant import SourceMapping, TenantSettings
from lakehouse.control.database import ApiKey

_RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "What the file is, and a source mapping for it."},
    **{code: found for code, found in PROBLEMS.items() if code not in (409, 507)},
}

router = APIRouter(prefix="/internal/data/uploads", tags=["uploads"])


@router.post(
    "/inspect",
    openapi_extra=file_body("Any file that uploads take, packed or not."),
    responses=_RESPONSES,
)
async def inspect_upload(
    request: Request,
    key: Annotated[ApiKey, Depends(may_ingest)],
    services: Annotated[Services, Depends(services_of)],
    parameters: Annotated[InspectParameters, Query()],
) -> JSONResponse:
    """Say what a file is, how it would be read and what of it would be stored; store nothing.

    Its first 8 MiB, unpacked, are looked at. Whether rows are known already is not asked: a dry run
    of the upload tells.
    """
    settings = await settings_of(services, key.tenant_id)
    mapping = _mapping(settings, parameters)
    announced = announced_length(request, services.settings.max_upload_bytes)
    with services.uploads.upload(key.tenant_id, settings.quotas, announced) as count:
        async with received(request, services, key.tenant_id, count, enough=LOOKED_AT) as file:
            is_start = parameters.start_only or file.is_start
            if is_start:
                await run_in_threadpool(file.end_at_line)
            order = InspectOrder(
                file.path,
                settings,
                parameters.data_type,
                mapping,
                parameters.encoding,
                parameters.delimiter,
                file.charset,
                parameters.file_name,
                file.packing,
                is_start=is_start,
                sheet=parameters.sheet,
            )
            return JSONResponse(await run_in_threadpool(_answer, order))


def _answer(order: InspectOrder) -> dict[str, Any]:
    return answer_of(inspect(order, datetime.now(UTC)))


def _mapping(settings: TenantSettings, parameters: InspectParameters) -> SourceMapping | None:
    """Return the mapping that is to be tried, None when one is to be proposed."""
    if parameters.draft is None:
        return named_mapping(settings, parameters.mapping) if parameters.mapping else None
    try:
        return SourceMapping.model_validate_json(parameters.draft)
    except ValidationError as error:
        places = "; ".join(problems(error, "the draft")[:5])
        raise ProblemError(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            "bad_draft",
            f"the draft is not a source mapping: {places}",
            remedy="correct these settings, or leave the draft out to get a proposal",
        ) from None
