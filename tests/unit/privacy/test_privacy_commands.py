"""The commands of erasures: one truth about a request, and files that appear whole or not."""

from dataclasses import replace
from pathlib import Path

import pytest
from dbt.cli.main import dbtRunner, dbtRunnerResult
from fastapi.testclient import TestClient
from sqlalchemy import delete, select
from typer.testing import CliRunner, Result

from ingest_service.api.app import create_app
from lakehouse.cli import privacy_erase
from lakehouse.cli.main import app
from lakehouse.control import erasures, schema
from lakehouse.control.owner import this_process
from lakehouse.control.withdrawals import DELETING
from lakehouse.errors import EtaError
from lakehouse.privacy import erasure_pass
from lakehouse.privacy.counts import RAW_ROWS, REWRITTEN, Counts
from lakehouse.privacy.worker import Progress
from lakehouse.training.build import run_dbt
from tests.support.erasure import TENANT, ErasableLake, interactions, person


@pytest.fixture
def lake(commanded: ErasableLake) -> ErasableLake:
    return commanded


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["privacy", *map(str, arguments)])


def broken_off(lake: ErasableLake, step: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A request whose process has ended in a step."""
    request = lake.erase(person())
    ended = replace(this_process(), started="long ago")
    with monkeypatch.context() as patch:
        patch.setattr(erasures, "this_process", lambda: ended)
        lake.database.erasures.move(request, state="running", step=step)
    return request


def test_a_request_that_was_broken_off_before_it_deleted_can_be_withdrawn(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (broken_off(lake, "fence", monkeypatch) for _ in range(2))
    assert lake.database.erasures.get(first).state == "waiting"
    assert run("withdraw", first).exit_code == 0
    assert lake.database.erasures.get(first).state == "withdrawn"
    officer = {"X-API-Key": lake.database.keys.create(TENANT, {"privacy"}).secret}
    client = TestClient(create_app(lake.services), headers=officer)
    place = f"/v1/privacy/erasures/{second}"
    assert client.get(place).json()["state"] == "waiting"
    assert client.post(f"{place}/withdraw").json()["state"] == "withdrawn"


@pytest.mark.parametrize("step", ["fence", "raw", "models", "stores", "proof"])
def test_one_that_may_have_deleted_says_why_it_cannot_be_withdrawn(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    request = broken_off(lake, step, monkeypatch)
    if step == "fence":  # once more, with a request that came later
        counts = Counts(lake.database.erasures, [request])
        with pytest.raises(KeyboardInterrupt), counts.while_removing(REWRITTEN):
            raise KeyboardInterrupt
    done = run("withdraw", request)
    told = " ".join(done.output.split())
    assert done.exit_code == 1
    assert f"broken off in its step {step}" in told
    assert "`eta privacy work` goes on with it" in told
    assert "is running" not in told
    assert lake.database.erasures.get(request).state == "waiting"


def test_what_a_request_notes_when_it_deletes_is_known() -> None:
    assert {REWRITTEN, RAW_ROWS} == DELETING


def test_one_whose_process_lives_cannot_be_withdrawn(lake: ErasableLake) -> None:
    request = lake.erase(person())
    lake.database.erasures.move(request, state="running", step="fence")
    assert "is running" in run("withdraw", request).output


def test_a_cut_end_of_the_audit_log_is_told(lake: ErasableLake, tmp_path: Path) -> None:
    gone = person()
    lake.upload(interactions([(gone, 1)]))
    request = lake.erase(gone)
    lake.work()
    held = tmp_path / "certificate.json"
    held.write_text(run("status", request, "--certificate").output)
    assert run("check-certificate", held).exit_code == 0
    table = schema.audit_log
    with lake.database.connections.write() as connection:
        newest = connection.execute(select(table.c.entry_id).order_by(table.c.entry_id.desc()))
        connection.execute(delete(table).where(table.c.entry_id == newest.scalars().first()))
    done = run("check-certificate", held)
    assert done.exit_code == 3, done.output
    assert "does not have the entry of this certificate" in " ".join(done.output.split())
    assert run("verify", "--tenant", TENANT, "--request", request).exit_code == 1


def test_a_list_of_unknown_ids_appears_whole_or_not_at_all(
    lake: ErasableLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids, unknown = tmp_path / "ids.txt", tmp_path / "unknown.jsonl"
    ids.write_text("nobody\n")
    failed = run("erase", "--tenant", "none", "--file", ids, "--unknown", unknown)
    assert failed.exit_code == 1
    assert "Warning" not in failed.output  # an unknown tenant is what is wrong
    with monkeypatch.context() as patch:
        patch.setattr(privacy_erase, "looked_up", lambda *_, **__: 1 / 0)
        assert run("erase", "--tenant", TENANT, "--file", ids, "--unknown", unknown).exit_code == 70
    assert [path.name for path in tmp_path.glob("*unknown*")] == []
    done = run("erase", "--tenant", TENANT, "--file", ids, "--unknown", unknown)
    assert done.exit_code == 0, done.output
    assert unknown.read_text() == '{"user_id": "nobody"}\n'
    assert unknown.stat().st_mode & 0o777 == 0o600
    again = run("erase", "--tenant", TENANT, "--file", ids, "--unknown", unknown)
    assert "is there already" in again.output
    assert [path.name for path in tmp_path.glob(".*unknown*")] == []


def test_many_requests_of_unknown_people_are_not_one_line(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = tuple(f"er_{number:024x}" for number in range(900))
    privacy_erase._tell([Progress(TENANT, (), (), (), names)])
    lines = capsys.readouterr().err.splitlines()
    assert max(map(len, lines)) < 120
    assert len(lines) < 30
    assert "880 more" in lines[-1]


def test_ctrl_c_ends_with_one_sentence_and_the_next_run_goes_on(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.upload(interactions([("u1", 2), ("u2", 1)]))
    request = lake.erase("u1")
    with monkeypatch.context() as patch:
        patch.setattr(erasure_pass, "delete_rows", _interrupt)
        done = run("work")
    assert done.exit_code == 130
    assert "Stopped: what is done stays done, and `eta privacy work` goes on" in done.output
    assert "Traceback" not in done.output
    assert lake.database.erasures.get(request).state != "completed"
    assert run("work").exit_code == 0
    assert lake.database.erasures.get(request).state == "completed"


def test_ctrl_c_while_dbt_runs_is_not_taken_for_a_failure_of_one_tenant(
    lake: ErasableLake, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = dbtRunnerResult(success=False, exception=KeyboardInterrupt())
    monkeypatch.setattr(dbtRunner, "invoke", lambda *_: stopped)
    with pytest.raises(KeyboardInterrupt):
        run_dbt(lake.settings, ["run"])
    broken = dbtRunnerResult(success=False, exception=RuntimeError("odd"))
    monkeypatch.setattr(dbtRunner, "invoke", lambda *_: broken)
    with pytest.raises(EtaError, match="dbt could not run: odd"):
        run_dbt(lake.settings, ["run"])


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt
