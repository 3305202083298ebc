"""An export that was killed at any moment goes on, and ends as one that nobody disturbed."""

import fcntl
import gc
import hashlib
import itertools
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lakehouse.cli.export_clean import clean
from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.working_folder import working_place
from lakehouse.training.export import run
from lakehouse.training.export.apply import apply_deltas
from lakehouse.training.export.delta import plan_delta, write_delta
from lakehouse.training.export.journal import NAME, Journal
from lakehouse.training.export.left import left_exports
from lakehouse.training.export.run import ExportFormat, default_destination, export_snapshot
from lakehouse.training.publish import publish
from tests.support.export_kills import export, killed, many_files
from tests.support.lake import NOON
from tests.support.training import examples, write_training_tables
from tests.unit.training.test_export_feast import published as with_histories

KILLS = int(os.environ.get("ETA_TEST_EXPORT_KILLS", "6"))
FORMATS = ("rectools", "gorse", "feast", "recbole", "huggingface", "personalize")


@pytest.fixture
def published(settings: LakeSettings) -> LakeSettings:
    with_histories(settings, examples(150))
    return settings


def sums(folder: Path) -> str:
    return (folder / "SHA256SUMS").read_text()


def steps_of(settings: LakeSettings, kind: str, to: Path) -> int:
    """Export undisturbed; return in how many steps."""
    count = 0

    def one_more() -> None:
        nonlocal count
        count += 1

    with many_files(one_more):
        export(settings, kind, to, print)
    return count


@pytest.mark.timeout(900 + 10 * KILLS)
def test_a_killed_export_ends_as_one_that_nobody_disturbed(
    published: LakeSettings, tmp_path: Path
) -> None:
    """Half of the kills in an export with features, the others spread over the formats."""
    others = itertools.cycle(FORMATS)
    kinds = [next(others) if number % 2 else "parquet" for number in range(KILLS)]
    steps = {kind: steps_of(published, kind, tmp_path / f"{kind}-whole") for kind in set(kinds)}
    went_on = 0
    for number, kind in enumerate(kinds):
        place = tmp_path / f"{kind}-{number}" / "out"
        mine = [at for at, one in enumerate(kinds) if one == kind]
        share = (mine.index(number) + 1) / len(mine)
        killed(published, kind, place, step=max(1, round(share * steps[kind])))
        assert not place.exists()
        assert [path.name for path in place.parent.iterdir()] == [".out.partial"]
        said: list[str] = []
        with many_files():
            export(published, kind, place, said.append)
        assert sums(place) == sums(tmp_path / f"{kind}-whole")
        assert [path.name for path in place.parent.iterdir()] == ["out"]
        assert not list(place.rglob(".*"))
        went_on += "Going on where a killed export was" in "".join(said)
    assert went_on


def test_finished_files_are_not_written_again(published: LakeSettings, tmp_path: Path) -> None:
    place = tmp_path / "out"
    steps = steps_of(published, "parquet", tmp_path / "whole")
    killed(published, "parquet", place, step=steps - 2)
    left = working_place(place)
    written = {
        json.loads(line)["file"]: (left / json.loads(line)["file"]).stat().st_ino
        for line in (left / NAME).read_text().splitlines()[1:]
    }
    assert len(written) > 4
    with many_files():
        export(published, "parquet", place, print)
    assert {name: (place / name).stat().st_ino for name in written} == written


def test_a_file_that_changed_is_written_again(published: LakeSettings, tmp_path: Path) -> None:
    place = tmp_path / "out"
    steps = steps_of(published, "parquet", tmp_path / "whole")
    killed(published, "parquet", place, step=steps - 2)
    spoilt = sorted(working_place(place).rglob("part-00001.parquet"))[0]
    spoilt.write_bytes(spoilt.read_bytes()[:-1] + b"?")
    (working_place(place) / ".spill-left").mkdir()
    (working_place(place) / ".spill-left" / "0").write_text("rows of somebody")
    said: list[str] = []
    with many_files():
        export(published, "parquet", place, said.append)
    assert sums(place) == sums(tmp_path / "whole")
    assert "finished files" in said[0]


