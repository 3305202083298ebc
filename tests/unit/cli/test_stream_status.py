"""What `eta consume status` says of a consumer that does not say it any more."""

import json
import os
from pathlib import Path

import pytest

from lakehouse.cli.stream_status import consumer_states
from lakehouse.control.owner import start_of


@pytest.mark.parametrize(
    ("started", "state"),
    [
        pytest.param(start_of(os.getpid()), "consuming", id="lives"),
        pytest.param("1", "killed", id="its number is another process's now"),
    ],
)
def test_a_consumer_is_its_process_and_not_its_number(
    tmp_path: Path, started: str, state: str
) -> None:
    document = {
        "pid": os.getpid(),
        "started": started,
        "state": "consuming",
        "since": "2026-05-01T12:00:00+00:00",
        "detail": "",
    }
    (tmp_path / "consumer.json").write_text(json.dumps(document))
    assert [found.state for found in consumer_states(tmp_path)] == [state]
