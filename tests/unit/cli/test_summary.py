"""The overview of a lake is readable with three tenants and with hundreds."""

from typing import Any

import pytest

from lakehouse.cli import summary
from lakehouse.settings import LakeSettings
from lakehouse.storage.overview import TableOverview


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def lines(tenants: list[str]) -> list[list[str]]:
        rows = {name: number for number, name in enumerate(tenants)}
        tables = [
            TableOverview("raw.items", "/lake/raw/items", rows),
            TableOverview("training.training_data", "/lake/training/training_data", None),
        ]
        monkeypatch.setattr(summary, "overview", lambda _: tables)
        summary.print_overview(LakeSettings(home="/nowhere"), tenants)
        return [line.split("\t") for line in capsys.readouterr().out.splitlines()]

    return lines


def test_a_few_tenants_stand_side_by_side(shown: Any) -> None:
    assert shown(["acme", "globex"]) == [
        ["table", "acme", "globex", "location"],
        ["raw.items", "0", "1", "/lake/raw/items"],
        ["training.training_data", "-", "-", "/lake/training/training_data"],
    ]


def test_of_many_each_has_a_line(shown: Any) -> None:
    names = [f"tenant-{number:04}" for number in range(1_000)]
    places, tenants = (found := shown(names))[:3], found[3:]
    assert places == [
        ["table", "location"],
        ["raw.items", "/lake/raw/items"],
        ["training.training_data", "/lake/training/training_data"],
    ]
    assert tenants[0] == ["tenant", "raw.items", "training.training_data"]
    assert tenants[-1] == ["tenant-0999", "999", "-"]
    assert len(tenants) == 1_001
