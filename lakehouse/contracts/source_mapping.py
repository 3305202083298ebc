"""How a tenant's files are read: one typed model of what a source may differ in.

What is left out is found out from the file where that is safe. Only here is decided what may be
said; what is done about it lies with the readers (how a file is cut into fields) and with
`mapping` and `parsing` (what its fields mean).
"""

from functools import cache
from typing import Annotated, Any, Final, Literal, Self
from zoneinfo import available_timezones

from pydantic import (
    BeforeValidator,
    Field,
    StringConstraints,
    field_serializer,
    model_validator,
)

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.settings_model import SettingsModel

SKIP: Final = "skip"
"""What a value map says of an interaction type whose rows are left out."""
MOST_DELIMITER: Final = 8
MOST_HEADER_LINES: Final = 10
NO_QUOTE: Final = "none"

_SPELLED: Final = {"tab": "\t", "\\t": "\t", "space": " "}
_NO_DELIMITER: Final = frozenset('"\r\n\0\x1f')
_QUOTE_IT: Final = 'quote it as the file has it, as in "5", "no" or "2026-01-01"'
_LETTERS: Final = r"^[!-~]+$"


def _quoted_texts(value: Any) -> Any:
    """Say of a number or a boolean that YAML made of a word what to do about it."""
    if isinstance(value, dict):
        for number, (key, one) in enumerate(value.items(), 1):
            _refuse_non_text(key, f"the key of entry {number}")
            _refuse_non_text(one, f"the value of entry {number}")
    if isinstance(value, (list, tuple)):
        for number, one in enumerate(value, 1):
            _refuse_non_text(one, f"entry {number}")
    return value


def _refuse_non_text(one: Any, what: str) -> None:
    if isinstance(one, str):
        return
    if isinstance(one, bool):
        raise ValueError(
            f"{what} is a boolean, as YAML reads yes, no, on, off, true and false: {_QUOTE_IT}"
        )
    if one is None:
        raise ValueError(f'{what} is empty: quote it ("", "null", "~"), or leave it out')
    if isinstance(one, (dict, list)):
        raise ValueError(f"{what} is no text, but has entries of its own")
    kind = "a number" if isinstance(one, (int, float)) else "a date"
    raise ValueError(f"{what} is {kind} to YAML: {_QUOTE_IT}")


def spelled_delimiter(value: object) -> object:
    """Return the delimiter that a word stands for (`tab`, `space`); anything else as it is."""
    return _SPELLED.get(value, value) if isinstance(value, str) else value


def _check_delimiter(value: str) -> None:
    if _NO_DELIMITER & set(value):
        raise ValueError("delimiter: a quote, a line end, NUL or 0x1F cannot stand between fields")


Texts = Annotated[dict[str, str], BeforeValidator(_quoted_texts)]
"""Texts by a text; numbers and booleans of YAML are refused with what to do."""
Words = Annotated[list[str], BeforeValidator(_quoted_texts)]
DelimiterText = Annotated[
    str,
    BeforeValidator(spelled_delimiter),
    StringConstraints(min_length=1, max_length=MOST_DELIMITER),
]
"""What stands between fields: up to 8 characters, or `tab` or `space`."""


def _check_header(value: Any) -> Any:
    """Say once what may be said, instead of once for a word and once for a number."""
    if value in ("first", "none") or (isinstance(value, int) and 1 <= value <= MOST_HEADER_LINES):
        return value
    raise ValueError(f"it is first, none, or how many lines it has, 1 to {MOST_HEADER_LINES}")


NO_PLACES: Final = {"Factory", "localtime"}
"""Names in a machine's list of zones that stand for no zone, or for whatever the machine has."""


@cache
def _zones() -> frozenset[str]:
    """Return the names of zones; to list them takes 4 ms, most of reading a tenant's settings."""
    return frozenset(available_timezones() - NO_PLACES)


def check_zone(zone: str | None) -> None:
    """Raise `ValueError` for a text that is no zone's name, the same on every machine."""
    if zone is not None and zone not in _zones():
        raise ValueError("time_zone: not a zone's IANA name, such as Europe/Berlin or UTC")


class TimestampFormat(SettingsModel):
    """How a timestamp column is written.

    `unit` `iso` reads ISO 8601 (no offset means UTC); `s`, `ms`, `us` read a number since the
    epoch; `format` (strptime) wins over the unit. `time_zone` (an IANA name) is the zone of times
    that are written without an offset: with one, a time that its clocks never showed is wrong, and
    of one that they showed twice the first is taken, with a warning.
    """

    unit: Literal["iso", "s", "ms", "us"] = "ms"
    format: str | None = None
    time_zone: str | None = None

    @property
    def is_number(self) -> bool:
        """Whether times are numbers since the epoch."""
        return self.format is None and self.unit != "iso"

    @model_validator(mode="after")
    def _zone_is_known_and_of_use(self) -> Self:
        if self.time_zone is None:
            return self
        if self.is_number:
            raise ValueError("time_zone: numbers since 1970 have no zone; give a format or iso")
        check_zone(self.time_zone)
        return self


