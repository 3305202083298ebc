"""What was taken in and how its tenant wants it read: a file, or rows that are in memory."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ingest_service.readers.csv.encoding import Encoding
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)


@dataclass(frozen=True, slots=True)
class RowsOrder:
    """Rows in memory: wrong ones are kept aside, the others stored.

    `source` is what the tables call the way they came; rows in quarantine keep `mapping_name`.
    """

    tenant_id: str
    data_type: DataType
    mapping: SourceMapping
    mapping_name: str
    settings: TenantSettings
    batch_id: str
    source: str
    on_error: OnError = OnError.QUARANTINE
    is_dry: bool = False
    is_mapping_sent: bool = False


@dataclass(frozen=True, slots=True)
class FileUpload:
    """A file on disk and what is to become of its rows.

    `mapping_name` is what the tenant calls the mapping: rows in quarantine keep it, or with
    `is_mapping_sent`, since it came with the file, the mapping itself.
    `encoding` and `delimiter` go before the mapping's; `declared_charset`, the request's, comes
    after both. `named`: what the file's name or declared type says that it is; `sheet`: of a
    workbook, the one to read. `expects_damage`: records that are not
    UTF-8 are wrong rows. `is_dry`: nothing is stored. `is_repeat`: an earlier attempt may have
    stored the batch.
    """

    path: Path
    tenant_id: str
    data_type: DataType
    mapping: SourceMapping
    settings: TenantSettings
    batch_id: str
    on_error: OnError = OnError.REJECT
    mapping_name: str = "default"
    is_mapping_sent: bool = False
    format: FileFormat = FileFormat.CSV
    encoding: str | Encoding | None = None
    delimiter: str | None = None
    declared_charset: str | None = None
    named: FileFormat | None = None
    sheet: str | None = None
    expects_damage: bool = False
    is_dry: bool = False
    is_repeat: bool = False

    @property
    def source(self) -> str:
        """What the file is written in."""
        return self.format.value


Order = FileUpload | RowsOrder
"""What a batch has to know of what it stores, wherever its rows come from."""


Watch = Callable[[int, int], None]
"""Is told how many bytes and rows of a file have been read; may raise to stop the reading."""


def unwatched(bytes_read: int, rows: int) -> None:
    """Take no note."""
