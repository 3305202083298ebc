"""From a file's first bytes to what it is, a mapping to edit, and its rows under that mapping."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import polars as pl
from pydantic import ValidationError

from ingest_service.pipeline.report import FileReading
from ingest_service.readers.csv.detection import guess_encoding
from ingest_service.readers.csv.encoding import (
    UTF8,
    Encoding,
    NotUtf8Error,
    TextSource,
    non_ascii_lines,
)
from ingest_service.readers.json.rows import JsonColumns, chunk_of
from ingest_service.sources.inspecting.bounded import Bounded
from ingest_service.sources.inspecting.columns import ColumnReport, columns_of
from ingest_service.sources.inspecting.dialect import FoundDialect, find_dialect
from ingest_service.sources.inspecting.proposal import Proposal
from ingest_service.sources.inspecting.proposer import Proposer, report_of
from ingest_service.sources.inspecting.start import format_of, names_in_json, text_of_start
from ingest_service.sources.inspecting.trial import CHUNK_BYTES, Reason, Trial, try_mapping
from ingest_service.sources.uploads.opening import open_rows, second_reading
from ingest_service.sources.uploads.upload import FileUpload
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault
from lakehouse.contracts.settings_model import problems
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)

LOOKED_AT: Final = 8 * 1024 * 1024
"""Bytes of a file, unpacked, that are looked at."""
_SAMPLE_CHARACTERS: Final = 120
_ASKED: Final = "asked"


@dataclass(frozen=True, slots=True)
class InspectOrder:
    """A file to look at, unpacked, and what is known of it; of a workbook its `sheet`.

    `mapping`: to be tried instead of a proposed one. `name`: the file's, which may say what
    happened. `packing`: how it came. `is_start`: it is only the start of a file.
    """

    path: Path
    settings: TenantSettings = field(default_factory=TenantSettings)
    data_type: DataType | None = None
    mapping: SourceMapping | None = None
    encoding: str | None = None
    delimiter: str | None = None
    declared_charset: str | None = None
    name: str = ""
    packing: str | None = None
    is_start: bool = False
    looked_at: int = LOOKED_AT
    sheet: str | None = None


@dataclass(frozen=True, slots=True)
class _Texts:
    """Rows as texts, all columns of them; `is_whole`: they are all of the file."""

    frame: pl.DataFrame
    reading: FileReading
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Inspection:
    """What was found; `proposed` are the keys of a source mapping, None when one was given."""

    order: InspectOrder
    format: FileFormat
    reading: FileReading
    candidates: list[tuple[str, str]]
    dialect: FoundDialect | None
    mapping: dict[str, Any]
    proposal: Proposal
    columns: list[ColumnReport]
    trial: Trial


def inspect(order: InspectOrder, now: datetime) -> Inspection:
    """Look at the start of a file; nothing is stored and nothing is written.

    Raises `FileRefusedError` for a file of which nothing can be read.
    """
    file_format = format_of(order.path, order.name, is_start=order.is_start)
    asked = _candidates(order, file_format)
    encoding = order.encoding or (order.mapping.encoding if order.mapping else None)
    if encoding is None and asked:
        encoding = asked[0][0]
    dialect = None
    if file_format is FileFormat.CSV:
        text = text_of_start(order.path, encoding or _guessed(order), order.declared_charset)
        dialect = find_dialect(text, order.delimiter)
    names = [f"column_{n}" for n in range(1, (dialect.columns if dialect else 0) + 1)]
    own = dialect.as_mapping(names) if dialect else {}
    if asked:
        own["encoding"] = encoding
    # A comma is left out of a mapping; here no name that is wanted tells the reader of it.
    said = own | ({"delimiter": dialect.delimiter} if dialect else {})
    read_by = order.mapping or _mapping(said)
    upload = _upload(order, file_format, DataType.INTERACTIONS, read_by)
    texts, upload = _rows(order, upload)
    columns = columns_of(texts.frame)
    has_names = dialect is None or dialect.has_header or order.mapping is not None
    proposer = Proposer(
        *(columns, now),
        has_names=has_names,
        hints=[order.name],
        types=order.settings.interaction_types,
    )
    data_type = order.data_type or proposer.data_type()
    proposal = proposer.propose(data_type)
    mapping = own | proposal.mapping()
    reports = [report_of(column, proposal, proposer.times) for column in columns]
    if not has_names:
        called = proposal.rename(names)
        mapping = own | {"names": list(called.values())} | proposal.mapping()
        reports = [replace(report, name=called[report.name]) for report in reports]
    tried = (order.mapping or _mapping(mapping)).of(data_type)
    settings = with_time_range(order.settings, proposal)
    upload = replace(upload, data_type=data_type, mapping=tried, settings=settings)
    return Inspection(
        order,
        file_format,
        replace(texts.reading, encoding_from=_ASKED) if asked else texts.reading,
        asked,
        dialect,
        mapping if order.mapping is None else order.mapping.model_dump(exclude_defaults=True),
        proposal,
        reports,
        _trial(order, upload, now, texts),
    )


def with_time_range(settings: TenantSettings, proposal: Proposal) -> TenantSettings:
    """Return settings whose time range holds the events, as far as they were looked at."""
    return settings.model_copy(update={"time_range": time_range_of(settings, proposal)})


def time_range_of(settings: TenantSettings, proposal: Proposal) -> Any:
    """Return the settings' time range, widened to whole years that hold all events."""
    found = settings.time_range
    if proposal.span is None:
        return found
    first, last = proposal.span
    start, end = found.start, found.end
    if first < start:
        start = start.replace(year=first.year, month=1, day=1, hour=0, minute=0, second=0)
    if last >= end:
        end = end.replace(year=min(last.year + 1, 9999), month=1, day=1, hour=0, minute=0, second=0)
    return found.model_copy(update={"start": start, "end": end})