class _Settings(SettingsModel):
    """What a source says, and each of its sections may say again for one data type."""

    columns: Texts = Field(default_factory=dict)
    values: dict[str, Texts] = Field(default_factory=dict)
    constants: Texts = Field(default_factory=dict)
    timestamps: dict[str, TimestampFormat] = Field(default_factory=dict)
    time_zone: str | None = None
    decimal: Literal[".", ","] = "."
    thousands: Literal[",", ".", " ", "'", "_"] | None = None
    null_values: Words = Field(default_factory=list, max_length=100)
    match_columns: Literal["loose", "exact"] = "loose"
    encoding: str | None = None
    delimiter: DelimiterText | None = None
    quote: Literal['"', "'", "none"] = '"'
    escape: Literal["\\"] | None = None
    comment: Annotated[str, Field(min_length=1, max_length=8, pattern=_LETTERS)] | None = None
    skip_lines: Annotated[int, Field(ge=0, le=1_000)] = 0
    skip_last_lines: Annotated[int, Field(ge=0, le=1_000)] = 0
    header: Annotated[
        Literal["first", "none"] | Annotated[int, Field(ge=1, le=MOST_HEADER_LINES)],
        BeforeValidator(_check_header),
    ] = "first"
    names: Words = Field(default_factory=list, max_length=1_000)
    header_rows: Literal["told", "none"] = "told"
    max_reject_share: Annotated[float, Field(ge=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.header == "none" and not self.names and not isinstance(self, MappingSection):
            raise ValueError("header: a file without one needs `names`, its columns in order")
        if len(set(self.names)) < len(self.names):
            raise ValueError("names: a column is named twice")
        if self.delimiter is not None:
            _check_delimiter(self.delimiter)
        signs = {"quote": self.quote, "delimiter": self.delimiter, "escape": self.escape}
        for name, sign in signs.items():
            if sign is None or sign == NO_QUOTE:
                continue
            if self.comment is not None and self.comment[0] == sign[0]:
                raise ValueError(f"comment: it begins as the {name} does")
            if name != "delimiter" and sign in (self.delimiter or ""):
                raise ValueError(f"delimiter: it holds the {name}")
        if self.thousands == self.decimal:
            raise ValueError("thousands: it is the decimal mark, too; `decimal` says which that is")
        check_zone(self.time_zone)
        return self


class MappingSection(_Settings):
    """What differs for one data type; see `SourceMapping.data_types`."""


_BY_ENTRY: Final = ("columns", "values", "constants", "timestamps")
FILE_SETTINGS: Final = (
    *("delimiter", "quote", "escape", "comment", "skip_lines", "skip_last_lines"),
    *("header", "names"),
)
"""Settings that say how a file of lines is cut into fields; JSON rows have no use for them."""


class SourceMapping(_Settings):
    """How one kind of file becomes contract columns, so that a real file needs no editing.

    What the fields are:
    `columns`: contract field → column of the file (fields left out keep their own name; one column
    may feed several fields). `match_columns`: a column that is not there exactly so may be there in
    another letter case or with spaces around it, if one column alone is (`loose`), or not
    (`exact`). `values`: contract field → {value in the file → contract value}; a value without an
    entry is kept as it stands; rows of an `interaction_type` that is `skip` are left out and
    counted. `constants`: contract field → value for every row. `timestamps`: how each is written;
    `time_zone`: of all that are written without an offset, unless they say otherwise. `decimal`:
    the mark before the decimals of prices and ratings; with a comma, a number that has a point is
    wrong, unless that is the mark of its `thousands`. `null_values`: words for "no value", in any
    column.

    How the file is cut into them; what is left out is told from the file, or as RFC 4180 has it:
    `encoding`. `delimiter`: up to 8 characters. `quote`: around texts, `none` when quotes are text.
    `escape`: a backslash that stands before quotes. `comment`: what lines begin with that are no
    rows. `skip_lines` before the header and `skip_last_lines` of the file, which are not read.
    `header`: `first`, `none`, or of how many lines it consists (whose words are joined with a
    space). `names`: the columns in order, of a file without a header or instead of the header's.
    `header_rows`: rows that name columns are headers that came again (`told`), or rows like the
    others (`none`).

    `max_reject_share`: the share of a file's rows that may be wrong where wrong rows are kept
    aside; with more, nothing of it is stored.

    `data_types`: what is otherwise for one data type, so that one source serves several; it goes
    before what is said for all, entry by entry in columns, values, constants and timestamps.
    """

    data_types: dict[DataType, MappingSection] = Field(default_factory=dict)

    @field_serializer("data_types")
    def _as_given(self, sections: dict[DataType, MappingSection]) -> dict[str, Any]:
        """Write no defaults: what a section leaves out is as the source has it."""
        return {
            name.value: section.model_dump(mode="json", exclude_unset=True)
            for name, section in sections.items()
        }

    @model_validator(mode="after")
    def _sections_fit(self) -> Self:
        for data_type in self.data_types:
            self.of(data_type)
        return self

    def of(self, data_type: DataType) -> "SourceMapping":
        """Return what it says for a data type, without sections.

        Entries for fields that the data type lacks are left out where sections are for others.
        """
        if not self.data_types:
            return self
        section = self.data_types.get(data_type) or MappingSection()
        known = {field.name for field in data_type.definition.fields}
        own = self.model_dump(exclude={"data_types"}, exclude_unset=True)
        for name, said in section.model_dump(exclude_unset=True).items():
            own[name] = {**own.get(name, {}), **said} if name in _BY_ENTRY else said
        for name in _BY_ENTRY:
            here = known | getattr(section, name).keys()
            own[name] = {field: one for field, one in own.get(name, {}).items() if field in here}
        return SourceMapping.model_validate(own)

    def timestamp(self, field: str) -> TimestampFormat:
        """Return how the times of a field are written."""
        how = self.timestamps.get(field, TimestampFormat())
        if self.time_zone is None or how.time_zone is not None or how.is_number:
            return how
        return how.model_copy(update={"time_zone": self.time_zone})

    @property
    def file_settings(self) -> tuple[str, ...]:
        """The names of those settings that are of use for files of lines alone, as they are set."""
        plain = _Settings.model_fields
        return tuple(
            name
            for name in FILE_SETTINGS
            if getattr(self, name) != plain[name].get_default(call_default_factory=True)
        )
