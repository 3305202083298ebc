"""What a build tells while it runs: of what runs, as many as there are."""

from collections.abc import Sequence
from types import SimpleNamespace as Message
from typing import Any

import pytest

from lakehouse.training.build import NodeEvent, _listen


def messages(name: str, kind: str, how: str, status: str, total: int) -> Sequence[Any]:
    """What dbt tells of one node: an ephemeral or a skipped one has no line at its start."""
    node = Message(
        node_name=name, resource_type=kind, materialized=how, node_status=status, name=name
    )
    result = Message(status=status, message=None, execution_time=0.1)
    started = Message(info=Message(name="LogStartLine"), data=Message(node_info=node, total=total))
    finished = Message(
        info=Message(name="NodeFinished"), data=Message(node_info=node, run_result=result)
    )
    return [finished] if how == "ephemeral" or status == "skipped" else [started, finished]


@pytest.mark.parametrize("is_first", [True, False], ids=["skipped first", "skipped last"])
def test_what_is_counted_is_what_runs(is_first: bool) -> None:
    run = [
        ("a", "model", "delta_merge", "success"),
        ("regions", "seed", "seed", "success"),
        ("prices", "snapshot", "snapshot", "success"),
        ("broken", "model", "delta_merge", "error"),
        ("test_of_a", "test", "test", "pass"),
    ]
    left_out = [
        ("a__this_run", "model", "ephemeral", "success"),
        ("after__this_run", "model", "ephemeral", "skipped"),
        ("after", "model", "delta_merge", "skipped"),
        ("test_of_after", "test", "test", "skipped"),
    ]
    events: list[NodeEvent] = []
    counts: list[int] = []
    failures: list[str] = []
    listen = _listen(events.append, counts.append, failures)
    order = [*run[:1], *left_out, *run[1:]] if is_first else [*run, *left_out]
    for node in order:
        for message in messages(*node, total=7):  # dbt's total has what is skipped
            listen(message)
    assert [event.name for event in events if event.is_finished] == [name for name, *_ in run]
    assert counts[-1] == len(run)
    assert failures == ["broken: error"]
