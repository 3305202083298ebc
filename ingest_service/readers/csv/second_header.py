"""A line within a file that names its columns again, in another order.

Files are put together with `cat`, and exports change the order of their columns. The rows behind
such a line are whole records, and under the first header each would be read as something else.
"""

from collections.abc import Sequence, Set

import numpy as np

from ingest_service.readers.csv.header import first_record
from ingest_service.readers.csv.structure import Marks
from lakehouse.contracts.mapping import FileRefusedError
from lakehouse.contracts.reasons import FileFault


class SecondHeader:
    """Looks for it in the pieces of a file whose header has `names`, as they stand in its text.

    Costs one search for the longest name that is read: only a record that has it is looked at.
    """

    def __init__(
        self, names: Sequence[str], wanted: Set[str], delimiter: str, escape: str | None
    ) -> None:
        self._names = list(names)
        self._delimiter = delimiter
        self._escape = escape
        self._texts = [name.encode() for name in names]
        read = [name.encode() for name in names if name in wanted] or self._texts
        self._longest = max(read, key=len)
        self._length = sum(map(len, self._texts)) + len(names) - 1

    def refuse(self, marks: Marks, first_line: int) -> None:
        """Raise `FileRefusedError` if one is among these records, the first on `first_line`."""
        data, ends = marks.data, marks.record_ends
        at = data.find(self._longest) if self._longest else -1
        while at >= 0:
            row = int(np.searchsorted(ends, at))
            if row >= len(ends):
                return
            start, end = int(marks.record_starts[row]), int(ends[row])
            if self._is_other(data[start:end]):
                line = first_line + int(np.searchsorted(marks.line_ends, start))
                raise second_header(f"line {line}", line)
            at = data.find(self._longest, max(end, at + 1))

    def _is_other(self, record: bytes) -> bool:
        if not 0 <= len(record) - self._length <= 2 * len(self._names) + 1:
            return False
        if not all(text in record for text in self._texts):
            return False
        cells = first_record(
            record.decode("utf-8", "replace").removesuffix("\r"), self._delimiter, self._escape
        )
        return cells != self._names and sorted(cells) == sorted(self._names)


def second_header(where: str, line: int) -> FileRefusedError:
    """Return what to raise for one that stands `where`, on a line of the file or sheet."""
    return FileRefusedError(
        FileFault.SECOND_HEADER,
        f"{where} names the columns again, in another order",
        remedy="send the rows behind it as a file of their own, with that header",
        line=line,
    )
