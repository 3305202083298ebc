"""A Feast feature repository: histories of features as views, and the examples to ask them for.

`feature_store.yaml` and `features.py` define the entities user and item, a view over each history,
and the service `examples` of both. `entities/` has the examples: `get_historical_features` of them
gives what the models joined, in every row.

Feast takes the newest row at or before a time; the models one strictly before. A row's
`event_timestamp` is therefore the first microsecond in which its values hold, one after the
interaction or the hour that they count: with times of whole microseconds both rules are one. The
store is DuckDB, since Feast's default one, dask, keeps a single row per entity and time and loses
the negatives beside their positive. There is no ttl: a value holds until the next.
"""

from __future__ import annotations

from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import polars as pl
import pyarrow as pa

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake
from lakehouse.training.export.base import markdown_table
from lakehouse.training.export.feature_histories import (
    AS_OF,
    TABLES,
    FeatureHistory,
    ProvenHistory,
)
from lakehouse.training.export.journal import Journal
from lakehouse.training.export.parquet import (
    LABEL,
    PartFiles,
    arrow_table,
    column_meanings,
    training_columns,
)
from lakehouse.training.manifest import EXAMPLES, EvaluationManifest, Manifest
from lakehouse.training.rows import ChosenFeatures

TIME: Final = "event_timestamp"
_TICK: Final = timedelta(microseconds=1)
_ONE_FILE: Final = 1 << 62
_STORE: Final = """\
project: eta
provider: local
registry: data/registry.db
offline_store:
    type: duckdb
online_store:
    type: sqlite
    path: data/online_store.db
entity_key_serialization_version: 3
"""
_DEFINITIONS: Final = '''\
"""What `feast apply` registers: one view per entity over the histories in this folder."""

from datetime import timedelta
from pathlib import Path

from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.data_format import ParquetFormat
from feast.types import Float64, Int64, String, UnixTimestamp
from feast.value_type import ValueType

HERE = Path(__file__).parent
'''
_VIEW: Final = """

{entity} = Entity(name="{entity}", join_keys=["{entity}_id"], value_type=ValueType.STRING)
{entity}_features = FeatureView(
    name="{entity}_features",
    entities=[{entity}],
    ttl=timedelta(0),  # a value holds until the next
    schema=[
        Field(name="{entity}_id", dtype=String),
{fields}
    ],
    source=FileSource(
        name="{entity}_history",
        path=str(HERE / "{entity}_features" / "part-00000.parquet"),
        file_format=ParquetFormat(),
        timestamp_field="event_timestamp",
    ),
)
"""
_SERVICE: Final = """

examples = FeatureService(name="examples", features=[user_features, item_features])
"""
_LOADING: Final = """\
After `feast apply` in this folder (`pip install 'feast[duckdb]'`), again wherever it is moved to:

```python
import pandas as pd
from feast import FeatureStore

store, examples = FeatureStore("."), pd.read_parquet("entities")
service = store.get_feature_service("examples")
rows = store.get_historical_features(examples, service).to_df()
```

A row's `event_timestamp` in `user_features/` and `item_features/` is the first microsecond in which
its values hold. The features are those of the set's examples in all rows: the export compared.
"""


class FeastExport:
    """See the module; the rows have the columns of `chosen_for_feast`.

    Spill files lie in `folder` until `scratch` is closed.
    """

    def __init__(
        self, lake: Lake, folder: Path, manifest: Manifest, journal: Journal, scratch: ExitStack
    ) -> None:
        self._manifest = manifest
        self._folder = folder
        columns = training_columns(manifest)
        time = columns.get_field_index("event_time")
        schema = columns.set(time, columns.field(time).with_name(TIME)).append(LABEL)
        self._entities = PartFiles(folder / "entities", schema, journal=journal)
        self._schema = schema
        self._proofs = []
        definitions = _DEFINITIONS
        for entity in TABLES:
            history = FeatureHistory(lake, manifest, entity)
            definitions += self._write_history(history, journal)
            spill = scratch.enter_context(TemporaryDirectory(dir=folder, prefix=".spill-"))
            self._proofs.append(ProvenHistory(history, Path(spill) / "rows"))
        (folder / "features.py").write_text(definitions + _SERVICE, encoding="utf-8")
        (folder / "feature_store.yaml").write_text(_STORE, encoding="utf-8")

    def _write_history(self, history: FeatureHistory, journal: Journal) -> str:
        """Write a history in one file; return the definition of its view."""
        place = self._folder / f"{history.entity}_features"
        files = PartFiles(place, history.schema(TIME), _ONE_FILE, journal)
        with TemporaryDirectory(dir=self._folder, prefix=".spill-") as spill:
            for frame in history.sorted_rows(Path(spill) / "rows"):
                held = frame.with_columns((pl.col(AS_OF) + _TICK).alias(TIME))
                files.write(arrow_table(held, history.schema(TIME)))
        files.close(is_never_empty=True)
        fields = "\n".join(
            f'        Field(name="{field.name}", dtype={_feast_type(field.type)}),'
            for field in history.schema(TIME)
            if field.name in history.features
        )
        return _VIEW.format(entity=history.entity, fields=fields)

    def has_all(self, rows: pl.DataFrame) -> bool:
        """See `ExportWriter.has_all`."""
        if self._entities.rows_left < rows.height:
            return False
        self._entities.pass_over(rows.height)
        return True

    def write(self, rows: pl.DataFrame) -> None:
        """See `ExportWriter.write`."""
        for proof in self._proofs:
            proof.check(rows)
        self._entities.write(arrow_table(rows.rename({"event_time": TIME}), self._schema))

    def finish(self) -> str:
        """See `ExportWriter.finish`."""
        self._entities.close(is_never_empty=True)
        meanings = column_meanings(self._manifest)
        named = [(name.replace("event_time", TIME), text) for name, text in meanings]
        return f"{markdown_table(('column of `entities`', 'meaning'), named)}\n\n{_LOADING}"


def chosen_for_feast(
    lake: Lake, manifest: Manifest, asked: ChosenFeatures | None
) -> ChosenFeatures:
    """Return the columns that histories are compared with: all that both have."""
    if isinstance(manifest, EvaluationManifest):
        raise EtaError(
            "an evaluation snapshot has no features, and so no feature repository",
            remedy="export it as parquet, or a training set with `eta export`",
        )
    if asked is not None:
        raise EtaError(
            "a feature repository has all features of users and items as histories",
            remedy="leave out --features and --history",
        )
    if EXAMPLES not in manifest.pinned:
        raise EtaError(
            f"snapshot {manifest.snapshot_id} was published by a release that kept no features",
            remedy="publish a new one with `eta prepare`",
        )
    columns = [
        name for entity in TABLES for name in FeatureHistory(lake, manifest, entity).features
    ]
    return ChosenFeatures(tuple(columns), 0)


def _feast_type(kind: pa.DataType) -> str:
    if pa.types.is_integer(kind):
        return "Int64"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "Float64"
    return "UnixTimestamp" if pa.types.is_timestamp(kind) else "String"
