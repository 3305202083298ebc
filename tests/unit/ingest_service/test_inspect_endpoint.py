"""`POST /internal/data/uploads/inspect`: what it answers, and that it leaves nothing behind."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard

from tests.support.app import App

CLICKS = (
    "visitor;when;what;product\n"
    "u1;2024-05-01T10:00:00Z;view;p1\n"
    "u2;2024-05-01T10:01:00Z;buy;p2\n"
    "u2;2024-05-01T10:02:00Z;view;p1\n"
    "u3;2024-05-01T10:03:00Z;view;p1\n"
    "u3;2024-05-01T10:04:00Z;click;p1\n"
    "u2;yesterday;view;p2\n"
)
CONTRACT = {
    "format": {"name", "compression", "note"},
    "encoding": {"name", "how", "candidates"},
    "dialect": {"delimiter", "quote", "escape", "header", "skip_lines", "comment"},
    "counts": {"looked_at", "would_store", "would_reject"},
}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    app = App(tmp_path)
    yield app
    app.close()


def inspected(app: App, content: bytes, **parameters: Any) -> httpx.Response:
    """What the endpoint answers."""

    async def program(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(
            "/internal/data/uploads/inspect",
            params={"tenant_id": "good", **parameters},
            files={"file": ("clicks.csv", content)},
            headers=app.headers("good"),
        )

    answer: httpx.Response = app.run(program)
    return answer


def files_under(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and "control" not in path.name}


def test_the_answer_has_what_pages_are_built_on(app: App) -> None:
    answer = inspected(app, CLICKS.encode())
    assert answer.status_code == 200
    body = answer.json()
    for part, keys in CONTRACT.items():
        assert keys <= body[part].keys()
    assert {"name", "type", "samples", "meaning", "note"} == body["columns"][0].keys()
    assert body["proposed_mapping"]["columns"] == {
        "user_id": "visitor",
        "item_id": "product",
        "interaction_type": "what",
        "timestamp": "when",
    }
    assert body["data_type"] == "interactions"
    assert body["is_whole_file"] is True
    assert [row["user_id"] for row in body["rows"]] == ["u1", "u2", "u2", "u3", "u3"]
    assert body["rows"][1]["interaction_type"] == "purchase"
    counts = body["counts"]
    assert (counts["looked_at"], counts["would_store"], counts["would_reject"]) == (6, 5, 1)
    (reason,) = body["reasons"]
    assert (reason["code"], reason["count"], reason["example_line"]) == ("bad_timestamp", 1, 7)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(CLICKS.encode(), id="good file"),
        pytest.param(gzip.compress(CLICKS.encode()), id="packed"),
        pytest.param(b"", id="empty"),
        pytest.param(b"PAR1" + bytes(100), id="of another kind"),
        pytest.param(b"\x00" * 500, id="zeros"),
    ],
)
def test_nothing_is_written_that_stays(app: App, tmp_path: Path, content: bytes) -> None:
    inspected(app, CLICKS.encode())  # what a service writes at its start
    before = files_under(tmp_path)
    inspected(app, content)
    assert {
        path for path in files_under(tmp_path) - before if "_delta_log" not in str(path)
    } == set()
    assert not list(tmp_path.rglob("*.upload"))


def test_a_packed_file_is_looked_at_in_part_and_said_so(app: App) -> None:
    row = "u1;2024-05-01T10:00:00Z;view;p%07d\n"
    content = CLICKS + "".join(row % number for number in range(400_000))
    assert len(content) > 12 * 2**20
    body = inspected(app, zstandard.compress(content.encode())).json()
    assert body["is_whole_file"] is False
    assert body["format"]["compression"] == "zstd"
    assert "only its start" in body["format"]["note"]
    assert 200_000 < body["counts"]["looked_at"] < 380_000
    assert body["counts"]["would_reject"] == 1  # the cut line is none of them


def test_a_draft_is_tried_instead_of_a_proposal(app: App) -> None:
    draft = {
        "columns": {"user_id": "visitor", "item_id": "product", "timestamp": "when"},
        "constants": {"interaction_type": "like"},
        "timestamps": {"timestamp": {"unit": "iso"}},
        "delimiter": ";",
    }
    body = inspected(app, CLICKS.encode(), draft=json.dumps(draft)).json()
    assert body["proposed_mapping"]["constants"] == {"interaction_type": "like"}
    assert {row["interaction_type"] for row in body["rows"]} == {"like"}


@pytest.mark.parametrize(
    ("parameters", "status", "code"),
    [
        pytest.param({"draft": "{"}, 422, "bad_draft", id="no JSON"),
        pytest.param({"draft": '{"colums": {}}'}, 422, "bad_draft", id="a wrong name in a draft"),
        pytest.param({"mapping": "none"}, 400, "unknown_mapping", id="no such mapping"),
        pytest.param({"drafd": "{}"}, 422, "unknown_parameter", id="no such parameter"),
        pytest.param({"encoding": "klingon"}, 400, "unknown_encoding", id="no such encoding"),
    ],
)
def test_errors_are_problems(app: App, parameters: dict[str, str], status: int, code: str) -> None:
    answer = inspected(app, CLICKS.encode(), **parameters)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.json()["remedy"]


def test_the_start_of_a_file_ends_where_it_was_cut(app: App) -> None:
    cut = CLICKS.encode()[:-9]
    body = inspected(app, cut, start_only="true").json()
    assert body["is_whole_file"] is False
    assert body["counts"]["looked_at"] == 5


def test_another_tenants_key_sees_nothing(app: App) -> None:
    async def program(client: httpx.AsyncClient) -> int:
        answer = await client.post(
            "/internal/data/uploads/inspect", files={"file": ("a.csv", b"a,b\n1,2\n")}
        )
        return answer.status_code

    assert app.run(program) == 401
