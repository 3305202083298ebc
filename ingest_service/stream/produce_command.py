"""Sends a file's rows to a topic, for `eta produce`.

Prints one JSON document with what became of them.
"""

import argparse
import csv
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Final

from ingest_service.settings import StreamSettings, prepare_process
from lakehouse.contracts.fields import FieldKind
from lakehouse.contracts.tenant import DataType
from lakehouse.dev.addresses import broker_address, registry_address
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings

TELL_SECONDS: Final = 2.0
READ_ROWS: Final = 10_000


def main() -> int:
    """Send the rows and print the counts; return the exit code."""
    prepare_process()
    options = _options()
    try:
        print(json.dumps(_produce(options)))
    except EtaError as error:
        print(json.dumps({"error": error.message, "remedy": error.remedy}))
        return 1
    return 0


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV, NDJSON or Parquet file, by its name; nothing for what is missing.

    Raises `EtaError` for another kind, and with the line of the first row that cannot be read.
    """
    match path.suffix.lower():
        case ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                for row in csv.DictReader(file):
                    yield {name: value for name, value in row.items() if name and value}
        case ".ndjson" | ".jsonl":
            with path.open("rb") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield _object(line, number)
        case ".parquet":
            yield from _parquet_rows(path)
        case other:
            raise EtaError(
                f"files of the kind {other or 'none'!r} cannot be read",
                remedy="give a .csv, .ndjson, .jsonl or .parquet file",
            )


def typed(data_type: DataType) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return a function that makes the texts of a CSV row what the contract wants them to be.

    A text that is none stays as it is: the consumer tells what is wrong with it.
    """
    kinds = {field.name: field.kind for field in data_type.definition.fields}
    readers: dict[FieldKind, Callable[[str], Any]] = {
        FieldKind.TIMESTAMP: int,
        FieldKind.NUMBER: float,
        FieldKind.BOOLEAN: lambda text: {"true": True, "false": False}[text.lower()],
    }

    def convert(row: dict[str, Any]) -> dict[str, Any]:
        for name, value in row.items():
            reader = readers.get(kinds.get(name, FieldKind.TEXT))
            if reader is not None and isinstance(value, str):
                try:
                    row[name] = reader(value)
                except (ValueError, KeyError):
                    row[name] = value
        return row

    return convert


def _object(line: bytes, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise EtaError(
            f"line {number} of the file is not a JSON object",
            remedy="correct it; the lines before it were sent, and sending them again adds nothing",
        )
    return found


def _parquet_rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(READ_ROWS):
            for row in batch.to_pylist():
                yield {name: value for name, value in row.items() if value is not None}


def _produce(options: argparse.Namespace) -> dict[str, Any]:
    from ingest_service.stream.encoding import AvroEncoder, JsonEncoder, MessageEncoder
    from ingest_service.stream.producer import InteractionProducer
    from ingest_service.stream.registered import GlueSchemas, RegisteredSchemas

    settings, lake = StreamSettings(), LakeSettings()
    encoder: MessageEncoder = JsonEncoder()
    if options.format == "avro":
        registry: str | RegisteredSchemas | None = settings.registry_url or registry_address(lake)
        if settings.glue_registry is not None and settings.registry_url is None:
            registry = GlueSchemas(settings.glue_registry, settings.topic_prefix)
        if registry is None:
            raise EtaError(
                "no schema registry is set, and none of `eta dev` is running here",
                remedy="start one with `eta dev registry up`, or set ETA_STREAM_REGISTRY_URL or "
                "ETA_STREAM_GLUE_REGISTRY",
            )
        encoder = AvroEncoder(registry, settings.topic_prefix)
    data_type = DataType(options.type)
    convert = typed(data_type)
    producer = InteractionProducer(
        settings.bootstrap_servers or broker_address(lake),
        encoder=encoder,
        topic_prefix=settings.topic_prefix,
        **settings.client_options,
    )
    began, sent, told = monotonic(), 0, monotonic()
    with producer:
        for row in read_rows(options.file):
            producer.send(options.tenant, convert(row), data_type)
            sent += 1
            if options.rate:
                sleep(max(0.0, began + sent / options.rate - monotonic()))
            if monotonic() - told > TELL_SECONDS:
                told = monotonic()
                speed = sent / (told - began)
                print(f"{sent:,} messages, {speed:,.0f} per second", file=sys.stderr)
        producer.flush()
    counts = producer.counts
    return {
        "sent": counts.sent,
        "delivered": counts.delivered,
        "failed": counts.failed,
        "seconds": round(monotonic() - began, 3),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m ingest_service.stream.produce_command")
    parser.add_argument("file", type=Path)
    parser.add_argument("--tenant", required=True)
    parser.add_argument("--type", required=True, choices=[kind.value for kind in DataType])
    parser.add_argument("--format", required=True, choices=["json", "avro"])
    parser.add_argument("--rate", type=float, default=0.0, help="messages per second")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
