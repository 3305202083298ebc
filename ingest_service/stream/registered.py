"""The project's schemas in a registry, and what messages that are written with them begin with."""

import json
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

import httpx
from schema_registry.client import SchemaRegistryClient, schema
from schema_registry.client.errors import ClientError

from ingest_service.readers.registries import glue_client
from lakehouse.contracts.avro_frames import CONFLUENT, GLUE, PLAIN
from lakehouse.contracts.avro_schemas import avro_schema, subject
from lakehouse.contracts.tenant import DataType
from lakehouse.contracts.topics import topic_of
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from mypy_boto3_glue.type_defs import SchemaIdTypeDef

_COMPATIBILITY: Final = "BACKWARD"


class RegisteredSchemas(Protocol):
    """Registers the schemas of messages."""

    def head(self, data_type: DataType) -> bytes:
        """Return what stands before a record; raises `EtaError` when there is no telling."""


class ConfluentSchemas:
    """The schemas in a registry with Confluent's interface, one subject per topic."""

    def __init__(self, url: str, topic_prefix: str = "") -> None:
        self._prefix = topic_prefix
        self._client = SchemaRegistryClient(url)

    def head(self, data_type: DataType) -> bytes:
        """Look the schema up, register it if it is not there, and return magic byte and id."""
        parsed = schema.AvroSchema(avro_schema(data_type))
        try:
            found: int = self._client.register(subject(data_type, self._prefix), parsed)
        except (ClientError, httpx.HTTPError) as error:
            raise _not_taken(data_type, type(error).__name__) from error
        return CONFLUENT + found.to_bytes(4, "big")


class GlueSchemas:
    """The schemas in a registry of AWS Glue, one schema per topic and named like it.

    Region, credentials and the address are boto3's, as for reading.
    """

    def __init__(self, registry: str, topic_prefix: str = "") -> None:
        self._registry = registry
        self._prefix = topic_prefix
        self._client = glue_client()

    def head(self, data_type: DataType) -> bytes:
        """Look the schema up, register it if it is not there, and return Glue's 18 bytes."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            found = self._version_of(data_type)
        except (ClientError, BotoCoreError) as error:
            code = getattr(error, "response", {}).get("Error", {}).get("Code")
            raise _not_taken(data_type, code or type(error).__name__) from error
        return GLUE + bytes([PLAIN]) + UUID(found).bytes

    def _version_of(self, data_type: DataType) -> str:
        missing = self._client.exceptions.EntityNotFoundException
        name = topic_of(data_type, self._prefix).name
        text = json.dumps(avro_schema(data_type))
        mine: SchemaIdTypeDef = {"RegistryName": self._registry, "SchemaName": name}
        try:
            return self._client.get_schema_by_definition(SchemaId=mine, SchemaDefinition=text)[
                "SchemaVersionId"
            ]
        except missing:
            pass
        try:
            self._client.get_schema(SchemaId=mine)
        except missing:
            return self._client.create_schema(
                RegistryId={"RegistryName": self._registry},
                SchemaName=name,
                DataFormat="AVRO",
                Compatibility=_COMPATIBILITY,
                SchemaDefinition=text,
            )["SchemaVersionId"]
        made = self._client.register_schema_version(SchemaId=mine, SchemaDefinition=text)
        if made["Status"] == "FAILURE":
            raise _not_taken(data_type, f"it is not {_COMPATIBILITY} compatible")
        return made["SchemaVersionId"]


def _not_taken(data_type: DataType, why: str) -> EtaError:
    return EtaError(
        f"the schema registry did not take the schema of {data_type.value}: {why}",
        remedy="see that it runs, and check the schemas with `eta schemas check`",
    )
