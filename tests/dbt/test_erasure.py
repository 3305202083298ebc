"""Erasing a person from every table of the models, and from what they leave behind."""

import os
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from pyspark.sql import SparkSession

from lakehouse.control.database import ControlDatabase
from lakehouse.errors import EtaError
from lakehouse.jobs.erase import DbtModels
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.verify import search
from lakehouse.privacy.worker import Worker
from lakehouse.spark.scratch import scratch_dir
from lakehouse.storage.lake import Lake
from lakehouse.training.build import ON_REQUEST
from lakehouse.training.publish import current_snapshot, list_snapshots, publish
from lakehouse.training.rows import tenant_batches
from tests.support.lake import SessionLake
from tests.support.people import NEIGHBOUR, TENANT, device, events


class TheseModels(DbtModels):
    """The models of the session's lake, which has no control database of its own."""

    @contextmanager
    def locked(self, settings):
        yield

    def publish(self, settings, tenant_id: str) -> str | None:
        publish(settings, tenant_id, gate=None, now=datetime.now(UTC))
        return None


def others(lake: SessionLake, gone: str) -> dict[str, pl.DataFrame]:
    """Everybody else's rows of the tables that hold rows of users alone."""
    return {
        name: lake.table(name, TENANT).filter(pl.col("user_id") != gone)
        for name in ("staging.stg_interactions", "features.user_features", "training.training_data")
    }


@pytest.mark.spark
def test_a_person_is_erased_from_the_models_beside_everybody_else(
    lake: SessionLake, built: dict, tmp_path: Path
) -> None:
    gone, *users = built["people"]
    try:
        first = publish(lake.settings, TENANT, gate=None, now=datetime.now(UTC))
    except EtaError:  # tests before this one left tables of different runs
        lake.dbt("run")
        first = publish(lake.settings, TENANT, gate=None, now=datetime.now(UTC))
    before = others(lake, gone)
    neighbours = {name: lake.table(name, NEIGHBOUR) for name in PERSONAL}
    lake.store(TENANT, events([gone], 8, 10))  # read by no run yet

    database = ControlDatabase.open(f"sqlite:///{tmp_path / 'control.db'}")
    database.tenants.add(TENANT)
    request = database.erasures.request(TENANT, [gone]).request_id
    worker = Worker(lake.settings, database, TheseModels(), lambda: datetime.now(UTC))
    [done] = worker.work()
    assert done.completed == (request,), done.reasons
    certificate = database.erasures.get(request).certificate
    assert certificate is not None
    rows = certificate["rows_deleted"]
    assert rows["raw.interactions"] == 10
    # an order, a list, and of the devices: 2 alone, 1 shared, 2 before it was handed over
    assert (rows["raw.clickstream"], rows["staging.stg_clickstream"]) == (2 + 5, 4 + 5)
    assert {name for name in PERSONAL if not rows.get(name)} == set()
    found = search(lake.settings, database, TENANT, IdentifierPatterns([gone]))
    # not even a mention: no log of a table, its checkpoints included, holds an identifier
    scratch = str(scratch_dir(Lake(lake.settings)))  # of the Spark that still runs in this process
    assert [one for one in found.mentions if not one.path.startswith(scratch)] == []
    assert found.findings == ()
    assert found.files["table log"] > 20
    own = search(lake.settings, database, TENANT, IdentifierPatterns([device("own", gone)]))
    assert own.findings == (), "the person's own device"
    for name, frame in others(lake, gone).items():
        assert frame.equals(before[name]), name
    for name, frame in neighbours.items():
        assert lake.table(name, NEIGHBOUR).equals(frame), name
    visits = lake.table("staging.stg_clickstream", TENANT).filter(pl.col("item_id") == "i2")
    assert visits["user_id"].to_list() == [device("shared", gone)], "it may be of either"
    assert certificate["snapshots_withdrawn"] == [first.snapshot_id]
    with pytest.raises(EtaError, match="withdrawn"):
        list(
            tenant_batches(
                Lake(lake.settings), list_snapshots(Lake(lake.settings), TENANT)[0], _DATA
            )
        )
    current = current_snapshot(Lake(lake.settings), TENANT)
    assert current is not None
    assert current.withdrawn_at is None
    seen = pl.concat(tenant_batches(Lake(lake.settings), current, _DATA))
    assert set(seen["user_id"]) == set(users)

    # the next run reads what changed since, and misses nothing that was taken away
    lake.store(TENANT, events([users[0]], 20, 22))
    lake.dbt("run", "--exclude", ON_REQUEST)
    assert len(lake.table("staging.stg_interactions", TENANT)) == 8 * len(users) + 2 + 2 + 4
    assert len(lake.table("staging.stg_clickstream", TENANT)) == 2 + 4
    database.close()


@pytest.mark.spark
def test_what_spark_writes_is_below_the_home_and_its_owners_alone(lake: SessionLake) -> None:
    lake.store("private", events(["u1"], 0, 4))
    lake.dbt("run", "--select", "stg_interactions")
    session = SparkSession.getActiveSession()
    assert session is not None
    session.sql("select count(*), tenant_id from raw.interactions group by tenant_id").collect()
    scratch = scratch_dir(Lake(lake.settings))
    assert any(path.name.startswith("blockmgr-") for path in scratch.iterdir())
    modes = _modes(scratch) | _modes(Path(lake.settings.lake, "staging"))
    assert len(modes) > 10
    assert not {path for path, mode in modes.items() if mode & 0o077}


def _modes(folder: Path) -> dict[Path, int]:
    """Return the mode of a folder and all in it, but for what Spark removes meanwhile."""
    found = {}
    for parent, _, files in os.walk(folder):
        for path in (Path(parent), *(Path(parent, name) for name in files)):
            with suppress(FileNotFoundError):
                found[path] = path.stat().st_mode
    return found


PERSONAL = (
    "staging.stg_interactions",
    *("features.enriched_interactions", "features.recent_interactions"),
    *("features.user_features", "features.user_feature_history", "features.impressions"),
    *("training.training_users", "training.user_histories"),
    *("training.training_data", "training.training_examples"),
)
"""Tables that certainly hold rows of a person with interactions."""

_DATA = "training.training_data"
