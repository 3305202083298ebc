"""What a person sees when a command fails: a message and a remedy, a traceback only on request."""

import errno
import os
from typing import Any, Final

import typer

from lakehouse.cli.lazy import LazyGroup
from lakehouse.errors import EtaError
from lakehouse.extras import missing_extra

FAILED: Final = 1
"""Exit code of an error that says what to do about it."""
BROKEN: Final = 70
"""Exit code of an error that nobody foresaw (EX_SOFTWARE in sysexits.h)."""

INTERRUPTED: Final = 130
"""Exit code of what Ctrl-C ended: 128 and the number of the signal."""

_OF_PLACES: Final = frozenset(
    {
        *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT),
        *(errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTEMPTY),
        *(errno.EFBIG, errno.ELOOP, errno.EIO, errno.ESTALE),
    }
)
"""What is wrong with a file or folder that somebody named, and not with the program."""


class EtaGroup(LazyGroup):
    """Turns the errors of every command below it into a message on stderr and an exit code."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the arguments name."""
        try:
            return super().invoke(ctx)
        except EtaError as error:
            if ctx.params.get("debug"):
                raise
            _say("Error", error.message)
            _say("What to do", error.remedy)
            raise typer.Exit(FAILED) from error
        except Exception as error:
            if ctx.params.get("debug") or _is_typers_own(error):
                raise
            if isinstance(error, ModuleNotFoundError) and (missing := missing_extra(error)):
                _say("Error", missing.message)
                _say("What to do", missing.remedy)
                raise typer.Exit(FAILED) from error
            if isinstance(error, OSError) and error.errno in _OF_PLACES:
                where = f"{error.filename}: " if error.filename else ""
                _say("Error", f"{where}{os.strerror(error.errno)}")
                _say("What to do", "put the place right, or name another one")
                raise typer.Exit(FAILED) from error
            _say("Unexpected error", f"{type(error).__name__} in {_place(error)}")
            _say("What to do", "run the same command with ETA_DEBUG=1 to see the traceback")
            raise typer.Exit(BROKEN) from error


def _is_typers_own(error: Exception) -> bool:
    """Whether the error is one by which the command line ends or complains about its arguments."""
    maker = type(error).__module__.partition(".")[0]
    return maker in ("click", "typer") or isinstance(error, BrokenPipeError)


def _place(error: BaseException) -> str:
    """Return where the error was raised; its text could hold data, so it is not shown."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    module = trace.tb_frame.f_globals.get("__name__", "?")
    return f"{module}, line {trace.tb_lineno}"


def _say(label: str, text: str) -> None:
    typer.echo(f"{typer.style(label, bold=True)}: {text}", err=True)