def test_what_another_export_left_is_removed(
    published: LakeSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of another format, with other features, of another snapshot, by another release."""
    lake = Lake(published)
    first = publish(published, "acme", gate=None, now=NOON)
    steps = steps_of(published, "parquet", tmp_path / "first")
    killed(published, "parquet", tmp_path / "killed", step=steps - 2)
    write_training_tables(published, {"acme": examples(151)})
    second = publish(published, "acme", gate=None, now=NOON)
    assert first != second
    wanted: dict[str, Any] = {"features": ["all"], "history": 2}
    others = [
        (first, "huggingface", wanted),
        (first, "parquet", {**wanted, "history": 1}),
        (second, "parquet", wanted),
        (first, "parquet", wanted),
    ]
    said: list[str] = []
    for number, (manifest, kind, chosen) in enumerate(others):
        place = tmp_path / f"{number}" / "out"
        shutil.copytree(working_place(tmp_path / "killed"), working_place(place))
        if number == 3:
            monkeypatch.setattr(run, "version", lambda name: "99")
        for to in (place, tmp_path / f"{number}-whole"):
            with many_files():
                export_snapshot(lake, manifest, ExportFormat(kind), to, say=said.append, **chosen)
        assert sums(place) == sums(tmp_path / f"{number}-whole")
    told = "What was left of another export into this folder was removed: beginning anew."
    assert [text for text in said if "export-clean" not in text] == [told] * 4
    assert any(f"`eta export-clean {tmp_path}`" in text for text in said)


def test_what_killed_exports_left_is_told_and_cleaned(
    published: LakeSettings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """But not what a living one works in, nor what no export has made."""
    place = default_destination(
        Lake(published), publish(published, "acme", gate=None, now=NOON), ExportFormat.GORSE
    )
    for name in ("gorse", "recbole"):
        killed(published, name, place.with_name(f"killed-{name}"), step=4)
    foreign = place.with_name(".somebodys.partial")
    foreign.mkdir()
    (foreign / "notes.txt").write_text("not an export's")
    (place.parent / ".empty.partial").mkdir()
    (place.parent / ".link.partial").symlink_to(foreign)
    alive = working_place(place.with_name("alive"))
    alive.mkdir()
    descriptor = os.open(alive, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)

    said: list[str] = []
    export(published, "gorse", place, said.append)
    assert said == [
        f"3 hidden folders of other killed exports ({said[0].partition('(')[2].partition(')')[0]}) "
        f"in {place.parent}: the same exports, run again, go on there, and `eta export-clean "
        f"{place.parent}` deletes what is left."
    ]
    names = [".empty.partial", ".killed-gorse.partial", ".killed-recbole.partial"]
    clean(dry_run=True)
    assert capsys.readouterr().out.count("is there") == 3
    assert [one.folder.name for one in left_exports([place.parent])] == names
    clean([place.parent])
    out = capsys.readouterr().out
    assert out.count("deleted") == 3
    left = {path.name for path in place.parent.iterdir()}
    assert left == {place.name, ".somebodys.partial", ".link.partial", ".alive.partial"}
    os.close(descriptor)
    clean()
    assert not alive.exists()
    clean()
    assert "No killed export" in capsys.readouterr().err
    with pytest.raises(EtaError, match="nowhere is no folder"):
        clean([tmp_path / "nowhere"])


def test_of_two_exports_into_one_folder_the_second_is_refused(
    published: LakeSettings, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    refused: list[str] = []

    def another(_: int) -> None:
        with pytest.raises(EtaError, match="another process is writing") as error:
            export(published, "recbole", place, print)
        refused.append(str(error.value))

    lake = Lake(published)
    manifest = publish(published, "acme", gate=None, now=NOON)
    export_snapshot(lake, manifest, ExportFormat.PARQUET, place, on_rows=another)
    assert refused
    assert "wait until it has ended" in refused[0]
    assert (place / "training_data").is_dir()


def test_the_lock_is_the_folder_s_and_ends_with_it(published: LakeSettings, tmp_path: Path) -> None:
    """Held by somebody else, whatever is in it stays."""
    place = working_place(tmp_path / "out")
    place.mkdir()
    (place / "rows").write_text("somebody's")
    descriptor = os.open(place, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(EtaError, match="another process is writing"):
        export(published, "parquet", tmp_path / "out", print)
    assert (place / "rows").read_text() == "somebody's"
    os.close(descriptor)
    export(published, "parquet", tmp_path / "out", print)
    assert not place.exists()


def test_a_delta_and_what_it_is_put_onto_go_on_too(published: LakeSettings, tmp_path: Path) -> None:
    """What stood on disk at a late step is what a kill would have left."""
    lake = Lake(published)
    base = publish(published, "acme", gate=None, now=NOON)
    write_training_tables(published, {"acme": examples(300)})
    result = publish(published, "acme", gate=None, now=NOON)
    with many_files():
        export_snapshot(lake, base, ExportFormat.PARQUET, tmp_path / "base")

    def delta(to: Path, say: Callable[[str], None]) -> None:
        plan = plan_delta(lake, base, result)
        write_delta(plan, to, file_bytes=5_000, range_rows=120, say=say)

    def applied(to: Path, say: Callable[[str], None]) -> None:
        apply_deltas([tmp_path / "delta"], tmp_path / "base", to, say=say, window_rows=120)

    for name, write in (("delta", delta), ("applied", applied)):
        place = tmp_path / name
        said: list[str] = []
        left: list[int] = []

        def one_more(place: Path = place, left: list[int] = left) -> None:
            left.append(1)
            if len(left) % 10 == 0 and (working_place(place) / NAME).exists():
                shutil.rmtree(tmp_path / "left", ignore_errors=True)
                shutil.copytree(working_place(place), tmp_path / "left")

        with many_files(one_more):
            write(place, said.append)
        assert said == []
        place.rename(tmp_path / "whole")
        (tmp_path / "left").rename(working_place(place))
        with many_files():
            write(place, said.append)
        assert "Going on where a killed export was" in said[0]
        assert sums(place) == sums(tmp_path / "whole")
        shutil.rmtree(tmp_path / "whole")


def test_a_place_that_is_none_is_told(published: LakeSettings, tmp_path: Path) -> None:
    """And what stands there stays."""
    (tmp_path / "file").write_text("somebody's")
    (tmp_path / ".taken.partial").write_text("somebody's")
    (tmp_path / ".link.partial").symlink_to(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    for name, why in (
        ("file/out", "cannot be made: File exists"),
        ("taken", "cannot be written: File exists"),
        ("link", "cannot be written: Not a directory"),
        ("n" * 250, "cannot be written: File name too long"),
    ):
        with pytest.raises(EtaError, match=why) as told:
            export(published, "gorse", tmp_path / name, print)
        assert "--to" in told.value.remedy
    assert sorted(tmp_path.rglob("*")) == before


def test_a_line_that_no_export_wrote_deletes_nothing_elsewhere(tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "part-00000.parquet").write_text("somebody's")
    folder = tmp_path / "work"
    folder.mkdir()
    Journal(folder, {"of": 1})
    digest = hashlib.sha256(b"somebody's").hexdigest()
    for name in ("../other/part-00000.parquet", f"{other}/part-00000.parquet"):
        line = {"file": name, "rows": 1, "sha256": digest}
        odd = ["[]", "7", '{"file": 7}', '{"file": "a", "rows": []}', json.dumps(line)]
        with (folder / NAME).open("a") as file:
            file.writelines(f"{one}\n" for one in odd)
        assert Journal(folder, {"of": 1}).left_rows == 0
    assert {path.name for path in tmp_path.iterdir()} == {"other", "work"}
    assert (other / "part-00000.parquet").read_text() == "somebody's"


def test_a_line_that_was_cut_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    first = Journal(folder, {"of": 1})
    (folder / "part-00000.parquet").write_text("rows")
    first.add(folder / "part-00000.parquet", 4)
    (folder / "part-00001.parquet").write_text("rows")
    first.add(folder / "part-00001.parquet", 5)
    text = (folder / NAME).read_text()
    (folder / NAME).write_text(text[:-3])
    again = Journal(folder, {"of": 1})
    assert again.rows(folder) == [4]
    assert again.left_rows == 4
    assert not (folder / "part-00001.parquet").exists()
    assert Journal(folder, {"of": 2}).rows(folder) == []
    assert not (folder / "part-00000.parquet").exists()


@pytest.mark.filterwarnings("error::ResourceWarning")
@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("kind", ["parquet", "gorse", "feast"])
def test_a_full_disk_leaves_nothing(published: LakeSettings, tmp_path: Path, kind: str) -> None:
    """Nor a spill folder that nobody has closed."""
    place = tmp_path / "exports" / "out"
    steps = steps_of(published, kind, tmp_path / f"{kind}-whole")
    for share in (0.3, 0.6, 0.9):
        left = round(share * steps)

        def full() -> None:
            nonlocal left
            left -= 1
            if left == 0:
                raise OSError(28, "No space left on device")

        with many_files(full), pytest.raises(EtaError, match="cannot be written: No space") as told:
            export(published, kind, place, print)
        assert f"look at {place.parent}: make room" in told.value.remedy
        gc.collect()
        assert list(place.parent.iterdir()) == []
