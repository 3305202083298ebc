"""Reads several sorted streams of rows side by side, a window of times at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import polars as pl


def windows(streams: Sequence[Iterable[pl.DataFrame]]) -> Iterator[tuple[pl.DataFrame, ...]]:
    """Yield for each window the rows of every stream whose `event_time` lies in it.

    Windows follow each other in time; all rows of one moment are in one window. Streams are sorted
    by `event_time`, and each has a frame, which may be empty. At most a frame of each stream is
    held, and what has the moment at which it ends.
    """
    heads = [_Head(iter(stream)) for stream in streams]
    while True:
        unread = [head for head in heads if head.has_more]
        if not unread:
            yield tuple(head.take(None) for head in heads)
            return
        bound = min(head.last for head in unread)
        found = tuple(head.take(bound) for head in heads)
        if any(frame.height for frame in found):
            yield found
        for head in unread:
            if head.last == bound:  # rows of this moment may follow
                head.read()


class _Head:
    """The rows of a stream that were read and not yet taken."""

    def __init__(self, frames: Iterator[pl.DataFrame]) -> None:
        self._frames = frames
        self._held = next(frames)
        self.has_more = True
        self.last = datetime.min  # replaced before it is compared
        self.read()

    def read(self) -> None:
        """Read until there are further rows, or no more."""
        for frame in self._frames:
            if frame.height:
                self._held = pl.concat([self._held, frame]) if self._held.height else frame
                self.last = frame.get_column("event_time")[-1]
                return
        self.has_more = False

    def take(self, before: datetime | None) -> pl.DataFrame:
        """Return the rows earlier than a moment, which are held no longer; all without one."""
        held = self._held
        end = held.height
        if before is not None and end:
            end = int(held.get_column("event_time").search_sorted(before, side="left"))
        self._held = held.slice(end)
        return held.slice(0, end)
