"""Every figure shown of a lake is an independent count: of DuckDB, over rows read one by one.

The lake has two tenants whose names begin alike, an erased person, expired rows, a replayed batch,
a tenant with refused rows alone and one with nothing.
"""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from typer.testing import CliRunner

from ingest_service.pipeline.counts import Counts
from ingest_service.sinks.base import BatchKey
from ingest_service.sinks.delta import DeltaSink
from ingest_service.sinks.recovery import recover
from lakehouse.cli.main import app
from lakehouse.contracts.retention import RawTiers, RetentionPolicy
from lakehouse.contracts.tables import (
    OPS_INGEST_LEDGER,
    OPS_REPLAY_OUTCOMES,
    RAW_INTERACTIONS,
    RAW_QUARANTINE,
    RAW_TABLES,
    SERVICE_TABLES,
)
from lakehouse.contracts.tenant import DataType
from lakehouse.quality.history import Reader
from lakehouse.quality.metrics import QualityMetrics
from lakehouse.quality.refresh import refresh
from lakehouse.retention.expiry import expire_rows
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger_check import check_ledger
from lakehouse.storage.tables import ensure_tables
from lakehouse.training.freshness import waiting_tenants
from tests.contract.test_sinks import interactions as two_rows
from tests.support.erasure import FIRST_MS, TENANT, ErasableLake, interactions, person
from tests.support.training import PARAMETERS, WATERMARKS, write_table

OTHERS = ("acme2", "acm", "old", "refused", "empty")
SHORT = RetentionPolicy(
    raw_interactions=RawTiers(hot_days=1, warm_days=2, cold_days=3, delete_days=4)
)
HEADER = "user_id,item_id,interaction_type,timestamp\n"
REFUSED = (
    HEADER
    + "".join(f"u{n},i,stare,{FIRST_MS}\n" for n in range(5))
    + f",i,click,{FIRST_MS}\nu,,stare,x\n"
)


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ErasableLake]:
    home = tmp_path_factory.mktemp("shown")
    (home / "project").mkdir()
    found = ErasableLake(home / "home", home / "project")
    for name in OTHERS:
        found.database.tenants.add(name)
    gone, others = person(), [person(), person()]
    found.fill(gone, others)
    for name in ("acme2", "acm", "old"):
        found.upload(
            interactions([(gone, 1), *((o, n) for n, o in enumerate(others))]), tenant_id=name
        )
    found.upload(REFUSED, tenant_id="refused")
    refresh(Lake(found.settings), "before")
    found.erase(gone)
    assert found.work()[0].waiting == ()
    found.tenant = found.tenant.model_validate(
        {"sources": {"default": {"values": {"interaction_type": {"nonsense": "click"}}}}}
    )
    found.database.set_tenant_settings(TENANT, found.tenant)
    assert sum(batch.stored for batch in found.replay()) == 2
    (expired,) = expire_rows(
        Lake(found.settings), {"old": SHORT}, datetime.now(UTC) + timedelta(days=9), tenant_id="old"
    )
    assert expired.rows == 3
    refresh(Lake(found.settings), "after")
    yield found
    found.close()


