"""Random histories of a training set: tables changed in every way a run may, without Spark.

A table's log is written here: rows are hidden by deletion vectors, their files replaced, or all
files written again, and each snapshot that is published pins the versions of its moment.
"""

import json
import random
from collections.abc import Callable, Iterable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable

from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.content_hash import ContentHash
from lakehouse.training.export.run import ExportFormat
from lakehouse.training.manifest import (
    EXAMPLES,
    HISTORIES,
    TRAINING_DATA,
    Column,
    Counts,
    Manifest,
    Parameters,
    TableVersion,
    make_snapshot_id,
)
from lakehouse.training.snapshots import TRAINING_SETS
from lakehouse.training.withdrawal import withdraw_broken
from tests.support.deletion_vectors import vector
from tests.support.lake import NOON
from tests.support.training import HISTORIES_TABLE, WEIGHTED_DATA

USERS = ("u1", "u2", "ü|3", "nul\0", "line\nbreak", " ", "'; drop", "x" * 300)
NEIGHBOUR = "globex"
_EXAMPLES = pa.schema(
    [
        *WEIGHTED_DATA,
        ("user_total_interactions", pa.int64()),
        ("item_popularity", pa.float64()),
        ("item_texts", pa.map_(pa.string(), pa.string())),
        ("context_location", pa.string()),
    ]
)
Row = dict[str, Any]


class LoggedTable:
    """A Delta table, partitioned by tenant, with `acme`'s rows in files that a test chooses."""

    def __init__(self, settings: LakeSettings, name: str, schema: pa.Schema) -> None:
        self.location = Path(settings.lake, name.replace(".", "/"))
        self._schema = schema
        self._held = pa.schema([field for field in schema if field.name != "tenant_id"])
        DeltaTable.create(str(self.location), schema, partition_by=["tenant_id"])
        self.version = 0
        self._files: dict[str, list[Row]] = {}
        self._hidden: dict[str, set[int]] = {}
        self._adds: dict[str, dict[str, Any]] = {}

    def change(
        self, is_gone: Callable[[Row], bool], rows: Iterable[Row], how: str, rng: random.Random
    ) -> None:
        """Take rows out and put rows in, in one commit; `how` the ones to go are got rid of."""
        actions: list[dict[str, Any]] = []
        if how == "vectors":
            features = ["deletionVectors"]
            writer = [*features, "appendOnly", "invariants", "changeDataFeed"]
            protocol = {"minReaderVersion": 3, "minWriterVersion": 7}
            features_of = {"readerFeatures": features, "writerFeatures": writer}
            actions.append({"protocol": protocol | features_of})
        new = list(rows)
        for path in list(self._files):
            held = self._files[path]
            hidden = self._hidden[path]
            gone = {n for n, row in enumerate(held) if is_gone(row)} - hidden
            if not gone and how != "all":
                continue
            actions.append(self._remove(path))
            hidden = hidden | gone
            left = [row for number, row in enumerate(held) if number not in hidden]
            if how == "vectors" and left:
                add = {k: v for k, v in self._adds[path].items() if k != "deletionVector"}
                add["stats"] = json.dumps({"numRecords": len(held)})  # a vector needs it
                actions.append(self._add(add | {"deletionVector": vector(sorted(hidden))}))
                self._hidden[path] = hidden
                continue
            del self._files[path], self._hidden[path], self._adds[path]
            if how == "all":
                new += left
            elif left:
                actions.append(self._written(left, rng))
        rng.shuffle(new)
        while new:
            size = rng.randrange(1, len(new) + 1)
            actions.append(self._written(new[:size], rng))
            new = new[size:]
        self.version += 1
        log = self.location / "_delta_log" / f"{self.version:020}.json"
        log.write_text("".join(f"{json.dumps(action)}\n" for action in actions))

    def vacuum(self) -> None:
        """Delete the files that only earlier versions name."""
        for file in self.location.glob("*/*.parquet"):
            if str(file.relative_to(self.location)) not in self._files:
                file.unlink()

    def _written(self, rows: list[Row], rng: random.Random) -> dict[str, Any]:
        path = f"tenant_id=acme/part-00000-{uuid4()}.c000.parquet"
        file = self.location / path
        file.parent.mkdir(exist_ok=True)
        table = pa.Table.from_pylist(rows, self._held)
        pq.write_table(table, file, row_group_size=rng.choice([2, 1_000]))
        self._files[path] = rows
        self._hidden[path] = set()
        statistics = {"stats": json.dumps({"numRecords": len(rows)})} if rng.random() < 0.7 else {}
        add = {
            "path": path,
            "partitionValues": {"tenant_id": "acme"},
            "size": file.stat().st_size,
            "modificationTime": 0,
            "dataChange": True,
        }
        return self._add(add | statistics)

    def _add(self, add: dict[str, Any]) -> dict[str, Any]:
        self._adds[add["path"]] = add
        return {"add": add}

    def _remove(self, path: str) -> dict[str, Any]:
        names = ("path", "partitionValues", "size", "deletionVector")
        kept = {name: self._adds[path][name] for name in names if name in self._adds[path]}
        moment = {"extendedFileMetadata": True, "deletionTimestamp": 0, "dataChange": True}
        return {"remove": kept | moment}


