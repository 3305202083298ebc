"""Commands that are loaded when they are called: a command's start costs its own imports alone.

Click's pattern of a lazy group (https://click.palletsprojects.com/en/stable/complex/), with one
difference. That one loads in `get_command`, which help and completion ask about every command of a
group. Here they see a stand-in with the line of the table, and the command itself is loaded where
its name was typed: in `resolve_command`.
"""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any, ClassVar, Final, NamedTuple

import typer
from typer.core import TyperCommand, TyperGroup

NO_OPTIONS: Final[Mapping[str, Any]] = {}


class Place(NamedTuple):
    """Where a command is, as `module:attribute`, and its line in the list of commands.

    The attribute is a function or, for a group, a `typer.Typer`; `options` are those of
    `typer.Typer.command`.
    """

    where: str
    help: str
    options: Mapping[str, Any] = NO_OPTIONS

    def load(self, name: str) -> Any:
        """Import the module and return the command or group, ready to be called."""
        module, _, attribute = self.where.partition(":")
        found = getattr(import_module(module), attribute)
        outer = typer.Typer(add_completion=False)
        if isinstance(found, typer.Typer):
            outer.add_typer(found, name=name, cls=LazyGroup)
        else:
            outer.command(name, **self.options)(found)
        return typer.main.get_group(outer).commands[name]


Table = Mapping[str, Place]
"""Commands by the words that call them, such as `keys` or `dev spark`; a group before its own."""


class StandIn(TyperCommand):
    """What lists show of a command that is not loaded."""

    def __init__(self, name: str, place: Place, below: Table) -> None:
        super().__init__(name, help=place.help)
        self._place = place
        self._below = below

    def load(self) -> Any:
        """Return the command itself; a group with stand-ins for what the table has below it."""
        assert self.name is not None
        command = self._place.load(self.name)
        if self._below:
            command.commands.update(stand_ins(self._below))
        return command


def stand_ins(table: Table) -> dict[str, StandIn]:
    """Return the stand-ins of a group's commands and groups, in the order of the table."""
    return {
        words: StandIn(words, place, _below(words, table.items()))
        for words, place in table.items()
        if " " not in words
    }


def _below(group: str, rows: Iterable[tuple[str, Place]]) -> dict[str, Place]:
    start = f"{group} "
    return {words.removeprefix(start): row for words, row in rows if words.startswith(start)}


class LazyGroup(TyperGroup):
    """A group that loads those of its commands that are stand-ins when they are called."""

    table: ClassVar[Table] = {}

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands.update(stand_ins(self.table))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """Return the command that the arguments name, loaded, and the arguments that are left."""
        name, command, rest = super().resolve_command(ctx, args)
        return name, command.load() if isinstance(command, StandIn) else command, rest
