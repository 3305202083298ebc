"""Tenants that grow from run to run."""

import json
import os
import random
from datetime import UTC, datetime, timedelta

from lakehouse.contracts.tables import RAW_CLICKSTREAM
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.storage.lake import Lake
from tests.support.clickstream import random_events, store_events
from tests.support.devices import device_events, minutes
from tests.support.lake import NOON, SessionLake, user
from tests.support.tenants import random_catalogue, random_rows, with_context

# The suite has a few; ETA_TEST_TENANTS=100 is the long proof.
TENANTS = [f"grown{n}" for n in range(int(os.environ.get("ETA_TEST_TENANTS", "5")))]
TIMEOUT = 7200 if len(TENANTS) > 5 else 1800
"""Seconds for a test whose set-up is all the rounds."""
ROUNDS = 5
FLAGGED = 4
"""The number of the tenant that leaves traffic out."""
TYPED = "grown-typed"
WORDS = ('{"brand": "a", "size": 4}', '{"brand": "b", "maker": 1e3}', '{"size": [1]}', None)
DESCRIBED: dict[int, tuple[int, dict]] = {
    1: (1, {"item_attributes": {"brand": "brand"}, "user_attributes": {"size": "size"}}),
    2: (0, {"item_attributes": {"brand": "brand"}, "time_zone": "Asia/Kolkata"}),
    3: (0, {"item_attributes": {"brand": "maker|brand", "size": "size"}, "time_zone": "Etc/GMT+9"}),
    4: (0, {"user_attributes": {"brand": "brand"}}),
    5: (1, {"item_attributes": {"size": "size"}, "user_attributes": {"brand": "brand"}}),
}
"""By round: which tenant says something else of its examples, and what."""
TRAFFIC: dict[int, dict] = {
    2: {"leave_out": ["rate"], "rate_per_hour": 1},
    3: {"leave_out": ["agent"]},
    4: {},
    5: {"leave_out": ["uniformity", "agent"], "interval_variation": 0.8, "rate_per_hour": 1},
}
"""By round: what the fifth tenant says of its traffic, which has devices and few users."""
WAYS: dict[int, tuple[dict, ...]] = {
    1: ({}, {"shares": {"category": 0.6, "uniform": 0.4}}),
    2: ({"shares": {"popularity": 0.7, "uniform": 0.3}}, {}),
    3: ({"shares": {"popularity": 0.7, "uniform": 0.3}}, {}),
    4: ({"shares": {"popularity": 1}, "popularity_days": 2, "popularity_exponent": 0.5}, {}),
    5: ({}, {"shares": {"category": 0.8, "popularity": 0.2}, "popularity_exponent": 1}),
}
"""By round: what the first two tenants say of how their negatives are drawn."""
PACED = {"rate_per_hour": 2, "interval_variation": 0.7}
"""What the tenants that tie devices to users say of their traffic, and leave nothing out."""
OTHER = {"type": "skip"}


def partly_sent(catalogue: list[dict], rng: random.Random) -> list[dict]:
    """Half of the rows without some of their fields: late and early ones among them."""
    found = []
    for row in catalogue:
        sent = [name for name in ("category", "price", "is_active") if rng.random() < 0.5]
        unsent = dict.fromkeys({"category", "price"}.difference(sent))
        part = {**row, **unsent, "sent_fields": sent, "event_id": f"{row['event_id']}-{len(sent)}"}
        found.append(part if rng.random() < 0.5 else row)
    return found


