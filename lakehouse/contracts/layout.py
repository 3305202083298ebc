"""How a row's bytes are to be read again, kept beside every row in quarantine.

A record of a CSV file means nothing without the file's header and delimiter, and the file is gone
when somebody comes to correct it.
"""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict


class SourceLayout(BaseModel):
    """What a source's rows look like: enough to read one of them alone.

    `columns`: the header of a CSV file, in its order; of JSON the names that were asked for.
    `escape`: what stands before a quote that is text.
    `encoding`: of the bytes, as Python calls it. `mapping`: name of the tenant's source mapping
    that the rows were read with. `schema_text`: of an Avro message, the schema it was written
    with. `bytes` cannot be read; `message` is a JSON object with key and value of a message in
    base64. Rows of workbooks, Parquet and Avro files are kept as JSON objects of their columns;
    `typed_times`: what they have as times is a text that says so. Holds nothing of a row.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal["csv", "json", "avro", "bytes", "message"] = "csv"
    encoding: str = "utf-8"
    delimiter: str = ","
    escape: str | None = None
    columns: tuple[str, ...] = ()
    mapping: str = "default"
    schema_text: str | None = None
    typed_times: bool | None = None

    def to_text(self) -> str:
        """Return the layout as it is stored; equal layouts have equal texts."""
        return self.model_dump_json(exclude_none=True)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """Read `to_text` back."""
        return cls.model_validate_json(text)