@pytest.fixture
def run(lake: ErasableLake, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("ETA_HOME", str(lake.home))
    monkeypatch.setenv("ETA_PROJECT_DIR", str(lake.settings.project))

    def command(*words: str) -> list[dict[str, str]]:
        """Run a command; return the rows of its first table."""
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == 0, result.output
        lines = [line.split("\t") for line in result.stdout.splitlines()]
        head = next(number for number, line in enumerate(lines) if len(line) > 1)
        rows = []
        for line in lines[head + 1 :]:
            if len(line) != len(lines[head]):
                break
            rows.append(dict(zip(lines[head], line, strict=True)))
        return rows

    return command


def sql(lake: ErasableLake, text: str, **tables: Any) -> list[tuple[Any, ...]]:
    database = duckdb.connect()
    for name, spec in tables.items():
        database.register(name, Lake(lake.settings).table(spec).to_pyarrow_table())
    return database.execute(text).fetchall()


def test_status_shows_the_rows_of_each_tenant(lake: ErasableLake, run: Any) -> None:
    shown = {row["table"]: row for row in run("status")}
    for spec in (*RAW_TABLES.values(), RAW_QUARANTINE):
        counted = dict(sql(lake, "select tenant_id, count(*) from t group by 1", t=spec))
        for tenant in (TENANT, *OTHERS):
            assert int(shown[spec.full_name][tenant]) == counted.get(tenant, 0), (spec, tenant)
    assert shown["raw.interactions"]["old"] == shown["raw.interactions"]["refused"] == "0"
    assert shown["raw.quarantine"]["refused"] == "7"


@pytest.mark.parametrize("tenant", [TENANT, *OTHERS])
def test_ledger_and_removals_add_up_to_what_is_there(
    lake: ErasableLake, run: Any, tenant: str
) -> None:
    listed = run("ledger", "list", "--tenant", tenant)
    totals = Counter[str]()
    for row in listed:
        for name in ("received", "stored", "duplicate", "quarantined", "suppressed", "left"):
            totals[name] += int(row[name])
    parts = ("stored", "duplicate", "quarantined", "suppressed")
    assert totals["received"] == sum(totals[name] for name in parts)
    there = sum(
        sql(lake, f"select count(*) from t where tenant_id = '{tenant}'", t=spec)[0][0]
        for spec in RAW_TABLES.values()
    )
    open_rows = sum(count for *_, count in _open_rows(lake, tenant))
    assert totals["stored"] + totals["quarantined"] == there + open_rows + totals["left"]
    assert not check_ledger(Lake(lake.settings)).wrong


def _open_rows(lake: ErasableLake, tenant: str) -> list[tuple[Any, ...]]:
    text = f"""
        select data_type, batch_id, count(*) from q
        where tenant_id = '{tenant}' and not exists (
            from o where o.batch_id = q.batch_id and o.source_ref = q.source_ref)
        group by all order by all"""
    return sql(lake, text, q=RAW_QUARANTINE, o=OPS_REPLAY_OUTCOMES)


@pytest.mark.parametrize("tenant", [TENANT, "refused", "acme2"])
def test_open_rows_are_counted_by_reason_alike_everywhere(
    lake: ErasableLake, run: Any, tenant: str
) -> None:
    text = f"""
        select data_type, r.code, r.field, count(distinct (batch_id, source_ref)),
            count(distinct batch_id)
        from q, unnest(q.reasons) as _(r)
        where tenant_id = '{tenant}' and not exists (
            from o where o.batch_id = q.batch_id and o.source_ref = q.source_ref)
        group by all order by all"""
    counted = sql(lake, text, q=RAW_QUARANTINE, o=OPS_REPLAY_OUTCOMES)
    names = ("type", "reason", "field", "rows", "batches")
    listed = [
        tuple(row[name] for name in names) for row in run("quarantine", "list", "--tenant", tenant)
    ]
    assert sorted(listed) == [tuple(map(str, row)) for row in counted]
    report = Reader(Lake(lake.settings), lake.database).report(tenant)
    found = [(r.data_type, r.code, r.field, r.rows, r.batches) for r in report.rejects]
    assert sorted(found) == counted


def test_measurements_sum_up_to_the_ledger(lake: ErasableLake) -> None:
    text = """select tenant_id, data_type, sum(received), sum(stored), sum(duplicate),
        sum(quarantined), sum(suppressed), max(known_at) filter (replay = 0)
        from l group by all order by all"""
    reader = Reader(Lake(lake.settings), lake.database)
    ledger = sql(lake, text, l=OPS_INGEST_LEDGER)
    for tenant, data_type, *counts, newest in ledger:
        (kind,) = [k for k in reader.report(tenant).data_types if k.data_type == data_type]
        names = ("received", "stored", "duplicate", "quarantined", "suppressed")
        sums = [sum(getattr(m, f"{name}_count") for m in kind.history) for name in names]
        assert sums == counts
        assert kind.last_received_at == newest
    gauges = {metric.name: metric for metric in QualityMetrics(Lake(lake.settings)).collect()}
    hours = {
        (s.labels["tenant_id"], s.labels["data_type"]): s.value
        for s in gauges["data_freshness_hours"].samples
    }
    ages = {row[:2]: (datetime.now(UTC) - row[-1]).total_seconds() / 3600 for row in ledger}
    assert hours == pytest.approx(ages, abs=0.01)
    assert gauges["eta_quality_tenants"].samples[0].value == len({row[0] for row in ledger})


def test_rows_that_were_erased_do_not_wait_while_the_feed_is_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = LakeSettings(home=tmp_path / "home")
    ensure_tables(Lake(settings))
    sink = DeltaSink(Lake(settings))
    monkeypatch.setitem(WATERMARKS, "eta.watermark.raw.interactions", "0")
    nothing = pa.table({"tenant_id": pa.array([], pa.string())})
    write_table(settings, "training/training_contents", nothing, PARAMETERS)
    for tenant in ("acme", "acme2"):
        key = BatchKey(tenant, DataType.INTERACTIONS, f"of-{tenant}", datetime.now(UTC), "csv")
        begun = sink.begin(key)
        begun.append(two_rows(key, "u1"))
        assert begun.commit(Counts(1, 1, 0, 0))
    assert {w.tenant_id for w in waiting_tenants(settings, datetime.now(UTC))} == {"acme", "acme2"}
    Lake(settings).table(RAW_INTERACTIONS).delete("tenant_id = 'acme'")
    assert [w.tenant_id for w in waiting_tenants(settings, datetime.now(UTC))] == ["acme2"]


def test_a_tenant_that_sent_nothing_is_shown_without_a_score(lake: ErasableLake) -> None:
    reader = Reader(Lake(lake.settings), lake.database)
    shown = {tenant.tenant_id: tenant.score for tenant in reader.overview(None).tenants}
    assert shown.keys() == {TENANT, *OTHERS}
    assert shown["empty"] is None
    later = Reader(
        Lake(lake.settings), lake.database, clock=lambda: datetime.now(UTC) + timedelta(days=40)
    )
    assert {t.tenant_id: t.score for t in later.overview(None).tenants} == dict.fromkeys(shown)
    assert [t.tenant_id for t in reader.overview("acm").tenants] == ["acm"]
    assert "acme2" not in json.dumps(reader.report("acme").model_dump(mode="json"))


def test_health_counts_the_files_there_are(lake: ErasableLake, run: Any) -> None:
    shown = {row["table"]: int(row["files"]) for row in run("tables", "health")}
    for spec in SERVICE_TABLES:
        assert shown[spec.full_name] == len(Lake(lake.settings).table(spec).file_uris())


def test_what_was_erased_does_not_wait_to_be_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "project").mkdir()
    lake = ErasableLake(tmp_path / "home", tmp_path / "project")
    gone, other = person(), person()
    lake.upload(interactions([(gone, 0), (other, 0)]))
    read = Lake(lake.settings).table(RAW_INTERACTIONS).version()
    monkeypatch.setitem(WATERMARKS, "eta.watermark.raw.interactions", str(read))
    read_until = pa.table({"tenant_id": [TENANT], "newest_known_at": [datetime.now(UTC)]})
    write_table(lake.settings, "training/training_contents", read_until, PARAMETERS)
    lake.upload(interactions([(gone, 1)]))  # nobody's row of it is left to be read
    assert [w.tenant_id for w in waiting_tenants(lake.settings, datetime.now(UTC))] == [TENANT]
    lake.erase(gone)
    monkeypatch.setattr("lakehouse.privacy.erasure_pass.derived_tables", lambda _: {})
    lake.work()  # the files that the models have not read go as well
    assert waiting_tenants(lake.settings, datetime.now(UTC)) == []
    lake.upload(interactions([(other, 2)]))
    assert [w.tenant_id for w in waiting_tenants(lake.settings, datetime.now(UTC))] == [TENANT]
    lake.close()