def _upload(
    order: InspectOrder, file_format: FileFormat, data_type: DataType, mapping: SourceMapping
) -> FileUpload:
    return FileUpload(
        order.path,
        "inspected",
        data_type,
        mapping,
        order.settings,
        "inspected",
        OnError.QUARANTINE,
        format=file_format,
        encoding=order.encoding,
        delimiter=order.delimiter,
        declared_charset=order.declared_charset,
        sheet=order.sheet,
    )


def _rows(order: InspectOrder, upload: FileUpload) -> tuple[_Texts, FileUpload]:
    """Return the rows that are looked at, and how to read them."""
    while True:
        try:
            return _texts(order, upload), upload
        except NotUtf8Error as error:
            upload = second_reading(upload, error)


def _texts(order: InspectOrder, upload: FileUpload) -> _Texts:
    names: Sequence[str] = ()
    if upload.format is FileFormat.JSON:
        names = names_in_json(order.path, order.encoding)
    opened = open_rows(upload, CHUNK_BYTES)
    with Bounded(opened, order.looked_at, is_start=order.is_start) as file:
        wanted = names or file.header
        frames = []
        for piece in file.pieces():
            if names:
                json_columns = JsonColumns(tuple(names), frozenset(names))
                frames.append(chunk_of(file.records(piece), json_columns).frame)
            else:
                frames.append(file.parse(piece, wanted).frame)
        empty = pl.DataFrame(schema=dict.fromkeys(wanted, pl.String))
        return _Texts(pl.concat([empty, *frames]), file.reading(), file.is_whole)


def _trial(order: InspectOrder, upload: FileUpload, now: datetime, texts: _Texts) -> Trial:
    """Try the mapping; one that cannot be used is a reason of every row."""
    try:
        return try_mapping(upload, now, order.looked_at, is_start=order.is_start)
    except FileRefusedError as error:
        message = f"{error.message}; {error.remedy}"
        count = texts.frame.height
        reason = Reason(str(error.code), count, message, error.line or 1)
        return Trial(reasons=[reason], received=count, rejected=count, is_whole=texts.is_whole)


def _mapping(keys: dict[str, Any]) -> SourceMapping:
    try:
        return SourceMapping.model_validate(keys)
    except ValidationError as error:
        fault = problems(error, "the mapping")[0]
        raise FileRefusedError(
            FileFault.UNKNOWN_MAPPED_FIELD,
            f"the file cannot be read by a source mapping: {fault}",
            remedy="write it as CSV with a header and one character between the fields",
        ) from None


def _guessed(order: InspectOrder) -> Encoding | None:
    """Return the encoding a file that is not UTF-8 is read in, as the reader decides it."""
    return None if _says_its_encoding(order) else guess_encoding(order.path).encoding


def _candidates(order: InspectOrder, file_format: FileFormat) -> list[tuple[str, str]]:
    """Return likely encodings, each with a line read by it, where no encoding is sure."""
    is_given = order.encoding or (order.mapping and order.mapping.encoding)
    if is_given or file_format is not FileFormat.CSV or _says_its_encoding(order):
        return []
    guess = guess_encoding(order.path)
    if guess.encoding is not None:
        return []
    line = next(non_ascii_lines(order.path, 4_096), b"").strip()
    return [(name, line.decode(name, "replace")[:_SAMPLE_CHARACTERS]) for name in guess.likely]


def _says_its_encoding(order: InspectOrder) -> bool:
    """Whether a charset was declared, a mark or NULs show it, or what is looked at is UTF-8."""
    source = TextSource(order.path, None, order.declared_charset)
    try:
        if source.encoding.how != "detected" or source.encoding.name != UTF8:
            return True
        data = source.read(order.looked_at)
    finally:
        source.close()
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and error.end == len(data)
    return True
