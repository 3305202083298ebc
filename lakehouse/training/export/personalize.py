r"""Amazon Personalize: interactions.csv and items.csv with the schemas to register for them.

Custom datasets as the developer guide describes them: headers without quotes, UTF-8, times in
whole seconds since 1970, ids of at most 256 characters, a categorical value of at most 1,000, `|`
between several categories. Personalize learns from positive events only, so negatives stay out.

Cells that a spreadsheet would take for a formula (`=…`, `+…`, `-…`, `@…`) are left as they are:
Personalize reads the file from S3, and a quote put in front of an id would make another id of it.
Ids with `"`, `\` or line breaks are refused, because the guide gives no way to write them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import polars as pl

from lakehouse.training.export.base import (
    Trouble,
    WholeFiles,
    markdown_table,
    refuse,
    write_lines,
)
from lakehouse.training.manifest import Manifest

ID_CHARACTERS: Final = 256
CATEGORY_CHARACTERS: Final = 1_000

_Fields = tuple[dict[str, Any], ...]
INTERACTION_FIELDS: Final[_Fields] = (
    {"name": "USER_ID", "type": "string"},
    {"name": "ITEM_ID", "type": "string"},
    {"name": "TIMESTAMP", "type": "long"},
    {"name": "EVENT_TYPE", "type": "string"},
)
ITEM_FIELDS: Final[_Fields] = (
    {"name": "ITEM_ID", "type": "string"},
    {"name": "CATEGORY_L1", "type": ["null", "string"], "categorical": True},
    {"name": "CREATION_TIMESTAMP", "type": "long"},
)
_COLUMNS: Final = (
    ("interactions.csv `USER_ID`, `ITEM_ID`", "as sent"),
    ("interactions.csv `TIMESTAMP`", "first positive interaction, seconds since 1970"),
    ("interactions.csv `EVENT_TYPE`", "strongest type of the pair"),
    ("items.csv `CATEGORY_L1`", "from the newest catalogue row; empty without one"),
    ("items.csv `CREATION_TIMESTAMP`", "hour from which the item was available"),
)
_NOTES: Final = """\
Upload the CSV files to S3 and register the schemas beside them (`aws personalize create-schema
--schema file://interactions.schema.json`). One row per user and item, positives only; Personalize
needs at least 1,000 interactions and 25 users with two each. A category with `|` in it is several
to Personalize. The price is left out, because today's
price beside an old event would tell the model the future.

The files are for machines: a cell that begins with `=`, `+`, `-` or `@` is an id as sent, so do not
open them in a spreadsheet.
"""


class PersonalizeExport(WholeFiles):
    """See the module."""

    def __init__(self, folder: Path, manifest: Manifest, items: pl.DataFrame) -> None:  # noqa: ARG002 - the signature of every format
        self._interactions = folder / "interactions.csv"
        _start(self._interactions, "Interactions", INTERACTION_FIELDS)
        _start(folder / "items.csv", "Items", ITEM_FIELDS)
        _refuse_ids(items, "item_id")
        length = pl.col("category").str.len_chars()
        trouble = Trouble("of more than 1,000 characters", length > CATEGORY_CHARACTERS)
        refuse(items, "category", [trouble], "Personalize")
        created = pl.col("available_at").dt.epoch("s").cast(pl.String)
        fields = (_cell("item_id"), _cell("category"), created)
        write_lines(folder / "items.csv", _lines(items, *fields))

    def write(self, rows: pl.DataFrame) -> None:
        """See `ExportWriter.write`."""
        positives = rows.filter(pl.col("label") == 1)
        for column in ("user_id", "item_id"):
            _refuse_ids(positives, column)
        seconds = pl.col("event_time").dt.epoch("s").cast(pl.String)
        fields = (_cell("user_id"), _cell("item_id"), seconds, _cell("interaction_type"))
        write_lines(self._interactions, _lines(positives, *fields))

    def finish(self) -> str:
        """See `ExportWriter.finish`."""
        return f"{markdown_table(('column', 'meaning'), _COLUMNS)}\n\n{_NOTES}"


def _start(path: Path, name: str, fields: _Fields) -> None:
    schema = {
        "type": "record",
        "name": name,
        "namespace": "com.amazonaws.personalize.schema",
        "fields": list(fields),
        "version": "1.0",
    }
    path.with_suffix(".schema.json").write_text(json.dumps(schema, indent=2) + "\n", "utf-8")
    write_lines(path, pl.Series([",".join(field["name"] for field in fields)]), is_new=True)


def _lines(rows: pl.DataFrame, *fields: pl.Expr) -> pl.Series:
    return rows.select(pl.concat_str(fields, separator=",")).to_series()


def _cell(column: str) -> pl.Expr:
    r"""Quote a cell where it has to be; the guide wants `\` before quotes and no line breaks."""
    text = pl.col(column).fill_null("").str.replace_all(r"[\x00-\x1f\x7f]+", " ")
    escaped = text.str.replace_all(r'(["\\])', r"\$1")
    return (
        pl.when(text.str.contains(r'[,"\\]'))
        .then(pl.concat_str([pl.lit('"'), escaped, pl.lit('"')]))
        .otherwise(text)
    )


def _refuse_ids(rows: pl.DataFrame, column: str) -> None:
    value = pl.col(column)
    troubles = (
        Trouble('with ", \\, a line break or a control character', value.str.contains(_UNWRITABLE)),
        Trouble(f"of more than {ID_CHARACTERS} characters", value.str.len_chars() > ID_CHARACTERS),
    )
    refuse(rows, column, troubles, "Personalize")


_UNWRITABLE: Final = r'["\\\x00-\x1f\x7f]'
