r"""RecBole's atomic files: `{tenant}/{tenant}.inter` and `.item`.

The rules are those of RecBole's own loader (`recbole/data/dataset/dataset.py`, `_load_feat`): a
first line of `name:type` with the types token, token_seq, float and float_seq; tabs between fields,
spaces inside a sequence; read by `pandas.read_csv`, which takes some words for missing values and a
leading `"` for quoting. There is no way to escape, so an id that would come back as another one is
refused. Descriptive texts are made to fit: tabs and line breaks become spaces, `"` is dropped.

An evaluation snapshot becomes the files of a benchmark that is divided already, which RecBole loads
with `benchmark_filename` and then neither filters nor divides: `.train.inter`, `.valid.inter` and
`.test.inter`, and the positives of train alone as `.positives.inter`. For a ranking RecBole takes
every row of the first file, whatever its label, for something the user has and must not be offered;
a drawn negative may be what the user takes in the test, so a ranking has to start from that one.

There is no `.user` file: a tenant sends no attributes of users, and features computed over the
whole history would tell the model what happened after its examples.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from lakehouse.training.export.base import (
    Trouble,
    WholeFiles,
    markdown_table,
    refuse,
    write_lines,
)
from lakehouse.training.manifest import EvaluationManifest, Manifest
from lakehouse.training.sample_weights import SAMPLE_WEIGHT, described_weight, has_sample_weights

MISSING_WORDS: Final = frozenset(
    ["", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
     "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"]
)  # fmt: skip
"""What `pandas.read_csv` takes for a missing value; RecBole then drops the row."""
PADDING: Final = "[PAD]"
"""RecBole's own token for nothing."""

INTER_HEADER: Final = "user_id:token\titem_id:token\tlabel:float\ttimestamp:float"
WEIGHT: Final = f"{SAMPLE_WEIGHT}:float"
ITEM_HEADER: Final = "item_id:token\ttitle:token_seq\tcategory:token"
_COLUMNS: Final = (
    ("`user_id:token`, `item_id:token`", "as sent"),
    ("`label:float`", "1.0 for a positive, 0.0 for a negative"),
    ("`timestamp:float`", "seconds since 1970, UTC; a drawn negative has its positive's"),
    ("`title:token_seq`, `category:token`", "in `.item`, from the newest catalogue row"),
)
_CONFIGURATION: Final = """\
```yaml
data_path: .          # this folder
dataset: {tenant}
LABEL_FIELD: label
TIME_FIELD: timestamp
load_col: {{inter: [user_id, item_id, label, timestamp], item: [item_id, title, category]}}
train_neg_sample_args: null  # the negatives are in the file
```

"""
_BENCHMARK: Final = """\
To rank the catalogue (metrics such as Hit@10):

```yaml
data_path: .          # this folder
dataset: {tenant}
benchmark_filename: [positives, valid, test]
load_col: {{inter: [user_id, item_id, timestamp], item: [item_id, title, category]}}
eval_args: {{mode: full}}
```

To learn from the labels instead, name `train` for `positives`, load `label` and set `LABEL_FIELD:
label` and `train_neg_sample_args: null`. Not for a ranking: RecBole offers no user an item of the
first file, and a negative drawn for training may be what the user takes in the test.

"""
_LIMITS: Final = """\
An item drawn for two positives of a user stands twice. RecBole keeps floats in single precision:
times within about two minutes are one to it. The price is left out, because today's price beside an
old event would tell the model the future.
"""
_FILES: Final = {"train": "train", "validation": "valid", "test": "test"}
"""Split → what RecBole calls it."""
_POSITIVES: Final = "positives"


class RecBoleExport(WholeFiles):
    """See the module."""

    def __init__(self, folder: Path, manifest: Manifest, items: pl.DataFrame) -> None:
        self._tenant_id = manifest.tenant_id
        self._is_evaluation = isinstance(manifest, EvaluationManifest)
        self._root = folder / manifest.tenant_id
        self._root.mkdir()
        names = (*_FILES.values(), _POSITIVES) if self._is_evaluation else (None,)
        self._weight = ""
        header = INTER_HEADER
        if has_sample_weights(manifest):
            self._weight = described_weight(manifest)
            header = f"{INTER_HEADER}\t{WEIGHT}"
        for name in names:
            write_lines(self._inter(name), pl.Series([header]), is_new=True)
        _write_items(self._root / f"{manifest.tenant_id}.item", items)

    def write(self, rows: pl.DataFrame) -> None:
        """See `ExportWriter.write`."""
        for column in ("user_id", "item_id"):
            _refuse_ids(rows, column)
        if not self._is_evaluation:
            write_lines(self._inter(), _interactions(rows))
            return
        for split, name in _FILES.items():
            part = rows.filter(pl.col("split") == split)
            write_lines(self._inter(name), _interactions(part))
            if split == "train":
                positives = part.filter(pl.col("label") == 1)
                write_lines(self._inter(_POSITIVES), _interactions(positives))

    def finish(self) -> str:
        """See `ExportWriter.finish`."""
        weight = ((f"`{WEIGHT}`", self._weight),) if self._weight else ()
        table = markdown_table(("field", "meaning"), (*_COLUMNS, *weight))
        configuration = _BENCHMARK if self._is_evaluation else _CONFIGURATION
        return f"{table}\n\n{configuration.format(tenant=self._tenant_id)}{_LIMITS}"

    def _inter(self, name: str | None = None) -> Path:
        middle = "" if name is None else f".{name}"
        return self._root / f"{self._tenant_id}{middle}.inter"


def _interactions(rows: pl.DataFrame) -> pl.Series:
    micros = pl.col("event_time").dt.epoch("us")
    fraction = (micros % 1_000_000).cast(pl.String).str.zfill(6)
    return _lines(
        rows,
        pl.col("user_id"),
        pl.col("item_id"),
        pl.col("label").cast(pl.String),
        pl.concat_str([(micros // 1_000_000).cast(pl.String), fraction], separator="."),
        *([pl.col(SAMPLE_WEIGHT).cast(pl.String)] if SAMPLE_WEIGHT in rows.columns else []),
    )


def _write_items(path: Path, items: pl.DataFrame) -> None:
    _refuse_ids(items, "item_id")
    write_lines(path, pl.Series([ITEM_HEADER]), is_new=True)
    write_lines(path, _lines(items, pl.col("item_id"), _plain("title"), _plain("category")))


def _lines(rows: pl.DataFrame, *fields: pl.Expr) -> pl.Series:
    return rows.select(pl.concat_str(fields, separator="\t")).to_series()


def _plain(column: str) -> pl.Expr:
    text = pl.col(column).fill_null("").str.replace_all(r'["\x00-\x1f\x7f]+', " ")
    return text.str.replace_all(r"\s+", " ").str.strip_chars()


def _refuse_ids(rows: pl.DataFrame, column: str) -> None:
    value = pl.col(column)
    troubles = (
        Trouble("with a tab, a line break or a control character", value.str.contains(_CONTROL)),
        Trouble('that begin with "', value.str.starts_with('"')),
        Trouble("that pandas reads as missing", value.is_in([*MISSING_WORDS])),
        Trouble(f"that are RecBole's own {PADDING}", value == PADDING),
    )
    refuse(rows, column, troubles, "a RecBole file")


_CONTROL: Final = r"[\x00-\x1f\x7f]"
