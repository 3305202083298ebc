"""The Avro schemas of messages, as the modules of `data_types` have them.

The registry knows each under the subject `TOPIC-value`. Fields may be added with a default; what
a schema once had stays readable (compatibility BACKWARD).
"""

from typing import Any, Final

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.topics import topic_of

COMPATIBILITY: Final = "BACKWARD"


def avro_schema(data_type: DataType) -> dict[str, Any]:
    """Return the schema of a data type's messages."""
    return dict(data_type.definition.avro)


def subject(data_type: DataType, prefix: str = "") -> str:
    """Return the registry's name for the values of the data type's topic."""
    return f"{topic_of(data_type, prefix).name}-value"
