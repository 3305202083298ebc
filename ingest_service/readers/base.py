"""What every reader gives: an open file of rows, and its pieces as chunks of texts."""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

import polars as pl

from ingest_service.pipeline.places import PlaceNames
from ingest_service.pipeline.report import FileReading, RowIssue
from ingest_service.readers.csv.structure import Positions
from lakehouse.contracts.characters import Traits
from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.mapping import FileRefusedError


class RowChunk(Protocol):
    """Rows of a file, in order.

    `frame`: the wanted columns as texts. `lines`: the line each row starts on. `faults`: reasons
    of the rows that could not be read, whose columns are null.
    """

    @property
    def frame(self) -> pl.DataFrame:
        """The rows."""
        ...

    @property
    def lines(self) -> Positions:
        """Their lines."""
        ...

    @property
    def places(self) -> Positions:
        """What tells them apart within the file: lines, or elements of an array."""
        ...

    @property
    def place_names(self) -> PlaceNames | None:
        """How its places are called; None: as those of the whole file (`RowFile.place_unit`)."""
        ...

    @property
    def faults(self) -> pl.DataFrame:
        """What could not be read."""
        ...

    @property
    def requests(self) -> pl.Series | None:
        """Numbers of the requests that the rows came with; None when all came together."""
        ...

    @property
    def traits(self) -> Traits:
        """What is known of all texts at once."""
        ...

    def raw(self, rows: Sequence[int]) -> list[bytes]:
        """The bytes of these rows as the file has them."""
        ...


class RowFile(Protocol):
    """An open file: ask what it has, then iterate `pieces` once and `parse` each.

    `pieces` needs one thread; `parse` may be called for several pieces at the same time.
    """

    @property
    def place_unit(self) -> str:
        """What the places of rows count."""
        ...

    @property
    def header(self) -> tuple[str, ...]:
        """The columns it has, or may have."""
        ...

    @property
    def single(self) -> tuple[str, ...]:
        """Those whose name no other column has."""
        ...

    @property
    def titles(self) -> Sequence[Sequence[str]] | None:
        """Lines of the file that call the columns otherwise; None of single events."""
        ...

    @property
    def has_named_fields(self) -> bool:
        """Whether each row names its own fields, and so may leave some out."""
        ...

    @property
    def header_line(self) -> int:
        """Where they are named."""
        ...

    @property
    def position(self) -> int:
        """Bytes of the file read so far."""
        ...

    def __enter__(self) -> Self:
        """Use it."""
        ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        ...

    def pieces(self) -> Iterator[Any]:
        """Yield it in pieces."""
        ...

    def parse(self, piece: Any, columns: Sequence[str]) -> RowChunk:
        """Return the rows of a piece."""
        ...

    def reading(self) -> FileReading:
        """How it is read."""
        ...

    def layout(self, mapping_name: str) -> SourceLayout:
        """What it takes to read one of its rows alone."""
        ...

    def oddities(self, read: Sequence[str]) -> Iterator[RowIssue]:
        """What is odd about the file itself, when these columns are read."""
        ...

    def ending(self) -> Iterator[RowIssue]:
        """What is odd about its end; ask when all pieces were read."""
        ...

    def explain(self, error: FileRefusedError) -> None:
        """Add to a refusal for missing columns what the file shows of why."""
        ...
