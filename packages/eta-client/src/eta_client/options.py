"""How a client behaves; every value has a sensible default."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Options of a client.

    `spool`: file that events are kept in until they are stored; several processes may share it.
    Default: one per service and key in `~/.local/state/eta`. `batch_events` are sent at once;
    fewer when `flush_seconds` have passed. `timeout` is of one request. Waits between attempts
    grow from `first_wait` to `longest_wait` seconds, each drawn at random below that.
    `is_power_safe`: an event is on the disk itself when `track` returns, which costs milliseconds;
    otherwise it survives the end of the process in any case, and a power cut but for the last
    moments.
    """

    spool: Path | None = None
    spool_bytes: int = 1024 * 1024 * 1024
    batch_events: int = 500
    batch_bytes: int = 1024 * 1024
    event_bytes: int = 32 * 1024
    flush_seconds: float = 1.0
    timeout: float = 30.0
    first_wait: float = 0.5
    longest_wait: float = 60.0
    is_power_safe: bool = False
