"""The environment that a local Spark is started with."""

from pathlib import Path

import pytest

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings, find_project_dir
from lakehouse.spark.runtime import prepare_environment, spark_configuration, write_configuration


def test_a_local_session_refuses_a_lake_on_an_object_store(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path, lake_uri="s3://bucket/lake")
    environment: dict[str, str] = {}
    with pytest.raises(EtaError, match="object store") as caught:
        prepare_environment(settings, environment)
    assert "--target connect" in caught.value.remedy
    assert environment == {}


def test_a_configuration_of_ones_own_is_left_alone(tmp_path: Path) -> None:
    environment = {"SPARK_CONF_DIR": str(tmp_path / "mine")}
    prepare_environment(LakeSettings(home=tmp_path), environment)
    assert environment == {"SPARK_CONF_DIR": str(tmp_path / "mine")}


def test_ours_is_written_again_when_settings_change(tmp_path: Path) -> None:
    environment: dict[str, str] = {}
    prepare_environment(LakeSettings(home=tmp_path), environment)
    assert {"JAVA_HOME", "SPARK_HOME", "SPARK_CONF_DIR"} <= environment.keys()
    prepare_environment(LakeSettings(home=tmp_path, spark_memory="7g"), environment)
    written = Path(environment["SPARK_CONF_DIR"], "spark-defaults.conf").read_text()
    assert "spark.driver.memory 7g\n" in written


def test_everything_stays_on_this_machine_and_in_utc(tmp_path: Path) -> None:
    configuration = spark_configuration(LakeSettings(home=tmp_path), [tmp_path / "delta.jar"])
    assert configuration["spark.driver.bindAddress"] == "127.0.0.1"
    assert configuration["spark.ui.enabled"] == "false"
    assert configuration["spark.sql.session.timeZone"] == "UTC"
    assert configuration["spark.sql.warehouse.dir"] == str(tmp_path / "lake/default")


@pytest.mark.parametrize(
    ("raw_mib", "partitions", "is_small"),
    [
        pytest.param(0, 2, True, id="nothing yet"),
        pytest.param(3, 2, True, id="100,000 rows"),
        pytest.param(15, 4, False, id="half a million rows"),
        pytest.param(40, 10, False, id="1.5 million rows"),
        pytest.param(520, 130, False, id="20 million rows"),
    ],
)
def test_compiler_planning_and_partitions_follow_the_size_of_raw(
    tmp_path: Path, raw_mib: int, partitions: int, is_small: bool
) -> None:
    folder = tmp_path / "lake/raw/interactions/tenant_id=a/ingest_date=2026-01-01"
    folder.mkdir(parents=True)
    with (folder / "rows.parquet").open("wb") as file:
        file.truncate(raw_mib * 2**20)
    configuration = spark_configuration(LakeSettings(home=tmp_path), [])
    assert configuration["spark.sql.shuffle.partitions"] == str(partitions)
    java = configuration["spark.driver.extraJavaOptions"]
    assert ("TieredStopAtLevel=1" in java) is is_small
    assert (configuration["spark.sql.adaptive.enabled"] == "false") is is_small
    assert (configuration["spark.sql.codegen.factoryMode"] == "NO_CODEGEN") is is_small


def test_a_server_outlives_the_small_lake_that_it_was_started_on(tmp_path: Path) -> None:
    configuration = spark_configuration(LakeSettings(home=tmp_path), [], is_server=True)
    assert "TieredStopAtLevel" not in configuration["spark.driver.extraJavaOptions"]
    assert configuration["spark.sql.codegen.factoryMode"] == "FALLBACK"


def test_partitions_and_java_options_of_ones_own_win(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path, shuffle_partitions=7, java_options="-Xint")
    configuration = spark_configuration(settings, [])
    assert configuration["spark.sql.shuffle.partitions"] == "7"
    assert configuration["spark.driver.extraJavaOptions"].endswith(" -Xint")


def test_writing_the_same_configuration_again_touches_nothing(tmp_path: Path) -> None:
    settings = LakeSettings(home=tmp_path)
    folder = write_configuration(settings, [])
    before = (folder / "spark-defaults.conf").stat().st_mtime_ns
    assert write_configuration(settings, []) == folder
    assert (folder / "spark-defaults.conf").stat().st_mtime_ns == before


def test_the_project_is_found_from_below_and_missed_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").touch()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    assert find_project_dir(below) == tmp_path
    (tmp_path / "dbt_project.yml").unlink()
    with pytest.raises(EtaError, match=r"no dbt_project.yml") as caught:
        find_project_dir(below)
    assert "ETA_PROJECT_DIR" in caught.value.remedy