class SnapshotHistory:
    """One tenant's training set through the changes of one seed."""

    def __init__(self, settings: LakeSettings, seed: int) -> None:
        self.rng = random.Random(seed)
        self.lake = Lake(settings)
        self.is_weighted = self.rng.random() < 0.2
        self.has_shown = self.rng.random() < 0.2
        shown = [("shown_position", pa.int32())] if self.has_shown else []
        self._data = pa.schema([*WEIGHTED_DATA, *shown])
        self.rows: dict[tuple[str, str, int], Row] = {}
        self.lists: dict[tuple[str, Any], Row] = {}
        self._anchors = 0
        self._published = 0
        self.tables = {
            TRAINING_DATA: LoggedTable(settings, TRAINING_DATA, self._data),
            EXAMPLES: LoggedTable(settings, EXAMPLES, pa.schema([*_EXAMPLES, *shown])),
            HISTORIES: LoggedTable(settings, HISTORIES, HISTORIES_TABLE),
        }
        self._touched: set[str] = set()
        self._add(14)
        self._store(EXAMPLES, TRAINING_DATA, HISTORIES)

    def step(self) -> None:
        """Change something: labels, features, lists, or files alone."""
        self._touched = set()
        made = self.rng.choice(
            [
                self._add_some,
                self._take_back,
                self._relabel,
                self._move,
                self._describe,
                self._listen,
                self._listen,
                self._rewrite,
            ]
        )
        self._store(*made())

    def change_list(self, user: str, time: Any) -> None:
        """An interaction came late: a list changes, and no row of the examples is written."""
        self._touched = set()
        self._replace_list(user, time)
        self._store(HISTORIES)

    def erase(self) -> str:
        """Erase a person: their rows, every file that held them, and what needs those files."""
        user = self.rng.choice(sorted({key[0] for key in self.rows}))
        self._touched = {user}
        for key in [key for key in self.rows if key[0] == user]:
            del self.rows[key]
        if not self.rows:
            self._add(1)
        self._store(EXAMPLES, TRAINING_DATA, HISTORIES, how="rewrite")
        self._touched = set()
        self._store(EXAMPLES, TRAINING_DATA, HISTORIES, how="all")  # what vectors hid goes as well
        for table in self.tables.values():
            table.vacuum()
        withdraw_broken(self.lake, "acme", NOON)
        return user

    def publish(self) -> Manifest:
        """Publish what the tables hold."""
        self._published += 1
        names = [name for name in self._data.names if name != "tenant_id"]
        frame = pl.DataFrame(
            pa.Table.from_pylist(
                [{"tenant_id": "acme"} | {n: row[n] for n in names} for row in self.rows.values()],
                self._data,
            )
        )
        contents = ContentHash()
        contents.update(frame)
        kinds = frame.get_column("negative_type").fill_null("positive").to_list()
        now = NOON + timedelta(hours=self._published)
        types = ({"name": "click", "weight": 1.0}, {"name": "like", "weight": 0.3})
        manifest = Manifest(
            snapshot_id=make_snapshot_id(now, contents.hexdigest()),
            tenant_id="acme",
            created_at=now,
            pinned={
                name: TableVersion(location=name.replace(".", "/"), version=table.version)
                for name, table in self.tables.items()
            },
            source_versions={},
            newest_known_at=now,
            parameters=Parameters(
                seed=1,
                cutoff=None,
                negatives_per_positive=4,
                positive_types=("click",),
                negative_types=("dislike",),
                event_types=types if self.is_weighted else None,
                shown_per_positive=3 if self.has_shown else None,
            ),
            counts=Counts(
                positives=kinds.count("positive"),
                sampled_negatives=kinds.count("sampled"),
                explicit_negatives=kinds.count("explicit"),
                shown_negatives=kinds.count("shown") if self.has_shown else None,
                shortfall=0,
                positives_without_negatives=0,
                liked_and_disliked=0,
            ),
            label_balance=0.5,
            content_hash=contents.hexdigest(),
            columns=(Column(name="tenant_id", type="string"),),
            code_version="test",
            example_files="0",
        )
        return TRAINING_SETS.publish(self.lake, manifest, lambda *_: False)

    def choice(self) -> tuple[ExportFormat, dict[str, Any]]:
        """Return a format and which features are chosen."""
        kind = self.rng.choice([ExportFormat.PARQUET, ExportFormat.HUGGING_FACE])
        features = self.rng.choice([(), ("all",), ("item",), ("item_popularity", "context")])
        return kind, {"features": features, "history": self.rng.choice([0, 1, 3])}

    def _add(self, anchors: int) -> None:
        for _ in range(anchors):
            self._anchors += 1
            user = self.rng.choice(USERS)
            anchor = f"i{self._anchors}" if self.rng.random() < 0.9 else f"i\0\n{self._anchors}"
            is_liked = self.rng.random() < 0.8
            time = self._time()
            self._touched.add(user)
            for draw in range(self.rng.randrange(1, 4) if is_liked else 1):
                is_shown = bool(draw) and self.has_shown and self.rng.random() < 0.5
                drawn = "shown" if is_shown else "sampled"
                row = {
                    "user_id": user,
                    "item_id": anchor if draw == 0 else self.rng.choice("abc"),
                    "anchor_item_id": anchor,
                    "draw_index": draw,
                    "interaction_type": "click" if draw == 0 and is_liked else None,
                    "negative_type": drawn if draw else (None if is_liked else "explicit"),
                    "label": 1.0 if draw == 0 and is_liked else 0.0,
                    "type_weight": self.rng.choice([1.0, 0.3]) if self.is_weighted else 1.0,
                    "sampling_probability": self.rng.random() if draw else None,
                    "event_time": time,
                    "shown_position": self.rng.randrange(9) if is_shown else None,
                }
                self.rows[user, anchor, draw] = row | self._features()

    def _time(self) -> Any:
        """A time of few, so that many rows share one, in several minutes."""
        return NOON + timedelta(seconds=self.rng.choice([0, 1, 61, 3_600, 7_200, 90_000]))

    def _features(self) -> Row:
        return {
            "user_total_interactions": self.rng.choice([None, 0, 7]),
            "item_popularity": self.rng.choice([None, 0.5, float("nan"), 1e300]),
            "item_texts": self.rng.choice([None, [], [("brand", "b"), ("colour", None)]]),
            "context_location": self.rng.choice([None, "", "Zürich"]),
        }

    def _anchor(self) -> list[tuple[str, str, int]]:
        user, anchor, _ = self.rng.choice(sorted(self.rows))
        self._touched.add(user)
        return [key for key in self.rows if key[:2] == (user, anchor)]

    def _add_some(self) -> tuple[str, ...]:
        self._add(self.rng.randrange(1, 4))
        return EXAMPLES, TRAINING_DATA, HISTORIES

    def _take_back(self) -> tuple[str, ...]:
        keys = self._anchor()
        if len(self.rows) > len(keys):
            for key in keys:
                del self.rows[key]
        return EXAMPLES, TRAINING_DATA, HISTORIES

    def _relabel(self) -> tuple[str, ...]:
        for key in self._anchor():
            changed = {"item_id": self.rng.choice("xyz"), "sampling_probability": self.rng.random()}
            self.rows[key] = self.rows[key] | (
                changed if key[2] else {"interaction_type": self.rng.choice(["like", "purchase"])}
            )
        return EXAMPLES, TRAINING_DATA

    def _move(self) -> tuple[str, ...]:
        time = self._time()
        for key in self._anchor():
            self.rows[key] = self.rows[key] | {"event_time": time}
        return EXAMPLES, TRAINING_DATA, HISTORIES

    def _describe(self) -> tuple[str, ...]:
        for key in self._anchor():
            self.rows[key] = self.rows[key] | self._features()
        return (EXAMPLES,)

    def _listen(self) -> tuple[str, ...]:
        self._replace_list(*self.rng.choice(sorted(self.lists)))
        return (HISTORIES,)

    def _replace_list(self, user: str, time: Any) -> None:
        self._touched.add(user)
        held = self.lists[user, time]
        while self.lists[user, time] == held:
            self.lists[user, time] = self._list(user, time)

    def _rewrite(self) -> tuple[str, ...]:
        self._touched.update(self.rng.sample(USERS, 2))
        return EXAMPLES, TRAINING_DATA, HISTORIES

    def _list(self, user: str, time: Any) -> Row:
        count = self.rng.randrange(4)
        items = [f"h{self.rng.randrange(3)}" for _ in range(count)]
        times = [time - timedelta(days=count - place) for place in range(count)]
        row = {"user_id": user, "event_time": time, "item_ids": items, "event_times": times}
        return row | {"interaction_types": ["view"] * count}

    def _store(self, *names: str, how: str | None = None) -> None:
        """Replace the rows of the touched users in tables, each in a way of its own."""
        wanted = {(row["user_id"], row["event_time"]) for row in self.rows.values()}
        self.lists = {key: self.lists.get(key) or self._list(*key) for key in sorted(wanted)}
        touched = frozenset(self._touched)
        for name in names:
            held = self.lists.values() if name == HISTORIES else self.rows.values()
            way = how or self.rng.choice(["vectors"] * 5 + ["rewrite"] * 4 + ["all"])
            new = [row for row in held if row["user_id"] in touched]
            self.tables[name].change(lambda row: row["user_id"] in touched, new, way, self.rng)
