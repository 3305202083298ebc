"""What hostile people send, and by which way: the same bytes every time, so it can be sent again.

Each person sends by some of the ways, and by each of them a row that is taken and one that is not.
Texts are written in the most awkward form that the format allows: `\\/`, escapes in any case,
numbers for identifiers made of digits, quotes where none are needed.
"""

import csv
import io
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from benchmarks.erasure.hostile.people import PLAIN, Person

FIRST_MS: Final = 1_767_225_600_000
WRONG: Final = "nonsense"
PER_REQUEST: Final = 60
ITEMS: Final = 9

SETTINGS: Final[dict[str, Any]] = {
    "sources": {
        "shop": {
            "delimiter": ";",
            "escape": "\\",
            "columns": {"user_id": "customer", "interaction_type": "what", "timestamp": "at"},
        },
        "nested": {
            "columns": {"user_id": "who.id", "item_id": "data.sku|data.id", "timestamp": "at"},
            "constants": {"interaction_type": "view"},
        },
    }
}
"""The tenants' settings: two mappings beside the contract's own names."""
CHANGED_SETTINGS: Final[dict[str, Any]] = {"sources": {"shop-new": SETTINGS["sources"]["shop"]}}
"""What the settings are while people are erased: one mapping has another name, one is gone."""
SUBJECT_PATHS: Final = frozenset(
    {
        "user_id",
        "anonymous_id",
        "customer",
        "who.id",
        "userId",
        "anonymousId",
        "context.anonymousId",
        "previousId",
    }
)
"""Columns and paths that name a person under the mappings above and in Segment's calls."""


@dataclass(frozen=True, slots=True)
class Package:
    """One file, request or message. `owners`: whose each of its rows is."""

    way: str
    name: str
    body: bytes
    owners: tuple[str, ...]
    options: dict[str, str] = field(default_factory=dict)


Row = dict[str, Any]


