"""The kinds of rows and of interactions, apart so that a command line loads no validator."""

from enum import StrEnum


class DataType(StrEnum):
    """The kinds of file a tenant may send."""

    INTERACTIONS = "interactions"
    ITEMS = "items"
    CLICKSTREAM = "clickstream"


class FileFormat(StrEnum):
    """What a file of rows is written in."""

    CSV = "csv"
    JSON = "json"
    """One array of objects, or one object per line."""


class OnError(StrEnum):
    """What a wrong row does to the batch it came in."""

    REJECT = "reject"
    """Nothing of the batch is stored."""
    QUARANTINE = "quarantine"
    """The good rows are stored; the wrong ones are kept aside with every reason."""


class InteractionType(StrEnum):
    """The contract's interaction types, weakest wish first."""

    VIEW = "view"
    CLICK = "click"
    LIKE = "like"
    PURCHASE = "purchase"
    DISLIKE = "dislike"
