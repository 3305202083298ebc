"""How a command ends what it started: it *is* the program it stands for, or SIGTERM ends both."""

import atexit
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import Final, NoReturn

ENDED: Final = 128 + signal.SIGTERM
"""Exit code of a command that SIGTERM ended, as shells have it."""
END_SECONDS: Final = 30.0
"""What a command may take to end what it started; then it is killed, and so is the command."""


def become(module: str, *arguments: str) -> NoReturn:
    """Go on as `python -m MODULE …` in this process: signals and exit code are that program's."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os.execv(  # noqa: S606 - the same interpreter, arguments of the command line
        sys.executable, [sys.executable, "-m", module, *arguments]
    )


def end_on_sigterm() -> None:
    """Let SIGTERM leave the command through every `finally`, so that its children are ended.

    Without it Python would die at once, and what the command started would live on. A command
    that sets a handler of its own replaces this one.
    """
    is_main = threading.current_thread() is threading.main_thread()
    if is_main and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, _end)


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not break off the ending
    timer = threading.Timer(END_SECONDS, _end_hard)
    timer.daemon = True
    timer.start()
    atexit.register(_end_children)  # also one whose start the signal broke into
    raise SystemExit(ENDED)


def _end_hard() -> None:
    _end_children(0.0)
    os._exit(ENDED)


def _end_children(seconds: float = 5.0) -> None:
    """End what is left of this session; `eta dev` gives its servers one of their own."""
    import psutil

    own, children = os.getsid(0), []
    for child in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, OSError):
            if os.getsid(child.pid) == own:
                child.terminate()
                children.append(child)
    for child in psutil.wait_procs(children, seconds)[1]:
        with suppress(psutil.Error):
            child.kill()
