"""What a Delta log itself says: answered to dbt's local sessions without a Spark job.

A run asks for the newest commits and the properties of each table that it reads or writes. Spark
plans such a question and answers it in a tenth of a processor second, a handle on the log in a
thousandth. The answers are Spark's own in what the models ask for: five columns of a commit, and
the properties that were set, without what Spark derives from the table's protocol. What does not
lie in a folder at its name is left to Spark.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from pyspark.sql import Row
from pyspark.sql.types import (
    LongType,
    MapType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

if TYPE_CHECKING:
    from lakehouse.storage.lake import Lake

_COMMENT: Final = r"\s*(?:/\*.*?\*/\s*)?"
_HISTORY: Final = re.compile(
    _COMMENT + r"describe history (?P<table>\w+\.\w+) limit (?P<count>\d+)\s*", re.DOTALL
)
_PROPERTIES: Final = re.compile(_COMMENT + r"show tblproperties (?P<table>\w+\.\w+)\s*", re.DOTALL)

_TEXTS: Final = MapType(StringType(), StringType())
_OF_COMMITS: Final = StructType(
    [
        StructField("version", LongType()),
        StructField("timestamp", TimestampType()),
        StructField("operation", StringType()),
        StructField("operationParameters", _TEXTS),
        StructField("operationMetrics", _TEXTS),
    ]
)
_OF_PROPERTIES: Final = StructType(
    [StructField("key", StringType()), StructField("value", StringType())]
)


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows with their schema, as dbt's cursor reads a DataFrame."""

    schema: StructType
    rows: list[Row]

    def collect(self) -> list[Row]:
        """Return all rows."""
        return list(self.rows)

    def take(self, count: int) -> list[Row]:
        """Return the first rows."""
        return self.rows[:count]


def counts(**numbers: int) -> Answer:
    """Return one row of whole numbers."""
    schema = StructType([StructField(name, LongType()) for name in numbers])
    return Answer(schema, [Row(**numbers)])


def answer(lake: Lake | None, statement: str) -> Answer | None:
    """Answer a statement about a log from the lake's folder; None leaves it to Spark."""
    if found := _HISTORY.fullmatch(statement):
        count = int(found["count"])
        return _of_table(lake, found["table"], lambda table, folder: _commits(table, folder, count))
    if found := _PROPERTIES.fullmatch(statement):
        return _of_table(lake, found["table"], lambda table, _: _properties(table))
    return None


def _of_table(
    lake: Lake | None, name: str, look: Callable[[DeltaTable, Path], Answer]
) -> Answer | None:
    folder = None if lake is None else lake.disk(name.replace(".", "/"))
    if lake is None or folder is None:
        return None
    try:
        table = lake.find(name)
        return None if table is None else look(table, folder)
    except (DeltaError, OSError):  # Spark says what is wrong with it
        return None


def _commits(table: DeltaTable, folder: Path, count: int) -> Answer:
    """The newest commits. Their times are those of the log's files, as Spark tells them."""
    return Answer(
        _OF_COMMITS,
        [
            Row(
                version=commit["version"],
                timestamp=_time_of(folder / "_delta_log" / f"{commit['version']:020}.json"),
                operation=commit["operation"],
                operationParameters=_texts(commit.get("operationParameters")),
                operationMetrics=_texts(commit.get("operationMetrics")),
            )
            for commit in table.history(count)
        ],
    )


def _time_of(entry: Path) -> datetime:
    milliseconds = entry.stat().st_mtime_ns // 1_000_000
    return datetime.fromtimestamp(milliseconds // 1000, UTC).replace(
        microsecond=milliseconds % 1000 * 1000, tzinfo=None
    )


def _texts(values: Mapping[str, Any] | None) -> dict[str, str | None]:
    """A commit's parameters or measures as Spark has them: texts, others in JSON."""
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value)
        for name, value in (values or {}).items()
    }


def _properties(table: DeltaTable) -> Answer:
    properties = sorted(table.metadata().configuration.items())
    return Answer(_OF_PROPERTIES, [Row(key=key, value=value) for key, value in properties])
