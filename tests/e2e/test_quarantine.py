"""A thousand bad rows of twenty kinds: kept with every reason, corrected, taken in once."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.contracts.tables import OPS_REPLAY_OUTCOMES, RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import LedgerBatch, batches
from lakehouse.storage.ledger_check import check_ledger
from tests.support.rows import FIRST_MS
from tests.support.service import RunningService

HEADER = "event_id,user_id,item_id,interaction_type,timestamp,rating,device_type,session_id"
COLUMNS = HEADER.split(",")
GOOD_ROWS = 3_000
PER_KIND = 50
LONG = "x" * 513

# What a kind of bad row changes in a good one, and every (reason, field) it must be kept with.
KINDS: list[tuple[dict[str, str], list[tuple[str, str]]]] = [
    ({"user_id": ""}, [("missing_value", "user_id")]),
    ({"user_id": "  "}, [("missing_value", "user_id")]),
    ({"item_id": ""}, [("missing_value", "item_id")]),
    ({"interaction_type": ""}, [("missing_value", "interaction_type")]),
    ({"timestamp": ""}, [("missing_value", "timestamp")]),
    ({"user_id": LONG}, [("value_too_long", "user_id")]),
    ({"item_id": LONG}, [("value_too_long", "item_id")]),
    ({"event_id": LONG}, [("value_too_long", "event_id")]),
    ({"device_type": LONG}, [("value_too_long", "device_type")]),
    ({"session_id": LONG}, [("value_too_long", "session_id")]),
    ({"interaction_type": "stare"}, [("unknown_interaction_type", "interaction_type")]),
    ({"interaction_type": '"VIEWED, twice"'}, [("unknown_interaction_type", "interaction_type")]),
    ({"timestamp": "soon"}, [("bad_timestamp", "timestamp")]),
    ({"timestamp": "2024-05-01T12:00:00Z"}, [("bad_timestamp", "timestamp")]),
    ({"timestamp": "1700000000"}, [("timestamp_out_of_range", "timestamp")]),
    ({"timestamp": "4102444800000"}, [("timestamp_out_of_range", "timestamp")]),
    ({"rating": "NaN"}, [("bad_number", "rating")]),
    ({"rating": "five"}, [("bad_number", "rating")]),
    (
        {"user_id": "", "interaction_type": "stare", "timestamp": '"so\non"', "rating": "-"},
        [
            ("missing_value", "user_id"),
            ("unknown_interaction_type", "interaction_type"),
            ("bad_timestamp", "timestamp"),
            ("bad_number", "rating"),
        ],
    ),
    ({"event_id": "e0"}, [("conflicting_event", "event_id")]),
]
BY_SETTINGS = {10, 11, 14, 15}
"""Kinds that the settings below make good; the others are corrected by hand."""
SETTINGS = """
time_range: {start: 1970-01-01, end: 2200-01-01}
sources:
  default:
    values:
      interaction_type: {stare: view, "VIEWED, twice": view}
"""


def good_row(number: int) -> dict[str, str]:
    """A row of the file as it should be."""
    return {
        "event_id": f"e{number}",
        "user_id": f"u{number % 97}",
        "item_id": f"i{number % 31}",
        "interaction_type": "view",
        "timestamp": str(FIRST_MS + number * 1_000),
        "rating": "",
        "device_type": "ios",
        "session_id": f"s{number % 11}",
    }


def planted_file() -> tuple[str, dict[int, list[tuple[str, str]]], dict[int, int]]:
    """The file, the reasons by the line that a bad row starts on, and the kinds by line."""
    lines, reasons, kinds = [HEADER], {}, {}
    line, bad = 2, 0
    for number in range(GOOD_ROWS + len(KINDS) * PER_KIND):
        row = good_row(number)
        if number % 4 == 1:
            kind, bad = bad % len(KINDS), bad + 1
            changes, reasons[line] = KINDS[kind]
            kinds[line] = kind
            row |= changes
        text = ",".join(row[name] for name in COLUMNS)
        lines.append(text)
        line += 1 + text.count("\n")
    assert bad == len(KINDS) * PER_KIND == 1_000
    return "\n".join(lines) + "\n", reasons, kinds


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service of its own, since the commands work on a home."""
    service = RunningService(tmp_path_factory.mktemp("home"))
    service.add_tenant("acme")
    service.start()
    yield service
    service.stop()


