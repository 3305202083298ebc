"""One forgotten place at a time: the search finds each, and only by what was planted."""

import gzip
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import write_deltalake
from redis import Redis
from sqlalchemy import delete, insert

from lakehouse.contracts.layout import SourceLayout
from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_QUARANTINE
from lakehouse.control import schema
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.verify import search
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.staging import writer_properties
from tests.support.erasure import TENANT, ErasableLake, person
from tests.support.redis_server import running_redis


class Scene(NamedTuple):
    """A lake from which somebody was erased, and who that was."""

    lake: ErasableLake
    gone: str
    root: Path
    redis: Redis


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("verifier")
    (folder / "project").mkdir()
    with running_redis(folder) as url:
        lake = ErasableLake(folder / "home", folder / "project")
        lake.settings = lake.settings.model_copy(update={"redis_url": url})
        gone, redis = person(), Redis.from_url(url)
        lake.fill(gone, [person()])
        redis.set(f"{TENANT}:embedding:{gone}", b"\x00" * 16)
        redis.set(f"{TENANT}:embedding:somebody", b"\x00" * 16)
        lake.erase(gone)
        [done] = lake.work()
        assert done.completed, done.reasons
        assert redis.keys() == [f"{TENANT}:embedding:somebody".encode()]
        yield Scene(lake, gone, Path(lake.settings.lake), redis)
        lake.close()


Plant = Callable[[Scene], Callable[[], None]]


def file(path: Path, content: bytes) -> Callable[[], None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path.unlink


def parquet(path: Path, gone: str, **how) -> Callable[[], None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"user_id": [gone, "x"]}), path, compression="zstd", **how)
    return path.unlink


def in_a_new_version(scene: Scene) -> Callable[[], None]:
    """A row that came past the suppression list; then it is only in an old version."""
    return _row(scene, is_deleted=False)


def in_an_old_version(scene: Scene) -> Callable[[], None]:
    return _row(scene, is_deleted=True)


def _row(scene: Scene, *, is_deleted: bool) -> Callable[[], None]:
    table = scene.root / "raw/interactions"
    kept = scene.root.parent / "kept"
    shutil.copytree(table, kept)
    handle = Lake(scene.lake.settings).table(RAW_INTERACTIONS)
    row = handle.to_pyarrow_table().slice(0, 1).to_pylist()[0] | {
        "user_id": scene.gone,
        "batch_id": "planted",
    }
    write_deltalake(handle, pa.Table.from_pylist([row], RAW_INTERACTIONS.schema), mode="append")
    if is_deleted:
        Lake(scene.lake.settings).table(RAW_INTERACTIONS).delete(
            "batch_id = 'planted'", writer_properties=writer_properties()
        )
        assert scene.gone not in scene.lake.rows(RAW_INTERACTIONS)["user_id"].to_list()

    def undo() -> None:
        shutil.rmtree(table)
        kept.rename(table)

    return undo


def in_change_data(scene: Scene) -> Callable[[], None]:
    folder = scene.root / f"features/user_features/_change_data/tenant_id={TENANT}"
    return parquet(folder / "cdc-0.parquet", scene.gone, write_statistics=False)


def in_an_unfinished_file(scene: Scene) -> Callable[[], None]:
    path = scene.root / f"raw/interactions/tenant_id={TENANT}/ingest_date=2026-01-01/part-x.parquet"
    undo = parquet(path, scene.gone, write_statistics=False)
    path.write_bytes(path.read_bytes()[:-40])
    return undo


def in_statistics(scene: Scene) -> Callable[[], None]:
    path = scene.root / f"staging/t/tenant_id={TENANT}/part-0.parquet"
    path.parent.mkdir(parents=True)
    rows = pa.table({"other": [scene.gone]})
    pq.write_table(rows, path, compression="zstd")
    assert scene.gone.encode() in path.read_bytes(), "the minimum stands in the footer"
    return path.unlink


def in_a_log_entry(scene: Scene) -> Callable[[], None]:
    stats = json.dumps({"numRecords": 1, "minValues": {"user_id": scene.gone}})
    entry = {"add": {"path": "x", "stats": stats}}
    path = scene.root / "features/old_table/_delta_log/00000000000000000000.json"
    return file(path, json.dumps(entry).encode())


def in_a_checkpoint(scene: Scene) -> Callable[[], None]:
    path = scene.root / "features/old_table/_delta_log/00000000000000000010.checkpoint.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    stats = [{"path": "x", "stats": json.dumps({"minValues": {"user_id": scene.gone}})}]
    pq.write_table(pa.table({"add": stats}), path, write_statistics=False)
    return path.unlink


def in_quarantine(scene: Scene) -> Callable[[], None]:
    folder = scene.root / f"{RAW_QUARANTINE.path}/tenant_id={TENANT}/ingest_date=2026-01-01"
    path = folder / "part-y.parquet"
    folder.mkdir(parents=True)
    layout = SourceLayout(encoding="utf-16-le", columns=("user_id", "item_id", "interaction_type"))
    raw = pa.table(
        {
            "raw": [f"{scene.gone},i1,nonsense".encode("utf-16-le")],
            "layout": [layout.to_text()],
            "data_type": ["interactions"],
        }
    )
    pq.write_table(raw, path, compression="zstd", write_statistics=False)
    return path.unlink


def in_a_spooled_upload(scene: Scene) -> Callable[[], None]:
    path = scene.lake.settings.spool_dir / "abc.upload"
    return file(path, gzip.compress(f"user_id\n{scene.gone}\n".encode()))


def in_an_export(scene: Scene) -> Callable[[], None]:
    folder = scene.lake.home / f"exports/{TENANT}/20260101T000000000Z-abc-parquet"
    return parquet(folder / "label=1.0/part.parquet", scene.gone)


