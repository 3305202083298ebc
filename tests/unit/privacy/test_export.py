"""One person's export: everything of theirs, nothing of anybody else, and no code that is run."""

import hashlib
import io
import json
import pickle
import struct
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import example, given
from hypothesis import strategies as st
from redis import Redis
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.contracts.tables import RAW_CLICKSTREAM
from lakehouse.control.database import ControlDatabase
from lakehouse.control.suppressions import subject_hash
from lakehouse.privacy.export import open_export
from lakehouse.privacy.export_embedding import EmbeddingsAway, decode_embedding, read_embedding
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.lake import NOON, SessionLake, interaction
from tests.support.redis_server import running_redis

ALICE = "al'ice \u00fc"
"""An id with what would end a text in SQL."""


def visit(event_id: str, **columns: Any) -> dict[str, Any]:
    row = dict.fromkeys(("user_id", "anonymous_id", "item_id", "url", "properties"))
    return {
        **row,
        "event_id": event_id,
        "event_name": "page_view",
        "session_id": "s",
        "event_time": NOON,
        **columns,
    }


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LakeSettings:
    settings = LakeSettings(home=tmp_path_factory.mktemp("home"))
    ensure_tables(Lake(settings))
    made = SessionLake(settings)
    made.store(
        "acme",
        [
            interaction("e1", ALICE),
            interaction("e2", "bob"),
            interaction("e3", ALICE),
            interaction("e5", "carla"),
        ],
    )
    made.store("globex", [interaction("e4", ALICE), interaction("e6", "own")])
    made.store(
        "acme",
        [
            visit("c1", user_id=ALICE, anonymous_id="own"),
            visit("c2", user_id=ALICE, anonymous_id="shared"),
            visit("c3", user_id="bob", anonymous_id="shared"),
            visit("c4", anonymous_id="own"),
            visit("c5", anonymous_id="shared"),
            visit("c6", user_id=ALICE, event_name="recommendation_shown", item_id="i9"),
            visit("c7", user_id="bob", event_name="recommendation_shown"),
            visit("c8", user_id=ALICE, anonymous_id="carla"),
            visit("c9", anonymous_id="carla"),
        ],
        spec=RAW_CLICKSTREAM,
    )
    features = pa.table({"tenant_id": ["acme"] * 2, "user_id": [ALICE, "bob"], "count": [2, 1]})
    items = pa.table({"tenant_id": ["acme"], "item_id": ["i1"]})
    write_deltalake(f"{settings.lake}/features/user_features", features)
    write_deltalake(f"{settings.lake}/features/item_features", items)
    write_deltalake(f"{settings.lake}/training/training_data", features)
    users = ["own", "shared", "carla"]
    devices = pa.table({"tenant_id": ["acme"] * 3, "user_id": users, "count": [1, 1, 1]})
    write_deltalake(f"{settings.lake}/training/training_users", devices)
    return settings


def exported(lake: LakeSettings, tenant: str = "acme", user: str = ALICE) -> dict[str, Any]:
    """The files of an export: JSON lines as lists, JSON as what it is."""
    packed = b"".join(open_export(lake, tenant, user).chunks())
    with zipfile.ZipFile(io.BytesIO(packed)) as found:
        assert found.testzip() is None
        raw = {name: found.read(name) for name in found.namelist()}
    manifest = json.loads(raw["manifest.json"])
    for file in manifest["files"]:
        assert hashlib.sha256(raw[file["path"]]).hexdigest() == file["sha256"]
        assert len(raw[file["path"]].splitlines()) == file["rows"]
    return {
        name: [json.loads(line) for line in content.splitlines()]
        if name.endswith(".jsonl")
        else json.loads(content)
        for name, content in raw.items()
    }


def test_it_holds_everything_of_the_person_and_nothing_of_another(lake: LakeSettings) -> None:
    found = exported(lake)
    ids = {
        name: sorted(row["event_id"] for row in found[name])
        for name in found
        if name.split("/")[-1].startswith("raw_")
    }
    assert ids == {
        "interactions/raw_interactions.jsonl": ["e1", "e3"],
        "clickstream/raw_clickstream.jsonl": ["c1", "c2", "c4", "c6", "c8"],
        "recommendations_received/raw_clickstream.jsonl": ["c6"],
        "users/raw_users.jsonl": [],
    }
    mine = [{"tenant_id": "acme", "user_id": ALICE, "count": 2}]
    assert found["features/user_features.jsonl"] == mine
    assert found["training/training_data.jsonl"] == mine
    assert "features/item_features.jsonl" not in found
    assert [row["user_id"] for row in found["training/training_users.jsonl"]] == ["own"]
    assert found["manifest.json"]["anonymous_ids_left_out"] == 2, "one is called like a user"
    assert found["interactions/raw_interactions.jsonl"][0]["event_time"] == "2026-05-01T12:00:00Z"
    assert "bob" not in json.dumps(found)


