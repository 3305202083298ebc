"""Arrow batches as NumPy arrays and torch tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat
from numpy.typing import NDArray

from eta_data.errors import DataError
from eta_data.given import whole
from eta_data.memory import scalar, to_numpy

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class ToNumpy:
    """Makes a dict of arrays of a batch.

    Numbers and booleans are what they are, decimals float64, timestamps `datetime64[us]` in UTC,
    texts objects. A list column becomes an array of two dimensions, values first, padding behind,
    and `{name}_length`, int32: as wide as `lengths` says, else as the longest of the batch. Of a
    longer list the last values stay, the newest of a history. Null is NaN, NaT or None; null lists
    have length 0. A null among whole numbers or booleans is an error, unless `fill` has a value for
    the column. Padding is 0, False, NaT or None.
    """

    lengths: Mapping[str, int] = field(default_factory=dict)
    fill: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, batch: pa.RecordBatch) -> Arrays:
        """Return the arrays by the names of the columns."""
        found: Arrays = {}
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            if pat.is_list(column.type):
                found[name], lengths = self._padded(name, column)
                if f"{name}_length" in batch.schema.names:
                    raise DataError(
                        f"the data has a column {name}_length beside the list {name}",
                        remedy="read one of them, or use arrow()",
                    )
                found[f"{name}_length"] = lengths
            else:
                found[name] = self._flat(name, column)
        return found

    def check(self, schema: pa.Schema) -> None:
        """Refuse widths that are none, and names of columns that a batch will not have."""
        for name, width in self.lengths.items():
            whole(f"the length of {name}", width, 0)
            if not pat.is_list(_column("lengths", name, schema).type):
                raise DataError(f"{name} is no list, so it has no length", remedy="leave it out")
        for name, value in self.fill.items():
            kind = _column("fill", name, schema).type
            kind = kind.value_type if pat.is_list(kind) else kind
            try:
                scalar(value, kind)
            except (pa.ArrowException, ValueError, TypeError, OverflowError) as error:
                raise DataError(
                    f"{name} is {kind}, and what it is to be filled with is none",
                    remedy=f"give a value of that type in `fill={{{name!r}: ...}}`",
                ) from error

    def _padded(self, name: str, column: pa.Array) -> tuple[NDArray[Any], NDArray[np.int32]]:
        counts = pc.list_value_length(column)
        sizes = to_numpy(counts.fill_null(scalar(0, counts.type))).astype(np.int64)
        values = self._flat(name, column.flatten())
        width = self.lengths.get(name, int(sizes.max(initial=0)))
        kept = np.minimum(sizes, width)
        starts = np.cumsum(sizes) - kept
        places = np.arange(width)[None, :]
        is_value = places < kept[:, None]
        padded = np.zeros((len(column), width), values.dtype)
        if values.dtype.kind == "M":
            padded[:] = np.datetime64("NaT")
        elif values.dtype.kind == "O":
            padded[:] = None
        padded[is_value] = values[(starts[:, None] + places)[is_value]]
        return padded, kept.astype(np.int32)

    def _flat(self, name: str, column: pa.Array) -> NDArray[Any]:
        kind = column.type
        if name in self.fill:
            column = column.fill_null(scalar(self.fill[name], kind))
        if pat.is_decimal(kind):
            column = column.cast(pa.float64())
        elif pat.is_timestamp(kind):
            column = column.cast(pa.timestamp(kind.unit))
        elif pat.is_nested(kind):
            raise DataError(
                f"{name} is {kind}, which is no array",
                remedy="leave it out with `columns=`, or read the set with arrow()",
            )
        if column.null_count and (pat.is_integer(kind) or pat.is_boolean(kind)):
            raise DataError(
                f"{name} is {kind} and has nulls, which NumPy cannot hold",
                remedy=f"say what they become, `fill={{{name!r}: 0}}`, or leave the column out",
            )
        return to_numpy(column)


def _column(what: str, name: str, schema: pa.Schema) -> pa.Field:
    if name not in schema.names:
        raise DataError(
            f"{what} names {name}, which is not read",
            remedy=f"name one of {', '.join(schema.names)}",
        )
    return schema.field(name)


@dataclass(frozen=True, slots=True)
class ToTorch:
    """Makes a dict of tensors: see `ToNumpy`; timestamps are int64 microseconds, UTC."""

    numpy: ToNumpy

    def __call__(self, batch: pa.RecordBatch) -> dict[str, Any]:
        """Return the tensors by the names of the columns."""
        import torch

        return {
            name: torch.from_numpy(_for_torch(name, array))
            for name, array in self.numpy(batch).items()
        }


_WIDER: Final = {"uint16": np.int32, "uint32": np.int64}


def _for_torch(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.dtype.kind == "M":
        array = array.astype("datetime64[us]").astype(np.int64)
    elif array.dtype.kind not in "biuf" or array.dtype == np.uint64:
        raise DataError(
            f"{name} is no column of numbers, so it is no tensor",
            remedy="give it an encoder (`Encoders.fit`), or leave it out with `columns=`",
        )
    array = array.astype(_WIDER.get(array.dtype.name, array.dtype), copy=False)
    # Arrow's memory must not be written to, and a tensor's may be
    return array if array.flags.writeable else array.copy()