class Killed(BaseException):
    """Stands for a kill."""


def test_a_batch_that_was_killed_makes_nobody_fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake = ErasableLake(tmp_path / "home", tmp_path / "home")
    sink = DeltaSink(Lake(lake.settings))
    now = datetime.now(UTC)

    def begin(batch_id: str, known_at: datetime) -> Any:
        key = BatchKey(TENANT, DataType.INTERACTIONS, batch_id, known_at, "csv")
        begun = sink.begin(key)
        begun.append(two_rows(key, f"{batch_id}-1"))
        return begun

    def die(*_: Any) -> bool:
        raise Killed

    stored_at = now - timedelta(minutes=30)
    assert begin("stored", stored_at).commit(Counts(1, 1, 0, 0))
    metrics = QualityMetrics(Lake(lake.settings))
    killed = begin("killed", now)
    monkeypatch.setattr(killed, "_commit_raw", die)  # the ledger has it, raw never will
    with pytest.raises(Killed):
        killed.commit(Counts(1, 1, 0, 0))
    reader = Reader(Lake(lake.settings), lake.database)
    (kind,) = reader.report(TENANT).data_types
    assert kind.last_received_at == stored_at

    def hours() -> float:
        (found,) = [m for m in metrics.collect() if m.name == "data_freshness_hours"]
        return float(found.samples[0].value)

    hours()  # the exporter may have seen it; when it is cleared away, it is forgotten
    assert recover(sink, timedelta(0), lambda *_: True).removed == 1
    assert hours() == pytest.approx(0.5, abs=0.02)
    lake.close()
