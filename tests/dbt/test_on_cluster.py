"""The models on several executors, the lake in a bucket: the same content as local Spark's.

Driver and executors have no folder in common but the bucket. All is nightly, for what a cluster
takes to start: in short, some models of a tenant that the session's lake has; at length a lake's
life: runs, lost executors, an erasure, maintenance, each compared with a twin on the disk.
ETA_TEST_EXECUTOR_KILLS: how many are lost.
"""

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from deltalake import write_deltalake

from lakehouse.contracts.tables import OPS_TENANT_SETTINGS, RAW_INTERACTIONS, RAW_ITEMS
from lakehouse.dev.servers import Server
from lakehouse.dev.spark import start_spark
from lakehouse.dev.spark_cluster import alive_workers, executors, start_cluster, stop_cluster
from lakehouse.spark.driver_lease import AnotherDriver, DriverLease
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.cluster import ClusterStory, Story, hashes, run_with_kills, twin_of
from tests.support.lake import SessionLake
from tests.support.s3 import lake_on_s3

TENANT = "hashed"
SHORT = ("staging.stg_items", "staging.stg_tenant_settings", "features.item_history")
KILLS = int(os.environ.get("ETA_TEST_EXECUTOR_KILLS", "10"))


@pytest.mark.nightly
def test_models_on_an_executor_equal_local_sparks(
    lake: SessionLake, built: dict, s3: Server, tmp_path: Path
) -> None:
    settings = lake_on_s3(s3, tmp_path / "home", "one-executor")
    settings = settings.model_copy(update={"spark_memory": "1g"})
    story, here = Story(settings, "connect"), Lake(settings)
    ensure_tables(here)
    for spec in (RAW_INTERACTIONS, RAW_ITEMS, OPS_TENANT_SETTINGS):
        rows = Lake(lake.settings).table(spec).to_pyarrow_table()
        rows = rows.filter(_of_tenant(rows))
        write_deltalake(here.table(spec), rows, mode="append")
    try:
        cluster = start_cluster(settings, 1, memory="1g")
        story.remote = cluster.connect.addresses["remote"]
        [worker] = cluster.workers
        assert len(executors(worker)) == len(alive_workers(cluster.master)) == 1
        elsewhere = lake_on_s3(s3, tmp_path / "elsewhere", "one-executor")
        with pytest.raises(AnotherDriver, match="two drivers on one bucket"):
            start_spark(elsewhere)
        story.models(*(name.partition(".")[2] for name in SHORT))
        lease, _ = DriverLease(here).current()
        assert lease is not None
        assert lease.writers == {}  # dbt gave it back when it ended
    finally:
        assert stop_cluster(settings) == ["spark", "spark-worker-1", "spark-master"]
    found = hashes(settings, SHORT, TENANT)
    assert found == hashes(lake.settings, SHORT, TENANT)
    # the tenant has no settings of its own
    assert [n for n, text in found.items() if text is None or text.startswith("0 rows")] == [
        SHORT[1]
    ]
    DriverLease(here).refuse_another()  # it has ended


def _of_tenant(rows):
    import pyarrow.compute as pc

    return pc.equal(rows["tenant_id"], TENANT)


@pytest.fixture
def story(s3: Server, tmp_path: Path) -> Iterator[ClusterStory]:
    settings = lake_on_s3(s3, tmp_path / "home", "cluster")
    begun = ClusterStory(settings.model_copy(update={"spark_memory": "1g"}))
    yield begun
    begun.close()


@pytest.mark.nightly
@pytest.mark.timeout(7200)
def test_a_lakes_life_on_a_cluster_equals_local_sparks(story: ClusterStory, tmp_path: Path) -> None:
    story.ingest_catalogues()
    story.ingest_rows(1)
    story.up()
    story.models()
    killed = run_with_kills(story, KILLS, random.Random(1))
    assert killed.executors == KILLS
    twin = twin_of(story, tmp_path / "twin")
    twin.models()
    assert hashes(story.settings) == hashes(twin.settings)
    assert None not in hashes(story.settings).values()

    story.run("eta", "gate")
    for one in (story, twin):
        one.run("eta", "privacy", "erase", "--tenant", "acme", "--user", "seed101", "--now")
    erased = hashes(story.settings)
    assert erased == hashes(twin.settings)

    for one in (story, twin):
        one.run("eta", "tables", "compact")
        one.run("eta", "tables", "clean")
    assert hashes(story.settings) == erased


@pytest.mark.nightly
@pytest.mark.timeout(3600)
def test_a_run_through_a_second_driver_is_refused(
    story: ClusterStory, s3: Server, tmp_path: Path
) -> None:
    """Even one that `eta` was kept from seeing when it was started."""
    story.ingest_catalogues()
    first = start_spark(story.settings)
    story.remote = first.addresses["remote"]
    DriverLease(Lake(story.settings)).release()
    other = lake_on_s3(s3, tmp_path / "other", "cluster")
    second = Story(other, "connect")
    second.remote = start_spark(other).addresses["remote"]
    try:
        refused = story.start("dbt", "run", "--select", "stg_items")
        said, _ = refused.communicate()
        assert refused.returncode != 0
        assert "two drivers on one bucket can lose commits" in said
        second.models("stg_items")
    finally:
        stop_cluster(other)
