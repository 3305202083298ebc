"""Identifiers of an erasure that stand nowhere are told before it is asked for, and after."""

import json
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from lakehouse.cli.main import app
from lakehouse.contracts.tenant import DataType
from lakehouse.privacy import unmatched
from lakehouse.privacy.id_files import Identifier, IdFile
from lakehouse.privacy.known import remarks, stored_identifiers
from lakehouse.privacy.verify import search
from lakehouse.storage.lake import Lake
from tests.support.erasure import FIRST_MS, TENANT, ErasableLake, interactions, person


@pytest.fixture
def lake(commanded: ErasableLake) -> ErasableLake:
    return commanded


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["privacy", *map(str, arguments)])


def test_what_is_stored_is_asked_of_all_tables_and_one_tenant(lake: ErasableLake) -> None:
    lake.upload(interactions([("carol", 1), ("carol", 2), ("dave", 3)]))
    head = "event_name,user_id,anonymous_id,session_id,timestamp\n"
    lake.upload(f"{head}page,,visitor,s1,{FIRST_MS}\n", DataType.CLICKSTREAM)
    asked = ["carol", "carol ", "dave", "erin", "visitor"]
    assert stored_identifiers(Lake(lake.settings), TENANT, asked, lake.tenant) == {
        "carol",
        "dave",
        "visitor",
    }
    assert stored_identifiers(Lake(lake.settings), "other", asked, lake.tenant) == frozenset()


@pytest.mark.parametrize("user", ["4217", "anna", 'q"uote', "team/anna", "two words", "a|b"])
def test_who_stands_in_quarantine_alone_is_known(lake: ErasableLake, user: str) -> None:
    quoted = '"' + user.replace('"', '""') + '"'
    lake.upload(f"user_id,item_id,interaction_type,timestamp\n{quoted},i1,nonsense,{FIRST_MS}\n")
    assert stored_identifiers(Lake(lake.settings), TENANT, [user, "nobody"], lake.tenant) == {user}


def test_remarks_name_lines_and_no_identifier() -> None:
    identifiers = [
        Identifier("carol", 2, "carol "),
        Identifier("dave", 3, "dave"),
        Identifier("erin"),
    ]
    file = IdFile(tuple(identifiers), heading="User_ID")
    assert remarks(identifiers, {"dave"}, file) == [
        "line 1, User_ID, is taken for a heading",
        "white space was taken off 1 identifiers, which only quotes keep: line 2",
        "2 of 3 identifiers stand nowhere in the tables: line 2",
    ]
    assert remarks(identifiers[1:2], {"dave"}) == []
    many = remarks([Identifier(str(n), n) for n in range(1, 101)], frozenset())
    assert many[0].endswith("19, 20 and 80 more")


def test_each_id_that_matches_nothing_is_listed(lake: ErasableLake, tmp_path: Path) -> None:
    lake.upload(interactions([("carol", 1), ("dave ", 2)]))
    ids, unknown = tmp_path / "ids.csv", tmp_path / "unknown.jsonl"
    ids.write_bytes(b'\xef\xbb\xbfuser_id\r\n"carol"\r\ndave \r\nerin\r\n"frank, ""f"""\r\n')
    done = run("erase", "--tenant", TENANT, "--file", ids, "--unknown", unknown)
    said = " ".join(done.output.split())
    assert done.exit_code == 0, said
    assert "2 of 4 identifiers stand nowhere in the tables: line 4, 5" in said
    assert f"2 of 4 ids match nothing; they are in {unknown}" in said
    assert [json.loads(line)["user_id"] for line in unknown.read_text().splitlines()] == [
        "erin",
        'frank, "f"',
    ]
    assert stat.S_IMODE(unknown.stat().st_mode) == 0o600
    assert not any(name in said for name in ("carol", "dave", "erin", "frank"))
    again = run("erase", "--tenant", TENANT, "--file", ids, "--unknown", unknown)
    assert (again.exit_code, "is there already" in again.output) == (1, True)
    assert len(lake.database.erasures.newest(TENANT)) == 1

    found = run("verify", "--tenant", TENANT, "--file", ids)
    assert found.exit_code == 1, found.output  # asked for, not yet carried out
    [done_work] = lake.work()
    assert done_work.completed
    assert run("verify", "--tenant", TENANT, "--file", ids).exit_code == 0
    assert (
        stored_identifiers(Lake(lake.settings), TENANT, ["carol", "dave "], lake.tenant)
        == frozenset()
    )


def test_a_request_that_matches_nothing_ends_without_a_certificate(lake: ErasableLake) -> None:
    gone, stranger, kept = person(), person(), person()
    lake.fill(gone, [kept])
    real, empty = lake.erase(gone), lake.erase(stranger)
    [done] = lake.work()
    assert (done.completed, done.nothing_found) == ((real,), (empty,))
    ended = lake.database.erasures.get(empty)
    assert (ended.state, ended.certificate, ended.waits_for) == ("nothing_found", None, ())
    assert ended.finished_at is not None
    assert ended.notes["searched"]["files"]
    assert not lake.database.erasures.people.of([empty])
    assert lake.database.erasures.get(real).certificate is not None
    said = run("status", empty, "--certificate")
    assert (said.exit_code, "no certificate" in " ".join(said.output.split())) == (1, True)
    assert lake.work() == []
    # whoever was meant stays out all the same
    assert lake.upload(interactions([(stranger, 1)])).counts.suppressed == 1
    actions = [entry.action for entry in lake.database.audit.list(TENANT)]
    assert (actions.count("privacy.erased"), actions.count("privacy.nothing_found")) == (1, 1)


def test_who_is_in_an_export_or_in_quarantine_alone_is_certified(lake: ErasableLake) -> None:
    exported, refused = person(), person()
    folder = lake.home / "exports" / TENANT
    folder.mkdir(parents=True)
    (folder / "set.csv").write_text(f"user_id\n{exported}\n")
    wrong = f"user_id,item_id,interaction_type,timestamp\n{refused},i1,nonsense,{FIRST_MS}\n"
    lake.upload(wrong)
    requests = {lake.erase(exported), lake.erase(refused)}
    [done] = lake.work()
    assert {*done.completed} == requests, done


def test_many_requests_of_unknown_people_take_one_search(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, mentioned = person(), person()
    lake.fill(known, [person()])
    lake.upload(f"item_id,title\ni1,a gift of {mentioned}\n", DataType.ITEMS)
    searched: list[set[str]] = []

    def counted(settings, database, tenant_id, patterns):
        searched.append(set(patterns.texts))
        return search(settings, database, tenant_id, patterns)

    monkeypatch.setattr(unmatched, "search", counted)
    nobody = [lake.erase(person()) for _ in range(8)]
    [done] = lake.work()
    assert (set(done.nothing_found), len(searched)) == (set(nobody), 1)

    searched.clear()
    nobody = [lake.erase(person()) for _ in range(7)]
    one = lake.erase(mentioned)
    [done] = lake.work()
    assert (set(done.nothing_found), done.completed) == (set(nobody), (one,))
    assert len(searched) == 7  # down to the one, by halves


def test_a_request_that_has_ended_takes_nobody_in(lake: ErasableLake) -> None:
    erasures = lake.database.erasures
    made = erasures.request(TENANT, ["u1"])
    erasures.end_without(made.request_id, TENANT, {})
    (subject,) = erasures.people.hashes(made.request_id)
    erasures.people.tie(TENANT, made.request_id, {"a1": subject})
    erasures.people.widen(TENANT, made.request_id, {"u2"})
    assert erasures.people.hashes(made.request_id) == {subject: None}
    assert len(lake.database.suppressed(TENANT).subjects) == 1
