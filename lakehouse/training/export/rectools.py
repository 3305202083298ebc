"""RecTools: Parquet that `Dataset.construct` takes as it is read by pandas.

`interactions/` are the positives, with the columns that RecTools names (user_id, item_id, weight,
datetime); times have no zone, since it converts none, and are UTC. `negatives/` are the set's own,
which its models do not take. An evaluation snapshot has `train/`, `validation/` and `test/` in
place of `interactions/`.

Features are long: one row per entity and feature. RecTools has one value of each for all times, so
those chosen are as they stood at the entity's first row in the set: before everything that is
learned from. Values are texts, which it turns into numbers but for those called categorical.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import polars as pl
import pyarrow as pa

from lakehouse.errors import EtaError
from lakehouse.training.arrow_tables import arrow_of
from lakehouse.training.export.base import Unseen, markdown_table
from lakehouse.training.export.journal import Journal
from lakehouse.training.export.parquet import PartFiles, arrow_table
from lakehouse.training.manifest import EvaluationManifest, Manifest
from lakehouse.training.rows import ChosenFeatures
from lakehouse.training.sample_weights import SAMPLE_WEIGHT, described_weight, has_sample_weights

INTERACTIONS: Final = pa.schema(
    [
        pa.field("user_id", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("weight", pa.float64()),
        pa.field("datetime", pa.timestamp("us")),
    ]
)
NEGATIVES: Final = pa.schema(
    [
        *INTERACTIONS,
        pa.field("anchor_item_id", pa.string()),
        pa.field("negative_type", pa.string()),
        pa.field("sampling_probability", pa.float64()),
    ]
)
CATEGORY: Final = "category"
_NEGATIVES: Final = "negatives"
_ENTITIES: Final = ("user", "item")
_COLUMNS: Final = (
    ("`user_id`, `item_id`", "as sent"),
    ("`datetime`", "time of the event, UTC, without a zone"),
    ("`negatives`: `anchor_item_id`", "the positive's item that a negative was drawn for"),
    ("`negative_type`, `sampling_probability`", "`sampled`, `shown`, `explicit`; of the draw"),
    ("`item_features`: `category`", "of the newest catalogue row"),
)
_FIRST: Final = ("other features", "as they stood at the first row of the user or item in the set")


class RecToolsExport:
    """See the module; the rows have the columns of `chosen`."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        items: pl.DataFrame,
        chosen: ChosenFeatures | None,
        journal: Journal,
    ) -> None:
        self._manifest = manifest
        self._is_evaluation = isinstance(manifest, EvaluationManifest)
        names = ("train", "validation", "test") if self._is_evaluation else ("interactions",)
        self._files = {
            name: PartFiles(folder / name, INTERACTIONS, journal=journal) for name in names
        }
        self._negatives = PartFiles(folder / _NEGATIVES, NEGATIVES, journal=journal)
        self._chosen = () if chosen is None else chosen.columns
        _refuse_others(self._chosen, 0 if chosen is None else chosen.history)
        self._features = {
            entity: _LongFrame(folder / f"{entity}_features", entity) for entity in self._entities()
        }
        known = items.filter(pl.col(CATEGORY).fill_null("").str.strip_chars() != "")
        self._features["item"].write(known, [CATEGORY])

    def _entities(self) -> list[str]:
        return [
            entity
            for entity in _ENTITIES
            if entity == "item" or any(name.startswith("user_") for name in self._chosen)
        ]

    def has_all(self, rows: pl.DataFrame) -> bool:
        """See `ExportWriter.has_all`."""
        parts = [(files, part.height) for files, part in self._parts(rows)]
        if self._chosen or any(files.rows_left < height for files, height in parts):
            return False
        for files, height in parts:
            files.pass_over(height)
        return True

    def write(self, rows: pl.DataFrame) -> None:
        """See `ExportWriter.write`."""
        has_weights = SAMPLE_WEIGHT in rows.columns
        shaped = rows.with_columns(
            (pl.col(SAMPLE_WEIGHT) if has_weights else pl.lit(1.0)).alias("weight"),
            pl.col("event_time").dt.replace_time_zone(None).alias("datetime"),
        )
        for files, part in self._parts(shaped):
            files.write(arrow_table(part, NEGATIVES if files is self._negatives else INTERACTIONS))
        for entity, long in self._features.items():
            names = [name for name in self._chosen if name.startswith(f"{entity}_")]
            if names:
                long.write_first(rows, names)

    def finish(self) -> str:
        """See `ExportWriter.finish`."""
        for files in (*self._files.values(), self._negatives):
            files.close(is_never_empty=True)
        for long in self._features.values():
            long.close()
        weight = "1"
        if has_sample_weights(self._manifest):
            weight = described_weight(self._manifest)
        told = [*_COLUMNS, ("`weight`", weight), *([_FIRST] if self._chosen else [])]
        return f"{markdown_table(('column', 'meaning'), told)}\n\n{self._loading()}"

    def _parts(self, rows: pl.DataFrame) -> list[tuple[PartFiles, pl.DataFrame]]:
        is_positive = pl.col("label") == 1
        positives = rows.filter(is_positive)
        parts = [(self._negatives, rows.filter(~is_positive))]
        if not self._is_evaluation:
            return [(self._files["interactions"], positives), *parts]
        return [
            *(
                (files, positives.filter(pl.col("split") == name))
                for name, files in self._files.items()
            ),
            *parts,
        ]

    def _loading(self) -> str:
        first = next(iter(self._files))
        lines = ["import pandas as pd", "from rectools.dataset import Dataset", ""]
        lines += ["dataset = Dataset.construct(", f'    pd.read_parquet("{first}"),']
        for entity, long in self._features.items():
            lines.append(f'    {entity}_features_df=pd.read_parquet("{entity}_features"),')
            lines.append(f"    cat_{entity}_features={sorted(long.categorical)!r},")
        lines += [")", f'negatives = pd.read_parquet("{_NEGATIVES}")']
        text = "\n".join(lines)
        return f"With `pip install rectools 'pyarrow<22'`:\n\n```python\n{text}\n```\n"


