"""Which attempt at a batch counts: what the application transactions of the raw tables say.

A batch, or its n-th replay, has a commit id. The version of the raw table's application
transaction of that id is the number of the attempt that was stored (docs/adr/0008).
"""

from typing import Final

GIVEN_UP: Final = 0
"""State of a batch whose attempts were all taken for dead; a new one may begin."""


def commit_id_of(batch_id: str, replay: int) -> str:
    """Return the name of a batch (`replay` 0) or of one of its replays."""
    return f"{batch_id}.r{replay}" if replay else batch_id


def is_won(state: int | None) -> bool:
    """Whether a batch in this state has been stored: the state is the attempt that did it."""
    return state is not None and state != GIVEN_UP