@pytest.mark.parametrize("user", ["nobody", "' or 'a' = 'a", "*", "bob' --"])
def test_of_an_unknown_user_there_is_nothing(lake: LakeSettings, user: str) -> None:
    found = exported(lake, user=user)
    assert sum(file["rows"] for file in found["manifest.json"]["files"]) == 0


def test_the_embedding_comes_from_a_real_redis(lake: LakeSettings, tmp_path: Path) -> None:
    with running_redis(tmp_path) as url:
        client = Redis.from_url(url)
        settings = LakeSettings(home=lake.home, redis_url=url)
        assert exported(settings)["embedding.json"]["format"] == "none"
        client.set(f"acme:embedding:{ALICE}", struct.pack("<3f", 0.5, -1.0, 2.0))
        client.set(f"globex:embedding:{ALICE}", "[9.0]")
        found = exported(settings)
        assert found["embedding.json"] == {
            "format": "float32",
            "value": [0.5, -1.0, 2.0],
            "problem": None,
        }
        client.set(f"acme:embedding:{ALICE}", '{"model": "m1", "vector": [0.25]}')
        assert exported(settings)["embedding.json"]["value"] == {"model": "m1", "vector": [0.25]}
        client.delete(f"acme:embedding:{ALICE}")
        client.hset(f"acme:embedding:{ALICE}", "a", "b")
        assert exported(settings)["embedding.json"]["format"] == "refused"
        client.close()
    with pytest.raises(EmbeddingsAway, match="does not answer"):
        read_embedding(settings, "acme", ALICE)


class Bomb:
    """Unpickled, it would make a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_a_pickle_is_refused_and_never_run(tmp_path: Path, protocol: int) -> None:
    for value in (Bomb(tmp_path / "ran"), [0.5] * 8, b"x" * 300):
        found = decode_embedding(pickle.dumps(value, protocol))
        assert (found.format, found.value) == ("refused", None)
    assert not (tmp_path / "ran").exists()


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_any_vector_of_float32_comes_back(vector: list[float]) -> None:
    found = decode_embedding(struct.pack(f"<{len(vector)}f", *vector))
    if found.format == "float32":
        assert found.value == vector
    else:  # its bytes happen to be the text of a number, or opcodes of a pickle
        assert len(vector) <= 2


@given(st.binary())
@example(b"9E999")
@example(b"[" * 100_000)
def test_any_bytes_are_an_answer(raw: bytes) -> None:
    found = decode_embedding(raw)
    assert (found.problem is not None) == (found.format == "refused")
    json.dumps(found.value, allow_nan=False)


def test_the_command_writes_a_private_file_whole_or_none(
    lake: LakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETA_HOME", str(lake.home))
    database = ControlDatabase.open(lake.control_url)
    database.tenants.add("acme")
    out = tmp_path / "x.zip"
    command = ["privacy", "export", ALICE, "--tenant", "acme", "--out", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert out.stat().st_mode & 0o777 == 0o600
    assert zipfile.ZipFile(out).testzip() is None
    again = CliRunner().invoke(app, command)
    assert (again.exit_code, "is there already" in again.output) == (1, True)
    assert [path for path in tmp_path.iterdir() if "x.zip" in path.name] == [out]
    [entry] = [e for e in database.audit.list("acme") if e.action == "privacy.export"]
    assert entry.actor.startswith("cli:")
    assert entry.subject == subject_hash(database.suppressed("acme").key, ALICE)
    database.close()


def test_it_comes_in_pieces_and_what_broke_off_is_no_zip(
    lake: LakeSettings,
) -> None:
    chunks = open_export(lake, "acme", ALICE, datetime.now(UTC)).chunks()
    first = next(iter(chunks))
    assert 0 < len(first) <= 65_536
    with pytest.raises(zipfile.BadZipFile):
        zipfile.ZipFile(io.BytesIO(first))
