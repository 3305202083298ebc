"""`eta training` and `eta export`: what they print and where, on a lake made without Spark."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.jobs import prepare
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.publish import publish
from lakehouse.training.snapshots import TRAINING_SETS
from tests.support.lake import NOON
from tests.support.training import PARAMETERS, examples, write_training_tables


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LakeSettings:
    monkeypatch.setenv("ETA_PROJECT_DIR", str(tmp_path))
    monkeypatch.setenv("ETA_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ETA_DEBUG", raising=False)
    return LakeSettings()


@pytest.fixture
def snapshots(settings: LakeSettings) -> list[str]:
    """Two snapshots of acme, of two seeds."""
    made = []
    for hour, seed in enumerate((42, 43)):
        parameters = {**PARAMETERS, "seed": seed}
        rows = examples(20, seed=seed)
        write_training_tables(settings, {"acme": rows, "globex": rows}, parameters=parameters)
        now = NOON + timedelta(hours=hour)
        made.append(publish(settings, "acme", gate=None, now=now).snapshot_id)
    return made


def eta(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def done(*arguments: str) -> Result:
    result = eta(*arguments)
    assert result.exit_code == 0, result.output
    return result


def test_list_marks_the_current_snapshot(snapshots: list[str]) -> None:
    header, *lines = [line.split("\t") for line in done("training", "list").stdout.splitlines()]
    assert header[:3] == ["tenant", "snapshot", "current"]
    assert [line[:3] for line in lines] == [["acme", snapshots[0], ""], ["acme", snapshots[1], "*"]]
    assert done("training", "list", "--tenant", "globex").stdout.count("\n") == 1


def test_nothing_published_says_what_to_type(settings: LakeSettings) -> None:
    assert "eta prepare" in done("training", "list").stderr
    result = eta("training", "show", "--tenant", "acme")
    assert result.exit_code == 1
    assert "eta prepare" in result.stderr


def test_show_prints_the_manifest_alone(snapshots: list[str]) -> None:
    shown = json.loads(done("training", "show", "--tenant", "acme").stdout)
    assert shown["snapshot_id"] == snapshots[1]
    older = json.loads(done("training", "show", "--tenant", "acme", snapshots[0]).stdout)
    assert older["parameters"]["seed"] == 42


def test_diff_names_what_changed(snapshots: list[str]) -> None:
    result = done("training", "diff", "--tenant", "acme", snapshots[0])
    rows = dict(line.split("\t", 1) for line in result.stdout.splitlines())
    assert rows["parameters.seed"] == "42\t43"
    assert "counts.positives" not in rows
    assert "differ" in result.stderr
    same = done("training", "diff", "--tenant", "acme", snapshots[1])
    assert same.stdout.count("\n") == 1
    assert "the same" in same.stderr


def test_diff_with_a_withdrawn_set_says_so(snapshots: list[str], settings: LakeSettings) -> None:
    lake = Lake(settings)
    TRAINING_SETS.withdraw(lake, TRAINING_SETS.read(lake, "acme", snapshots[0]), NOON)
    told = done("training", "diff", "--tenant", "acme", snapshots[0]).stderr
    assert f"withdrawn: {snapshots[0]}" in told
    assert "differ" not in told


def test_features_named_apart_are_those_named_together(
    snapshots: list[str], tmp_path: Path
) -> None:
    apart, together = tmp_path / "apart", tmp_path / "together"
    two = ("--features", "user", "--features", "item")
    assert eta("export", "--tenant", "acme", *two, "--to", str(apart)).exit_code == 0
    one = ("--features", "user,item")
    assert eta("export", "--tenant", "acme", *one, "--to", str(together)).exit_code == 0
    sums = [(folder / "SHA256SUMS").read_text() for folder in (apart, together)]
    assert sums[0] == sums[1]


def test_an_empty_list_of_features_is_refused(snapshots: list[str]) -> None:
    result = eta("export", "--tenant", "acme", "--features", "")
    assert result.exit_code == 1
    assert "no feature or group ''" in result.stderr


def test_export_prints_its_folder_alone(snapshots: list[str], settings: LakeSettings) -> None:
    result = done("export", "--tenant", "acme")
    folder = Path(result.stdout.strip())
    assert folder == settings.home_dir / "exports/acme" / f"{snapshots[1]}-parquet"
    assert (folder / "README.md").is_file()
    rows = json.loads((folder / "manifest.json").read_bytes())["counts"]
    read = rows["positives"] + rows["sampled_negatives"] + rows["explicit_negatives"]
    assert re.search(rf"{read} rows are read and sorted: [\d.]+ [kM]B of files", result.stderr)
    again = eta("export", "--tenant", "acme")
    assert again.exit_code == 1
    assert "there already" in again.stderr


def test_export_of_an_older_snapshot_in_another_format(
    snapshots: list[str], tmp_path: Path
) -> None:
    to = tmp_path / "mine"
    wanted = ("--snapshot", snapshots[0], "--format", "recbole", "--to", str(to))
    done("export", "--tenant", "acme", *wanted)
    assert len((to / "acme/acme.inter").read_text().splitlines()) == 1 + 102
    assert eta("export", "--tenant", "acme", "--snapshot", "../x").exit_code == 1
    assert eta("export", "--tenant", "acme", "--format", "csv").exit_code == 2


def test_a_delta_is_exported_and_applied(
    snapshots: list[str], settings: LakeSettings, tmp_path: Path
) -> None:
    result = done("export", "--tenant", "acme", "--since", snapshots[0])
    folder = Path(result.stdout.strip())
    name = f"{snapshots[1]}-delta-since-{snapshots[0]}"
    assert folder == settings.home_dir / "exports/acme" / name
    counts = json.loads((folder / "delta.json").read_text())["rows"]
    assert "rows in 2 files are compared: at most 102 were added or changed" in result.stderr
    assert f"{counts['added']:,} rows were added" in result.stderr
    base = done("export", "--tenant", "acme", "--snapshot", snapshots[0]).stdout.strip()
    whole = done("export", "--tenant", "acme").stdout.strip()
    to = tmp_path / "whole"
    applied = done("export-apply", str(folder), "--onto", base, "--to", str(to))
    assert applied.stdout.strip() == str(to)
    assert (to / "SHA256SUMS").read_text() == Path(whole, "SHA256SUMS").read_text()
    assert "there already" in eta("export", "--tenant", "acme", "--since", snapshots[0]).stderr


@pytest.mark.parametrize(
    ("more", "error"),
    [
        (("--format", "recbole"), "cannot be put onto recbole files"),
        (("--features", "price"), "no feature or group 'price'"),
        (("--snapshot", "20260101T000000000Z-00000000"), "no snapshot of that id"),
    ],
)
def test_a_delta_that_cannot_be_is_told(
    snapshots: list[str], more: tuple[str, ...], error: str
) -> None:
    result = eta("export", "--tenant", "acme", "--since", snapshots[0], *more)
    assert result.exit_code == 1
    assert error in result.stderr


def test_since_the_current_snapshot_nothing_came(snapshots: list[str]) -> None:
    for since in (snapshots[1], "current"):
        told = eta("export", "--tenant", "acme", "--since", since).stderr
        assert "nothing came after it" in told
    told = eta("export", "--tenant", "globex", "--since", snapshots[0]).stderr
    assert "nothing is published for tenant globex" in told


def test_a_delta_is_in_help_and_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--since" in done("export", "--help").stdout
    monkeypatch.setenv("_ETA_COMPLETE", "complete_bash")
    for words, position, wanted in (
        ("eta export-", 1, "export-apply"),
        ("eta export-", 1, "export-clean"),
        ("eta export --s", 2, "--since"),
    ):
        monkeypatch.setenv("COMP_WORDS", words)
        monkeypatch.setenv("COMP_CWORD", str(position))
        assert wanted in CliRunner().invoke(app, [], prog_name="eta").stdout


@dataclass
class Verdict:
    passed: bool
    report: dict[str, Any]


def test_prepare_publishes_who_passes_and_ends_with_1_for_who_does_not(
    settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_training_tables(settings, {"acme": examples(5), "globex": examples(6)})

    def gate(_settings: LakeSettings, tenants: Sequence[str], **_how: Any) -> dict[str, Verdict]:
        failures = {"failures": [{"sentence": "globex has too few rows"}]}
        return {name: Verdict(name == "acme", failures) for name in tenants}

    monkeypatch.setattr("lakehouse.cli.prepare.build_with_progress", lambda *_, **__: None)
    monkeypatch.setattr(prepare, "run_gate", gate)
    result = eta("prepare")
    assert result.exit_code == 1
    assert "globex: NOT published" in result.stderr
    assert "globex has too few rows" in result.stderr
    assert "acme: published" in result.stderr
    assert done("prepare", "--tenant", "acme").stderr.startswith("acme: unchanged")
    assert [line.split("\t")[0] for line in done("training", "list").stdout.splitlines()] == [
        "tenant",
        "acme",
    ]


def test_card_prints_its_two_files(snapshots: list[str], settings: LakeSettings) -> None:
    result = done("training", "card", "acme")
    folder = settings.home_dir / "exports/acme" / f"{snapshots[1]}-card"
    assert result.stdout.split() == [str(folder / "card.html"), str(folder / "card.md")]
    page = (folder / "card.html").read_text()
    assert snapshots[1] in page
    assert snapshots[0] in page  # what it is compared with
    assert (
        f"eta training card acme {snapshots[1]}"
        in done("training", "show", "--tenant", "acme").stderr
    )
    assert "eta training card" in done("training", "list").stderr


def test_card_of_an_earlier_snapshot_says_what_is_not_in_it(
    snapshots: list[str], tmp_path: Path
) -> None:
    result = done("training", "card", "acme", snapshots[0], "--to", str(tmp_path / "cards"))
    assert "no earlier snapshot" in result.stderr
    assert "there is no tenant" in (tmp_path / "cards/card.md").read_text()  # its words


def test_card_has_the_words_of_the_tenants_settings(
    snapshots: list[str], settings: LakeSettings, tmp_path: Path
) -> None:
    to = tmp_path / "settings.yml"
    to.write_text("training_set: {licence: Ours <alone>, contact: data@example.com}\n")
    done("tenants", "add", "acme", "--settings", str(to))
    done("training", "card", "acme", "--to", str(tmp_path / "cards"))
    page = (tmp_path / "cards/card.html").read_text()
    assert "Ours &lt;alone&gt;" in page
    assert "not stated" in page


def test_a_card_is_refused_for_what_there_is_not(snapshots: list[str], tmp_path: Path) -> None:
    assert "nothing is published" in eta("training", "card", "nobody").stderr
    assert "not valid" in eta("training", "card", "../acme").stderr
    for other in (snapshots[0][:-1], "../../x", "20260501T120000000Z-00000000"):
        assert "no snapshot of that id" in eta("training", "card", "acme", other).stderr
    # a snapshot of another tenant
    assert eta("training", "card", "globex", snapshots[0]).exit_code == 1
    (tmp_path / "file").write_text("")
    result = eta("training", "card", "acme", "--to", str(tmp_path / "file" / "below"))
    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_a_card_is_kept_and_listed(settings: LakeSettings, snapshots: list[str]) -> None:
    own = ["training", "list", "--tenant", "acme"]
    assert "/v1/training/cards/" not in CliRunner().invoke(app, own).stdout
    made = CliRunner().invoke(app, ["training", "card", "acme"])
    assert made.exit_code == 0, made.stderr
    assert f"GET /v1/training/cards/{snapshots[-1]}" in made.stderr
    assert TRAINING_SETS.has_cards(Lake(settings), "acme") == {snapshots[-1]}
    [listed] = [
        line for line in CliRunner().invoke(app, own).stdout.splitlines() if "cards/" in line
    ]
    assert f"/v1/training/cards/{snapshots[-1]}" in listed


def test_a_folder_that_is_none_is_not_said_to_be_clean(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        done = CliRunner().invoke(app, ["export-clean", str(tmp_path / name)])
        assert (done.exit_code, "nothing was looked at" in done.output) == (1, True)


@pytest.mark.parametrize("hours", ["inf", "nan", "-1", "1e300"])
@pytest.mark.parametrize(
    "command", [["runs", "freshness", "--within"], ["keys", "rotate", "k", "--overlap"]]
)
def test_hours_that_are_no_number_of_hours_are_refused(command: list[str], hours: str) -> None:
    done = CliRunner().invoke(app, [*command, hours])
    assert done.exit_code == 2, done.output
