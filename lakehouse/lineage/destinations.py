"""Where events go: a file of JSON lines, or a server that speaks OpenLineage's HTTP interface."""

from __future__ import annotations

import fcntl
import os
import stat
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from openlineage.client.event_v2 import RunEvent
from openlineage.client.serde import Serde
from openlineage.client.transport.http import (
    ApiKeyTokenProvider,
    HttpConfig,
    HttpTransport,
    TokenProvider,
)
from requests import HTTPError, PreparedRequest, Response, Session

from lakehouse.errors import EtaError


class Destination(Protocol):
    """Takes one event at a time, from one thread."""

    @property
    def name(self) -> str:
        """How the log calls it: without credentials."""
        ...

    def send(self, event: RunEvent) -> None:
        """Deliver an event, once; raises whatever went wrong."""
        ...


class LineFile:
    """Appends each event as a line, in one write: lines of several processes do not mix.

    The file is opened for each event, so it may be moved away at any time. What a full disk has cut
    off ends its line before the next event; a pipe that nobody reads is not waited for.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def send(self, event: RunEvent) -> None:
        """See `Destination.send`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = f"{Serde.to_json(event)}\n".encode()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        file = os.open(self._path, flags, 0o666)  # less what the umask of the process takes
        try:
            if stat.S_ISREG(os.fstat(file).st_mode):
                with suppress(OSError):  # a network's file system may have no locks
                    fcntl.flock(file, fcntl.LOCK_EX)  # nobody is in the middle of a line
                if self._ends_within_a_line():
                    line = b"\n" + line
            if os.write(file, line) != len(line):
                raise OSError("the disk took a part of an event")
        finally:
            os.close(file)

    def _ends_within_a_line(self) -> bool:
        try:
            with self._path.open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                return size > 0 and os.pread(file.fileno(), 1, size - 1) != b"\n"
        except OSError:  # it may be written and not read
            return False


class _PlainSession(Session):
    """Sends a request as it is, to where it is meant for, and reads nothing of the answer's body.

    No redirect is followed, and no name and password of `~/.netrc` take the place of the key.
    """

    def __init__(self) -> None:
        super().__init__()
        self.auth = _as_it_is

    def send(self, request: PreparedRequest, **how: Any) -> Response:
        """See `Session.send`."""
        answer = super().send(request, **{**how, "stream": True, "allow_redirects": False})
        if not answer.ok or answer.is_redirect:
            answer.close()
            raise HTTPError(f"status {answer.status_code}", response=answer)
        return answer


def _as_it_is(request: PreparedRequest) -> PreparedRequest:
    return request


class Server:
    """Posts each event to `{url}/api/v1/lineage`: once, following no redirect.

    `seconds`: the longest that `send` waits, whatever the server does. An attempt that goes on
    longer is left alone, and there is no other until it has ended.
    """

    def __init__(self, url: str, key: str | None, seconds: float) -> None:
        auth = ApiKeyTokenProvider({"api_key": key}) if key else TokenProvider({})
        base = f"{url.rstrip('/')}/"
        config = HttpConfig(
            url=base, timeout=seconds, auth=auth, session=_PlainSession(), retry={"total": 0}
        )
        parts = urlsplit(url)
        self.name = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._transport = HttpTransport(config)
        self._seconds = seconds
        self._attempt: Thread | None = None

    def send(self, event: RunEvent) -> None:
        """See `Destination.send`."""
        if self._attempt is not None and self._attempt.is_alive():
            raise TimeoutError("the answer to an earlier event is still on its way")
        outcome: list[Exception | None] = []

        def attempt() -> None:
            try:
                self._transport.emit(event)
                outcome.append(None)
            except Exception as error:  # noqa: BLE001 - handed on below
                outcome.append(error)

        self._attempt = Thread(target=attempt, name="lineage-attempt", daemon=True)
        self._attempt.start()
        self._attempt.join(self._seconds)
        if not outcome:
            raise TimeoutError("no whole answer in time")
        if outcome[0] is not None:
            raise outcome[0]


def destination(url: str, key: str | None, seconds: float) -> Destination:
    """Return what the operator's URL names: `file:///…`, or the base of an HTTP interface.

    Raises `EtaError`, which does not repeat it, when it is neither.
    """
    parts = urlsplit(url)
    is_plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    if is_plain and parts.scheme == "file" and not parts.netloc and parts.path.strip("/"):
        return LineFile(Path(unquote(parts.path)))
    if is_plain and parts.scheme in ("http", "https") and parts.hostname:
        return Server(url, key, seconds)
    raise EtaError(
        "ETA_OPENLINEAGE_URL names neither a file nor a server",
        remedy="set it to file:///FOLDER/events.jsonl or to http://HOST:PORT, without a user or a "
        "query; a server's key goes into ETA_OPENLINEAGE_KEY",
    )
