"""Which process a job belongs to, told apart from a later one that got the same number."""

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its host, the boot and process namespace it lives in, its number and start."""

    host: str
    space: str
    pid: int
    started: str


def this_process() -> Owner:
    """Return the identity of the calling process."""
    pid = os.getpid()
    return Owner(_host(), _space(), pid, start_of(pid) or "")


def is_dead(owner: Owner) -> bool:
    """Whether the owner lived on this host and has ended; False when that cannot be known.

    An owner of this host but of another boot or process namespace is taken for dead: the machine
    or the container was restarted. Two live containers that share a host name are the exception;
    the one declared dead may still finish its job (see `Jobs.finish`).
    """
    if owner.host != _host():
        return False
    return owner.space != _space() or start_of(owner.pid) != owner.started


def is_gone(owner: Owner, held_until: datetime, now: datetime) -> bool:
    """Whether the owner has ended, or is of another host and has not renewed its lease.

    On this host a process is seen, so one that is only slow or stopped keeps what it has.
    """
    return is_dead(owner) if owner.host == _host() else held_until <= now


@cache
def _host() -> str:
    return f"{socket.gethostname()}/{_read('/etc/machine-id')}"


@cache
def _space() -> str:
    try:
        namespace = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        namespace = ""
    return f"{_read('/proc/sys/kernel/random/boot_id')}/{namespace}"


def _read(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""


def start_of(pid: int) -> str | None:
    """Return the start of a live process in clock ticks since boot; None when there is none.

    Ticks, as a start in seconds moves when somebody sets the clock; without /proc it is in seconds.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _start_without_proc(pid)
    fields = stat[stat.rindex(")") + 2 :].split()  # the command's name may hold spaces
    return None if fields[0] in "ZX" else fields[19]


def _start_without_proc(pid: int) -> str | None:
    import psutil

    try:
        return str(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return None