class Growth:
    """Tenants whose rows come in random batches: late, repeated, in conflict, in any order."""

    def __init__(self, lake: SessionLake, rng: random.Random, tenants: list[str]) -> None:
        self.lake = lake
        self.rng = rng
        self.said: dict[str, list[dict]] = {name: [] for name in tenants}
        """The states of users that were stored, with their provenance."""
        self.consents = random.Random(5)
        self.rounds = 0
        self.narrowed: set[str] = set()
        """Whose staged rows a run for one tenant changed."""
        self.events = random.Random(11)
        self.words = random.Random(13)
        self.devices = random.Random(17)
        self.clicking = tenants[2:4]
        """They send a clickstream; the first maps it from the beginning on, the second later. The
        first ties devices to users and then does not any more, the second by other events later."""
        self.waiting: dict[str, list[list[dict]]] = {}
        for number, name in enumerate(tenants):
            rows = random_rows(100 + number, count=120)
            if number == FLAGGED:
                rows = [with_context(r) for r in random_rows(100 + number, count=200, users=4)]
            rng.shuffle(rows)  # late events come in any batch
            self.waiting[name] = [rows[start::ROUNDS] for start in range(ROUNDS)]

    def add(self, *, is_last: bool = False) -> None:
        """Store what a round brings: for most tenants a batch, for some a catalogue."""
        for name, batches in self.waiting.items():
            # visible late: known_at lies before rows that are in the lake already
            known_at = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=self.rng.randrange(200))
            for _ in range(len(batches) if is_last else self.rng.choice([0, 1, 1, 2])):
                if batches:
                    self.lake.store(name, batches.pop(), known_at=known_at)
            if self.rng.random() < 0.4:
                catalogue = partly_sent(random_catalogue(self.rng.randrange(9)), self.rng)
                described = [self._with_attributes(row) for row in catalogue]
                self.lake.store_items(name, described, known_at=known_at)
            self._say(name)
        self._click()
        self._describe()

    def withdrawn(self, name: str) -> set[str]:
        """Whose newest word on training is no, row by row."""
        words: dict[str, bool] = {}
        for row in sorted(self.said[name], key=_said_at):
            flags = json.loads(row["consent"] or "{}")
            words[row["user_id"]] = flags.get("training", words.get(row["user_id"], True))
        return {name for name, agrees in words.items() if not agrees}

    def _say(self, name: str) -> None:
        """Store what some users agree to: late, dated ahead, about other purposes, or nothing."""
        rng = self.consents
        known_at = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=rng.randrange(200))
        words = (*['{"training": false}', '{"training": true}'] * 3, '{"mail": true}', None)
        rows = [
            user(
                f"u{rng.randrange(12)}",
                rng.choice(words),
                f"{len(self.said[name])}-{number}",
                updated_at=known_at + timedelta(hours=rng.randrange(-100, 10)),
            )
            for number in range(rng.choice([0, 2, 3]))
        ]
        if rows:
            self.said[name] += self.lake.store_users(name, rows, known_at=known_at)

    def _with_attributes(self, row: dict) -> dict:
        """With attributes, where not all fields were sent in half of the rows."""
        is_sent = row.get("sent_fields") is None or self.words.random() < 0.5
        sent = {"attributes": self.words.choice(WORDS)} if is_sent else {}
        if sent and row.get("sent_fields") is not None:
            sent["sent_fields"] = [*row["sent_fields"], "attributes"]
        return row | sent

    def _describe(self) -> None:
        """Choose other attributes and zones of examples for one tenant; store users of two."""
        number, told = DESCRIBED[self.rounds]
        names = [*self.waiting][:2]
        said = {"examples": told, "negatives": WAYS[self.rounds][number]}
        self.lake.set_tenant(names[number], TenantSettings.model_validate(said))
        for name in names:
            described = [
                user(
                    f"u{self.words.randrange(12)}",
                    None,
                    f"described-{self.rounds}-{n}",
                    attributes=self.words.choice(WORDS),
                    updated_at=NOON + timedelta(hours=self.words.randrange(96)),
                )
                for n in range(3)
            ]
            self.lake.store_users(name, described, known_at=NOON)

        if self.rounds in TRAFFIC and len(self.waiting) > FLAGGED:
            flagged = TenantSettings.model_validate({"traffic": TRAFFIC[self.rounds]})
            self.lake.set_tenant([*self.waiting][FLAGGED], flagged)

    def _click(self) -> None:
        """Store events, known at any time; other settings and rows that are gone in some rounds."""
        self.rounds += 1
        preset = {"clickstream": {"preset": "segment", "impressions": {"click_window_minutes": 99}}}
        valued = {"value": "price", "time": "when", "time_unit": "us"}
        events = {"Order Refunded": OTHER, "Product Viewed": valued, "Order Completed": valued}
        other = {"events": events, "impressions": {"clicked_by": ["purchase"]}}
        changed = {"clickstream": {"preset": "segment", **other}}
        first, second = self.clicking

        def tying(**identity: list[str]) -> TenantSettings:
            said = preset["clickstream"] | {"identity": identity}
            return TenantSettings.model_validate({"clickstream": said, "traffic": PACED})

        if self.rounds == 1:
            self.lake.set_tenant(first, tying())
        if self.rounds in (3, 5):
            by_name = {"ties": ["identify"]} if self.rounds == 3 else {"unties": []}
            self.lake.set_tenant(second, tying(**by_name))
        if self.rounds == 3:
            raw = Lake(self.lake.settings).table(RAW_CLICKSTREAM)
            raw.delete(f"tenant_id = '{first}' and user_id = 'u1'")
        if self.rounds == 4:
            self.lake.set_tenant(first, TenantSettings.model_validate(changed))
        for name in self.clicking:
            known_at = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=self.events.randrange(99))
            store_events(self.lake, name, random_events(self.events, 25), known_at=known_at)
            seed, known = self.devices.randrange(10**6), minutes(self.devices.randrange(700))
            visits = device_events(seed, 25, 0, 600, f"{self.rounds}-")
            store_events(self.lake, name, visits, known_at=known)


def _said_at(row: dict) -> tuple:
    """The order in which words count: of two of the same time no is the last."""
    agrees = json.loads(row["consent"] or "{}").get("training", True)
    return min(row["updated_at"], row["known_at"]) if agrees else row["updated_at"], not agrees


def declare_types(lake: SessionLake, *, weight: float) -> None:
    """Declare `TYPED`'s event types with a weight of likes."""
    types = {
        "view": {"meaning": "neutral", "undoes": "click"},
        "click": {"meaning": "positive", "weight": 2, "value": {"scale": 4}},
        "like": {"meaning": "positive", "strength": 2, "weight": weight},
        "dislike": {"meaning": "negative", "weight": 0.5},
    }
    declared: dict = {"event_types": types, "half_life_days": 10}
    if weight == 4:  # and no longer afterwards
        declared["traffic"] = {"leave_out": ["rate"], "rate_per_hour": 1}
    lake.set_tenant(TYPED, TenantSettings.model_validate(declared))


def add_typed(lake: SessionLake, *, weight: float) -> None:
    """Declare the types, and store rows, of which some undo older ones."""
    declare_types(lake, weight=weight)
    rows = random_rows(int(weight), count=100, users=6, items=8)
    lake.store(TYPED, [{**row, "event_id": f"{weight}-{row['event_id']}"} for row in rows])
