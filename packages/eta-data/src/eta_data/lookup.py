"""Finds texts among a million, without making a table of them for each window as Arrow does."""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from eta_data.memory import scalar, to_arrow, to_numpy

_BASE: Final = 0x9E3779B97F4A7C15
_INVERSE: Final = pow(_BASE, -1, 1 << 64)


def hashes(texts: pa.StringArray) -> NDArray[np.uint64]:
    """Return a polynomial of each text's bytes, modulo 2^64, from sums over all texts' bytes.

    A null has any.
    """
    _, ends, held = texts.buffers()
    offsets = np.frombuffer(ends, np.int32)[texts.offset :][: len(texts) + 1].astype(np.int64)
    content = np.frombuffer(held or b"", np.uint8)[offsets[0] : offsets[-1]]
    offsets -= offsets[0]
    powers, inverses = (
        np.cumprod(np.full(len(content) + 1, base, np.uint64)) for base in (_BASE, _INVERSE)
    )
    sums = np.zeros(len(content) + 1, np.uint64)
    np.cumsum((content + np.uint64(1)) * powers[:-1], out=sums[1:])
    hashes = (sums[offsets[1:]] - sums[offsets[:-1]]) * inverses[offsets[:-1]]
    return hashes.astype(np.uint64, copy=False)


class Lookup:
    """The places of different texts, found by their hashes and compared as texts."""

    def __init__(self, values: pa.StringArray) -> None:
        self._values = values
        found = hashes(values)
        self._order = np.argsort(found)
        self._hashes = found[self._order]
        self.is_exact = not np.any(self._hashes[1:] == self._hashes[:-1])
        """Whether no two texts have the same hash; without it places may be missed."""

    def places(self, texts: pa.StringArray) -> NDArray[np.int32]:
        """Return the place of each text among the values, -1 for one that is null or not there."""
        if not len(texts):
            return np.zeros(0, np.int32)
        at = np.minimum(np.searchsorted(self._hashes, hashes(texts)), len(self._hashes) - 1)
        places = self._order[at]
        is_same = pc.equal(self._values.take(to_arrow(places)), texts)
        is_found = to_numpy(is_same.fill_null(scalar(False, pa.bool_())))
        return np.where(is_found, places, -1).astype(np.int32)
