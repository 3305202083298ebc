"""An S3 for development and tests: moto's server, one process, its objects in memory only.

It knows conditional puts, on which commits rest, and lifecycle rules (docs/adr/0020).
"""

import json
import sys
from importlib.util import find_spec
from typing import Final

from lakehouse.dev.servers import (
    Server,
    find_server,
    free_port,
    is_listening,
    start_server,
    stop_server,
)
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.s3 import s3_client

NAME: Final = "s3"
URL: Final = "url"
BUCKET: Final = "eta"
LAKE_URI: Final = f"s3://{BUCKET}/lake"


def start_s3(settings: LakeSettings, port: int | None = None) -> Server:
    """Start the server of this home with the bucket `eta`, or find it running.

    Raises `EtaError` when moto is not installed or the port is taken.
    """
    folder = settings.dev_dir / NAME
    if (running := find_s3(settings)) is not None:
        return running
    if find_spec("moto") is None or find_spec("flask") is None:
        raise EtaError(
            "the S3 for development is moto, which is not installed here",
            remedy="run the command in a checkout of the project (`uv run eta dev s3 up`), or "
            "install `moto[s3] flask flask-cors`",
        )
    if port and is_listening(port):
        raise EtaError(
            f"port {port} of 127.0.0.1 is taken",
            remedy="name another one with --port, or leave it out",
        )
    port = port or free_port()
    server = start_server(
        NAME,
        folder,
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        addresses={URL: f"http://127.0.0.1:{port}"},
        is_ready=lambda: is_listening(port),
    )
    lake = Lake(
        LakeSettings(
            project_dir=settings.project,
            lake_uri=LAKE_URI,
            storage_options=storage_options(server),
        )
    )
    s3_client(lake).create_bucket(Bucket=BUCKET)
    return server


def find_s3(settings: LakeSettings) -> Server | None:
    """Return the server of this home if it runs."""
    return find_server(NAME, settings.dev_dir / NAME)


def stop_s3(settings: LakeSettings) -> bool:
    """End it; return whether it ran. Its objects are gone with it."""
    return stop_server(NAME, settings.dev_dir / NAME)


def storage_options(server: Server) -> dict[str, str]:
    """Return `ETA_STORAGE_OPTIONS` for the server, which takes any credentials."""
    return storage_options_of(server.addresses[URL])


def storage_options_of(url: str) -> dict[str, str]:
    """The same for any address of 127.0.0.1."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "eta",
        "AWS_SECRET_ACCESS_KEY": "development",
        "AWS_REGION": "us-east-1",
    }


def exports(server: Server) -> str:
    """Return the shell's lines that make this S3 the place of the lake."""
    options = json.dumps(storage_options(server), separators=(",", ":"))
    return f"export ETA_LAKE_URI={LAKE_URI}\nexport ETA_STORAGE_OPTIONS='{options}'"
