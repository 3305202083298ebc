"""Rows that expire in raw: Spark and delta-rs read the table, and no model loses anything."""

import json
from datetime import UTC, datetime, timedelta

from pyspark.sql import SparkSession

from lakehouse.contracts.tables import RAW_INTERACTIONS
from lakehouse.retention.expiry import drop_expired_files, expire_rows
from lakehouse.storage.lake import Lake
from tests.support.lake import DERIVED_TABLES, SessionLake, interaction

TENANT = "aging"
OLD = datetime.now(UTC) - timedelta(days=400)
MODELS = ("stg_interactions", "staging_conflicts", "staging_counts")
TABLES = tuple(name for name in DERIVED_TABLES if name.partition(".")[2] in MODELS)


def forget_hashes(session: SparkSession) -> None:
    """Make staging a table of an earlier release: without `user_hash`, by other SQL."""
    shown = session.sql("show tblproperties staging.stg_interactions").collect()
    properties = {row.key: row.value for row in shown} | {"eta.logic": "of an earlier release"}
    features = ("delta.enableChangeDataFeed", "delta.enableDeletionVectors")
    named = ", ".join(
        f"'{name}' = '{value}'"
        for name, value in properties.items()
        if name.startswith("eta.") or name in features
    )
    session.sql("create or replace temp view held as select * from staging.stg_interactions")
    session.sql(
        "create or replace table staging.stg_interactions using delta partitioned by (tenant_id) "
        f"tblproperties ({named}, 'delta.dataSkippingStatsColumns' = 'event_time,known_at') "
        "as select * except (user_hash, tenant_id), tenant_id from held"
    )


def test_what_expires_in_raw_stays_in_the_models(lake: SessionLake) -> None:
    lake.store(
        TENANT,
        [interaction("e1", event_time=OLD), interaction("e2", "u2", event_time=OLD)],
        known_at=OLD,
    )
    lake.store(TENANT, [interaction("e1", "u3", event_time=OLD)], known_at=OLD + timedelta(days=1))
    lake.store(TENANT, [interaction("e3", item_id="i2")])
    lake.dbt("run", "--select", *(f"+{name}" for name in MODELS))
    before = {name: lake.table(name, TENANT) for name in TABLES}
    assert before["staging.stg_interactions"].height == 3
    assert before["ops.staging_conflicts"].height == 1

    now = datetime.now(UTC)
    (gone,) = expire_rows(Lake(lake.settings), {}, now, tenant_id=TENANT)
    assert gone.rows == 3
    assert drop_expired_files(Lake(lake.settings), now + timedelta(days=2)) == 2
    session = SparkSession.active()
    session.sql("refresh table raw.interactions")
    count = f"select count(*) as n from raw.interactions where tenant_id = '{TENANT}'"
    assert session.sql(count).collect()[0].n == 1
    table = Lake(lake.settings).table(RAW_INTERACTIONS)
    assert table.to_pyarrow_table(filters=[("tenant_id", "=", TENANT)]).num_rows == 1

    forget_hashes(session)
    # the same event arrives again: it is held, so it changes nothing but the batch's count
    lake.store(TENANT, [interaction("e2", "u2", event_time=OLD)], batch_id="again")
    lake.dbt("run", "--select", *MODELS)
    # a run that is narrowed to the tenant computes all of it anew
    lake.dbt("run", "--select", *MODELS, "--vars", json.dumps({"tenant_id": TENANT}))
    for name, rows in before.items():
        after = lake.table(name, TENANT)
        if name == "ops.staging_counts":
            after = after.filter(after["batch_id"] != "again")
        assert after.select(rows.columns).equals(rows), name
