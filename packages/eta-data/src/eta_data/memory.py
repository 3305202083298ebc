"""Arrow and NumPy arrays over the same memory, without pandas.

pyarrow's own `pa.array`, `pa.scalar` and `to_numpy` import pandas wherever it is installed: 54 MB,
and a second where its modules are not compiled yet, as long as reading millions of rows.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pat
from numpy.typing import NDArray


def to_arrow(values: NDArray[Any]) -> pa.Array:
    """Return an array of numbers or booleans, without nulls, as an Arrow array."""
    kind = pa.from_numpy_dtype(values.dtype)
    held = np.packbits(values, bitorder="little") if pat.is_boolean(kind) else values
    buffer = pa.py_buffer(np.ascontiguousarray(held))
    return pa.Array.from_buffers(kind, len(values), [None, buffer])


def to_numpy(column: pa.Array | pa.ChunkedArray) -> NDArray[Any]:
    """Return a column as NumPy has it: nulls are NaN, NaT or None, times keep their unit."""
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
    kind = column.type
    is_number = pat.is_integer(kind) or pat.is_floating(kind)
    is_plain = is_number or pat.is_boolean(kind) or pat.is_timestamp(kind)
    if not is_plain or column.null_count or not len(column):
        found: NDArray[Any] = column.to_numpy(zero_copy_only=False)
        return found
    first, stop, buffer = column.offset, column.offset + len(column), column.buffers()[1]
    if pat.is_boolean(kind):
        bits = np.frombuffer(buffer, np.uint8)
        return np.unpackbits(bits, count=stop, bitorder="little")[first:].view(np.bool_)
    dtype = kind.to_pandas_dtype() if is_number else f"datetime64[{kind.unit}]"
    return np.frombuffer(buffer, dtype, stop)[first:]


def repeated(value: object, kind: pa.DataType, count: int) -> pa.Array:
    """Return a column that has one value in every row."""
    if value is None:
        return pa.nulls(count, kind)
    if pat.is_string(kind):
        text = str(value).encode()
        offsets = pa.py_buffer(np.arange(count + 1, dtype=np.int32) * np.int32(len(text)))
        return pa.StringArray.from_buffers(count, offsets, pa.py_buffer(text * count))
    if pat.is_floating(kind) or pat.is_integer(kind) or pat.is_boolean(kind):
        return to_arrow(np.full(count, value, kind.to_pandas_dtype()))
    return pa.repeat(pa.scalar(value, kind), count)


def scalar(value: object, kind: pa.DataType) -> pa.Scalar:
    """Return one value of a type."""
    return repeated(value, kind, 1)[0]
