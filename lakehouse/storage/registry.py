"""The project's Avro schemas against a Confluent-compatible registry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lakehouse.contracts.avro_schemas import COMPATIBILITY, avro_schema, subject
from lakehouse.contracts.kinds import DataType
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from schema_registry.client.schema import AvroSchema

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SchemaState:
    """A schema and the registry: `registered`, `new`, `compatible` or `incompatible`."""

    subject: str
    state: str
    schema_id: int | None = None
    problem: str = ""


class Registry:
    """Compares and registers the schemas; raises `EtaError` when the registry does not answer."""

    def __init__(
        self,
        url: str,
        topic_prefix: str = "",
        schemas: Callable[[DataType], dict[str, Any]] = avro_schema,
    ) -> None:
        from schema_registry.client import SchemaRegistryClient

        self._client = SchemaRegistryClient(url)
        self._url = url
        self._prefix = topic_prefix
        self._schemas = schemas

    def check(self) -> list[SchemaState]:
        """Return what registering each schema would come to; changes nothing."""
        return [self._state(kind) for kind in DataType]

    def register(self) -> list[SchemaState]:
        """Register what the registry lacks; nothing if one of them is incompatible.

        Sets the subjects' compatibility to BACKWARD. Raises `EtaError` for an incompatible one.
        """
        states = {kind: self._state(kind) for kind in DataType}
        refused = [state for state in states.values() if state.state == "incompatible"]
        if refused:
            raise EtaError(
                f"the schema of {refused[0].subject} could not read what was written with the "
                f"registered one; none was registered{refused[0].problem and ': '}"
                f"{refused[0].problem}",
                remedy="give new fields a default, and keep the names and types of those there are",
            )
        return [self._register(kind, state) for kind, state in states.items()]

    def _register(self, kind: DataType, state: SchemaState) -> SchemaState:
        schema_id = self._ask(lambda: self._client.register(state.subject, self._schema(kind)))
        self._ask(lambda: self._client.update_compatibility(COMPATIBILITY, state.subject))
        return SchemaState(state.subject, "registered", schema_id)

    def _state(self, kind: DataType) -> SchemaState:
        name, schema = subject(kind, self._prefix), self._schema(kind)
        if name not in self._ask(self._client.get_subjects):
            return SchemaState(name, "new")
        known = self._ask(lambda: self._client.check_version(name, schema))
        if known is not None:
            return SchemaState(name, "registered", known.schema_id)
        found = self._ask(lambda: self._client.test_compatibility(name, schema, verbose=True))
        is_compatible = found if isinstance(found, bool) else found["is_compatible"]
        problem = "" if isinstance(found, bool) else "; ".join(found.get("messages") or ())
        return SchemaState(name, "compatible" if is_compatible else "incompatible", None, problem)

    def _schema(self, kind: DataType) -> AvroSchema:
        from schema_registry.client.schema import AvroSchema

        return AvroSchema(self._schemas(kind))

    def _ask(self, question: Callable[[], T]) -> T:
        import httpx
        from schema_registry.client.errors import ClientError

        try:
            return question()
        except (ClientError, httpx.HTTPError) as error:
            raise EtaError(
                f"the schema registry at {self._url} did not answer ({type(error).__name__})",
                remedy="see that it runs (`eta dev registry status`) and that the address is right",
            ) from error
