"""What a reader has open ends with its `with` block."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class OpenFile(ABC):
    """A file that is open from its creation on; `close` may be called more than once.

    `titles`: lines of the file that call its columns otherwise than they are called now; None of
    single events, which no header stands over.
    """

    titles: Sequence[Sequence[str]] | None = ()

    @abstractmethod
    def close(self) -> None:
        """Close it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
