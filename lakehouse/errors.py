"""The one error base class: every error a person can meet says what to do next."""


class EtaError(Exception):
    """An error with a remedy.

    `message` says what went wrong and where; `remedy` says what to do. Neither ever holds a
    payload, a secret or a user identifier, so both may be logged and shown.
    """

    def __init__(self, message: str, *, remedy: str) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  What to do: {self.remedy}"
