"""What an upload may ask for: its query parameters, and what its job keeps of them."""

from pydantic import BaseModel, ConfigDict, Field

from lakehouse.contracts.source_mapping import DelimiterText, SourceMapping
from lakehouse.contracts.tenant import DataType, FileFormat, OnError


class UploadParameters(BaseModel):
    """How a file is to be read and what becomes of wrong rows."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    data_type: DataType = Field(description="What the rows are.")
    mapping: str | None = Field(None, description="Name of the tenant's source mapping.")
    on_error: OnError = Field(
        OnError.REJECT, description="With a wrong row: store nothing, or the good rows."
    )
    dry_run: bool = Field(
        default=False, description="Validate everything, store nothing, say what would happen."
    )
    is_async: bool = Field(
        default=False,
        alias="async",
        description="Answer 202 with a job as soon as the file is kept; ask the job for the rest.",
    )
    encoding: str | None = Field(
        None, max_length=40, description="Encoding of the file; told from it when left out."
    )
    delimiter: DelimiterText | None = Field(
        None,
        description="What stands between fields: up to 8 characters, or `tab`; told from the "
        "file when left out.",
    )


class UploadOrder(BaseModel):
    """An upload as a job keeps it; the file is beside.

    `declared_charset`: of the file, as its Content-Type has it. `mapping_settings`: the mapping
    that came with it, which the tenant's settings do not have. `named`: what its name or its
    Content-Type says that it is. `sheet`: of a workbook, the one to read.
    """

    model_config = ConfigDict(frozen=True)

    parameters: UploadParameters
    format: FileFormat = FileFormat.CSV
    declared_charset: str | None = None
    mapping_settings: SourceMapping | None = None
    named: FileFormat | None = None
    sheet: str | None = None
