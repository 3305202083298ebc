"""What an inspection may be asked for: the query parameters of its endpoint."""

from pydantic import BaseModel, ConfigDict, Field

from ingest_service.sources.uploads.orders import UploadParameters
from lakehouse.contracts.source_mapping import DelimiterText
from lakehouse.contracts.tenant import DataType

_UPLOAD = UploadParameters.model_fields
MOST_DRAFT = 16_384


class InspectParameters(BaseModel):
    """How a file is to be looked at; everything that is left out is told from it."""

    model_config = ConfigDict(frozen=True)

    data_type: DataType | None = Field(
        None, description="What the rows are; told from the columns when left out."
    )
    mapping: str | None = Field(
        None, description="Name of a source mapping of the tenant to try instead of a proposed one."
    )
    draft: str | None = Field(
        None,
        max_length=MOST_DRAFT,
        description="A source mapping as JSON to try instead of a proposed one.",
    )
    encoding: str | None = Field(None, max_length=40, description="Encoding of the file.")
    delimiter: DelimiterText | None = Field(
        None, description="Delimiter of the file: up to 8 characters, or `tab`."
    )
    sheet: str | None = Field(
        None,
        min_length=1,
        max_length=200,
        description="Of a workbook, the sheet to look at: its name, or its number from 1.",
    )
    file_name: str = Field(
        "", max_length=255, description="Name of the file, which may say what happened."
    )
    start_only: bool = Field(
        default=False, description="The body is only the start of a file, cut off anywhere."
    )
