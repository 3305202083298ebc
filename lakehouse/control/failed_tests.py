"""The dbt tests whose rows hold back their tenants, in the notes of a run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from lakehouse.control.runs import Runs

_NOTE: Final = "dbt test "


@dataclass(frozen=True, slots=True)
class FailedTest:
    """A dbt test, the tables it reads (`schema.table`) and tenant → its failing rows."""

    name: str
    tables: Sequence[str]
    tenants: Mapping[str, int]

    def sentence(self, tenant_id: str) -> str:
        """What the test found of a tenant, for a person."""
        rows = self.tenants[tenant_id]
        return f"The dbt test {self.name} found {rows:,} {'rows' if rows > 1 else 'row'}."


def note_failed(runs: Runs, run_id: str, test: FailedTest) -> None:
    """Note that a test failed; each has a note of its own, as tasks of a run write side by side."""
    runs.note(run_id, _NOTE + test.name, asdict(test))


def note_passed(runs: Runs, run_id: str, name: str) -> None:
    """Take back that a test failed: it ran again and found nothing."""
    runs.note(run_id, _NOTE + name, {})


def failed_tests(notes: Mapping[str, Any]) -> Iterator[FailedTest]:
    """The tests that failed when they last ran, from a run's notes."""
    for name, said in sorted(notes.items()):
        if name.startswith(_NOTE) and said:
            yield FailedTest(**said)


def reasons(tests: Iterable[FailedTest]) -> dict[str, str]:
    """Tenant → what the tests found of it."""
    found: dict[str, list[str]] = {}
    for test in tests:
        for tenant_id in test.tenants:
            found.setdefault(tenant_id, []).append(test.sentence(tenant_id))
    return {tenant_id: " ".join(said) for tenant_id, said in sorted(found.items())}
