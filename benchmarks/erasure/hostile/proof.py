"""The proof: what has to hold after an erasure, and after everything was sent again."""

import hashlib
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.erasure.hostile.people import PLAIN, Person
from benchmarks.erasure.hostile.reading import (
    Held,
    Home,
    Marks,
    foreign_actions,
    row_hash,
    statistics_of,
    version_of,
)
from benchmarks.erasure.hostile.snapshots import Rows, changed, not_cleaned, pinned_rows

RAW: Final = ("raw/interactions", "raw/clickstream", "raw/items", "raw/quarantine", "raw/users")
OF_USERS: Final = (*RAW[:2], RAW[3], "staging/stg_interactions", "features/user_features")
SHOWN: Final = 12
NOT_THEIRS: Final = ("port", "service.log")
"""What the trial itself writes into the home."""
PRIVATE_COLUMNS: Final = frozenset({"user_id", "anonymous_id", "raw", "url", "properties"})


@dataclass(frozen=True, slots=True)
class Expected:
    """Who goes, under which anonymous ids, and which texts mark them in bytes."""

    people: dict[str, Person] = field(repr=False)
    mentioned: frozenset[str] = field(repr=False, default=frozenset())

    @property
    def leaving(self) -> set[str]:
        """Every identifier that may be a value nowhere."""
        erased = [p for p in self.people.values() if p.is_erased]
        tied = {p.anonymous_id for p in erased if p.anonymous_id is not None}
        return {p.user_id for p in erased} | tied

    @property
    def marks(self) -> Marks:
        """Those that stand in no text of anybody who stays."""
        return Marks(
            p.user_id
            for p in self.people.values()
            if p.is_erased and p.kind == PLAIN and p.user_id not in self.mentioned
        )

    def name(self, value: str) -> str:
        """Say who it is without the identifier."""
        for person in self.people.values():
            if value in (person.user_id, person.anonymous_id):
                return f"{person.kind} #{person.number}"
        return "somebody else"


@dataclass(frozen=True)
class Before:
    """A home as it was, by hashes."""

    rows: dict[str, Counter[str]]
    other_rows: dict[str, Counter[str]]
    other_files: dict[str, str]
    versions: dict[str, int]
    logs: dict[str, str]
    snapshots: Rows


class Proof:
    """Compares a home with what it was; collects what is wrong by the name of the check."""

    def __init__(self, home: Home, other_tenant: str, expected: Expected) -> None:
        self._home = home
        self._other = other_tenant
        self._expected = expected
        self.wrong: dict[str, list[str]] = {}

    def before(self) -> Before:
        """Read everything that has to stay."""
        tables = self._home.tables()
        return Before(
            {table: self._rows(table, is_leaving=False) for table in OF_USERS if table in tables},
            {t: Counter(map(row_hash, self._home.current(t, self._other))) for t in tables},
            dict(self._files_of_the_other()),
            {table: version_of(self._home.lake / table) for table in tables},
            self._home.logs(),
            pinned_rows(self._home, self._other),
        )

    def after_erasure(self, before: Before) -> None:
        """Check what an erasure has to leave behind, and what not."""
        self._nobody_left("erased_people")
        for table, rows in before.rows.items():
            now = self._rows(table, is_leaving=False)
            self._same("rows_of_others", table, rows, now)
        self._other_tenant(before)
        self._logs(before)
        for text in changed(self._home, self._other, before.snapshots):
            self.say("other_tenants_snapshots", text)

    def own_snapshots(self, listed: str) -> None:
        """Check the tenant's snapshots; `listed`: what `eta training list` prints of them."""
        leaving = self._expected.leaving
        for text in not_cleaned(self._home, self._home.tenant_id, leaving, listed):
            self.say("own_snapshots", text)

    def after_replay(self, before: Before) -> None:
        """Check that nobody came back, and that everybody else is as they were.

        A rejected row that is sent again is kept again: the quarantine grows and loses nothing.
        A webhook's message stands in the control database until its rows are stored, so its bytes
        are in the write-ahead file for a while, whoever sent it: there only values count.
        """
        self._nobody_left("came_back", but=("control.db-wal",))
        for table, rows in before.rows.items():
            now = self._rows(table, is_leaving=False)
            if table == RAW[3]:
                now &= rows
            self._same("rows_of_others_after_replay", table, rows, now)

    def say(self, check: str, text: str) -> None:
        """Note that something is wrong."""
        self.wrong.setdefault(check, []).append(text)

    def report(self) -> dict[str, Any]:
        """Return per failed check how often, where, and the first cases."""
        return {
            check: {
                "count": len(texts),
                "places": dict(Counter(_folder(text) for text in texts).most_common(SHOWN)),
                "first": texts[:SHOWN],
            }
            for check, texts in self.wrong.items()
        }

    def _nobody_left(self, check: str, but: Collection[str] = ()) -> None:
        for one in self._home.held(self._expected.leaving, self._expected.marks):
            if one.place not in but:
                self.say(check, self._text(one))

    def _text(self, one: Held) -> str:
        return f"{self._expected.name(one.value)} as a {one.how} in {one.place}"

    def _rows(self, table: str, *, is_leaving: bool) -> Counter[str]:
        """Hashes of the tenant's rows that name somebody who leaves, or nobody who does."""
        leaving = self._expected.leaving
        rows = self._home.current(table, self._home.tenant_id)
        chosen = (r for r in rows if bool(self._home.identities(r) & leaving) is is_leaving)
        return Counter(map(row_hash, chosen))

    def _same(self, check: str, what: str, then: Counter[str], now: Counter[str]) -> None:
        lost, more = (then - now).total(), (now - then).total()
        if lost or more:
            self.say(check, f"{what}: {lost} of {then.total()} rows are gone, {more} are new")

    def _other_tenant(self, before: Before) -> None:
        check = "other_tenant"
        for table, rows in before.other_rows.items():
            now = Counter(map(row_hash, self._home.current(table, self._other)))
            self._same(check, table, rows, now)
            try:
                old = self._home.rows_at(table, before.versions[table], self._other)
            except Exception as error:  # noqa: BLE001 - whatever the reader says, it cannot read
                self.say("other_tenants_snapshots", f"{table}: {type(error).__name__}")
            else:
                if len(old) != rows.total():
                    self.say("other_tenants_snapshots", f"{table}: {len(old)} rows are left")
        files = dict(self._files_of_the_other())
        for path, digest in before.other_files.items():
            if files.get(path) != digest:
                self.say(check, f"{path} was {'changed' if path in files else 'removed'}")

    def _files_of_the_other(self) -> Iterator[tuple[str, str]]:
        for path in self._home.files():
            if self._home.owner(path) == self._other:
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                yield path.relative_to(self._home.home).as_posix(), digest

    def _logs(self, before: Before) -> None:
        now, marks = self._home.logs(), self._expected.marks
        for path, digest in before.logs.items():
            if now.get(path) != digest:
                self.say("logs_cut", f"{path} was {'changed' if path in now else 'removed'}")
        for path in now:
            commit = self._home.lake / path
            if path not in before.logs:
                for tenant in foreign_actions(commit, self._home.tenant_id):
                    self.say("foreign_commits", f"{path} touches files of {tenant}")
            if marks.within(commit.read_bytes()):
                self.say("identifiers_in_logs", path)
            if shown := statistics_of(commit) & PRIVATE_COLUMNS:
                self.say("identifiers_in_logs", f"{path}: bounds of {', '.join(sorted(shown))}")

    def permissions(self) -> None:
        """Check that nobody but the owner may read what lies in the home."""
        for path in self._home.files():
            if path.name in NOT_THEIRS:
                continue
            for one, most in ((path, 0o600), (path.parent, 0o700)):
                if one.exists() and one.stat().st_mode & 0o777 & ~most:
                    self.say("permissions", f"{path.relative_to(self._home.home)}")
                    break


