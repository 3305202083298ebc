"""What a listener to dbt's events writes."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace as Message
from typing import Any

from lakehouse.settings import LakeSettings
from lakehouse.storage.build_reports import NodeResult, read_build_reports
from lakehouse.training.build_recording import recorder

NOW = datetime.now(UTC)


def _finished(name: str, kind: str, status: str, materialized: str = "table") -> Any:
    node = Message(node_name=name, resource_type=kind, materialized=materialized)
    response = {"_message": "CHANGED +3 -1, 1 tenant", "code": "CHANGED", "rows_affected": 4.0}
    result = Message(
        status=status,
        execution_time=1.234,
        num_failures=2,
        message="u1 is wrong",
        adapter_response=response,
    )
    return Message(
        info=Message(name="NodeFinished"), data=Message(node_info=node, run_result=result)
    )


def _completed(*, success: bool) -> Any:
    return Message(
        info=Message(name="CommandCompleted"), data=Message(success=success, elapsed=9.876)
    )


def test_every_model_and_test_is_written_and_no_message(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path, run_id="dag/run")
    listen = recorder(settings, "build", {"tenant_id": "acme"}, NOW)
    for message in (
        Message(info=Message(name="LogStartLine")),
        _finished("positives", "model", "success"),
        _finished("of_no_table", "model", "success", "ephemeral"),
        _finished("unique_positives", "test", "fail"),
        _completed(success=False),
    ):
        listen(message)
    (found,) = read_build_reports(tmp_path, since=NOW - timedelta(1), limit=9)
    assert found.nodes == [
        NodeResult("positives", "model", "success", 1.23, mode="CHANGED", rows=4),
        NodeResult("unique_positives", "test", "fail", 1.23, 2),
    ]
    told = (found.run_id, found.tenant_id, found.command, found.is_success, found.seconds)
    assert told == ("dag/run", "acme", "build", False, 9.88)
    assert "u1" not in next((tmp_path / "reports" / "dbt").iterdir()).read_text()


def test_a_command_without_nodes_leaves_nothing(tmp_path: Path) -> None:
    recorder(LakeSettings(home=tmp_path), "build", {}, NOW)(_completed(success=True))
    assert not (tmp_path / "reports").exists()


def test_what_cannot_be_written_does_not_fail_the_build(tmp_path: Path) -> None:
    no_database = tmp_path / "control.db"
    no_database.write_text("this is no database")
    listen = recorder(LakeSettings(home=tmp_path), "build", {}, NOW)
    listen(_finished("positives", "model", "success"))
    listen(_completed(success=True))
    assert not (tmp_path / "reports").exists()
