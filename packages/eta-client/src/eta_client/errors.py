"""What a program that sends events may have to deal with."""


class SdkError(Exception):
    """An error of the client: `message` says what went wrong and where, `remedy` what to do.

    Neither ever holds an event, a key or an identifier, so both may be logged and shown.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  What to do: {self.remedy}"


class SpoolFullError(SdkError):
    """The spool holds as much as it may: the service has not been reached for long."""

    def __init__(self) -> None:
        super().__init__(
            "the spool of events that wait to be sent is full; this event is not kept",
            remedy="look why the service cannot be reached, or raise `spool_bytes`",
        )


class EventTooLargeError(SdkError):
    """An event that the service would refuse."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the event is larger than {limit:,} bytes", remedy="send less with it")


class FlushTimeoutError(SdkError):
    """Not everything was sent in time; it stays in the spool."""

    def __init__(self, waiting: int) -> None:
        super().__init__(
            f"{waiting:,} events are still to be sent",
            remedy="wait longer, or leave them: they are kept on disk and sent later",
        )
