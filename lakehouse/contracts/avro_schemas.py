"""The Avro schemas of messages: the files in `avro/` are the single source.

The registry knows each under the subject `TOPIC-value`. Fields may be added with a default; what
a schema once had stays readable (compatibility BACKWARD).
"""

import json
from functools import cache
from pathlib import Path
from typing import Any, Final

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.topics import topic_of

COMPATIBILITY: Final = "BACKWARD"

_FILES: Final = {
    DataType.INTERACTIONS: "interaction.avsc",
    DataType.ITEMS: "item.avsc",
    DataType.CLICKSTREAM: "clickstream_event.avsc",
}


@cache
def avro_schema(data_type: DataType) -> dict[str, Any]:
    """Return the schema of a data type as its file has it."""
    path = Path(__file__).parent / "avro" / _FILES[data_type]
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def subject(data_type: DataType, prefix: str = "") -> str:
    """Return the registry's name for the values of the data type's topic."""
    return f"{topic_of(data_type, prefix).name}-value"
