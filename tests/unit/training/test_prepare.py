"""Build, check, publish: who is asked, who is published, who keeps what they had."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.errors import EtaError
from lakehouse.jobs.prepare import prepare
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.prepare import Published, Verdict, publish_changed
from lakehouse.training.publish import current_snapshot, published_tenants
from lakehouse.training.run_parameters import RunParameters
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables

FAILURE = {"check": "too_few", "sentence": "acme has too few rows"}


@dataclass
class Told:
    """A verdict like those of `lakehouse.quality`."""

    passed: bool
    report: dict[str, Any]


@dataclass
class FakeGate:
    """Refuses the tenants of `failing`; remembers whom it was asked about."""

    failing: frozenset[str] = frozenset()
    asked: list[list[str]] = field(default_factory=list)

    def __call__(self, settings: LakeSettings, tenants: Sequence[str]) -> Mapping[str, Verdict]:
        self.asked.append(list(tenants))
        return {
            name: Told(
                name not in self.failing,
                {
                    "checked_at": "2026-05-01",
                    "figures": {"big": 1},
                    "failures": [FAILURE] if name in self.failing else [],
                },
            )
            for name in tenants
        }


def at(hours: int) -> datetime:
    return NOON + timedelta(hours=hours)


def publish_all(settings: LakeSettings, gate: FakeGate, hour: int = 0, **how: Any) -> Published:
    return publish_changed(settings, gate, lambda: at(hour), **how)


def test_all_tenants_are_checked_in_one_go_and_published(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(5), "globex": examples(6)})
    gate = FakeGate()
    done = publish_all(settings, gate)
    assert gate.asked == [["acme", "globex"]]
    assert [made.tenant_id for made in done.new] == ["acme", "globex"]
    assert done.is_success
    assert done.new[0].gate == {"passed": True, "checked_at": "2026-05-01"}


def test_rows_that_fail_are_told_of_a_tenant_whose_set_did_not_change(
    settings: LakeSettings,
) -> None:
    write_training_tables(settings, {"acme": examples(5), "globex": examples(6)})
    first = publish_all(settings, FakeGate())
    wrong = {"acme": "a test found 2 rows", "initech": "a test found 1 row"}
    again = publish_all(settings, FakeGate(), 1, failing=wrong)
    assert (again.new, again.unchanged, again.refused) == ((), (first.new[1],), wrong)
    write_training_tables(settings, {"acme": examples(9), "globex": examples(7)})
    gate = FakeGate(failing={"acme"})
    done = publish_all(settings, gate, 2, failing=wrong)
    assert [made.tenant_id for made in done.new] == ["globex"]
    assert done.refused == {"acme": "acme has too few rows", "initech": "a test found 1 row"}
    assert current_snapshot(Lake(settings), "acme") == first.new[0]


def test_only_changed_tenants_are_checked_and_none_when_none_changed(
    settings: LakeSettings,
) -> None:
    write_training_tables(settings, {"acme": examples(5), "globex": examples(6)})
    first = publish_all(settings, FakeGate())
    write_training_tables(settings, {"acme": examples(5), "globex": examples(7)})
    gate = FakeGate()
    done = publish_all(settings, gate, 1)
    assert gate.asked == [["globex"]]
    assert done.unchanged == (first.new[0],)
    assert publish_all(settings, gate, 2).new == ()
    assert gate.asked == [["globex"]]


def test_who_fails_keeps_the_earlier_snapshot_and_the_others_go_on(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(5), "globex": examples(6)})
    first = publish_all(settings, FakeGate())
    write_training_tables(settings, {"acme": examples(9), "globex": examples(9)})
    done = publish_all(settings, FakeGate(frozenset({"acme"})), 1)
    assert dict(done.refused) == {"acme": "acme has too few rows"}
    assert not done.is_success
    assert current_snapshot(Lake(settings), "acme") == first.new[0]
    assert [made.tenant_id for made in done.new] == ["globex"]
    # corrected, it is asked about again
    assert [made.tenant_id for made in publish_all(settings, FakeGate(), 2).new] == ["acme"]


def test_a_damaged_manifest_of_one_tenant_holds_back_no_other(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(2), "globex": examples(3)})
    publish_all(settings, FakeGate())
    (damaged,) = Path(settings.lake, "training_sets/acme").glob("2*.json")
    damaged.write_bytes(damaged.read_bytes()[:50])
    write_training_tables(settings, {"acme": examples(4), "globex": examples(5)})
    gate = FakeGate()
    done = publish_all(settings, gate, 1)
    assert [made.tenant_id for made in done.new] == ["globex"]
    assert gate.asked == [["globex"]]
    assert f"training_sets/acme/{damaged.name} in the lake cannot be read" in done.refused["acme"]
    again = publish_all(settings, FakeGate(), 2)
    assert (again.new, [*again.refused]) == ((), ["acme"])
    listed = CliRunner().invoke(app, ["training", "list"])
    assert listed.exit_code == 1
    assert [line.split("\t")[0] for line in listed.stdout.splitlines()[1:]] == ["globex"] * 2
    assert damaged.name in listed.stderr


def test_no_verdict_is_no_pass(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(5)})
    done = publish_changed(settings, lambda _settings, _tenants: {}, lambda: NOON)
    assert dict(done.refused) == {"acme": "the gate gave no verdict"}
    assert published_tenants(Lake(settings)) == []


def test_one_tenant_alone(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(5), "globex": examples(6)})
    publish_all(settings, FakeGate(), tenant_id="globex")
    assert published_tenants(Lake(settings)) == ["globex"]


def test_data_that_changes_while_it_is_checked_is_not_published(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(5)})

    def gate(settings: LakeSettings, tenants: Sequence[str]) -> Mapping[str, Verdict]:
        write_training_tables(settings, {"acme": examples(6)})
        return FakeGate()(settings, tenants)

    with pytest.raises(EtaError, match="while it was checked"):
        publish_changed(settings, gate, lambda: NOON)
    assert published_tenants(Lake(settings)) == []


def test_a_failed_build_publishes_nothing(settings: LakeSettings) -> None:
    write_training_tables(settings, {"acme": examples(5)})

    def build(settings: LakeSettings, **how: object) -> None:
        raise EtaError("the build failed", remedy="correct it")

    with pytest.raises(EtaError, match="build failed"):
        prepare(settings, RunParameters(), build=build)
    assert published_tenants(Lake(settings)) == []