@pytest.fixture
def eta(running: RunningService, monkeypatch: pytest.MonkeyPatch) -> "Command":
    """The command line on the service's home."""
    monkeypatch.setenv("ETA_HOME", str(running.home))
    return Command()


class Command:
    """Runs `eta quarantine …` for the tenant."""

    def __call__(self, name: str, *arguments: str) -> Result:
        result = CliRunner().invoke(app, ["quarantine", name, "--tenant", "acme", *arguments])
        assert result.exit_code == 0, result.output
        return result


def newest(service: RunningService) -> LedgerBatch:
    """The tenant's newest batch, after a look whether the whole ledger adds up."""
    check = check_ledger(Lake(service.lake))
    assert check.wrong == ()
    return batches(cache(Lake(service.lake).table), "acme", limit=1)[0]


def test_thousand_bad_rows_are_kept_mended_and_land_once(
    running: RunningService, eta: Command, tmp_path: Path
) -> None:
    body, reasons, kinds = planted_file()
    total = GOOD_ROWS + 1_000
    answer = running.upload("acme", body, on_error="quarantine").json()
    assert (answer["rows_accepted"], answer["quarantined"]) == (GOOD_ROWS, 1_000)

    # Every bad row is there, on its line, with all its reasons and no other.
    kept = running.rows(RAW_QUARANTINE, "acme")
    found = {
        int(row["source_ref"].removeprefix("line:")): Counter(
            (reason["code"], reason["field"]) for reason in row["reasons"]
        )
        for row in kept
    }
    assert found == {line: Counter(expected) for line, expected in reasons.items()}
    batch = newest(running)
    assert (batch.received, batch.stored, batch.quarantined) == (total, GOOD_ROWS, 1_000)
    listed = eta("list").output
    assert "1,000 open rows in 1 batches" in listed
    assert "unknown_interaction_type\tinteraction_type\t150\t1" in listed

    # The settings are changed: their kinds land, also when the command is repeated.
    settings = tmp_path / "acme.yml"
    settings.write_text(SETTINGS)
    for _ in range(2):
        eta("fix", "--settings", str(settings))
        batch = newest(running)
        assert (batch.received, batch.stored, batch.quarantined) == (total, 3_200, 800)
        assert batch.replays == 1

    # The others are exported, corrected by hand and given back, twice.
    exported = tmp_path / "bad.csv"
    eta("export", "--out", str(exported))
    corrected = correct(exported)
    for attempt in range(2):
        told = eta("fix", "--rows", str(corrected)).output
        batch = newest(running)
        assert (batch.received, batch.stored, batch.quarantined) == (total, total, 0)
        assert ("800 rows of the file are not open" in told) == (attempt == 1)
    assert "0 open rows" in eta("list").output

    # Each row of the file is there once, in its batch, on its line, with its content.
    stored = running.rows(RAW_INTERACTIONS, "acme")
    assert sorted(int(row["event_id"][1:]) for row in stored) == list(range(total))
    assert {row["batch_id"] for row in stored} == {batch.batch_id}
    assert len({row["source_ref"] for row in stored}) == total
    outcomes = running.rows(OPS_REPLAY_OUTCOMES, "acme")
    by_replay = Counter((row["replay"], row["is_edited"], row["outcome"]) for row in outcomes)
    assert by_replay == {(1, False, "stored"): 200, (2, True, "stored"): 800}
    by_hand = {row["source_ref"] for row in outcomes if row["is_edited"]}
    assert {kinds[int(ref.removeprefix("line:"))] for ref in by_hand}.isdisjoint(BY_SETTINGS)
    repeated = running.upload("acme", body, on_error="quarantine").json()
    assert repeated["rows_accepted"] == 0
    assert check_ledger(Lake(running.lake)).wrong == ()


