"""The status files of consumers."""

import json
from dataclasses import dataclass
from pathlib import Path

from lakehouse.control.owner import start_of


@dataclass(frozen=True, slots=True)
class ConsumerState:
    """What a consumer says of itself; `lag` counts messages that are not stored yet."""

    pid: int
    state: str
    since: str
    lag: int
    detail: str
    remedies: tuple[str, ...] = ()
    """What to do about partitions that stand still."""


def consumer_states(folder: Path) -> list[ConsumerState]:
    """Return the consumers that run, and those that halted or were killed."""
    found = []
    for path in sorted(folder.glob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        state = document["state"]
        if state != "halted" and start_of(document["pid"]) != document["started"]:
            state = "killed"
        lag = sum(document.get("lag", {}).values())
        alarms = (*document.get("halts", ()), *document.get("rejects", ()))
        remedies = tuple(f"{a['partition']}: {a['remedy']}" for a in alarms)
        about = (document["pid"], state, document["since"], lag, document["detail"])
        found.append(ConsumerState(*about, remedies))
    return found