@dataclass
class Payloads:
    """Makes the packages of one tenant."""

    tenant_id: str
    everybody: Sequence[Person]
    seed: int
    with_mentions: bool = True
    mentioned: set[str] = field(default_factory=set)
    """Whom texts name that stay."""

    def __post_init__(self) -> None:
        self._rng = random.Random(f"{self.seed}:{self.tenant_id}")
        self._plain = {p.user_id for p in self.everybody if p.kind == PLAIN}

    def packages(self) -> list[Package]:
        """Return everything the tenant's people send."""
        found = [self._catalogue()]
        for number, (way, make) in enumerate(self._ways().items()):
            chosen = [p for p in self.everybody if self._sends(p, number, way)]
            size = 1 if way.startswith("kafka") else PER_REQUEST
            pieces = [chosen[n : n + size] for n in range(0, len(chosen), size)]
            for piece, owners in enumerate(pieces):
                found.append(make(f"{way}-{piece}", owners))
        return [package for package in found if package.owners]

    def _sends(self, person: Person, number: int, way: str) -> bool:
        """Every third person sends by a way; by webhooks all whose bytes can be looked for."""
        is_looked_for = person.kind == PLAIN and way == "webhook"
        return is_looked_for or (person.number + number) % WAYS_PER_PERSON == 0

    def _ways(self) -> dict[str, Callable[[str, Sequence[Person]], Package]]:
        return {
            "csv": self._csv,
            "csv-escape": self._csv_escape,
            "json": self._json,
            "ndjson": self._ndjson,
            "events": self._events,
            "clickstream": self._clickstream,
            "webhook": self._webhook,
            "segment": self._segment,
            "sdk": self._sdk,
            "kafka-json": self._kafka,
            "kafka-avro": self._kafka_avro,
            "csv-utf16": self._csv_utf16,
        }

    def _row(self, person: Person, name: str, wrong: bool = False) -> Row:
        """One interaction; its event id and item say nothing about the person."""
        kind = "click" if person.is_exportable else "view"
        number = person.number * 37 + len(name)
        return {
            "user_id": person.user_id,
            "item_id": f"i{number % ITEMS + 1}",
            "interaction_type": WRONG if wrong else kind,
            "timestamp": FIRST_MS + number * 1_000,
            "event_id": f"e-{self.tenant_id[:1]}{person.number}-{name}-{int(wrong)}",
        }

    def _both(self, name: str, owners: Sequence[Person]) -> list[Row]:
        return [self._row(p, name, wrong) for p in owners for wrong in (False, True)]

    def _catalogue(self) -> Package:
        """Items, one called like a person, one whose title mentions one: both stay."""
        gone = next(p for p in self.everybody if p.is_erased and len(p.user_id) > 8)
        rows: list[tuple[str, str]] = [(f"i{n + 1}", f"thing {n}") for n in range(ITEMS)]
        if self.with_mentions:
            rows.append((gone.user_id, f"as worn by {gone.user_id}"))
            self.mentioned.add(gone.user_id)
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(("item_id", "title", "available_from"))
        writer.writerows((*row, FIRST_MS - 86_400_000) for row in rows)
        return Package(
            "items", "items", text.getvalue().encode(), ("",) * len(rows), {"data_type": "items"}
        )

    def _csv(self, name: str, owners: Sequence[Person], encoding: str = "utf-8") -> Package:
        """RFC 4180, every cell quoted in some lines; ragged rows, too long and too short."""
        lines, of = [], []
        header = ("user_id", "item_id", "interaction_type", "timestamp", "event_id", "note")
        for person in owners:
            for wrong in (False, True):
                cells = [str(value) for value in self._row(person, name, wrong).values()]
                lines.append(_csv_line([*cells, self._note(person)], self._rng.random() < 0.5))
            lines.append(_csv_line([*_ragged(person, name), "", "one", "more"], True))
            lines.append(_csv_line(_ragged(person, name)[:2], False))
            of += [person.user_id] * 4
        text = "\r\n".join([",".join(header), *lines, ""])
        return Package("csv", name, text.encode(encoding), tuple(of), {"encoding": encoding})

    def _csv_utf16(self, name: str, owners: Sequence[Person]) -> Package:
        return self._csv(name, owners, "utf-16-le")

    def _csv_escape(self, name: str, owners: Sequence[Person]) -> Package:
        """Backslashes before quotes, delimiters and themselves; other names of columns."""
        lines, of = ["customer;item_id;what;at;event_id"], []
        for person in owners:
            for wrong in (False, True):
                cells = [_escaped(str(v)) for v in self._row(person, name, wrong).values()]
                lines.append(";".join(cells))
            lines.append(";".join([*map(_escaped, _ragged(person, name)), "more"]))
            of += [person.user_id] * 3
        body = "\n".join([*lines, ""]).encode()
        return Package("csv", name, body, tuple(of), {"mapping": "shop"})

    def _json(self, name: str, owners: Sequence[Person]) -> Package:
        """An array, its people below another name."""
        rows = []
        for row, wrong in ((r, r["interaction_type"] == WRONG) for r in self._both(name, owners)):
            at = WRONG if wrong else row["timestamp"]
            rows.append({"who": {"id": row["user_id"]}, "data": {"id": row["item_id"]}, "at": at})
            rows[-1]["event_id"] = row["event_id"]
        body = "[" + ",\n".join(map(self._written, rows)) + "]"
        of = [p.user_id for p in owners for _ in range(2)]
        return Package("json", name, body.encode(), tuple(of), {"mapping": "nested"})

    def _ndjson(self, name: str, owners: Sequence[Person]) -> Package:
        """Lines; some are no JSON: a NaN, a name twice, an end that is missing."""
        lines, of = [], []
        for person in owners:
            good, wrong = (self._row(person, name, is_wrong) for is_wrong in (False, True))
            wrong["note"] = self._note(person)
            text = self._written(wrong)
            lines += [self._written(good), text, text[:-1] + ', "x": NaN}']
            lines += ['{"user_id": ' + self._value(person) + ", " + text[1:], text[:-4]]
            of += [person.user_id] * 5
        return Package("json", name, "\n".join(lines).encode(), tuple(of))

    def _events(self, name: str, owners: Sequence[Person]) -> Package:
        rows = [self._written(row) for row in self._both(name, owners)]
        of = [p.user_id for p in owners for _ in range(2)]
        return Package("events", name, ("[" + ",".join(rows) + "]").encode(), tuple(of))

    def _clickstream(self, name: str, owners: Sequence[Person]) -> Package:
        """Events before and after a login; pages whose address mentions somebody else."""
        rows: list[Row] = []
        of: list[str] = []
        for person in owners:
            click = {
                "event_name": "page",
                "user_id": person.user_id,
                "session_id": "s1",
                "timestamp": FIRST_MS + person.number,
                "url": f"https://example.com/?by={self._note(person)}",
            }
            if person.anonymous_id is not None:
                click["anonymous_id"] = person.anonymous_id
                rows.append({**click, "user_id": None, "timestamp": FIRST_MS})
                rows.append({**click, "user_id": None, "session_id": None})
            rows += [click, {**click, "session_id": None}]
            of += [person.user_id] * (len(rows) - len(of))
        body = "[" + ",".join(map(self._written, rows)) + "]"
        return Package("clickstream", name, body.encode(), tuple(of))

    def _webhook(self, name: str, owners: Sequence[Person]) -> Package:
        return Package("webhook", name, *self._json_of(name, owners))

    def _json_of(self, name: str, owners: Sequence[Person]) -> tuple[bytes, tuple[str, ...]]:
        package = self._json(name, owners)
        return package.body, package.owners

    def _segment(self, name: str, owners: Sequence[Person]) -> Package:
        """Calls of Segment; `alias` is refused, and is about who was called that before."""
        calls = []
        for row in self._both(name, owners):
            is_wrong = row["interaction_type"] == WRONG
            call = {"type": "track", "event": "page", "userId": row["user_id"]}
            call["messageId"] = row["event_id"]
            call["timestamp"] = WRONG if is_wrong else "2026-05-01T10:00:00Z"
            calls.append(call)
            if is_wrong:
                alias = {"type": "alias", "previousId": row["user_id"], "userId": "another-one"}
                calls.append({**alias, "messageId": f"{row['event_id']}-alias"})
        of = [p.user_id for p in owners for _ in range(3)]
        return Package("segment", name, self._written({"batch": calls}).encode(), tuple(of))

    def _sdk(self, name: str, owners: Sequence[Person]) -> Package:
        rows = self._both(name, owners)
        of = [p.user_id for p in owners for _ in range(2)]
        return Package("sdk", name, json.dumps(rows).encode(), tuple(of))

    def _kafka(self, name: str, owners: Sequence[Person]) -> Package:
        """One message; every second person's is wrong."""
        (person,) = owners
        row = {"tenant_id": self.tenant_id, **self._row(person, name, person.number % 2 == 0)}
        return Package("kafka-json", name, self._written(row).encode(), (person.user_id,))

    def _kafka_avro(self, name: str, owners: Sequence[Person]) -> Package:
        (person,) = owners
        row = self._row(person, name, person.number % 2 == 0)
        return Package("kafka-avro", name, json.dumps(row).encode(), (person.user_id,))

    def _note(self, person: Person) -> str:
        """Some rows of people who stay mention one who goes, and the other way round."""
        if person.number % 4 or not self.with_mentions:
            return "none"
        other = self.everybody[(person.number + 1) % len(self.everybody)]
        if other.is_erased == person.is_erased:
            return "none"
        if not person.is_erased:
            self.mentioned.add(other.user_id)
        return other.user_id

    def _value(self, person: Person) -> str:
        return self._text(person.user_id)

    def _written(self, value: Any) -> str:
        """JSON in an awkward form that means the same."""
        if isinstance(value, dict):
            pairs = (f"{json.dumps(k)}: {self._written(v)}" for k, v in value.items())
            return "{" + ", ".join(pairs) + "}"
        if isinstance(value, list):
            return "[" + ", ".join(map(self._written, value)) + "]"
        return self._text(value) if isinstance(value, str) else json.dumps(value)

    def _text(self, text: str) -> str:
        if text in self._plain:  # what is looked for in bytes, those of a database's log
            return json.dumps(text)
        is_number = text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")
        if is_number and self._rng.random() < 0.7:
            return text
        return '"' + "".join(map(self._character, text)) + '"'

    def _character(self, character: str) -> str:
        must = character in '"\\' or ord(character) < 32
        if character == "/" and self._rng.random() < 0.6:
            return "\\/"
        if not must and self._rng.random() > (0.1 if character.isascii() else 0.6):
            return character
        units = character.encode("utf-16-be")
        pairs = (units[n : n + 2].hex() for n in range(0, len(units), 2))
        return "".join(f"\\u{p.upper() if self._rng.random() < 0.5 else p}" for p in pairs)


WAYS_PER_PERSON: Final = 3
"""Each sends by a third of the ways."""


def _ragged(person: Person, name: str) -> list[str]:
    """Cells of a row that will have too many or too few; none but the first is anybody's id.

    Nobody can tell of which column such a cell is: one that equals somebody else's id would leave
    open whose row it is.
    """
    return [person.user_id, "some thing", "touched", str(FIRST_MS), f"ragged-{name}"]


def _csv_line(cells: Sequence[str], quote_all: bool) -> str:
    text = io.StringIO()
    writer = (
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        if quote_all
        else csv.writer(text, lineterminator="\n")  # which is why a line end within is quoted
    )
    writer.writerow(cells)
    return text.getvalue()[:-1]


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in '\\";\n' else c for c in text)
