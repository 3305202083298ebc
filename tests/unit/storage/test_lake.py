"""The handle answers for every kind of place, and nobody else asks where the lake is."""

import ast
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.stores import OBJECT_STORES, table_filesystem
from lakehouse.storage.tables import ensure_tables

ROOT = Path(__file__).resolve().parents[3]
KNOW_STORES = {"lakehouse/storage/lake.py", "lakehouse/storage/stores.py"}
READS = {"is_local", "storage_options"}
"""What a settings object or a handle may not be asked for: only the handle needs to know."""
OPENS = {"DeltaTable", "DeltaStorageHandler", "LocalFileSystem", "SubTreeFileSystem"}
SCHEMES = {"file://", *(f"{name}://" for store in OBJECT_STORES for name in store.schemes)}


def faults(tree: ast.AST) -> list[str]:
    """Lines at which a module decides by the kind of place, or opens something by itself."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) if name in READS:
                found.append(f"{node.lineno}: .{name}")
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in OPENS:
                found.append(f"{node.lineno}: {name}(...)")
            case ast.Compare(left=ast.Constant(value=str(text))) if "://" in text:
                found.append(f"{node.lineno}: {text!r} in ...")
            case ast.Call(func=ast.Attribute(attr="startswith"), args=[ast.Constant(value=text)]):
                if text in SCHEMES:
                    found.append(f"{node.lineno}: startswith({text!r})")
    return found


def test_a_copy_of_settings_with_another_home_is_of_another_lake(tmp_path: Path) -> None:
    first = LakeSettings(home=tmp_path / "first")
    assert (first.home_dir, first.lake) == (tmp_path / "first", f"{tmp_path}/first/lake")
    other = first.model_copy(update={"home": tmp_path / "other"})
    assert (other.home_dir, other.lake) == (tmp_path / "other", f"{tmp_path}/other/lake")
    assert str(tmp_path / "other") in other.control_url


def test_only_the_handle_knows_where_the_lake_is() -> None:
    parts = ("lakehouse", "ingest_service", "dags")
    paths = [path for part in parts for path in (ROOT / part).rglob("*.py")]
    assert len(paths) > 300
    found = {
        name: lines
        for path in paths
        if (name := path.relative_to(ROOT).as_posix()) not in KNOW_STORES
        and (lines := faults(ast.parse(path.read_text("utf-8"))))
    }
    assert not found


@pytest.mark.parametrize(
    "text",
    [
        "if settings.is_local: pass",
        "options = self._lake.storage_options",
        "table = DeltaTable('/lake/raw/items', storage_options={})",
        "files = pafs.LocalFileSystem()",
        "is_remote = '://' in uri",
        "is_s3 = uri.startswith('s3://')",
    ],
)
def test_the_look_at_the_code_sees(text: str) -> None:
    assert faults(ast.parse(text))


def test_a_lake_on_the_disk(tmp_path: Path) -> None:
    lake = Lake(LakeSettings(home=tmp_path))
    assert lake.location() == str(tmp_path / "lake")
    assert lake.location("raw/items") == str(tmp_path / "lake/raw/items")
    assert lake.uri("raw") == (tmp_path / "lake/raw").as_uri()
    assert lake.disk("raw") == tmp_path / "lake/raw"
    assert lake.sync_root == tmp_path / "lake"
    assert Lake(LakeSettings(home=tmp_path, sync=False)).sync_root is None
    assert (lake.needs_one_spark, lake.has_tiers, lake.spark_settings()) == (False, False, {})
    assert [*lake.files()] == []
    ensure_tables(lake)
    assert lake.table("raw.items").version() == lake.table("raw/items").version() == 0
    assert "raw/items/_delta_log/00000000000000000000.json" in [*lake.files()]
    with pytest.raises(EtaError, match=r"features\.x does not exist yet"):
        lake.built("features.x")


@pytest.mark.parametrize(
    ("uri", "has_tiers", "conditional"),
    [
        pytest.param("s3://bucket/lake", True, "etag", id="S3"),
        pytest.param("s3a://bucket/lake/", True, "etag", id="S3 as Spark calls it"),
        pytest.param("gs://bucket/lake", False, None, id="Google"),
        pytest.param(
            "abfss://container@account.dfs.core.windows.net/lake", False, None, id="Azure"
        ),
    ],
)
def test_a_lake_in_a_store(
    tmp_path: Path, uri: str, has_tiers: bool, conditional: str | None
) -> None:
    given = {"conditional_put": "dynamo:table", "AWS_CONDITIONAL_PUT": "disabled", "region": "x"}
    lake = Lake(LakeSettings(home=tmp_path, lake_uri=uri, storage_options=given))
    assert lake.location("raw") == lake.uri("raw") == f"{uri.rstrip('/')}/raw"
    assert (lake.disk(), lake.sync_root) == (None, None)
    assert lake.has_tiers is lake.needs_one_spark is has_tiers
    assert lake.options["region"] == "x"
    assert lake.options.get("aws_conditional_put") == conditional
    if conditional:
        assert lake.options == {"region": "x", "aws_conditional_put": "etag"}
        assert lake.spark_settings()["spark.hadoop.fs.s3a.endpoint.region"] == "x"


def test_a_file_url_is_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "a lake"
    lake = Lake(LakeSettings(home=tmp_path, lake_uri=folder.as_uri()))
    assert (lake.location(), lake.disk("raw"), lake.sync_root) == (
        str(folder),
        folder / "raw",
        folder,
    )
    assert lake.uri() == folder.as_uri()


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("ftp://here/lake", "the scheme ftp://"),
        ("S3://bucket/lake", "the scheme S3://"),
        ("file://another-machine/lake", "the scheme file://"),
        ("://bucket", "the scheme ://"),
        ("s3://", "s3:// names no bucket"),
        ("s3:///", "s3:// names no bucket"),
        ("gs:///lake/", "gs:// names no bucket"),
        ("file://", "the scheme file://"),
    ],
)
def test_a_place_that_is_none_is_refused_and_not_made_somewhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(EtaError, match=why) as refused:
        Lake(LakeSettings(home=tmp_path, lake_uri=uri))
    assert "set ETA_LAKE_URI" in refused.value.remedy
    assert not list(tmp_path.iterdir())


def test_a_lock_waits_or_says_so(tmp_path: Path) -> None:
    lake = Lake(LakeSettings(home=tmp_path))
    refused = lake.lock("one", is_waiting=False)
    with lake.lock("one"), lake.lock("another"), pytest.raises(BlockingIOError), refused:
        pass
    with lake.lock("one", is_waiting=False):
        pass


def test_the_files_of_a_table_are_found_in_a_folder_with_a_space(tmp_path: Path) -> None:
    table = DeltaTable.create(str(tmp_path / "a höme"), pa.schema([("a", pa.int64())]))
    log = table_filesystem(table).get_file_info("_delta_log/00000000000000000000.json")
    assert log.is_file


@pytest.mark.parametrize(
    "uri",
    [
        "s3://KEY:secret-word@bucket/lake",
        "s3://secret-word@bucket/lake",
        "s3a://bucket/lake?token=secret-word",
        "gs://bucket/lake#secret-word",
        "abfss://box:secret-word@account/lake",
        "https://me:secret-word@host/lake",
    ],
)
def test_a_lakes_url_holds_no_secret_and_is_not_repeated(uri: str, tmp_path: Path) -> None:
    with pytest.raises(EtaError) as refused:
        Lake(LakeSettings(home=tmp_path, lake_uri=uri))
    assert "ETA_LAKE_URI" in f"{refused.value} {refused.value.remedy}"
    assert "secret-word" not in f"{refused.value} {refused.value.remedy}"


def test_a_container_and_its_account_are_no_secret(tmp_path: Path) -> None:
    uri = "abfss://box@account.dfs.core.windows.net/lake"
    assert Lake(LakeSettings(home=tmp_path, lake_uri=uri)).uri("raw/items") == f"{uri}/raw/items"
