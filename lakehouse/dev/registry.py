"""A Confluent-compatible schema registry for development and tests: Apicurio, in one process."""

import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.error import URLError

from lakehouse.dev.servers import Server, find_server, free_port, start_server, stop_server
from lakehouse.settings import LakeSettings
from lakehouse.spark.bundles import fetch_bundle, java_program, unpack

NAME: Final = "registry"
VERSION: Final = "3.0.9"
ARCHIVE: Final = f"apicurio-registry-app-{VERSION}-all.tar.gz"
HEAP: Final = "-Xmx384m"
API: Final = "/apis/ccompat/v7"
URL: Final = "url"

# The archive stands beside a POM whose parent was not published, so Ivy must not read the POM.
_SETTINGS: Final = """\
<ivysettings>
  <settings defaultResolver="maven"/>
  <resolvers><ibiblio name="maven" m2compatible="true" usepoms="false"/></resolvers>
</ivysettings>
"""
_WANTED: Final = f"""\
<ivy-module version="2.0" xmlns:m="http://ant.apache.org/ivy/maven">
  <info organisation="eta" module="registry"/>
  <dependencies>
    <dependency org="io.apicurio" name="apicurio-registry-app" rev="{VERSION}" transitive="false">
      <artifact name="apicurio-registry-app" type="tar.gz" ext="tar.gz" m:classifier="all"/>
    </dependency>
  </dependencies>
</ivy-module>
"""


def fetch_registry(settings: LakeSettings) -> Path:
    """Return the folder of the registry's jars (109 MB), fetched on first use."""

    def arguments(scratch: Path) -> Sequence[str]:
        (scratch / "settings.xml").write_text(_SETTINGS, encoding="utf-8")
        (scratch / "ivy.xml").write_text(_WANTED, encoding="utf-8")
        return (
            *("-settings", f"{scratch}/settings.xml", "-ivy", f"{scratch}/ivy.xml"),
            *("-cache", f"{scratch}/cache"),
            *("-retrieve", f"{scratch}/files/[artifact]-[revision](-[classifier]).[ext]"),
        )

    folder = fetch_bundle(f"apicurio-{VERSION}", "registry.lock", settings, arguments)
    unpack(folder / ARCHIVE, folder / "program")
    return folder / "program"


def start_registry(settings: LakeSettings) -> Server:
    """Start the registry of this home, or find it running. It keeps schemas in memory only."""
    folder = settings.dev_dir / NAME
    running = find_server(NAME, folder)
    if running is not None:
        return running
    program = fetch_registry(settings)
    port = free_port()
    url = f"http://127.0.0.1:{port}{API}"
    command = [
        str(java_program(settings)),
        HEAP,
        "-Dquarkus.http.host=127.0.0.1",
        f"-Dquarkus.http.port={port}",
        # Schema ids count from 1 as Confluent's do, and none may break its readers.
        "-Dapicurio.rules.global.compatibility=BACKWARD",
        "-jar",
        f"{program}/apicurio-registry-app-{VERSION}-runner.jar",
    ]
    return start_server(NAME, folder, command, addresses={URL: url}, is_ready=lambda: _answers(url))


def stop_registry(settings: LakeSettings) -> bool:
    """End it; return whether it ran. Its schemas are gone with it."""
    return stop_server(NAME, settings.dev_dir / NAME)


def find_registry(settings: LakeSettings) -> Server | None:
    """Return the registry of this home if it runs."""
    return find_server(NAME, settings.dev_dir / NAME)


def _answers(url: str) -> bool:
    with suppress(URLError, OSError), urllib.request.urlopen(f"{url}/subjects", timeout=2) as found:  # noqa: S310 - an address of our own
        return bool(found.status == 200)
    return False
