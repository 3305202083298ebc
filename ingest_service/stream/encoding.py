"""How an event is written into a message: JSON, or Avro in Confluent's wire format."""

import json
import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

import httpx
from schema_registry.client import SchemaRegistryClient, schema
from schema_registry.client.errors import ClientError
from schema_registry.serializers.message_serializer import AvroMessageSerializer

from lakehouse.contracts.avro_schemas import avro_schema, subject
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
    """Avro with the project's schemas, which it looks up (or registers) in the registry once.

    Fields that the schema does not have cannot be written: each name is logged once.
    """

    def __init__(self, registry_url: str, topic_prefix: str = "") -> None:
        self._prefix = topic_prefix
        self._registry = SchemaRegistryClient(registry_url)
        self._serializer = AvroMessageSerializer(self._registry)
        self._ids: dict[DataType, int] = {}
        self._unread = {kind: UnreadNames.of(kind, SourceMapping()) for kind in DataType}
        self._written = {kind: one.read | {"tenant_id"} for kind, one in self._unread.items()}
        self._logged: set[tuple[DataType, str]] = set()

    def encode(self, tenant_id: str, data_type: DataType, event: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - the key has it
        """Return magic byte, schema id and the record."""
        schema_id = self._ids.get(data_type)
        if schema_id is None:
            schema_id = self._id_of(data_type)
        self._log_unwritten(data_type, event)
        try:
            record = with_sent_fields(data_type, event)
            return self._serializer.encode_record_with_schema_id(schema_id, record)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise _not_written(error) from error

    def _log_unwritten(self, data_type: DataType, event: Mapping[str, Any]) -> None:
        for one in self._unread[data_type].of_row(dict(event), self._written[data_type]):
            key = (data_type, one.name)
            if key not in self._logged and len(self._logged) < MOST_LOGGED:
                self._logged.add(key)
                _log.warning("the field %s of %s is %s", one.name, data_type.value, one.message)

    def _id_of(self, data_type: DataType) -> int:
        parsed = schema.AvroSchema(avro_schema(data_type))
        try:
            found = self._registry.register(subject(data_type, self._prefix), parsed)
        except (ClientError, httpx.HTTPError) as error:
            raise EtaError(
                f"the schema registry did not take the schema of {data_type.value}: "
                f"{type(error).__name__}",
                remedy="see that it runs, and check the schemas with `eta schemas check`",
            ) from error
        self._ids[data_type] = found
        return found


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
