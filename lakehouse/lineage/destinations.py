"""Where events go: a file of JSON lines, or a server that speaks OpenLineage's HTTP interface."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from openlineage.client.event_v2 import RunEvent
from openlineage.client.serde import Serde
from openlineage.client.transport.http import (
    ApiKeyTokenProvider,
    HttpConfig,
    HttpTransport,
    TokenProvider,
)
from requests import Session

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

    The file is opened for each event, so it may be moved away at any time.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self.name = str(path)

    def send(self, event: RunEvent) -> None:
        """See `Destination.send`."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        file = os.open(self._path, flags, 0o666)  # less what the umask of the process takes
        try:
            line = f"{Serde.to_json(event)}\n".encode()
            if os.write(file, line) != len(line):
                raise OSError("the disk took a part of an event")
        finally:
            os.close(file)


class Server:
    """Posts each event to `{url}/api/v1/lineage`: once, following no redirect.

    `seconds`: the longest wait for a connection, and for each piece of the answer.
    """

    def __init__(self, url: str, key: str | None, seconds: float) -> None:
        session = Session()
        session.max_redirects = 0
        auth = ApiKeyTokenProvider({"api_key": key}) if key else TokenProvider({})
        base = f"{url.rstrip('/')}/"
        config = HttpConfig(
            url=base, timeout=seconds, auth=auth, session=session, retry={"total": 0}
        )
        parts = urlsplit(url)
        self.name = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
        self._transport = HttpTransport(config)

    def send(self, event: RunEvent) -> None:
        """See `Destination.send`."""
        self._transport.emit(event)


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
