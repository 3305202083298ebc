"""Ids as whole numbers: fitted on the training rows, stored, and tied to the data they are of."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from eta_data.errors import DamagedError, DataError, OtherDataError
from eta_data.lookup import Lookup
from eta_data.memory import scalar, to_arrow
from eta_data.source import Reader

if TYPE_CHECKING:
    from eta_data.training_set import TrainingSet

_FILE: Final = "encoders.json"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,62}")
_MERGE_VALUES: Final = 1_000_000
_CODE: Final = pa.int32()
_FEW: Final = 65_536
"""Values up to which Arrow makes its table in less time than it takes to look up a window."""


@dataclass(frozen=True, eq=False)
class Encoder:
    """Numbers the values of some columns: the sorted values get 1, 2, …; 0 is null or unknown."""

    columns: tuple[str, ...]
    values: pa.Array

    @property
    def size(self) -> int:
        """How many numbers there are, 0 included: the rows of an embedding table."""
        return len(self.values) + 1

    def codes(self, column: pa.Array) -> pa.Array:
        """Return int32 numbers; of a list column, lists of numbers, null where it is null."""
        kind = column.type
        if pa.types.is_list(kind):
            codes = self.codes(column.values)
            return pa.ListArray.from_arrays(column.offsets, codes, mask=column.is_null())
        if pa.types.is_dictionary(kind):
            return self.codes(column.dictionary_decode())
        if len(self.values) > _FEW and self._lookup is not None and kind == self.values.type:
            return to_arrow(self._lookup.places(column) + np.int32(1))
        found = pc.index_in(column, value_set=self.values, skip_nulls=True)
        return pc.add(found.fill_null(scalar(-1, _CODE)), scalar(1, _CODE))

    @cached_property
    def _lookup(self) -> Lookup | None:
        """None where Arrow's own search has to do: not texts, or two with the same hash."""
        made = Lookup(self.values) if pa.types.is_string(self.values.type) else None
        return made if made is not None and made.is_exact else None

    def decode(self, codes: pa.Array) -> pa.Array:
        """Return the values of numbers; null for 0."""
        places = pc.subtract(codes, scalar(1, codes.type))
        return self.values.take(pc.if_else(pc.less(places, 0), None, places))


