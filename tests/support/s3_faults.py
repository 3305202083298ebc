"""A proxy before the local S3 that goes wrong as real object stores do.

Of every hundred requests it spoils some, in turn: an error without doing anything, an error though
it was done, no answer though it was done. Whoever commits through it cannot know what happened.
"""

import http.client
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import urlsplit

STALL_SECONDS = 3.0
KINDS = ("error before", "error after", "no answer after")
_ERROR = b"<Error><Code>InternalError</Code><Message>injected</Message></Error>"


class FaultyS3:
    """Where the proxy listens, and how often it spoiled a request, by kind and method."""

    def __init__(self, target: str, share: float, seed: int) -> None:
        self.spoiled: Counter[tuple[str, str]] = Counter()
        self.requests = 0
        self._share = share
        self._random = random.Random(seed)
        self._turn = count()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self, target))
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def fate(self, method: str) -> str | None:
        """Decide about a request."""
        with self._lock:
            self.requests += 1
            if self._random.random() >= self._share:
                return None
            kind = KINDS[next(self._turn) % len(KINDS)]
            self.spoiled[kind, method] += 1
            return kind

    def serve(self) -> None:
        """Answer until `stop`."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def faulty_s3(target: str, *, share: float = 0.05, seed: int = 7) -> Iterator[FaultyS3]:
    """Run the proxy before the S3 at `target`."""
    proxy = FaultyS3(target, share, seed)
    thread = threading.Thread(target=proxy.serve, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.stop()
        thread.join()


def _handler(proxy: FaultyS3, target: str) -> type[BaseHTTPRequestHandler]:
    address = urlsplit(target).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass_on(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            fate = proxy.fate(self.command)
            if fate == "error before":
                self._answer(500, [], _ERROR)
                return
            status, headers, content = _ask(
                address, self.command, self.path, body, dict(self.headers)
            )
            if fate == "error after":
                self._answer(500, [], _ERROR)
            elif fate == "no answer after":
                time.sleep(STALL_SECONDS)
                self.close_connection = True
            else:
                self._answer(status, headers, content)

        def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers:
                self.send_header(name, value)
            if self.command != "HEAD" or not headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                with suppress(BrokenPipeError):  # the client has waited long enough
                    self.wfile.write(content)

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing."""

    return Handler


def _ask(
    address: str, method: str, path: str, body: bytes, headers: dict[str, str]
) -> tuple[int, list[tuple[str, str]], bytes]:
    """Pass a request on; return status, headers and content of the answer."""
    upstream = http.client.HTTPConnection(address, timeout=30)
    try:
        upstream.request(method, path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
    finally:
        upstream.close()
    dropped = {"transfer-encoding", "connection"}
    if method != "HEAD":
        dropped.add("content-length")
    kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in dropped]
    return answer.status, kept, content
