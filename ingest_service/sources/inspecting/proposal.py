"""Which column feeds which field, and how: a source mapping to edit, and what is to be asked."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from ingest_service.sources.inspecting.columns import Column, ColumnReport
from ingest_service.sources.inspecting.event_words import (
    SKIP,
    constant_from,
    known_share,
    rating_map,
    value_map,
)
from ingest_service.sources.inspecting.spellings import distance
from ingest_service.sources.inspecting.times import TimeGuess, guess_times, is_nanoseconds
from lakehouse.contracts.fields import ContractField, FieldKind
from lakehouse.contracts.kinds import DataType

_MOST_ID: Final = 512
_MOST_TYPES: Final = 60
_ORDER: Final = (
    *("user_id", "item_id", "interaction_type", "timestamp", "event_name", "anonymous_id"),
    *("title", "category", "price", "available_from", "is_active", "updated_at", "attributes"),
    *("rating", "session_id", "device_type", "location", "url", "properties", "event_id"),
)


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


class Proposer:
    """Finds the fields of one data type among the columns of a file.

    `has_names`: whether the file has a header; without one the order and the values tell. `hints`:
    names that may say what happened (the file's).
    """

    def __init__(
        self,
        columns: Sequence[Column],
        now: datetime,
        *,
        has_names: bool = True,
        hints: Sequence[str] = (),
    ) -> None:
        self._columns = [column for column in columns if column.filled]
        self._has_names = has_names
        self._hints = hints
        self.times: dict[str, TimeGuess] = {}
        for column in self._columns:
            guess = guess_times(column.values, now)
            if guess is not None:
                self.times[column.name] = guess

    def data_type(self) -> DataType:
        """Return what the rows are, by what they have."""
        if not self._has_names:
            return DataType.INTERACTIONS if self.times else DataType.ITEMS
        has_time = self._named("timestamp") is not None or bool(self.times)
        user = self._named("user_id")
        is_event = user is not None and (has_time or self._named("interaction_type") is not None)
        if is_event or (user is not None and self._named("rating") is not None):
            return DataType.INTERACTIONS
        return DataType.ITEMS if self._named("item_id") is not None else DataType.INTERACTIONS

    def propose(self, data_type: DataType) -> Proposal:
        """Return the mapping that fits best."""
        found = Proposal(data_type)
        fields = {one.name: one for one in data_type.definition.fields}
        if not self._has_names:
            self._by_order(found, fields)
        for name in _ORDER:
            if name in fields and name not in found.columns:
                self._by_name(found, fields[name])
        if data_type is DataType.INTERACTIONS:
            self._what_happened(found)
        if data_type is DataType.ITEMS:
            self._states(found)
        self._read_times(found, fields)
        self._read_numbers(found, fields)
        self._ask_for_missing(found, fields)
        self._tell_odd(found)
        return found

    def _named(self, name: str, taken: Sequence[str] = ()) -> Column | None:
        """Return the column whose name is nearest to meaning a field and whose values fit."""
        near = [
            (far, at, column)
            for at, column in enumerate(self._columns)
            if column.name not in taken and (far := distance(column.name, name)) is not None
        ]
        return min(near)[2] if near else None

    def _by_name(self, found: Proposal, field: ContractField) -> None:
        taken = list(found.columns.values())
        near = sorted(
            (far, at)
            for at, column in enumerate(self._columns)
            if column.name not in taken and (far := distance(column.name, field.name)) is not None
        )
        for far, at in near:
            column = self._columns[at]
            if self._fits(column, field):
                found.use(field.name, column)
                if far >= 2 and field.required:
                    found.questions.append(
                        f"Is column {column.name!r} the {_plain(field.name)}? No column says so "
                        "more clearly."
                    )
                return
        if field.name == "timestamp":
            self._only_time(found)
        if field.kind is FieldKind.INTERACTION_TYPE:
            free = (column for column in self._columns if column.name not in taken)
            words = next((c for c in free if c.type == "text" and _is_of_events(c)), None)
            if words is not None:
                found.use(field.name, words)

    def _only_time(self, found: Proposal) -> None:
        """A column of times whose name says nothing."""
        free = [name for name in self.times if name not in found.columns.values()]
        if len(free) == 1:
            column = next(column for column in self._columns if column.name == free[0])
            found.use("timestamp", column)

    def _fits(self, column: Column, field: ContractField) -> bool:
        kind = field.kind
        if kind is FieldKind.TIMESTAMP:
            return column.name in self.times
        if kind in (FieldKind.NUMBER, FieldKind.DECIMAL):
            return column.is_numeric
        if kind is FieldKind.BOOLEAN:
            return column.is_boolean
        if kind is FieldKind.JSON_OBJECT:
            return column.type == "json"
        if kind is FieldKind.INTERACTION_TYPE:
            is_few = 0 < len(column.words) <= _MOST_TYPES
            return is_few and column.name not in self.times and known_share(column.words) > 0
        if field.name in ("user_id", "item_id", "session_id", "event_id"):
            is_time = column.name in self.times and column.type != "integer"
            return not is_time and column.longest <= _MOST_ID and column.type != "json"
        return column.longest <= field.max_length

    def _by_order(self, found: Proposal, fields: dict[str, ContractField]) -> None:
        """Tell the columns of a file without a header by their values, and ids by their order."""
        free = list(self._columns)

        def take(name: str, column: Column | None) -> None:
            if column is not None and name in fields:
                found.use(name, column)
                free.remove(column)

        if "timestamp" in fields:
            # Ids may look like seconds: a date goes before a number, the last number before others.
            times = [column for column in reversed(free) if column.name in self.times]
            take("timestamp", max(times, key=lambda c: c.type != "integer", default=None))
        if "interaction_type" in fields:
            take("interaction_type", next((c for c in free if _is_of_events(c)), None))
        for name in ("user_id", "item_id"):
            take(name, next((c for c in free if c.longest <= _MOST_ID), None))
        if "rating" in fields:
            take("rating", next((c for c in free if _is_rating(c)), None))
        if "title" in fields:
            texts = [column for column in free if column.type == "text"]
            for name, column in zip(("title", "category"), texts, strict=False):
                take(name, column)
        ids = [_plain(name) for name in ("user_id", "item_id") if name in found.columns]
        if ids:
            found.questions.append(
                f"The file has no header: are the columns right, {' then '.join(ids)}?"
            )

    def _what_happened(self, found: Proposal) -> None:
        """Say where the type of an interaction comes from: a column, its rating, or a constant."""
        name = found.columns.get("interaction_type")
        if name is not None:
            mapped, unknown = value_map(self._column(name).words)
            if mapped:
                found.values["interaction_type"] = mapped
            if SKIP in mapped.values():
                skipped = ", ".join(word for word, kind in mapped.items() if kind == SKIP)
                found.notes[name] = f"rows with {skipped} are left out (skip), which may be changed"
            if unknown:
                found.questions.append(
                    f"What do these words of {name!r} mean: {_some(unknown)}? Add them to `values` "
                    "as view, click, like, purchase, dislike or skip; until then their rows are "
                    "wrong."
                )
            return
        rating = found.columns.get("rating")
        mapped_ratings = rating_map(self._column(rating).words) if rating else None
        if rating is not None and mapped_ratings is not None:
            found.columns["interaction_type"] = rating
            found.values["interaction_type"] = mapped_ratings
            found.questions.append(
                f"Ratings in {rating!r} were made likes, views and dislikes: are the bounds right?"
            )
            return
        said = constant_from([*self._hints]) or constant_from(
            column.name for column in self._columns
        )
        found.constants["interaction_type"] = said or "view"
        found.questions.append(
            "No column says what happened: every row was taken for a "
            f"{said or 'view'}. Is that right?"
        )

    def _states(self, found: Proposal) -> None:
        """A catalogue beside events: what a row says of its item was so when it happened."""
        if "updated_at" in found.columns:
            return
        name = self._named("timestamp")
        if name is not None and name.name in self.times and self._named("user_id") is not None:
            found.use("updated_at", name)

    def _read_times(self, found: Proposal, fields: dict[str, ContractField]) -> None:
        for name, field in fields.items():
            column = found.columns.get(name)
            if field.kind is not FieldKind.TIMESTAMP or column is None:
                continue
            guess = self.times[column]
            readings = [one.model_dump(exclude_defaults=True) for one in guess.readings]
            if guess.is_sure:
                found.timestamps[name] = readings[0]
                if not guess.has_zone:
                    found.notes[column] = (
                        "times without a zone, read as UTC: set `time_zone` if they are local"
                    )
            else:
                labels = [one.format or "" for one in guess.readings]
                question = (
                    f"Is {guess.example} in {column!r} day first ({labels[0]}) or month first "
                    f"({labels[1]})? Set `timestamps: {{{name}: {{format: …}}}}`; until then these "
                    "times are wrong."
                )
                found.questions.append(question)
                found.choices.append(
                    Choice(
                        question,
                        [
                            (label, {"timestamps": {name: reading}})
                            for label, reading in zip(labels, readings, strict=True)
                        ],
                    )
                )
            if field.tenant_range:
                found.span = (guess.first, guess.last)

    def _read_numbers(self, found: Proposal, fields: dict[str, ContractField]) -> None:
        numbers = [
            self._column(column)
            for name, column in found.columns.items()
            if fields[name].kind in (FieldKind.NUMBER, FieldKind.DECIMAL)
        ]
        if any(column.has_decimal_comma for column in numbers):
            found.decimal = ","

    def _ask_for_missing(self, found: Proposal, fields: dict[str, ContractField]) -> None:
        for name, field in fields.items():
            if field.required and name not in found.columns and name not in found.constants:
                found.questions.append(
                    f"Which column is the {_plain(name)}? None was found: add it to `columns`, or "
                    "to `constants` if it is the same for all rows."
                )

    def _tell_odd(self, found: Proposal) -> None:
        for column in self._columns:
            if is_nanoseconds(column.values):
                found.notes[column.name] = (
                    "looks like nanoseconds, which no unit reads: divide by 1,000 and set unit: us"
                )

    def _column(self, name: str) -> Column:
        return next(column for column in self._columns if column.name == name)


def report_of(column: Column, proposal: Proposal, times: dict[str, TimeGuess]) -> ColumnReport:
    """Return a column as the answer has it."""
    kind = "time" if column.name in times and column.type != "integer" else column.type
    note = proposal.notes.get(column.name, "")
    if not note and column.type == "empty":
        note = "no value in the rows that were looked at"
    fed = [name for name, source in proposal.columns.items() if source == column.name]
    if len(fed) > 1:
        note = "; ".join(part for part in (note, f"feeds {' and '.join(sorted(fed))}") if part)
    return ColumnReport(
        column.name, kind, column.samples, proposal.meanings.get(column.name, ""), note
    )


def named_by_meaning(proposal: Proposal, names: Sequence[str]) -> list[str]:
    """Return names for columns without a header: the fields they mean, else those they have."""
    return [proposal.meanings.get(name, name) for name in names]


def _is_of_events(column: Column) -> bool:
    return 0 < len(column.words) <= _MOST_TYPES and known_share(column.words) >= 0.8


def _is_rating(column: Column) -> bool:
    if not column.is_numeric or not 2 <= len(column.words) <= 21:
        return False
    numbers = [float(word.replace(",", ".")) for word in column.words]
    return min(numbers) >= 0.5 and max(numbers) <= 10


def _plain(name: str) -> str:
    """Return a field's name as words, and as the mapping has it."""
    return {"user_id": "user (user_id)", "item_id": "item (item_id)"}.get(name, name)


def _some(words: Sequence[str]) -> str:
    shown = ", ".join(repr(word[:40]) for word in words[:10])
    return shown + (f" and {len(words) - 10} more" if len(words) > 10 else "")
