"""How a row's bytes are to be read again, kept beside every row in quarantine.

A record of a CSV file means nothing without the file's header and delimiter, and the file is gone
when somebody comes to correct it.
"""

import csv
from io import StringIO
from typing import Final, Literal, Self, TypedDict

from pydantic import BaseModel, ConfigDict

from lakehouse.contracts.tenant import SourceMapping

UNIT_SEPARATOR: Final = "\x1f"
"""Stands for a delimiter of several characters while a record is read."""
LONGEST_FIELD: Final = 1 << 30
"""For Python's csv module, which else refuses 131,073 characters."""


class QuotingOptions(TypedDict):
    """Of the readers and writers of the module csv."""

    quotechar: str | None
    quoting: Literal[0, 3]


class SourceLayout(BaseModel):
    """What a source's rows look like: enough to read one of them alone.

    `columns`: the header of a CSV file, in its order; of JSON the names that were asked for.
    `escape`: what stands before a quote that is text. `quote`: around texts, where it is another
    than `"`; `none` where quotes are text.
    `encoding`: of the bytes, as Python calls it. `mapping`: name of the tenant's source mapping
    that the rows were read with; `mapping_settings`: the mapping itself, where it came with the
    rows instead. `schema_text`: of an Avro message, the schema it was written
    with. `bytes` cannot be read; `message` is a JSON object with key and value of a message in
    base64. Rows of workbooks, Parquet and Avro files are kept as JSON objects of their columns;
    `typed_times`: what they have as times is a text that says so. Holds nothing of a row.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["csv", "json", "avro", "bytes", "message"] = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    escape: str | None = None
    quote: str | None = None
    columns: tuple[str, ...] = ()
    mapping: str = "default"
    mapping_settings: SourceMapping | None = None
    schema_text: str | None = None
    typed_times: bool | None = None

    @property
    def quoting(self) -> QuotingOptions:
        """What Python's reader of CSV is told about quotes."""
        if self.quote == "none":
            return {"quotechar": None, "quoting": csv.QUOTE_NONE}
        return {"quotechar": self.quote or '"', "quoting": csv.QUOTE_MINIMAL}

    def to_text(self) -> str:
        """Return the layout as it is stored; equal layouts have equal texts."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `to_text` back."""
        return cls.model_validate_json(text)

    def csv_records(self, text: str, *, is_strict: bool = True) -> list[list[str]]:
        """Return the records of a text of CSV, as a rule one; raises `csv.Error`.

        Lines without anything hold none. What is not strict takes a quote out of place for text.
        """
        csv.field_size_limit(LONGEST_FIELD)  # of the whole process, so set by who needs it
        longer = self.delimiter if len(self.delimiter.encode()) > 1 else None
        found = csv.reader(
            StringIO(text if longer is None else text.replace(longer, UNIT_SEPARATOR), newline=""),
            delimiter=self.delimiter if longer is None else UNIT_SEPARATOR,
            escapechar=self.escape,
            **self.quoting,
            strict=is_strict,
        )
        if longer is None:
            return [record for record in found if record]
        return [[cell.replace(UNIT_SEPARATOR, longer) for cell in row] for row in found if row]
