"""Where the schemas of Avro messages are looked up: Confluent's registries, and AWS Glue's."""

import json
import os
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import UUID

import httpx
from schema_registry.client import SchemaRegistryClient
from schema_registry.client.errors import ClientError

from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

TIMEOUT_SECONDS: Final = 2.0
_NO_SUCH: Final = {"EntityNotFoundException", "InvalidInputException"}
_AVRO: Final = "AVRO"
_USABLE: Final = "AVAILABLE"
_STILL_CHECKED: Final = "PENDING"


class RegistryAwayError(Exception):
    """The registry does not answer; the message may well be good."""


class StillCheckedError(RegistryAwayError):
    """The registry answers, and has not decided on this schema yet."""


class NotAvroError(Exception):
    """The registry has something else under this id."""


class SchemaRegistry(Protocol):
    """Gives schemas by the id that stands in a message."""

    def schema(self, schema_id: Any) -> Any | None:
        """Return a schema as JSON's values; None for an id that the registry has not.

        Raises `RegistryAwayError` when that cannot be told now, `NotAvroError` for others' schemas.
        """


class ConfluentRegistry:
    """A registry with Confluent's interface; ids are numbers."""

    def __init__(self, url: str) -> None:
        self._client = SchemaRegistryClient(url, timeout=httpx.Timeout(TIMEOUT_SECONDS))

    def schema(self, schema_id: int) -> Any | None:
        """Return the schema with this number, as `SchemaRegistry` says."""
        try:
            found = self._client.get_by_id(schema_id)
        except (ClientError, httpx.HTTPError, json.JSONDecodeError, KeyError, TypeError) as error:
            # that is no registry's answer
            raise RegistryAwayError(type(error).__name__) from error
        except Exception as error:  # noqa: BLE001 - schemas of other kinds may be registered
            raise NotAvroError(type(error).__name__) from None
        return None if found is None else found.raw_schema


class GlueRegistry:
    """One registry of AWS Glue; ids are those of schema versions.

    Region, credentials and the address are boto3's (`AWS_REGION`, …, `AWS_ENDPOINT_URL_GLUE`). A
    version of another registry of the account counts as unknown.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._client = glue_client()

    def schema(self, schema_id: UUID) -> Any | None:
        """Return the schema version with this id, as `SchemaRegistry` says."""
        from botocore.exceptions import BotoCoreError
        from botocore.exceptions import ClientError as AwsError

        try:
            found = self._client.get_schema_version(SchemaVersionId=str(schema_id))
        except AwsError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _NO_SUCH:
                return None
            raise RegistryAwayError(code or type(error).__name__) from error
        except BotoCoreError as error:
            raise RegistryAwayError(type(error).__name__) from error
        try:
            is_mine = registry_of(found["SchemaArn"]) == self._name
            status, kind, text = found["Status"], found["DataFormat"], found["SchemaDefinition"]
        except (KeyError, IndexError) as error:  # that is no registry's answer
            raise RegistryAwayError(type(error).__name__) from error
        if is_mine and status == _STILL_CHECKED:
            raise StillCheckedError("it is still checking this version")
        if not is_mine or status != _USABLE:
            return None
        if kind != _AVRO:
            raise NotAvroError(kind)
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise NotAvroError(type(error).__name__) from None


def registry_of(arn: str) -> str:
    """Return the registry's name in a schema's ARN (`…:schema/REGISTRY/SCHEMA`)."""
    return arn.rpartition(":")[2].split("/")[1]


def glue_client() -> "GlueClient":
    """Return a client that gives up soon: others wait behind the question.

    Raises `EtaError` when no region is set.
    """
    import boto3
    from botocore.config import Config
    from botocore.exceptions import NoRegionError

    config = Config(
        region_name=os.environ.get("AWS_REGION"),  # else as boto3 finds it
        connect_timeout=TIMEOUT_SECONDS,
        read_timeout=TIMEOUT_SECONDS,
        retries={"total_max_attempts": 1},
    )
    try:
        return boto3.client("glue", config=config)
    except NoRegionError:
        raise EtaError(
            "no region is set for the registry of AWS Glue", remedy="set AWS_REGION"
        ) from None
