"""The layout of a lake: a number that stands in the lake, and the steps from each to the next.

A layout is how tables, logs and files beside them lie and what they mean, as far as `ensure_tables`
does not bring it about by itself: a column that is added is no other layout. A lake without a
number has layout 1: it was made before there were numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from lakehouse.errors import EtaError
from lakehouse.storage.lake import Lake

MARK: Final = "eta-layout.json"
"""The file at the top of the lake: `{"layout": 1}`."""

_OLDEST: Final = 1
_MOST_BYTES: Final = 1_000


@dataclass(frozen=True, slots=True)
class LayoutStep:
    """From one layout to the next. `run` is safe to repeat, also after it was killed half-way.

    `about` says what it changes, as a sentence without a full stop.
    """

    about: str
    run: Callable[[Lake], None]


STEPS: Final[tuple[LayoutStep, ...]] = ()
"""From layout 1 on, in order. A step stays for good: a lake may come from any release."""


def newest_layout() -> int:
    """Return the layout that this version writes."""
    return _OLDEST + len(STEPS)


def held_layout(lake: Lake) -> int:
    """Return the layout of the lake; raises `EtaError` when its mark cannot be understood."""
    content = lake.folder().read(MARK)
    if content is None:
        return _OLDEST
    try:
        if len(content) > _MOST_BYTES:
            raise ValueError
        layout = json.loads(content)["layout"]
        if type(layout) is not int or layout < _OLDEST:
            raise ValueError
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise EtaError(
            f"{lake.location(MARK)} does not say which layout the lake has",
            remedy="restore it from a backup of the lake, or write the layout that the release "
            'notes of the lake\'s version name: {"layout": 1}',
        ) from error
    return int(layout)


def check_layout(lake: Lake) -> None:
    """Raise `EtaError` unless the lake has the layout that this version writes.

    Whoever writes asks before the first write: a half-understood lake is left alone.
    """
    held, known = held_layout(lake), newest_layout()
    if held > known:
        raise EtaError(
            f"the lake has layout {held}, and this version of eta knows up to {known}",
            remedy="install the version of eta that upgraded the lake, or a later one",
        )
    if held < known:
        raise EtaError(
            f"the lake has layout {held}, and this version of eta writes {known}",
            remedy="stop the writers and run `eta upgrade` (`eta upgrade --check` says what it "
            "would do)",
        )


def mark_layout(lake: Lake, layout: int | None = None) -> None:
    """Write the layout into the lake: this version's unless told otherwise."""
    number = newest_layout() if layout is None else layout
    lake.folder().write(MARK, (json.dumps({"layout": number}) + "\n").encode())


def is_marked(lake: Lake) -> bool:
    """Whether the lake says which layout it has."""
    return lake.folder().read(MARK) is not None


def steps_to_take(lake: Lake) -> tuple[LayoutStep, ...]:
    """Return the steps that the lake has before it; none of a lake that is newer."""
    return STEPS[held_layout(lake) - _OLDEST :]


def upgrade_layout(lake: Lake) -> None:
    """Take the steps one by one, each noted when it is done, and mark a lake without a number."""
    held = held_layout(lake)
    if held > newest_layout():
        check_layout(lake)
    for number, step in enumerate(steps_to_take(lake), held + 1):
        step.run(lake)
        mark_layout(lake, number)
    if not is_marked(lake):
        mark_layout(lake)
