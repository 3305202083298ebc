"""Load from a process of its own: wrk (Debian package `wrk`)."""

import re
import resource
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

SCRIPT: Final = Path(__file__).with_name("load.lua")
_UNITS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}


@dataclass(frozen=True, slots=True)
class Load:
    """What a run has measured; times in ms, of whole requests."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    refused: int
    """Answers that were neither 2xx nor 3xx."""
    cpu_seconds: float = 0.0
    """Processor time that the load itself has used."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How requests come: from so many connections, each pausing before its next."""

    connections: int
    seconds: int
    events: int = 100
    pause_ms: int = 0


def start(url: str, key: str, shape: Shape) -> "subprocess.Popen[str]":
    """Start wrk."""
    if shutil.which("wrk") is None:
        raise SystemExit("wrk is not installed: apt-get install wrk")
    command = [
        *("wrk", "-t1", f"-c{shape.connections}", f"-d{shape.seconds}s", "--latency"),
        *("--timeout", "30s", "-s", str(SCRIPT), url, "--"),
        *(key, str(shape.events), str(shape.pause_ms)),
    ]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def result(process: "subprocess.Popen[str]") -> Load:
    """Wait for it and read what it prints."""
    before = _children_seconds()
    text, _ = process.communicate()
    used = _children_seconds() - before
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    return Load(
        float(_found(r"Requests/sec:\s+([\d.]+)", text)),
        _milliseconds(_found(r"\s50%\s+(\S+)", text)),
        _milliseconds(_found(r"\s99%\s+(\S+)", text)),
        int(refused[1]) if refused else 0,
        used,
    )


def run(url: str, key: str, shape: Shape) -> Load:
    """Run a load to its end."""
    return result(start(url, key, shape))


def _children_seconds() -> float:
    """Processor time of children that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _found(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise SystemExit(f"wrk said something unexpected:\n{text}")
    return found[1]


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)(us|ms|s|m)", text).groups()  # type: ignore[union-attr]
    return float(number) * _UNITS[unit]
