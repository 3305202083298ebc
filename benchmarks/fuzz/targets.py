"""The parsers, each as a function of bytes: it returns, or refuses in the way it promises.

Anything else that it raises is a crash.
"""

import base64
import tempfile
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from standardwebhooks.webhooks import Webhook

from ingest_service.readers.base import RowChunk
from ingest_service.readers.events.parsing import (
    BadEventsError,
    EventLimits,
    TooLargeError,
    parse_events,
)
from ingest_service.readers.events.plain import PlainBody, plain_body, read_together
from ingest_service.readers.events.quick import quick_texts
from ingest_service.readers.json.rows import JsonColumns, RowTexts, joined, texts_of
from ingest_service.sources.uploads.opening import open_rows
from ingest_service.sources.uploads.upload import FileUpload
from ingest_service.sources.webhooks.adapters import rows_of
from ingest_service.sources.webhooks.signatures import BadSignatureError, verified
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.row_issues import WARNING_CODES
from lakehouse.contracts.tenant import (
    SEGMENT,
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)
from lakehouse.contracts.validator import Validator

Target = Callable[[bytes], None]

LIMITS: Final = EventLimits(events=500, event_bytes=20_000)
CHUNK_BYTES: Final = 64 * 1024
SECRET: Final = "whsec_" + base64.b64encode(b"a secret that everybody may know").decode()
_SETTINGS: Final = TenantSettings()
_MOMENT: Final = datetime(2026, 5, 1, tzinfo=UTC)


def csv_file(data: bytes) -> None:
    """A CSV upload, in both ways to take wrong rows."""
    for on_error in OnError:
        _file(data, FileFormat.CSV, on_error)


def json_file(data: bytes) -> None:
    """A JSON upload."""
    _file(data, FileFormat.JSON, OnError.QUARANTINE)


def events(data: bytes) -> None:
    """A body of the Events API; the quick ways must read what the strict one does."""
    for data_type in DataType:
        mapping = SourceMapping()
        columns = JsonColumns.of(data_type, mapping)
        quick = quick_texts(data, data_type, LIMITS)
        plain = plain_body(data, data_type, LIMITS)
        try:
            records = parse_events(data, LIMITS)
            strict = texts_of(records, columns)
        except (BadEventsError, TooLargeError):
            if quick is not None or plain is not None:
                raise AssertionError("a quick way reads what the strict one refuses") from None
            continue
        if plain is not None:
            _compare(plain, strict, columns)
        if quick is not None and (quick.values, quick.raws) != (_plain(strict), strict.raws):
            raise AssertionError("the quick way reads something else than the strict one")
        _validate(data_type, mapping, strict)


def webhook(data: bytes) -> None:
    """A message: headers in the first three lines, then the body; and the body as if signed."""
    parts = data.split(b"\n", 3)
    texts = [part.decode("latin-1") for part in parts[:3]]
    headers = dict(
        zip(("webhook-id", "webhook-timestamp", "webhook-signature"), texts, strict=False)
    )
    body = parts[3] if len(parts) > 3 else data
    with suppress(BadSignatureError):
        verified([SECRET, ""], headers, body)
    with suppress(UnicodeDecodeError):
        moment = datetime.now(UTC)
        signature = Webhook(SECRET).sign("m", moment, body.decode())
        signed = {
            "webhook-id": "m",
            "webhook-timestamp": str(int(moment.timestamp())),
            "webhook-signature": signature,
        }
        verified([SECRET], signed, body)
    for adapter, mapping in (("segment", SEGMENT), ("generic", SourceMapping())):
        columns = JsonColumns.of(DataType.CLICKSTREAM, mapping)
        _validate(DataType.CLICKSTREAM, mapping, rows_of(adapter, body, columns, LIMITS))


TARGETS: Final[dict[str, Target]] = {
    "csv": csv_file,
    "json": json_file,
    "events": events,
    "webhook": webhook,
}


def _file(data: bytes, kind: FileFormat, on_error: OnError) -> None:
    with tempfile.NamedTemporaryFile(prefix="eta-fuzz-", dir=_folder()) as file:
        file.write(data)
        file.flush()
        upload = FileUpload(
            Path(file.name),
            "fuzz",
            DataType.INTERACTIONS,
            SourceMapping(),
            _SETTINGS,
            "batch",
            on_error=on_error,
            format=kind,
        )
        with suppress(FileRefusedError), open_rows(upload, CHUNK_BYTES) as rows:
            validator = Validator(DataType.INTERACTIONS, SourceMapping(), _SETTINGS, rows.header)
            list(rows.oddities(validator.columns))
            for piece in rows.pieces():
                chunk = rows.parse(piece, validator.columns)
                _judge(validator, chunk)
                chunk.raw(range(min(3, chunk.frame.height)))
            list(rows.ending())


def _validate(data_type: DataType, mapping: SourceMapping, rows: RowTexts) -> None:
    columns = JsonColumns.of(data_type, mapping)
    validator = Validator(data_type, mapping, _SETTINGS, columns.names)
    _judge(validator, joined([rows], validator.columns))


def _judge(validator: Validator, chunk: RowChunk) -> None:
    found = validator.validate(chunk.frame, _MOMENT, chunk.traits, chunk.faults)
    judged = found.accepted.height + found.reasons["row"].n_unique()
    if not set(found.warnings["code"]) <= set(WARNING_CODES):
        raise AssertionError("a warning of an unknown code")
    if judged != chunk.frame.height:
        raise AssertionError(f"{chunk.frame.height} rows, {judged} judged")


def _compare(plain: PlainBody, strict: RowTexts, columns: JsonColumns) -> None:
    """A body that is read with others must come out as the strict way reads it."""
    found = read_together([plain, plain], columns.names)
    if plain.count != strict.count or plain.raws() != strict.raws:
        raise AssertionError("a plain body holds other events than the strict way reads")
    if found is None:
        return
    expected = joined([strict, strict], columns.names).frame
    if strict.faults or not found.frame.equals(expected):
        raise AssertionError("read together, events are others than the strict way reads")


def _plain(rows: RowTexts) -> dict[str, list[Any]]:
    return {
        name: [None if value is None else str(value) for value in column]
        for name, column in rows.values.items()
    }


def _folder() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None
