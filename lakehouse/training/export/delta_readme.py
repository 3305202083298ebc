"""The README.md of a delta: what its files hold, and how they are put onto an export."""

from __future__ import annotations

from typing import Final

from lakehouse.training.export.base import markdown_table
from lakehouse.training.export.delta_document import Delta
from lakehouse.training.export.features import chosen_columns
from lakehouse.training.export.parquet import column_meanings
from lakehouse.training.manifest import Manifest
from lakehouse.training.rows import ChosenFeatures

_FILES: Final = """\
`added/` and `changed/` hold whole rows, `removed/` the keys of rows that are to go. A row is known
by `event_time`, `user_id`, `anchor_item_id` and `draw_index`: one whose time moved is removed and
added. Each folder has at least one file, and its rows are in the order of these four.

`eta export-apply DELTA --onto EXPORT --to FOLDER` gives the export that the later snapshot has, and
proves it by the content hash. By hand, with `base` an export's folder and `delta` this one:
"""
_LOADING: Final = """\
```python
import polars as pl

key = ["event_time", "user_id", "anchor_item_id", "draw_index"]
new = pl.concat(pl.read_parquet(f"{delta}/{kind}/*.parquet") for kind in ("added", "changed"))
gone = pl.concat([new.select(key), pl.read_parquet(f"{delta}/removed/*.parquet")])
label = {"label": pl.Float64}
rows = pl.read_parquet(f"{base}/**/*.parquet", hive_partitioning=True, hive_schema=label)
whole = pl.concat([rows.join(gone, on=key, how="anti").select(new.columns), new])
```

```python
import duckdb

key = "event_time, user_id, anchor_item_id, draw_index"
new = duckdb.sql(f"from read_parquet(['{delta}/added/*.parquet', '{delta}/changed/*.parquet'])")
gone = duckdb.sql(f"select {key} from new union all by name from '{delta}/removed/*.parquet'")
rows = duckdb.sql(f"from read_parquet('{base}/**/*.parquet', hive_types = {{'label': double}})")
whole = duckdb.sql(f"from rows anti join gone using ({key}) union all by name from new")
```
"""


def delta_readme(delta: Delta, result: Manifest, chosen: ChosenFeatures | None) -> str:
    """Return the text (Markdown)."""
    counts = delta.rows.model_dump().items()
    table = markdown_table(("rows", "count"), [(kind, f"{count:,}") for kind, count in counts])
    columns = [*column_meanings(result), *chosen_columns(chosen)]
    return (
        f"# Delta of {delta.tenant_id}, from snapshot {delta.base.snapshot_id} to "
        f"{delta.result.snapshot_id}\n\n"
        f"Content hash `{delta.base.content_hash}` becomes `{delta.result.content_hash}`; "
        "everything else is in `delta.json` and the later snapshot's `manifest.json`.\n\n"
        f"{table}\n\n{_FILES}\n{_LOADING}\n{markdown_table(('column', 'meaning'), columns)}\n"
    )
