"""Parquet as `datasets.load_dataset` reads it: `data/{split}/part-*.parquet`, with the label.

A training set is the split `train`; an evaluation snapshot has `train`, `validation` and `test`.
The README.md begins with the metadata that names them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import polars as pl

from lakehouse.training.export.parquet import LABEL, ParquetExport
from lakehouse.training.manifest import EvaluationManifest, Manifest

_LOADING: Final = """\
```python
from datasets import load_dataset

splits = load_dataset(".")  # this folder; a DatasetDict of the splits below `data`
```
"""


class HuggingFaceExport(ParquetExport):
    """See the module; for the arguments see `ParquetExport`."""

    label_fields = (LABEL,)

    def _folder_of(self, _: Manifest) -> str:
        return "data"

    def _parts(self, rows: pl.DataFrame) -> Iterator[tuple[str, pl.DataFrame]]:
        if not self._is_evaluation:
            yield "train", rows
            return
        for (split,), part in rows.partition_by("split", as_dict=True, maintain_order=True).items():
            yield str(split), part

    def finish(self) -> str:
        """See `ExportWriter.finish`."""
        self.close()
        table = self._column_table().replace("**in the path**, not in the files", "in the files")
        return f"{table}\n\n{_LOADING}"


def front_matter(manifest: Manifest) -> str:
    """Return the metadata that a README.md begins with, from which the library knows the splits."""
    is_evaluation = isinstance(manifest, EvaluationManifest)
    splits = ("train", "validation", "test") if is_evaluation else ("train",)
    files = "".join(f"  - split: {split}\n    path: data/{split}/*.parquet\n" for split in splits)
    return f"---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n\n"
