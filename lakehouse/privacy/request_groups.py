"""Which requests of a tenant are carried out together, and what becomes of one that cannot go on.

Together is cheapest: one pass for all. A request that fails is no reason for the others to wait, so
what failed together is tried one by one, and what failed alone stays alone from then on. After
`erasure_tries` attempts, or `erasure_hours` hours, it `needs_attention`: it is still tried, and
says what somebody has to do.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from lakehouse.control.erasures import Erasure, Erasures, State
    from lakehouse.settings import LakeSettings

TRIES: Final = "tries"
ALONE: Final = "alone"
WITHDRAW: Final = "if that cannot be: `eta privacy withdraw {}` ends the request"


def request_groups(requests: Sequence[Erasure]) -> list[list[Erasure]]:
    """Return requests in the groups that are carried out one after the other.

    Those that never failed alone come first, together.
    """
    together = [one for one in requests if not one.notes.get(ALONE)]
    alone = [[one] for one in requests if one.notes.get(ALONE)]
    return [*([together] if together else []), *alone]


def note_waiting(
    erasures: Erasures,
    settings: LakeSettings,
    request: Erasure,
    step: str,
    reasons: Sequence[str],
    now: datetime,
    *,
    is_alone: bool,
) -> None:
    """Record that a request could not go on now, why, and whether somebody has to see to it."""
    tries = int(request.notes.get(TRIES, 0)) + 1
    is_over = tries >= settings.erasure_tries or (
        now - request.requested_at >= timedelta(hours=settings.erasure_hours)
    )
    state: State = "needs_attention" if is_over else "waiting"
    said = [*reasons, WITHDRAW.format(request.request_id)] if is_over else reasons
    erasures.move(request.request_id, state=state, step=step, waits_for=said)
    noted = {TRIES: tries, **({ALONE: True} if is_alone else {})}
    erasures.note({request.request_id: noted})
