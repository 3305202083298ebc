"""How an event is written into a message: JSON, or Avro in Confluent's wire format."""

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

import httpx
from schema_registry.client import SchemaRegistryClient, schema
from schema_registry.client.errors import ClientError
from schema_registry.serializers.message_serializer import AvroMessageSerializer

from lakehouse.contracts.avro_schemas import avro_schema, subject
from lakehouse.contracts.tenant import DataType
from lakehouse.errors import EtaError

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
    """Avro with the project's schemas, which it looks up (or registers) in the registry once."""

    def __init__(self, registry_url: str, topic_prefix: str = "") -> None:
        self._prefix = topic_prefix
        self._registry = SchemaRegistryClient(registry_url)
        self._serializer = AvroMessageSerializer(self._registry)
        self._ids: dict[DataType, int] = {}

    def encode(self, tenant_id: str, data_type: DataType, event: Mapping[str, Any]) -> bytes:  # noqa: ARG002 - the key has it
        """Return magic byte, schema id and the record."""
        schema_id = self._ids.get(data_type)
        if schema_id is None:
            schema_id = self._id_of(data_type)
        try:
            return self._serializer.encode_record_with_schema_id(schema_id, dict(event))
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise _not_written(error) from error

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


def _not_written(error: Exception) -> EtaError:
    return EtaError(
        f"the event cannot be written: {type(error).__name__}",
        remedy="send texts, finite numbers, booleans and objects, with the contract's field names",
    )
