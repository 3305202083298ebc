"""One Spark driver writes a lake in a bucket: who has the lease, who is refused, how it ends."""

import subprocess
import threading
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from lakehouse.cli.main import app
from lakehouse.control.owner import Owner, start_of, this_process
from lakehouse.dev.s3 import storage_options
from lakehouse.dev.servers import Server
from lakehouse.dev.spark import start_spark
from lakehouse.dev.spark_cluster import start_cluster
from lakehouse.settings import LakeSettings
from lakehouse.spark import one_driver
from lakehouse.spark.driver_lease import FOLDER, AnotherDriver, DriverLease, Writer
from lakehouse.spark.one_driver import Driver, LeaseLost, check_driver, write_through
from lakehouse.storage.lake import Lake
from tests.support.s3 import lake_on_s3

FIRST = Driver("app-1", "sc://first:15002")
SECOND = Driver("app-2", "sc://second:15002")
SHORT = timedelta(seconds=2)


@pytest.fixture
def settings(s3: Server, tmp_path: Path) -> LakeSettings:
    return lake_on_s3(s3, tmp_path, f"driver-{uuid4().hex}")


@pytest.fixture
def lease(settings: LakeSettings) -> DriverLease:
    return DriverLease(Lake(settings))


def process_of(pid: int) -> Owner:
    mine = this_process()
    return Owner(mine.host, mine.space, pid, start_of(pid) or "ended")


def test_a_second_driver_is_refused_while_the_first_is_written_through(lease: DriverLease) -> None:
    lease.hold(FIRST, "one")
    lease.hold(FIRST, "two")
    with pytest.raises(AnotherDriver) as caught:
        lease.hold(SECOND, "three")
    assert "app-1 (sc://first:15002)" in caught.value.message
    assert "ETA_SPARK_REMOTE=sc://first:15002" in caught.value.remedy
    assert "eta spark release" in caught.value.remedy
    lease.end(FIRST, "one")
    with pytest.raises(AnotherDriver):
        lease.hold(SECOND, "three")
    lease.end(FIRST, "two")
    lease.hold(SECOND, "three")
    with pytest.raises(AnotherDriver):
        lease.hold(FIRST, "one")


def test_what_a_killed_client_left_runs_out(settings: LakeSettings) -> None:
    lease = DriverLease(Lake(settings), lease=SHORT)
    lease.hold(FIRST, "killed")
    with pytest.raises(AnotherDriver):
        lease.hold(SECOND, "next")
    threading.Event().wait(SHORT.total_seconds() + 1)  # the store's time has whole seconds
    lease.hold(SECOND, "next")


def test_a_driver_started_here_has_it_until_its_process_ends(lease: DriverLease) -> None:
    driver = subprocess.Popen(["sleep", "600"])
    try:
        lease.keep(FIRST, process_of(driver.pid))
        lease.hold(FIRST, "killed with it")
        with pytest.raises(AnotherDriver) as caught:
            lease.refuse_another()
        assert f"`eta dev spark down` where it was started, process {driver.pid}" in (
            caught.value.remedy
        )
        driver.kill()
        driver.wait()
        lease.refuse_another()
        lease.hold(SECOND, "next")
    finally:
        driver.kill()
        driver.wait()


