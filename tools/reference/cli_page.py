"""`docs/reference/cli.md`: every command with its arguments and options, from the app itself."""

from typing import Any, Final

import typer

from lakehouse.cli.main import app
from tools.reference.text import notice, page, paragraph, table

_NAME: Final = "eta"
_LEFT_OUT: Final = {"--help", "--install-completion", "--show-completion"}
"""Options of every typer app."""


def cli_page() -> str:
    """Return the page."""
    root = typer.main.get_command(app)
    context = typer.Context(root, info_name=_NAME)
    lines = [
        "# Commands",
        "",
        paragraph(
            "Every command and option of `eta`; `eta COMMAND --help` says the same.",
            "Exit codes: 0 done, 1 an error that says what to do (or a check that failed, where",
            "the command says so), 2 wrong arguments, 70 an unexpected error, of which",
            "`ETA_DEBUG=1` shows the traceback.",
            notice("the commands"),
        ),
        "",
        *_parameters(root, context),
    ]
    for words, command in commands(root):
        own = typer.Context(command, info_name=words)
        usage = " ".join(["eta", words, *command.collect_usage_pieces(own)])
        lines += ["", f"## eta {words}", "", command.help or "", "", f"`{usage}`"]
        parameters = _parameters(command, own)
        lines += ["", *parameters] if parameters else []
    return page(lines)


def commands(group: Any, before: str = "") -> list[tuple[str, Any]]:
    """Return every command that can be run below `group`, by its words, in their order."""
    found: list[tuple[str, Any]] = []
    context = typer.Context(group)
    for name in sorted(group.commands):
        _, command, _ = group.resolve_command(context, [name])  # one that is not loaded yet is now
        if command.hidden:
            continue
        words = f"{before} {name}".strip()
        found += commands(command, words) if hasattr(command, "commands") else [(words, command)]
    return found


def _parameters(command: Any, context: typer.Context) -> list[str]:
    shown = [(one, one.get_help_record(context)) for one in command.get_params(context)]
    rows = [
        (f"`{record[0]}`", _sentence(record[1]))
        for one, record in shown
        if record is not None and not _LEFT_OUT & set(one.opts)
    ]
    return table(("argument or option", "meaning"), rows) if rows else []


def _sentence(text: str) -> str:
    """Return a help text in which no bracket can be read as a link."""
    return text.replace("[", "(").replace("]", ")")
