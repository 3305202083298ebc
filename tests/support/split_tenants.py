"""Tenants whose rows are split into train, validation and test, each in another way."""

from datetime import timedelta

from lakehouse.contracts.tenant import EvaluationSettings
from tests.support import reference
from tests.support.lake import NOON, SessionLake, interaction
from tests.support.reference_split import Expected, evaluation
from tests.support.tenants import random_catalogue, random_rows

SPLITS = {
    "split-time": EvaluationSettings(),
    "split-asked": EvaluationSettings(train_until=NOON + timedelta(days=2), validation_share=0.15),
    "split-users": EvaluationSettings(method="leave_one_out"),
    "split-frequent": EvaluationSettings(
        train_share=0.6, minimum_user_positives=4, minimum_item_positives=3
    ),
    "split-tied": EvaluationSettings(method="leave_one_out"),
}


def tied_rows() -> list[dict]:
    """Everything in two moments, so that event ids decide; a user of one positive, one of two."""
    rows = [
        interaction(f"t{number:02}", f"u{number % 3}", f"i{number * 7 % 10}", kind, moment)
        for number, kind in enumerate(("click", "view", "like", "dislike") * 8)
        for moment in [NOON + timedelta(hours=number // 24)]
    ]
    one = [interaction("o1", "one", "i1"), interaction("o2", "one", "i2", "view")]
    return [*rows, *one, interaction("w2", "two", "i1"), interaction("w1", "two", "i2")]


def store_split_tenants(lake: SessionLake) -> dict[str, Expected]:
    """Store every tenant's rows; return what the reference makes of them."""
    found = {}
    for number, (name, split) in enumerate(SPLITS.items()):
        is_random = name != "split-tied"
        rows = random_rows(50 + number, users=9) if is_random else tied_rows()
        catalogue = [
            {**row, "known_at": NOON} for row in random_catalogue(60 + number) if is_random
        ]
        stored = lake.store(name, rows)
        if catalogue:
            lake.store_items(name, catalogue, known_at=NOON)
        found[name] = evaluation(reference.staged(stored), catalogue, split)
    return found
