"""What a program that reads a training set may have to deal with."""


class DataError(Exception):
    """A training set cannot be read as asked: `message` says what and where, `remedy` what to do.

    Neither holds a user or an item.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __reduce__(self) -> tuple[object, ...]:
        """A worker process hands its error over whole."""
        return _made, (type(self), self.message, self.remedy)

    def __str__(self) -> str:
        return f"{self.message}\n  What to do: {self.remedy}"


class DamagedError(DataError):
    """Files that are not those that were written: cut, changed, missing or added."""


class OtherDataError(DataError):
    """A state or an encoder that belongs to other data than it is used with."""


def _made(kind: type[DataError], message: str, remedy: str) -> DataError:
    return kind(message, remedy=remedy)
