"""Where the servers of `eta dev` listen, for programs that were given no address."""

from lakehouse.dev.servers import find_server
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings


def broker_address(settings: LakeSettings) -> str:
    """Return the broker of this home; raises `EtaError` when none runs."""
    server = find_server("kafka", settings.dev_dir / "kafka")
    if server is None:
        raise EtaError(
            "no Kafka broker is set, and none of `eta dev` is running here",
            remedy="start one with `eta dev kafka up`, or set ETA_STREAM_BOOTSTRAP_SERVERS",
        )
    return server.addresses["bootstrap_servers"]


def registry_address(settings: LakeSettings) -> str | None:
    """Return the schema registry of this home, None when none runs."""
    server = find_server("registry", settings.dev_dir / "registry")
    return None if server is None else server.addresses["url"]
