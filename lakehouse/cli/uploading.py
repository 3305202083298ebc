"""Sends a file to the service, with a progress bar."""

from pathlib import Path
from typing import Any, Final

import httpx
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from lakehouse.errors import EtaError

ANSWER_SECONDS: Final = 3600
"""A large file is read and stored before it is answered."""


def send_csv(
    base_url: str,
    key: str,
    file: Path,
    *,
    tenant_id: str,
    data_type: str,
    mapping: str | None = None,
    console: Console | None = None,
) -> dict[str, Any]:
    """Upload `file` and return the service's answer, stored or refused.

    The file is streamed. Raises `EtaError` when the service cannot be reached or refuses the
    request as a whole (key, tenant, limits, missing columns).
    """
    parameters = {"tenant_id": tenant_id, "data_type": data_type}
    if mapping is not None:
        parameters["mapping"] = mapping
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
    )
    with (
        Progress(*columns, console=console, transient=True) as progress,
        progress.open(file, "rb", description=f"Uploading {file.name}") as body,
    ):
        try:
            answer = httpx.post(
                f"{base_url.rstrip('/')}/internal/data/upload-csv",
                params=parameters,
                headers={"Authorization": f"Bearer {key}"},
                files={"file": (file.name, body, "text/csv")},
                timeout=httpx.Timeout(30, read=ANSWER_SECONDS, write=ANSWER_SECONDS),
            )
        except httpx.HTTPError as error:
            raise EtaError(
                f"the service at {base_url} could not be reached ({type(error).__name__})",
                remedy="start it with `eta serve`, or name another with --url",
            ) from None
    if answer.status_code != httpx.codes.OK:
        raise _refusal(answer)
    report: dict[str, Any] = answer.json()
    return report


def _refusal(answer: httpx.Response) -> EtaError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    detail = problem.get("detail") or problem.get("title") or "no reason was given"
    return EtaError(
        f"the service refused the file ({answer.status_code}): {detail}",
        remedy=problem.get("remedy") or "mend the request and send the file again",
    )
