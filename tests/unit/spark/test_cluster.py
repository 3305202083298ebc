"""What a cluster's Connect server is configured with, and how that is printed."""

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.spark.cluster import (
    CREDENTIALS,
    Resources,
    cluster_configuration,
    rendered,
)
from lakehouse.spark.runtime import spark_configuration

OPTIONS = {
    "AWS_ACCESS_KEY_ID": "the-key",
    "AWS_SECRET_ACCESS_KEY": "the-secret",
    "AWS_SESSION_TOKEN": "the-token",
    "AWS_REGION": "eu-central-1",
}


@pytest.fixture
def on_s3(tmp_path: Path) -> LakeSettings:
    return LakeSettings(
        home=tmp_path, lake_uri="s3://bucket/lake", storage_options=OPTIONS, shuffle_partitions=9
    )


@pytest.mark.parametrize(
    ("raw_mib", "cores", "partitions"),
    [
        pytest.param(0, None, 4, id="nothing yet"),
        pytest.param(0, 16, 16, id="one per core at least"),
        pytest.param(520, 16, 130, id="20 million rows"),
    ],
)
def test_partitions_suit_the_lake_and_the_cluster(
    tmp_path: Path, raw_mib: int, cores: int | None, partitions: int
) -> None:
    folder = tmp_path / "lake/raw/interactions/tenant_id=a/ingest_date=2026-01-01"
    folder.mkdir(parents=True)
    with (folder / "rows.parquet").open("wb") as file:
        file.truncate(raw_mib * 2**20)
    found = cluster_configuration(LakeSettings(home=tmp_path), [], Resources(cores=cores))
    assert found["spark.sql.shuffle.partitions"] == str(partitions)
    assert found["spark.sql.adaptive.enabled"] == "true"


def test_what_content_and_privacy_need_is_that_of_a_local_server(tmp_path: Path) -> None:
    here = spark_configuration(LakeSettings(home=tmp_path), [], is_server=True)
    there = cluster_configuration(LakeSettings(home=tmp_path), [])
    same = {n for n in here if n.startswith(("spark.sql", "spark.databricks", "spark.hadoop"))}
    assert {n for n in same if there.get(n) != here[n]} == set()
    assert there["spark.io.encryption.enabled"] == "true"


def test_jars_go_to_the_executors_and_buffers_into_their_own_folders(
    on_s3: LakeSettings, tmp_path: Path
) -> None:
    jars = [Path("/jars/delta.jar"), Path("/jars/s3a.jar")]
    found = cluster_configuration(on_s3, jars, Resources("spark://m:7077", 8, 2, "4g"))
    assert found["spark.jars"] == "/jars/delta.jar,/jars/s3a.jar"
    assert found["spark.master"] == "spark://m:7077"
    assert (found["spark.cores.max"], found["spark.executor.cores"]) == ("8", "2")
    assert found["spark.executor.memory"] == "4g"
    assert found["spark.sql.shuffle.partitions"] == "9"
    assert found["spark.hadoop.fs.s3a.buffer.dir"] == (
        "${env.SPARK_EXECUTOR_DIRS:-${env.SPARK_LOCAL_DIRS:-${env.LOCAL_DIRS:-"
        f"{tmp_path}/spark-scratch}}}}}}/s3a"
    )


@pytest.mark.parametrize("form", ["conf", "arguments", "json"])
def test_no_credential_is_printed_unless_it_is_asked_for(on_s3: LakeSettings, form: str) -> None:
    found = cluster_configuration(on_s3, [])
    assert found.keys() >= CREDENTIALS
    shown = rendered(on_s3, found, form)
    assert not [word for word in ("the-key", "the-secret", "the-token") if word in shown]
    assert "eu-central-1" in shown
    asked = rendered(on_s3, found, form, with_secrets=True)
    assert all(word in asked for word in ("the-key", "the-secret", "the-token"))


@pytest.mark.parametrize("form", ["conf", "arguments", "json"])
def test_an_address_with_a_password_is_a_credential(on_s3: LakeSettings, form: str) -> None:
    found = cluster_configuration(on_s3, []) | {
        "spark.hadoop.fs.s3a.endpoint": "http://user:the-password@store:9000"
    }
    assert "the-password" not in rendered(on_s3, found, form)
    assert "the-password" in rendered(on_s3, found, form, with_secrets=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--master", "spark://a:1\nspark.other true"],
        ["--master", ""],
        ["--executor-memory", "banana"],
        ["--executor-memory", "4g\nspark.other true"],
        ["--executor-memory", "-4g"],
    ],
)
def test_what_would_be_other_settings_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    assert CliRunner().invoke(app, ["spark", "config", *arguments]).exit_code == 2


def test_every_format_says_the_same(on_s3: LakeSettings) -> None:
    found = cluster_configuration(on_s3, [])
    shown = {name: value for name, value in found.items() if name not in CREDENTIALS}
    assert json.loads(rendered(on_s3, found, "json")) == shown
    words = shlex.split(rendered(on_s3, found, "arguments").replace("\\\n", " "))
    assert dict(word.split("=", 1) for word in words[1::2]) == shown
    lines = rendered(on_s3, found, "conf").splitlines()
    assert dict(line.split(" ", 1) for line in lines if line[0] != "#") == shown
    assert "# spark.hadoop.fs.s3a.secret.key is not shown: eta spark config --secrets" in lines
    assert any("within one driver" in line for line in lines)


def test_a_store_without_jars_and_a_lake_that_cannot_be_read_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_google = LakeSettings(home=tmp_path, lake_uri="gs://bucket/lake", shuffle_partitions=4)
    with pytest.raises(EtaError, match="Google Cloud Storage"):
        cluster_configuration(on_google, [])

    def unreachable(_: object) -> int:
        raise OSError("no route to the store")

    monkeypatch.setattr("lakehouse.storage.lake.Lake.raw_bytes", unreachable)
    with pytest.raises(EtaError, match="cannot be read") as caught:
        cluster_configuration(LakeSettings(home=tmp_path), [])
    assert "ETA_SHUFFLE_PARTITIONS" in caught.value.remedy
    assert "no route" not in str(caught.value)


def test_the_command_prints_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["spark", "config", "--format", "json", "--cores", "6"])
    assert done.exit_code == 0
    found = json.loads(done.stdout)
    assert (found["spark.cores.max"], found["spark.sql.shuffle.partitions"]) == ("6", "6")
    refused = CliRunner().invoke(app, ["spark", "config", "--format", "xml"])
    assert refused.exit_code == 2


def test_a_cluster_is_of_connect_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETA_HOME", str(tmp_path))
    done = CliRunner().invoke(app, ["dev", "spark", "up", "--cluster", "2", "--thrift"])
    assert done.exit_code == 1
    assert "leave out --thrift" in done.output
