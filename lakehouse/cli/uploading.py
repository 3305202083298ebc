"""Sends a file to the service and follows its job, with a progress bar."""

import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from lakehouse.contracts.kinds import FileFormat, OnError
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    import httpx

ANSWER_SECONDS: Final = 3600
"""A large file is read and stored before it is answered."""
ASK_SECONDS: Final = 1.0
PIECE_BYTES: Final = 1024 * 1024

_OCTETS: Final = "application/octet-stream"
"""What a file is, is told from its content and its name."""
_OF_ANY_FILE: Final = (401, 403, 404, 422, 429)
_WITHOUT_ROWS: Final = ("empty_file", "no_rows")


@dataclass(frozen=True, slots=True)
class UploadOptions:
    """How the service is to read a file; what is None is told from it, or left to the tenant."""

    mapping: str | None = None
    on_error: OnError = OnError.REJECT
    dry_run: bool = False
    in_background: bool = False
    encoding: str | None = None
    delimiter: str | None = None
    idempotency_key: str | None = None
    compress: bool = False
    format: FileFormat = FileFormat.AUTO
    sheet: str | None = None

    def parameters(self) -> dict[str, str]:
        """Return the request's parameters, those that differ from the service's defaults."""
        given = {
            "mapping": self.mapping,
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "on_error": self.on_error if self.on_error is not OnError.REJECT else None,
            "dry_run": "true" if self.dry_run else None,
            "async": "true" if self.in_background else None,
            "format": self.format if self.format is not FileFormat.AUTO else None,
            "sheet": self.sheet,
        }
        return {name: str(value) for name, value in given.items() if value is not None}


class UploadClient:
    """A tenant's way to the service; `console` is where progress is shown."""

    def __init__(
        self, base_url: str, key: str, tenant_id: str, console: Console | None = None
    ) -> None:
        self._url = base_url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"}
        self._tenant_id = tenant_id
        self._console = console

    def send(
        self, file: Path, data_type: str, options: UploadOptions | None = None
    ) -> dict[str, Any]:
        """Upload `file` and return the service's answer, stored or refused; or its job.

        The file is streamed. Raises `EtaError` when the service cannot be reached or refuses the
        request as a whole (key, tenant, limits, missing columns).
        """
        options = options or UploadOptions()
        headers = dict(self._headers)
        if options.idempotency_key is not None:
            headers["Idempotency-Key"] = options.idempotency_key
        with self._shown(file) as body:
            sent: dict[str, Any] = {"files": {"file": (file.name, body, _OCTETS)}}
            if options.compress:
                sent = {"content": _gzipped(body)}
                headers |= {"Content-Encoding": "gzip", "Content-Type": _OCTETS}
            answer = self._ask(
                "POST",
                "/internal/data/uploads",
                params={
                    "tenant_id": self._tenant_id,
                    "data_type": data_type,
                    **options.parameters(),
                },
                headers=headers,
                **sent,
            )
        report: dict[str, Any] = answer.json()
        return report

    def job(self, job_id: str) -> dict[str, Any]:
        """Return how far an upload is, or what came of it."""
        found: dict[str, Any] = self._ask("GET", self._job_path(job_id)).json()
        return found

    def wait(self, job_id: str, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Ask until a job has ended, telling its progress; return the job."""
        while not (job := self.job(job_id))["finished_at"]:
            tell(job)
            time.sleep(ASK_SECONDS)
        return job

    def save_row_issues(self, job_id: str, kind: str, target: Path) -> None:
        """Write all errors or warnings of an upload to a CSV file."""
        answer = self._ask("GET", f"{self._job_path(job_id)}/row-issues.csv", params={"kind": kind})
        target.write_bytes(answer.content)

    def _job_path(self, job_id: str) -> str:
        return f"/v1/tenants/{self._tenant_id}/ingest/uploads/{job_id}"

    def _ask(
        self, method: str, path: str, *, headers: dict[str, str] | None = None, **how: Any
    ) -> "httpx.Response":
        import httpx  # not cheap, and `eta upload --help` sends nothing

        timeout = httpx.Timeout(30, read=ANSWER_SECONDS, write=ANSWER_SECONDS)
        sent = headers or self._headers
        try:
            answer = httpx.request(method, self._url + path, headers=sent, timeout=timeout, **how)
        except httpx.HTTPError as error:
            raise EtaError(
                f"the service at {self._url} could not be reached ({type(error).__name__})",
                remedy="start it with `eta serve`, or name another with --url",
            ) from None
        if answer.status_code not in (httpx.codes.OK, httpx.codes.ACCEPTED):
            raise _refusal(answer)
        return answer

    @contextmanager
    def _shown(self, file: Path) -> Iterator[BinaryIO]:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        with (
            Progress(*columns, console=self._console, transient=True) as progress,
            progress.open(file, "rb", description=f"Uploading {file.name}") as body,
        ):
            yield body


def _gzipped(body: BinaryIO) -> Iterator[bytes]:
    packer = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    while piece := body.read(PIECE_BYTES):
        yield packer.compress(piece)
    yield packer.flush()


def _refusal(answer: "httpx.Response") -> EtaError:
    try:
        problem = answer.json()
    except ValueError:
        problem = {}
    return refused(answer.status_code, problem)


class RefusedError(EtaError):
    """The service refused a file; `reason` is the code of its answer, "" for none."""

    def __init__(self, status: int, message: str, *, remedy: str, reason: str) -> None:
        super().__init__(message, remedy=remedy)
        self.status = status
        self.reason = reason

    @property
    def is_of_any_file(self) -> bool:
        """Whether the same would be said of any other file."""
        return self.status in _OF_ANY_FILE or self.reason == "unknown_mapping"

    @property
    def is_without_rows(self) -> bool:
        """Whether the file simply holds nothing."""
        return self.reason in _WITHOUT_ROWS


def refused(status: int, problem: dict[str, Any]) -> RefusedError:
    """Return the error for a problem that the service answered with."""
    detail = problem.get("detail") or problem.get("title") or "no reason was given"
    readings = "".join(
        f"\n  {one['encoding']:<12} reads {one['sample']}"
        for one in problem.get("candidates", [])
        if one.get("sample")
    )
    faults = problem.get("faults")
    if faults:
        shown = "; ".join(f"{fault['where']}: {fault['reason']}" for fault in faults)
        detail = f"{detail}: {shown}"
        problem = {"remedy": "correct these; `eta upload --help` says what each may be"}
    return RefusedError(
        status,
        f"the service refused the file ({status}): {detail}{readings}",
        remedy=problem.get("remedy") or "correct the request and send the file again",
        reason=str(problem.get("code") or ""),
    )
