"""A Google Cloud Storage for tests: the local S3 behind a process that translates its requests.

Google's XML interface is S3's but for names of headers, so delta-rs' own client for `gs://` is what
talks here. A process of its own, because delta-rs waits for some answers with Python's lock held.
"""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote, unquote

import pytest

from lakehouse.dev.s3 import BUCKET
from lakehouse.dev.servers import Server
from lakehouse.settings import LakeSettings

_KEY = "AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/s3/aws4_request, Signature=x"


@pytest.fixture(scope="session")
def gcs(s3: Server) -> Iterator[str]:
    """Address of one store for all tests; a lake of each has a prefix of its own."""
    command = [sys.executable, __file__, s3.addresses["url"].removeprefix("http://")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
        server.terminate()


def lake_on_gcs(url: str, home: Path, name: str) -> LakeSettings:
    """Settings of a lake on the store, with a local home of its own."""
    account = {"gcs_base_url": url, "disable_oauth": True}
    unused = dict.fromkeys(("client_email", "private_key", "private_key_id"), "")
    options = {
        "google_service_account_key": json.dumps({**account, **unused}),
        "allow_http": "true",
    }
    return LakeSettings(home=home, lake_uri=f"gs://{BUCKET}/{name}", storage_options=options)


class _Translated(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    target = ""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        headers["authorization"] = _KEY
        if headers.get("x-goog-if-generation-match") == "0":
            headers["if-none-match"] = "*"
        if (source := headers.get("x-goog-copy-source")) is not None:
            headers["x-amz-copy-source"] = source
        path, _, rest = self.path.partition("?")
        upstream = http.client.HTTPConnection(self.target, timeout=30)
        upstream.request(self.command, f"{quote(unquote(path))}?{rest}", body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "content-length"):
                self.send_header(name, value)
        size = answer.getheader("Content-Length") if self.command == "HEAD" else len(content)
        self.send_header("Content-Length", str(size or 0))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


if __name__ == "__main__":
    _Translated.target = sys.argv[1]
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Translated)
    print(server.server_port, flush=True)
    server.serve_forever()