def in_an_archive(scene: Scene) -> Callable[[], None]:
    path = scene.lake.home / f"exports/{TENANT}/copy.zip"
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.csv", f"user_id\n{scene.gone}\n")
    return path.unlink


def in_a_file_of_subjects(scene: Scene) -> Callable[[], None]:
    return parquet(scene.root / "ops/erasure_keys/0.parquet", scene.gone)


def in_a_manifest(scene: Scene) -> Callable[[], None]:
    path = scene.root / f"training_sets/{TENANT}/current.json"
    return file(path, json.dumps({"user": scene.gone}).encode())


def in_a_log_of_dbt(scene: Scene) -> Callable[[], None]:
    return file(scene.lake.settings.project / "logs/dbt.log", f"'{scene.gone}'".encode())


def in_a_waiting_message(scene: Scene) -> Callable[[], None]:
    database = scene.lake.database
    source = database.webhooks.add(
        TENANT, "shop", adapter="generic", data_type="interactions", mapping="default"
    ).source_id
    database.messages.receive(source, "m1", 1, f'{{"user_id":"{scene.gone}"}}'.encode(), "s")

    def undo() -> None:
        with database.connections.write() as connection:
            connection.execute(delete(schema.webhook_messages))
        database.compact([])

    return undo


def in_free_pages(scene: Scene) -> Callable[[], None]:
    """Deleted rows whose bytes are in the file still."""
    database = scene.lake.database
    with database.connections.write() as connection:
        connection.exec_driver_sql("pragma secure_delete = off")
        row = {"tenant_id": scene.gone, "name": scene.gone, "created_at": database.audit._clock()}
        connection.execute(insert(schema.tenants).values(**row))
    with database.connections.write() as connection:
        connection.execute(delete(schema.tenants).where(schema.tenants.c.name == scene.gone))
    return lambda: database.compact([])


def in_redis(scene: Scene) -> Callable[[], None]:
    key = f"{TENANT}:embedding:{scene.gone}"
    scene.redis.set(key, b"\x00" * 16)
    return lambda: scene.redis.delete(key)


def in_another_key_of_redis(scene: Scene) -> Callable[[], None]:
    key = f"{TENANT}:recent:{scene.gone}"
    scene.redis.set(key, b"\x00" * 16)
    return lambda: scene.redis.delete(key)


VALUES = [
    pytest.param(in_a_new_version, "data file", id="a row"),
    pytest.param(in_an_old_version, "data file", id="an old version"),
    pytest.param(in_change_data, "change data", id="change data"),
    pytest.param(in_an_unfinished_file, "data file", id="a file of a killed writer"),
    pytest.param(in_quarantine, "data file", id="a quarantined record in UTF-16"),
    pytest.param(in_a_spooled_upload, "upload", id="an upload"),
    pytest.param(in_an_export, "export", id="an export"),
    pytest.param(in_an_archive, "export", id="an archive"),
    pytest.param(in_a_file_of_subjects, "erasure key", id="a file of subjects"),
    pytest.param(in_a_waiting_message, "database", id="a waiting message"),
    pytest.param(in_redis, "redis", id="an embedding"),
    pytest.param(in_a_log_of_dbt, "program log", id="a log of dbt"),
]
MENTIONS = [
    pytest.param(in_statistics, "data file", id="statistics of a file"),
    pytest.param(in_a_log_entry, "table log", id="a log entry"),
    pytest.param(in_a_checkpoint, "table log", id="a checkpoint"),
    pytest.param(in_a_manifest, "file", id="a manifest"),
    pytest.param(in_free_pages, "database", id="free pages of the database"),
    pytest.param(in_another_key_of_redis, "redis", id="another key of Redis"),
]


def look(settings: LakeSettings, scene: Scene) -> tuple[set[str], set[str]]:
    """Kinds of places with values, and with mentions."""
    found = search(settings, scene.lake.database, TENANT, IdentifierPatterns([scene.gone]))
    return {f.kind for f in found.findings}, {f.kind for f in found.mentions}


@pytest.mark.parametrize(("plant", "kind"), VALUES)
def test_a_forgotten_place_is_found(scene: Scene, plant: Plant, kind: str) -> None:
    assert look(scene.lake.settings, scene) == (set(), set())
    undo = plant(scene)
    try:
        assert kind in look(scene.lake.settings, scene)[0]
    finally:
        undo()
    assert look(scene.lake.settings, scene) == (set(), set())


@pytest.mark.parametrize(("plant", "kind"), MENTIONS)
def test_a_mention_is_counted_and_is_no_value(scene: Scene, plant: Plant, kind: str) -> None:
    undo = plant(scene)
    try:
        assert look(scene.lake.settings, scene) == (set(), {kind})
    finally:
        undo()
    assert look(scene.lake.settings, scene) == (set(), set())


def test_a_look_into_the_database_leaves_its_locks_alone(scene: Scene) -> None:
    """Else another process that closes it takes itself for the last and deletes its log."""
    path = scene.lake.settings.control_url.removeprefix("sqlite:///")
    scene.lake.database.set_tenant_settings(TENANT, scene.lake.tenant)
    look(scene.lake.settings, scene)
    program = (
        "import sqlite3, sys; opened = sqlite3.connect(sys.argv[1]);"
        "opened.execute('select count(*) from tenants').fetchall(); opened.close()"
    )
    subprocess.run([sys.executable, "-c", program, path], check=True)
    assert Path(f"{path}-wal").exists()
    assert Path(f"{path}-shm").exists()
    scene.lake.database.set_tenant_settings(TENANT, scene.lake.tenant)
