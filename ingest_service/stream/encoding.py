"""How an event is written into a message: JSON, or Avro in Confluent's frame or AWS Glue's."""

import json
import logging
from collections.abc import Mapping
from io import BytesIO
from typing import Any, Final, Protocol

import fastavro

from ingest_service.stream.registered import ConfluentSchemas, RegisteredSchemas
from lakehouse.contracts.avro_schemas import avro_schema
from lakehouse.contracts.fields import SENT_FIELDS
from lakehouse.contracts.tenant import DataType, SourceMapping
from lakehouse.contracts.unread import UnreadNames
from lakehouse.errors import EtaError

_log = logging.getLogger(__name__)

MOST_LOGGED: Final = 100
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class MessageEncoder(Protocol):
    """Writes events into messages."""

    def encode(self, tenant_id: str, data_type: DataType, event: Mapping[str, Any]) -> bytes:
        """Return the value of the message; raises `EtaError` when the event cannot be written."""
        ...


class JsonEncoder:
    """One JSON object with the event's fields and its `tenant_id`."""

    def encode(self, tenant_id: str, data_type: DataType, event: Mapping[str, Any]) -> bytes:  # noqa: ARG002
        """Return the object as UTF-8."""
        try:
            return _ENCODER.encode({"tenant_id": tenant_id, **event}).encode()
        except (TypeError, ValueError) as error:
            raise _not_written(error) from error


class AvroEncoder:
    """Avro with the project's schemas, each looked up in the registry (or registered) once.

    `registry` is the address of one with Confluent's interface, or `GlueSchemas`. Fields that the
    schema does not have cannot be written: each name is logged once.
    """

    def __init__(self, registry: str | RegisteredSchemas, topic_prefix: str = "") -> None:
        if isinstance(registry, str):
            registry = ConfluentSchemas(registry, topic_prefix)
        self._schemas = registry
        self._written_with: dict[DataType, tuple[bytes, Any]] = {}
        self._unread = {kind: UnreadNames.of(kind, SourceMapping()) for kind in DataType}
        self._written = {kind: one.read | {"tenant_id"} for kind, one in self._unread.items()}
        self._logged: set[tuple[DataType, str]] = set()

    def encode(self, tenant_id: str, data_type: DataType, event: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - the key has it
        """Return the head of the registry's messages and the record."""
        if data_type not in self._written_with:
            parsed = fastavro.parse_schema(avro_schema(data_type))
            self._written_with[data_type] = self._schemas.head(data_type), parsed
        head, parsed = self._written_with[data_type]
        self._log_unwritten(data_type, event)
        message = BytesIO()
        message.write(head)
        try:
            fastavro.schemaless_writer(message, parsed, with_sent_fields(data_type, event))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise _not_written(error) from error
        return message.getvalue()

    def _log_unwritten(self, data_type: DataType, event: Mapping[str, Any]) -> None:
        for one in self._unread[data_type].of_row(dict(event), self._written[data_type]):
            key = (data_type, one.name)
            if key not in self._logged and len(self._logged) < MOST_LOGGED:
                self._logged.add(key)
                _log.warning("the field %s of %s is %s", one.name, data_type.value, one.message)


def with_sent_fields(data_type: DataType, event: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record that says which fields the event has, if it lacks some of those that stay as
    they are: Avro writes a null for each."""
    carried = data_type.definition.carried
    sent = [name for name in carried if name in event]
    return dict(event) if len(sent) == len(carried) else {**event, SENT_FIELDS: sent}


def _not_written(error: Exception) -> EtaError:
    return EtaError(
        f"the event cannot be written: {type(error).__name__}",
        remedy="send texts, finite numbers, booleans and objects, with the contract's field names",
    )
