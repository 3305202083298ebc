"""Files of the lake and the home are their owner's alone, whoever writes them."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from lakehouse.settings import LakeSettings
from lakehouse.spark.runtime import spark_configuration
from lakehouse.spark.scratch import empty_scratch, hold_scratch, scratch_dir
from lakehouse.storage.lake import Lake
from tests.support.erasure import ErasableLake, person


@pytest.fixture(autouse=True)
def loose_mask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


def modes(root: Path) -> dict[int, list[Path]]:
    found: dict[int, list[Path]] = {}
    for path in [root, *root.rglob("*")]:
        found.setdefault(stat.S_IMODE(path.lstat().st_mode), []).append(path)
    return found


def test_what_the_service_writes_is_its_owners_alone(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    Lake(LakeSettings(home=tmp_path / "home", project_dir=project)).restrict()
    lake = ErasableLake(tmp_path / "home", project)
    gone = person()
    lake.fill(gone, [person()])
    lake.erase(gone)
    lake.work()
    found = modes(lake.home)
    assert {*found} == {0o600, 0o700}, found
    lake.close()


def test_an_older_home_is_closed_and_another_mask_is_taken(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "lake").mkdir(parents=True)
    here = LakeSettings(home=home, project_dir=tmp_path)
    Lake(here.model_copy(update={"umask": "027"})).restrict()
    assert stat.S_IMODE(home.stat().st_mode) == 0o750
    (home / "new").touch()
    assert stat.S_IMODE((home / "new").stat().st_mode) == 0o640
    Lake(here).restrict()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (home, home / "lake")} == {0o700}
    with pytest.raises(ValueError, match="umask"):
        LakeSettings(home=home, project_dir=tmp_path, umask="rwx")


@pytest.mark.parametrize("command", [["-m", "lakehouse.cli", "db", "upgrade"]])
def test_each_program_sets_the_mask(tmp_path: Path, command: list[str]) -> None:
    (tmp_path / "dbt_project.yml").touch()
    home = tmp_path / "home"
    home.mkdir(mode=0o755)
    environment = {**os.environ, "ETA_HOME": str(home), "ETA_PROJECT_DIR": str(tmp_path)}
    subprocess.run([sys.executable, *command], env=environment, check=True, capture_output=True)
    assert {*modes(home)} == {0o600, 0o700}


def test_spark_gets_the_mask_and_a_scratch_folder_of_the_home(tmp_path: Path) -> None:
    here = LakeSettings(home=tmp_path / "a home", project_dir=tmp_path, java_options="-Xss4m")
    found = spark_configuration(here, [])
    scratch = str(tmp_path / "a home" / "spark-scratch")
    assert found["spark.hadoop.fs.permissions.umask-mode"] == "077"
    assert found["spark.local.dir"] == scratch
    options = found["spark.driver.extraJavaOptions"]
    assert options.endswith(" -Xss4m")
    assert f'"-Djava.io.tmpdir={scratch}"' in options


def test_the_scratch_folder_is_emptied_unless_another_process_uses_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pyspark.SparkContext._active_spark_context", None)
    here = LakeSettings(home=tmp_path / "home", project_dir=tmp_path)
    left = scratch_dir(Lake(here)) / "blockmgr-of-a-killed-run" / "0a"
    left.mkdir(parents=True)
    (left / "shuffle_0_0_0.data").write_text("user-1")
    hold_scratch(Lake(here))
    assert stat.S_IMODE(scratch_dir(Lake(here)).stat().st_mode) == 0o700
    assert list(scratch_dir(Lake(here)).iterdir()) == []
    hold = (
        "import sys; from pathlib import Path; from lakehouse.settings import LakeSettings\n"
        "from lakehouse.spark.scratch import hold_scratch\n"
        "hold_scratch(LakeSettings(home=Path(sys.argv[1]), project_dir=Path(sys.argv[1])))\n"
        "print('holds', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path / "home")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "holds\n"
        (scratch_dir(Lake(here)) / "in use").write_text("user-1")
        assert not empty_scratch(Lake(here))
        assert (scratch_dir(Lake(here)) / "in use").exists()
        other.kill()
    (scratch_dir(Lake(here)) / "of this process").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pyspark.SparkContext._active_spark_context", object())
        assert not empty_scratch(Lake(here))
    assert (scratch_dir(Lake(here)) / "of this process").exists()
    assert empty_scratch(Lake(here))
    assert list(scratch_dir(Lake(here)).iterdir()) == []