class _LongFrame:
    """Rows of id, feature and value of one kind of entity; an entity is described once."""

    def __init__(self, folder: Path, entity: str) -> None:
        self._id = f"{entity}_id"
        text = pa.string()
        self._schema = pa.schema([(name, text) for name in (self._id, "feature", "value")])
        self._files = PartFiles(folder, self._schema)
        self._unseen = Unseen(self._id)
        self.categorical: set[str] = set()
        """Names of features whose values are no numbers."""

    def write_first(self, rows: pl.DataFrame, names: Sequence[str]) -> None:
        """Describe the entities that were not seen before, as their first row has it."""
        self.write(self._unseen.of(rows), names)

    def write(self, rows: pl.DataFrame, names: Sequence[str]) -> None:
        """Write the values that are there of some columns."""
        for name in names:
            long = _long(rows.select(self._id, name), self._id, name)
            if not long.schema["value"].is_numeric():
                self.categorical.update(long.get_column("feature").unique())
            texts = long.with_columns(pl.col("value").cast(pl.String))
            self._files.write(arrow_table(texts.drop_nulls("value"), self._schema))

    def close(self) -> None:
        """Complete the file."""
        self._files.close(is_never_empty=True)


def _long(rows: pl.DataFrame, entity: str, name: str) -> pl.DataFrame:
    """Return id, feature and value; of a map each key is a feature."""
    table = arrow_of(rows)
    kind = table.schema.field(name).type
    if not pa.types.is_map(kind):
        return rows.select(entity, feature=pl.lit(name), value=pl.col(name))
    pairs = pa.list_(pa.struct([("key", kind.key_type), ("value", kind.item_type)]))
    schema = pa.schema([table.schema.field(entity), pa.field(name, pairs)])
    listed = pl.DataFrame(table.cast(schema)).explode(name).drop_nulls(name).unnest(name)
    feature = pl.concat_str(pl.lit(f"{name}."), pl.col("key"))
    return listed.select(entity, feature=feature, value=pl.col("value"))


def _refuse_others(columns: Sequence[str], history: int) -> None:
    others = [name for name in columns if not name.startswith(("user_", "item_"))]
    if history:
        others.append("histories")
    if others:
        raise EtaError(
            f"RecTools has features of users and items, and no place for {', '.join(others)}",
            remedy="name columns or groups of those with --features user,item, without --history",
        )