def write_leftovers(home: Path, users: Sequence[str]) -> None:
    """Write what a killed Spark leaves in its scratch folder, and dbt in its logs."""
    folder = home / "spark-scratch" / "blockmgr-5d0b" / "0a"
    folder.mkdir(parents=True, mode=0o700)
    (folder / "shuffle_0_0_0.data").write_text("\n".join(users))
    (home / "logs").mkdir(mode=0o700, exist_ok=True)
    message = "".join(f"cannot cast '{user}' to a number\n" for user in users)
    (home / "logs" / "dbt.log").write_text(message)
    for path in (folder / "shuffle_0_0_0.data", home / "logs" / "dbt.log"):
        path.chmod(0o600)


def _folder(text: str) -> str:
    """Return the place within a text, without what differs from file to file."""
    place = text.rsplit(" in ", 1)[-1].split(":")[0]
    folders, _, name = place.rpartition("/")
    is_told = name.endswith((".inter", ".csv", ".data", ".log")) or not folders
    parts = [*(part for part in folders.split("/")[:3] if part and "=" not in part)]
    return "/".join([*parts, *([name] if is_told else [])])


def suppressed_rows(owners: Sequence[str], people: dict[str, Person]) -> int:
    """Return how many of the rows are of people who are erased."""
    return sum(1 for owner in owners if owner in people and people[owner].is_erased)


def write_old_exports(home: Path, tenant_id: str, users: Sequence[str]) -> None:
    """Write exports as `eta export` does, where no models were ever built: three formats."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    root = home / "exports" / tenant_id
    recbole = root / "20260501T120000000Z-97710dd2-recbole" / tenant_id
    personalize = root / "20260501T120000000Z-97710dd2-personalize"
    parquet = root / "20260501T120000000Z-97710dd2-parquet" / "training_data" / "label=1.0"
    for folder in (recbole, personalize, parquet):
        folder.mkdir(parents=True)
    lines = [f"{user}\ti1\t1.0\t1767225600.000000" for user in users]
    header = "user_id:token\titem_id:token\tlabel:float\ttimestamp:float"
    (recbole / f"{tenant_id}.inter").write_text("\n".join([header, *lines, ""]))
    lines = [f"{user},i1,1767225600,click" for user in users if "," not in user]
    header = "USER_ID,ITEM_ID,TIMESTAMP,EVENT_TYPE"
    (personalize / "interactions.csv").write_text("\n".join([header, *lines, ""]))
    table = pa.table({"user_id": list(users), "item_id": ["i1"] * len(users)})
    pq.write_table(table, parquet / "part-0.parquet", compression="zstd")
    for path in (home / "exports", *(home / "exports").rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