def test_of_many_that_begin_at_once_one_driver_wins(settings: LakeSettings) -> None:
    won, refused = [], []

    def begin(number: int) -> None:
        driver = Driver(f"app-{number}", "sc://somewhere")
        try:
            DriverLease(Lake(settings)).hold(driver, f"writer {number}")
            won.append(driver)
        except AnotherDriver as error:
            refused.append(error)

    threads = [threading.Thread(target=begin, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(refused)) == (1, 5)
    held, _ = DriverLease(Lake(settings)).current()
    assert held is not None
    assert held.driver == won[0]
    assert len(Lake(settings).folder(FOLDER).names("")) == 1  # older versions are deleted


def test_writers_of_one_driver_change_it_at_once(settings: LakeSettings) -> None:
    threads = [
        threading.Thread(target=DriverLease(Lake(settings)).hold, args=(FIRST, f"writer {n}"))
        for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held, _ = DriverLease(Lake(settings)).current()
    assert held is not None
    assert len(held.writers) == 4


def test_a_writer_that_could_not_renew_writes_no_more(
    settings: LakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = DriverLease(Lake(settings), lease=SHORT)
    writer = Writer(lease, FIRST, length=SHORT)
    try:
        threading.Event().wait(SHORT.total_seconds() + 0.5)
        writer.check()  # the thread has renewed it

        def unreachable(*_: object) -> None:
            raise OSError("no route to the store")

        monkeypatch.setattr(lease, "hold", unreachable)
        threading.Event().wait(SHORT.total_seconds() + 0.5)
        with pytest.raises(LeaseLost, match="did not renew"):
            writer.check()
    finally:
        writer.end(is_idle=False)


def test_a_writer_whose_lease_was_released_and_taken_writes_no_more(settings: LakeSettings) -> None:
    lease = DriverLease(Lake(settings))
    writer = Writer(lease, FIRST, length=SHORT)
    try:
        for _ in range(50):  # a living writer may renew it between the two
            assert lease.release() is not None
            with suppress(AnotherDriver):
                lease.hold(SECOND, "next")
                break
        threading.Event().wait(SHORT.total_seconds() / 2)
        with pytest.raises(LeaseLost):
            writer.check()
    finally:
        writer.end(is_idle=True)
    held, _ = lease.current()
    assert held is not None
    assert held.driver == SECOND  # ending takes nothing from another


def test_what_was_released_is_not_taken_again_by_who_had_it(settings: LakeSettings) -> None:
    """A living writer's next renewal undid the release, and the command had said otherwise."""
    lease = DriverLease(Lake(settings))
    writer = Writer(lease, FIRST, length=SHORT)
    try:
        lease.release()
        writer._thread.join(SHORT.total_seconds())
        held, now = lease.current()
        assert held is not None
        assert held.held_until(now) is None
        with pytest.raises(LeaseLost, match="somebody released it"):
            writer.check()
    finally:
        writer.end(is_idle=True)


def test_no_second_server_is_started_on_the_bucket(
    settings: LakeSettings, lease: DriverLease, tmp_path: Path
) -> None:
    lease.keep(FIRST, this_process())
    elsewhere = settings.model_copy(update={"home": tmp_path / "elsewhere"})
    for start in (start_spark, lambda here: start_cluster(here, 1)):
        with pytest.raises(AnotherDriver, match="two drivers on one bucket can lose commits"):
            start(elsewhere)
    assert not (tmp_path / "elsewhere" / "dev").exists()


def test_a_process_writes_through_one_driver_and_checks_each_statement(
    settings: LakeSettings, lease: DriverLease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(one_driver, "_writers", {})
    lease.hold(SECOND, "somebody")
    with pytest.raises(AnotherDriver):
        write_through(settings, "thrift")
    lease.end(SECOND, "somebody")
    write_through(settings, "thrift")
    write_through(settings, "thrift")
    [writer] = one_driver._writers.values()
    assert writer.driver.name.endswith(":10000")
    check_driver()
    lease.release()
    writer._is_lost.set()
    with pytest.raises(LeaseLost):
        check_driver()
    writer.end(is_idle=False)


def test_a_lake_on_a_disk_has_no_lease(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_driver, "_writers", {})
    write_through(LakeSettings(home=tmp_path), "thrift")
    assert one_driver._writers == {}


def test_a_person_sees_and_frees_it(
    settings: LakeSettings, lease: DriverLease, s3: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    import json

    monkeypatch.setenv("ETA_LAKE_URI", settings.lake)
    monkeypatch.setenv("ETA_STORAGE_OPTIONS", json.dumps(storage_options(s3)))
    run = CliRunner().invoke
    assert "any may begin" in run(app, ["spark", "driver"]).output
    assert "No driver had it" in run(app, ["spark", "release"]).output
    lease.hold(FIRST, "one")
    said = run(app, ["spark", "driver"]).output
    assert "app-1\tsc://first:15002\t-\t1\t" in said
    released = run(app, ["spark", "release"]).output
    assert "app-1 has it no longer" in released
    assert "1 of its commands had the lease still" in released
    assert "No driver had it" in run(app, ["spark", "release"]).output
    assert "any may begin" in run(app, ["spark", "driver"]).output
    lease.hold(SECOND, "two")
