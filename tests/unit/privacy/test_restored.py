"""Backups that were copied over a lake or a home: who is there again is found and told."""

import shutil
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS
from lakehouse.contracts.tenant import DataType
from lakehouse.control.suppressions import subject_hash
from lakehouse.privacy.suppression import Suppressed
from lakehouse.privacy.unreferenced import listed_texts
from tests.support.erasure import FIRST_MS, TENANT, ErasableLake, interactions, person


@pytest.fixture
def lake(commanded: ErasableLake) -> ErasableLake:
    return commanded


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["privacy", *map(str, arguments)])


def told(result: Result) -> str:
    return " ".join(result.output.split())


def overlay(source: Path, target: Path) -> None:
    """Copy what is not there, as `cp -an`, `tar x` and `rsync` without --delete do."""
    for path in source.rglob("*"):
        place = target / path.relative_to(source)
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)


def test_files_of_an_older_copy_beside_newer_ones_are_seen_and_removed(
    lake: ErasableLake, tmp_path: Path
) -> None:
    gone = person()
    lake.fill(gone, [person()])
    raw = Path(lake.settings.lake) / "raw"
    shutil.copytree(raw, tmp_path / "backup")
    request = lake.erase(gone)
    lake.work()
    held = tmp_path / "certificate.json"
    held.write_text(run("status", request, "--certificate").output)
    fine = run("check-certificate", held)
    assert fine.exit_code == 0, fine.output
    assert "Exports, uploads, Redis and other copies were not looked at" in told(fine)

    overlay(tmp_path / "backup", raw)
    shutil.rmtree(tmp_path / "backup")
    assert not lake.search(gone).is_clean
    said = run("check-certificate", held)
    assert said.exit_code == 3, said.output
    assert "files that no current version names: raw.clickstream (1)" in told(said)
    assert "raw.quarantine (1)" in told(said)
    assert "raw.interactions (2)" in told(said)
    assert run("verify", "--tenant", TENANT, "--request", request).exit_code == 1
    again = run("reapply")
    assert "4 of them are data files that no current version names" in told(again)
    assert "are there again" in again.output
    [done] = lake.work()
    assert len(done.completed) == 1, done
    assert lake.search(gone).is_clean
    assert run("check-certificate", held).exit_code == 0
    acknowledged = Path(lake.settings.lake) / "ops" / "acknowledged" / "20260101-a.csv"
    acknowledged.parent.mkdir(parents=True, exist_ok=True)
    acknowledged.write_text("+,t,interactions,b,0,0,0,.\n")
    said = run("reapply")
    assert "No erased person is there" in said.output
    assert "cannot be read" not in told(said)


def test_a_home_that_was_restored_whole_says_as_of_when_and_takes_certificates(
    lake: ErasableLake, tmp_path: Path
) -> None:
    first, gone = person(), person()
    lake.fill(gone, [person()])
    lake.erase(first)
    lake.work()
    backup = tmp_path / "backup"
    lake.database.connections.compact(())
    shutil.copytree(lake.home, backup)
    request = lake.erase(gone)
    lake.work()
    held = tmp_path / "certificate.json"
    held.write_text(run("status", request, "--certificate").output)

    lake.close()
    shutil.rmtree(lake.home)
    shutil.copytree(backup, lake.home)
    shutil.rmtree(backup)
    restored = ErasableLake.__new__(ErasableLake)
    restored.__dict__.update(lake.__dict__)
    said = run("reapply")
    assert said.exit_code == 0, said.output
    assert "as far as this home knows" in told(said)
    assert "has its newest entry of 20" in told(said)
    assert "reapply --certificate FILE" in told(said)
    again = run("reapply", "--certificate", held)
    assert again.exit_code == 0, again.output
    assert "2 hashes were put on the suppression list again" in told(again)
    assert "2 people are there again" in told(again)
    listed = run("reapply", "--certificate", held)
    assert ": 0 hashes were put" in told(listed)


def test_a_certificate_that_was_hashed_with_another_key_is_refused(
    lake: ErasableLake, tmp_path: Path
) -> None:
    gone = person()
    lake.upload(interactions([(gone, 1)]))
    request = lake.erase(gone)
    lake.work()
    held = tmp_path / "certificate.json"
    held.write_text(run("status", request, "--certificate").output)
    with lake.database.connections.write() as connection:
        connection.exec_driver_sql("update suppression_lists set hash_key = 'another'")
    refused = run("reapply", "--certificate", held)
    assert refused.exit_code == 1
    assert "a key that this home does not have" in told(refused)
    held.write_text(held.read_text().replace('"found": 0', '"found": 1'))
    assert "signature does not fit" in told(run("reapply", "--certificate", held))


def test_somebody_who_shares_a_device_with_an_erased_person_is_not_asked_for(
    lake: ErasableLake,
) -> None:
    gone, other = person(), person()
    head = "event_name,user_id,anonymous_id,session_id,timestamp\n"
    lake.upload(head + f"page,{gone},device,s,{FIRST_MS}\n", DataType.CLICKSTREAM)
    lake.upload(head + f"page,{other},device,s,{FIRST_MS + 9}\n", DataType.CLICKSTREAM)
    lake.erase(gone)
    lake.work()
    assert "No erased person is there" in run("reapply").output
    assert lake.rows(RAW_CLICKSTREAM).height == 1
    assert lake.rows(RAW_INTERACTIONS).is_empty()


ids = st.sampled_from(["", " ", "a", "b", "c", "é"]) | st.none()


@settings(deadline=None)  # the first one loads libraries
@given(st.lists(st.tuples(ids, ids), max_size=6), st.sets(ids), st.sets(ids))
def test_texts_on_a_list_are_those_for_which_rows_are_suppressed(
    rows: list, subjects: set, tied: set
) -> None:
    hashes = [frozenset(subject_hash("k", t) for t in texts if t) for texts in (subjects, tied)]
    listed = Suppressed(1, "k", hashes[0], hashes[1])
    frame = pl.DataFrame(
        rows, schema={"user_id": pl.String, "anonymous_id": pl.String}, orient="row"
    )
    found = listed_texts(frame, listed)
    matched = listed.matches([frame["user_id"], frame["anonymous_id"]]).to_list()
    for row, is_gone in zip(rows, matched, strict=True):
        assert not is_gone or found.intersection(row)
    assert found == {
        text
        for user, anonymous in rows
        for text, is_tied in ((user, False), (anonymous, not (user or "").strip()))
        if text and (text in subjects or (is_tied and text in tied))
    }
