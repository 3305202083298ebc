"""Which column feeds which field, and how: told from names and values."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from ingest_service.sources.inspecting.columns import Column, ColumnReport
from ingest_service.sources.inspecting.event_words import (
    CONTRACT,
    SKIP,
    constant_from,
    known_share,
    rating_map,
    value_map,
)
from ingest_service.sources.inspecting.ordered import (
    MOST_ID,
    MOST_TYPES,
    feed_by_order,
    is_of_events,
    plain,
)
from ingest_service.sources.inspecting.proposal import Choice, Proposal
from ingest_service.sources.inspecting.times import TimeGuess, guess_times, is_nanoseconds
from lakehouse.contracts.fields import ContractField, FieldKind
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.spellings import distance, words_of

_OF_THE_ITEM: Final = 1.5
"""A name beginning as that of the item's column is nearer: of `Lineitem sku`, `Lineitem name`."""
_UNSURE_FROM: Final = 2
"""A name this far from meaning a field may mean another one."""
_LEAST_FILLED: Final = 0.8
"""Of a column of types: a state that only some rows have is none."""
_LEAST_KNOWN: Final = 0.2
_ORDER: Final = (
    *("user_id", "item_id", "interaction_type", "timestamp", "event_name", "anonymous_id"),
    *("title", "category", "price", "available_from", "is_active", "updated_at", "attributes"),
    "consent",
    *("rating", "session_id", "device_type", "location", "url", "properties", "event_id"),
)


class Proposer:
    """Finds the fields of one data type among the columns of a file.

    `has_names`: whether the file has a header; without one the order and the values tell. `hints`:
    names that may say what happened (the file's). `types`: of interactions, that the tenant has.
    """

    def __init__(
        self,
        columns: Sequence[Column],
        now: datetime,
        *,
        has_names: bool = True,
        hints: Sequence[str] = (),
        types: Sequence[str] = CONTRACT,
    ) -> None:
        self._columns = [column for column in columns if column.filled]
        self._free = self._columns
        self._now = now
        self._has_names = has_names
        self._hints = hints
        self._types = types
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
        has_items = any(
            (far := distance(column.name, "item_id")) is not None and far < _UNSURE_FROM
            for column in self._columns
        )
        if user is not None and self._named("consent") is not None and not has_items:
            return DataType.USERS
        if is_event or (user is not None and self._named("rating") is not None):
            return DataType.INTERACTIONS
        return DataType.ITEMS if self._named("item_id") is not None else DataType.INTERACTIONS

    def propose(self, data_type: DataType) -> Proposal:
        """Return the mapping that fits best."""
        found = Proposal(data_type)
        fields = {one.name: one for one in data_type.definition.fields}
        self._free, unwanted = list(self._columns), set[str]()
        events = None
        if data_type is DataType.ITEMS and self._has_events:
            events = self.propose(DataType.INTERACTIONS)
            taken = {name for field, name in events.columns.items() if field != "item_id"}
            self._free = [column for column in self._columns if column.name not in taken]
            unwanted = {"available_from", "is_active", "updated_at"}
        if not self._has_names:
            feed_by_order(
                *(found, self._free, self.times),
                has_events=events is not None,
                types=self._types,
            )
        for name in _ORDER:
            if name in fields and name not in found.columns and name not in unwanted:
                self._by_name(found, fields[name])
        if events is not None and "timestamp" in events.columns:
            # What a row says of its item was so when it happened.
            found.use("updated_at", self._column(events.columns["timestamp"]))
        if data_type is DataType.INTERACTIONS:
            self._what_happened(found)
        self._read_times(found, fields)
        self._read_numbers(found, fields)
        self._ask_for_missing(found, fields)
        self._tell_odd(found)
        return found

    @property
    def _has_events(self) -> bool:
        """Whether rows name a user, or have no names and a time: then they are no catalogue."""
        if not self._has_names:
            return bool(self.times)
        return self._named("user_id") is not None and bool(self.times)

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
        item = words_of(found.columns.get("item_id", ""))[:1]
        near = sorted(
            (far - (words_of(column.name)[:1] == item) * _OF_THE_ITEM, at)
            for at, column in enumerate(self._free)
            if column.name not in taken and (far := distance(column.name, field.name)) is not None
        )
        for far, at in near:
            column = self._free[at]
            if self._fits(column, field):
                found.use(field.name, column)
                if far >= _UNSURE_FROM and field.required:
                    found.questions.append(
                        f"Is column {column.name!r} the {plain(field.name)}? No column says so "
                        "more clearly."
                    )
                return
        if field.name == "timestamp":
            self._only_time(found)
        if field.kind is FieldKind.INTERACTION_TYPE:
            free = (column for column in self._free if column.name not in taken)
            words = next(
                (c for c in free if is_of_events(c, self._types) and self._fits(c, field)), None
            )
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
            if column.name == field.name:
                return column.name not in self.times  # whatever it holds, rows are read by it
            is_few = 0 < len(column.words) <= MOST_TYPES
            is_filled = column.filled >= _LEAST_FILLED * column.rows
            is_known = known_share(column.words, self._types) >= _LEAST_KNOWN
            return is_few and is_filled and is_known and column.name not in self.times
        if field.name in ("user_id", "item_id", "session_id", "event_id"):
            is_time = column.name in self.times and column.type != "integer"
            return not is_time and column.longest <= MOST_ID and column.type != "json"
        return column.longest <= field.max_length

    def _what_happened(self, found: Proposal) -> None:
        """Say where the type of an interaction comes from: a column, its rating, or a constant."""
        name = found.columns.get("interaction_type")
        if name is not None:
            mapped, unknown = value_map(self._column(name).words, self._types)
            if mapped:
                found.values["interaction_type"] = mapped
            if SKIP in mapped.values():
                skipped = ", ".join(word for word, kind in mapped.items() if kind == SKIP)
                found.notes[name] = f"rows with {skipped} are left out (skip), which may be changed"
            if unknown:
                found.questions.append(
                    f"What do these words of {name!r} mean: {_some(unknown)}? Add them to `values` "
                    f"as {', '.join(self._types)} or skip; until then their rows are wrong."
                )
            return
        rating = found.columns.get("rating")
        mapped_ratings = rating_map(self._column(rating).words) if rating else None
        if mapped_ratings is not None and not set(self._types).issuperset(mapped_ratings.values()):
            mapped_ratings = None
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
        taken_for = next((one for one in (said, "view") if one in self._types), None)
        if taken_for is None:
            return
        found.constants["interaction_type"] = taken_for
        found.questions.append(
            f"No column says what happened: every row was taken for a {taken_for}. Is that right?"
        )

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
                named = self._named(name)
                why = "None was found"
                if named is not None:
                    sample = named.samples[0]
                    why = f"{named.name!r} is called so, but {sample!r} is not read as one"
                found.questions.append(
                    f"Which column is the {plain(name)}? {why}: add it to `columns`, or to "
                    "`constants` if it is the same for all rows."
                )

    def _tell_odd(self, found: Proposal) -> None:
        for column in self._columns:
            if is_nanoseconds(column.values, self._now):
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


def _some(words: Sequence[str]) -> str:
    shown = ", ".join(repr(word[:40]) for word in words[:10])
    return shown + (f" and {len(words) - 10} more" if len(words) > 10 else "")
