"""What Feast makes of an export: its point-in-time join of all examples."""

import re
from pathlib import Path

import polars as pl

from tests.support.readers import read_by

_APPLY = """
import pathlib, subprocess, sys
feast = pathlib.Path(sys.executable).parent / "feast"
subprocess.run([feast, "apply"], check=True, stdout=subprocess.DEVNULL)
"""
_TELL = """
rows.to_parquet("../joined.parquet")
print(len(rows))
"""
KEYS = ("event_time", "user_id", "anchor_item_id", "draw_index")


def joined_by_feast(folder: Path) -> pl.DataFrame:
    """Run what the README says; return what it gives in order, with the names of the examples."""
    code = re.search(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    assert code is not None
    read_by("feast", _APPLY + code[1] + _TELL, folder)
    found = pl.read_parquet(folder.parent / "joined.parquet")
    time = pl.col("event_timestamp").dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    return found.with_columns(event_time=time).sort(KEYS)