@dataclass(frozen=True, slots=True, eq=False)
class Encoders:
    """Encoders by name, and the data that they were fitted on."""

    encoders: Mapping[str, Encoder]
    tenant: str
    snapshot: str
    content_hash: str
    is_for_other_data: bool = False

    @classmethod
    def fit(cls, data: TrainingSet, columns: Mapping[str, str | Sequence[str]]) -> Encoders:
        """Read the columns of each encoder once and number their values.

        `{"user": "user_id", "item": ["item_id", "anchor_item_id"]}`: columns of one encoder share
        its numbers. The number of a value depends on the set of values alone. Refuses validation
        and test rows: what is known of them must not shape a model.
        """
        if data.split not in (None, "train"):
            raise DataError(
                f"encoders are fitted on training rows, and these are {data.split}",
                remedy='open the set with split="train", fit there, and use them here',
            )
        made = {}
        for name, chosen in columns.items():
            if _NAME.fullmatch(name) is None:
                raise DataError(
                    "an encoder has a name that cannot be that of a file",
                    remedy="lower-case letters, digits and `_`, beginning with a letter",
                )
            of = (chosen,) if isinstance(chosen, str) else tuple(chosen)
            made[name] = Encoder(of, _values(data, of))
        manifest = data.manifest
        return cls(made, manifest.tenant_id, manifest.snapshot_id, manifest.content_hash)

    def __getitem__(self, name: str) -> Encoder:
        """Return an encoder by its name."""
        return self.encoders[name]

    def of_column(self, column: str) -> Encoder | None:
        """Return the encoder of a column, None when it has none."""
        return next((e for e in self.encoders.values() if column in e.columns), None)

    def for_other_data(self) -> Encoders:
        """Return the same, to be used with other data on purpose: a newer snapshot, say."""
        return replace(self, is_for_other_data=True)

    def check(self, data: TrainingSet) -> None:
        """Raise `OtherDataError` when they were fitted on other data than this."""
        is_same = (self.tenant, self.content_hash) == (data.tenant, data.manifest.content_hash)
        if not (is_same or self.is_for_other_data):
            raise OtherDataError(
                f"these encoders were fitted on snapshot {self.snapshot}, not on {data.snapshot}",
                remedy="fit new ones, or say `encoders.for_other_data()`: new values become 0",
            )

    def save(self, place: str | Path) -> None:
        """Write a folder of JSON and Parquet; it appears whole, and must not be there yet."""
        target = Path(place)
        if target.exists():
            raise DataError(f"{target} is there already", remedy="name a new folder")
        partial = target.with_name(f".{target.name}-{token_hex(4)}")
        partial.mkdir(parents=True)
        described = {}
        for name, encoder in self.encoders.items():
            file = partial / f"{name}.parquet"
            pq.write_table(pa.table({"value": encoder.values}), file, compression="zstd")
            described[name] = {
                "columns": list(encoder.columns),
                "size": encoder.size,
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            }
        document = {
            "format": 1,
            "tenant_id": self.tenant,
            "snapshot_id": self.snapshot,
            "content_hash": self.content_hash,
            "encoders": described,
        }
        (partial / _FILE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        partial.replace(target)

    @classmethod
    def load(cls, place: str | Path) -> Encoders:
        """Read what `save` wrote; refuse a file that is not the one that was written."""
        folder = Path(place)
        try:
            document = json.loads((folder / _FILE).read_bytes())
            if document["format"] != 1:
                raise ValueError("format")
            made = {
                name: _loaded(folder, name, described)
                for name, described in document["encoders"].items()
            }
            return cls(
                made, document["tenant_id"], document["snapshot_id"], document["content_hash"]
            )
        except FileNotFoundError as error:
            raise DataError(
                f"{folder} holds no encoders", remedy="name the folder that `save` was given"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError, pa.ArrowException) as error:
            raise _damaged(folder) from error


def _loaded(folder: Path, name: str, described: Mapping[str, Any]) -> Encoder:
    if _NAME.fullmatch(name) is None:
        raise ValueError("name")
    content = (folder / f"{name}.parquet").read_bytes()
    if hashlib.sha256(content).hexdigest() != described["sha256"]:
        raise _damaged(folder)
    values = pq.read_table(pa.BufferReader(content)).column("value").combine_chunks()
    if len(values) + 1 != described["size"]:
        raise _damaged(folder)
    return Encoder(tuple(described["columns"]), values)


def _damaged(folder: Path) -> DamagedError:
    return DamagedError(
        f"the encoders in {folder} are not those that were saved",
        remedy="copy the folder again, or fit new ones and train with them",
    )


def _values(data: TrainingSet, columns: Sequence[str]) -> pa.Array:
    """Return the different values of some columns, sorted, without null."""
    source = data.source
    source.columns(columns)
    reader = Reader(source, columns)
    held: list[pa.Array] = []
    for block in source.blocks():
        for piece in reader.pieces(block):
            held += [_unique(column) for column in piece.columns]
            if sum(map(len, held[1:])) > max(_MERGE_VALUES, len(held[0])):
                held = [_merged(held)]
    found = _merged(held)
    return found.take(pc.sort_indices(found))


def _unique(column: pa.Array) -> pa.Array:
    if pa.types.is_list(column.type):
        column = column.flatten()
    return column.unique()


def _merged(arrays: Sequence[pa.Array]) -> pa.Array:
    types = {array.type for array in arrays}
    if len(types) > 1:
        raise DataError(
            f"the columns of one encoder have several types: {', '.join(map(str, types))}",
            remedy="give them encoders of their own",
        )
    return pa.concat_arrays(arrays).unique().drop_null()
