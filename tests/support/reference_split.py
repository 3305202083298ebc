"""What an evaluation snapshot must hold, written the slow and obvious way over plain rows."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from lakehouse.contracts.tenant import EvaluationSettings
from tests.support import reference
from tests.support.reference import Row

Place = tuple[datetime, str]
Pair = tuple[str, str]


@dataclass
class Expected:
    """Positives by split; what may be learned; what may be drawn for each training positive."""

    positives: dict[str, set[Pair]]
    explicit: set[Pair]
    eligible: dict[Pair, set[str]]
    popularity: Counter[str]
    warm_users: set[str]
    strongest: dict[Pair, str]


def place(row: Row) -> Place:
    return row["event_time"], row["event_id"]


def split_of(rows: list[Row], split: EvaluationSettings) -> dict[str, str]:
    """event_id → train, validation or test."""
    firsts = reference.positives(rows)
    if split.method == "time":
        train_until, validation_until = boundaries(firsts.values(), split)
        return {
            row["event_id"]: "train"
            if row["event_time"] < train_until
            else "validation"
            if row["event_time"] < validation_until
            else "test"
            for row in rows
        }
    by_user = defaultdict(list)
    for (user, _), first in firsts.items():
        by_user[user].append(first)
    found = {}
    for row in rows:
        ordered = sorted(by_user[row["user_id"]])
        part = "train"
        if len(ordered) > 2 and place(row) >= ordered[-2]:
            part = "validation"
        if len(ordered) > 1 and place(row) >= ordered[-1]:
            part = "test"
        found[row["event_id"]] = part
    return found


def boundaries(firsts: Iterable[Place], split: EvaluationSettings) -> tuple[datetime, datetime]:
    """train_until and validation_until: the moments at which the shares are used up."""
    moments = sorted(moment for moment, _ in firsts)
    train_until = split.train_until or moments[math.floor(len(moments) * split.train_share + 1e-9)]
    later = [moment for moment in moments if moment >= train_until]
    share = split.validation_share / (1 - split.train_share)
    return train_until, split.validation_until or later[math.floor(len(later) * share + 1e-9)]


def evaluation(rows: list[Row], items: Iterable[Row], split: EvaluationSettings) -> Expected:
    part = split_of(rows, split)
    train = [row for row in rows if part[row["event_id"]] == "train"]
    trained = reference.positives(train)
    per_user = Counter(user for user, _ in trained)
    per_item = Counter(item for _, item in trained)

    def is_frequent(user: str, item: str) -> bool:
        return (
            per_user[user] >= split.minimum_user_positives
            and per_item[item] >= split.minimum_item_positives
        )

    kept = {pair for pair in trained if is_frequent(*pair)}
    positives = {"train": kept, "validation": set[Pair](), "test": set[Pair]()}
    for pair, (_, event_id) in reference.positives(rows).items():
        if part[event_id] != "train":
            positives[part[event_id]].add(pair)
    available = reference.availability(train, items)
    known = defaultdict(set)
    for row in train:
        known[row["user_id"]].add(row["item_id"])
    eligible = {
        (user, item): {
            other
            for other, since in available.items()
            if since <= reference.hour(trained[user, item][0])
            and other not in known[user]
            and per_item[other] >= split.minimum_item_positives
        }
        for user, item in kept
    }
    return Expected(
        positives,
        {pair for pair in reference.explicit_negatives(train) if is_frequent(*pair)},
        eligible,
        Counter(item for _, item in kept),
        {user for user, _ in kept},
        strongest(rows, part),
    )


_STRENGTH = ("click", "like", "purchase")


def strongest(rows: list[Row], part: dict[str, str]) -> dict[Pair, str]:
    """Pair → its strongest positive type in the part of its first positive."""
    first = {pair: part[event] for pair, (_, event) in reference.positives(rows).items()}
    found: dict[Pair, Any] = {}
    for row in rows:
        pair, kind = (row["user_id"], row["item_id"]), row["interaction_type"]
        if kind in _STRENGTH and part[row["event_id"]] == first[pair]:
            found[pair] = max(found.get(pair, kind), kind, key=_STRENGTH.index)
    return found
