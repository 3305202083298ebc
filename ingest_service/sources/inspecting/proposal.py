"""A source mapping to edit, without its dialect, and what is to be asked about it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ingest_service.sources.inspecting.columns import Column
from lakehouse.contracts.kinds import DataType


@dataclass(slots=True)
class Choice:
    """A question with the answers that there are, each with what it changes in the mapping."""

    question: str
    options: list[tuple[str, dict[str, Any]]]


@dataclass(slots=True)
class Proposal:
    """A source mapping without its dialect, and what was found out on the way.

    `meanings`: column → field. `notes`: column → what is told of it. `span`: of the events' times.
    """

    data_type: DataType
    columns: dict[str, str] = dataclasses.field(default_factory=dict)
    values: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    constants: dict[str, str] = dataclasses.field(default_factory=dict)
    timestamps: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    decimal: str | None = None
    meanings: dict[str, str] = dataclasses.field(default_factory=dict)
    notes: dict[str, str] = dataclasses.field(default_factory=dict)
    questions: list[str] = dataclasses.field(default_factory=list)
    choices: list[Choice] = dataclasses.field(default_factory=list)
    span: tuple[datetime, datetime] | None = None

    def mapping(self) -> dict[str, Any]:
        """Return the keys of a source mapping, those that differ from the defaults."""
        columns = {name: column for name, column in self.columns.items() if name != column}
        found: dict[str, Any] = {
            "columns": columns,
            "values": self.values,
            "constants": self.constants,
            "timestamps": {name: how for name, how in self.timestamps.items() if how},
        }
        found = {name: value for name, value in found.items() if value}
        return found | ({"decimal": self.decimal} if self.decimal else {})

    def use(self, name: str, column: Column) -> None:
        """Feed a field from a column."""
        self.columns[name] = column.name
        self.meanings.setdefault(column.name, name)

    def rename(self, names: Sequence[str]) -> dict[str, str]:
        """Call the columns of a file without a header as what they mean; return their new names."""
        called = {name: self.meanings.get(name, name) for name in names}
        self.columns = {name: called[column] for name, column in self.columns.items()}
        self.notes = {called[name]: note for name, note in self.notes.items()}
        self.questions = [_with_names(question, called) for question in self.questions]
        for choice in self.choices:
            choice.question = _with_names(choice.question, called)
        return called


def _with_names(text: str, called: dict[str, str]) -> str:
    for old, new in called.items():
        text = text.replace(repr(old), repr(new))
    return text
