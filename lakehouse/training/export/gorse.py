"""Gorse: users.jsonl, items.jsonl and feedback.jsonl, one JSON object a line, as its import reads.

The rules are those of Gorse's own importer (`master/rest.go`): names of fields as in its data
model, times in RFC 3339, ids and categories that are not blank and hold no `/`, because they stand
in the paths of its API. An id that breaks them is refused; in categories `/` becomes `|`. So is an
id with a NUL or of more than 256 characters, which not all of Gorse's databases store. MySQL, as it
is set up by default, takes ids for one that differ in case, accents or blanks at the end alone: how
many there are of those is said in the README.

Feedback is what users did or were shown: a positive has its strongest type, an explicit negative
its own, and a shown negative the type `shown_negative`. Drawn negatives are nobody's feedback and
stay out: Gorse draws its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from lakehouse.training.export.base import (
    Trouble,
    Unseen,
    WholeFiles,
    markdown_table,
    refuse,
    write_lines,
)
from lakehouse.training.manifest import Manifest
from lakehouse.training.sample_weights import SAMPLE_WEIGHT, described_weight, has_sample_weights

SHOWN: Final = "shown_negative"
"""The type of feedback of items that were shown and left alone."""
_USERS: Final = "users.jsonl"
_ITEMS: Final = "items.jsonl"
_FEEDBACK: Final = "feedback.jsonl"
_COLUMNS: Final = (
    ("`users.jsonl` `UserId`", "every user of the set, as sent"),
    ("`items.jsonl` `ItemId`, `Timestamp`", "as sent; the hour from which it was available, UTC"),
    (
        "`Categories`, `Labels.category`",
        "of the newest catalogue row; `/` becomes `|` in the first",
    ),
    ("`Comment`", "title, of the newest catalogue row"),
    ("`feedback.jsonl` `FeedbackType`", f"type of the event; `{SHOWN}`: shown beside a click"),
    ("`UserId`, `ItemId`, `Timestamp`", "as sent; first positive, dislike or click, UTC"),
)
_LOADING: Final = """\
```sh
for kind in users items feedback; do  # the key is `admin_api_key` in Gorse's configuration
    curl -H "X-Api-Key: $ADMIN_API_KEY" -F "file=@$kind.jsonl" "http://127.0.0.1:8088/api/bulk/$kind"
done
```

In Gorse's configuration:

```toml
[recommend.data_source]
positive_feedback_types = [{positive}]
negative_feedback_types = [{negative}]
read_feedback_types = [{read}]
```

Drawn negatives are not in the files. Of several lines with one type, user and item Gorse keeps the
last. The price is left out, because today's price beside an old event would tell the future.
"""
_ALIKE: Final = """
**With MySQL** {users} users and {items} items would be lost: their ids differ from another one in
case, accents or blanks at the end alone, and MySQL's default collation takes them for one. Create
Gorse's database with `COLLATE utf8mb4_0900_bin`, or use another one.
"""
ID_CHARACTERS: Final = 256
"""Of an id in MySQL and Postgres (`storage/data/sql.go`)."""


class GorseExport(WholeFiles):
    """See the module."""

    def __init__(self, folder: Path, manifest: Manifest, items: pl.DataFrame) -> None:
        self._folder = folder
        self._manifest = manifest
        self._users = Unseen("user_id")
        for name in (_USERS, _ITEMS, _FEEDBACK):
            write_lines(folder / name, pl.Series(["{}"]).clear(), is_new=True)
        _refuse_ids(items, "item_id")
        self._alike = _alike(items.get_column("item_id"))
        write_lines(folder / _ITEMS, _item_lines(items))

    def write(self, rows: pl.DataFrame) -> None:
        """See `ExportWriter.write`."""
        for column in ("user_id", "item_id"):
            _refuse_ids(rows, column)
        users = self._users.of(rows)
        write_lines(self._folder / _USERS, _json(users, UserId=pl.col("user_id")))
        kinds = pl.col("negative_type").fill_null("positive")
        acted = rows.filter(kinds != "sampled")
        kind = pl.when(pl.col("negative_type") == "shown").then(pl.lit(SHOWN))
        fields = {
            "FeedbackType": kind.otherwise(pl.col("interaction_type")),
            "UserId": pl.col("user_id"),
            "ItemId": pl.col("item_id"),
            "Timestamp": _time("event_time"),
        }
        if SAMPLE_WEIGHT in rows.columns:
            fields["Value"] = pl.col(SAMPLE_WEIGHT)
        write_lines(self._folder / _FEEDBACK, _json(acted, **fields))

    def finish(self) -> str:
        """See `ExportWriter.finish`."""
        made_with = self._manifest.parameters
        weight = []
        if has_sample_weights(self._manifest):
            weight = [("`Value`", described_weight(self._manifest))]
        loading = _LOADING.replace("{positive}", _quoted(made_with.positive_types))
        loading = loading.replace("{negative}", _quoted(made_with.negative_types))
        read = [SHOWN] if made_with.shown_per_positive is not None else []
        table = markdown_table(("field", "meaning"), [*_COLUMNS, *weight])
        users, items = _alike(self._users.values()), self._alike
        alike = _ALIKE.format(users=f"{users:,}", items=f"{items:,}") if users or items else ""
        return f"{table}\n\n{loading.replace('{read}', _quoted(read))}{alike}"


def _item_lines(items: pl.DataFrame) -> pl.Series:
    category = pl.col("category").str.replace_all("\0", " ", literal=True).str.strip_chars()
    has_one = category.fill_null("") != ""
    safe = pl.concat_list(category.str.replace_all("/", "|", literal=True))
    return _json(
        items,
        ItemId=pl.col("item_id"),
        IsHidden=pl.lit(value=False),
        Categories=pl.when(has_one).then(safe).otherwise(pl.lit([], pl.List(pl.String))),
        Timestamp=_time("available_at"),
        Labels=pl.when(has_one).then(pl.struct(category=category)),
        Comment=pl.col("title").fill_null("").str.replace_all("\0", " ", literal=True),
    )


def _json(rows: pl.DataFrame, **fields: pl.Expr) -> pl.Series:
    return rows.select(
        pl.struct([field.alias(name) for name, field in fields.items()]).struct.json_encode()
    ).to_series()


def _time(column: str) -> pl.Expr:
    return pl.col(column).dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ")


def _quoted(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _refuse_ids(rows: pl.DataFrame, column: str) -> None:
    value = pl.col(column)
    troubles = (
        Trouble("with a /", value.str.contains("/", literal=True)),
        Trouble("that are blank", value.str.strip_chars() == ""),
        Trouble("with a NUL character", value.str.contains("\0", literal=True)),
        Trouble(f"of more than {ID_CHARACTERS} characters", value.str.len_chars() > ID_CHARACTERS),
    )
    refuse(rows, column, troubles, "Gorse")


def _alike(ids: pl.Series) -> int:
    """Return how many ids are another one but for case, accents and blanks at the end."""
    plain = ids.str.normalize("NFKD").str.replace_all(r"\p{M}", "").str.strip_chars_end(" ")
    return ids.n_unique() - plain.str.to_uppercase().str.to_lowercase().n_unique()
