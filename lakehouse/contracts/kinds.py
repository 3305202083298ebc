"""The kinds of rows and of interactions, apart so that a command line loads no validator."""

from enum import StrEnum


class DataType(StrEnum):
    """The kinds of file a tenant may send."""

    INTERACTIONS = "interactions"
    ITEMS = "items"


class InteractionType(StrEnum):
    """The contract's interaction types, weakest wish first."""

    VIEW = "view"
    CLICK = "click"
    LIKE = "like"
    PURCHASE = "purchase"
    DISLIKE = "dislike"