def test_json_rows_are_mended_by_a_mapping_and_by_hand(
    running: RunningService, eta: Command, tmp_path: Path
) -> None:
    row = {"item_id": "i1", "interaction_type": "view", "timestamp": 1_700_000_000_000}
    lines = [
        json.dumps(row | {"event_id": "j1", "user_id": {"id": "u1"}}),
        json.dumps(row | {"event_id": "j2", "user_id": "u2", "interaction_type": "stare"}),
        '{"event_id": "j3", "user_id": "u3"',
    ]
    body = "\n".join(lines)
    settings, exported = tmp_path / "acme.yml", tmp_path / "bad.csv"
    settings.write_text("{}")
    eta("fix", "--settings", str(settings))
    answer = running.upload("acme", body, path="upload-json", on_error="quarantine").json()
    assert (answer["rows_accepted"], answer["quarantined"]) == (0, 3)
    settings.write_text("sources: {default: {columns: {user_id: user_id.id}}}")
    eta("fix", "--settings", str(settings))
    batch = newest(running)
    assert (batch.batch_id, batch.stored, batch.quarantined) == (answer["batch_id"], 1, 2)

    settings.write_text("{}")
    eta("fix", "--settings", str(settings))
    eta("export", "--batch", answer["batch_id"], "--out", str(exported))
    with exported.open(newline="") as file:
        header, *records = csv.reader(file)
    records.sort(key=lambda record: record[1])
    fixed = dict(zip(header, records[0], strict=True)) | {"interaction_type": "like"}
    assert (fixed["user_id"], records[1][3:]) == ("u2", [lines[2]])
    corrected = {"event_id": "j3", "user_id": "u3", "item_id": "i1", "interaction_type": "view"}
    with exported.open("w", newline="") as file:
        writer = csv.DictWriter(file, header, restval="")
        writer.writeheader()
        own = dict(zip(header[:3], records[1][:3], strict=True))
        writer.writerows([fixed, own | corrected | {"timestamp": "1700000000000"}])
    eta("fix", "--rows", str(exported))
    batch = newest(running)

    assert (batch.stored, batch.quarantined) == (3, 0)
    mine = [r for r in running.rows(RAW_INTERACTIONS, "acme") if r["batch_id"] == batch.batch_id]
    found = {(r["event_id"], r["user_id"], r["interaction_type"]) for r in mine}
    assert found == {("j1", "u1", "view"), ("j2", "u2", "like"), ("j3", "u3", "view")}


def correct(exported: Path) -> Path:
    """Put right what an export says is wrong, as a person would with a table program."""
    with exported.open(newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["eta_batch", "eta_line", "eta_reasons", *COLUMNS]
    line_numbers = numbers_by_line()
    corrected = exported.with_name("corrected.csv")
    with corrected.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for row in rows:
            right = good_row(line_numbers[int(row[1])])
            sent = dict(zip(COLUMNS, row[3:], strict=True))
            changed = {name for name in COLUMNS if sent[name] != right[name]}
            assert {part.split(" ")[1].strip("()") for part in row[2].split("; ")} == changed
            writer.writerow([*row[:3], *(right[name] for name in COLUMNS)])
    return corrected


def numbers_by_line() -> dict[int, int]:
    """Which row of the planted file starts on which line."""
    body, _, _ = planted_file()
    numbers, line = {}, 2
    for number, record in enumerate(list(csv.reader(body.splitlines(keepends=True)))[1:]):
        numbers[line] = number
        line += 1 + sum(field.count("\n") for field in record)
    return numbers
