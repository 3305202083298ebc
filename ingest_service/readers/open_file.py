"""What a reader has open ends with its `with` block."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class OpenFile(ABC):
    """A file that is open from its creation on; `close` may be called more than once."""

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
