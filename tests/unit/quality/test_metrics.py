"""What Prometheus is shown: bounded, never frozen, and what a recount says."""

import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from ingest_service.sinks.delta import DeltaSink
from lakehouse.contracts.tables import OPS_DATA_QUALITY, OPS_INGEST_LEDGER
from lakehouse.errors import EtaError
from lakehouse.quality import metrics
from lakehouse.quality.exporter import serve_metrics
from lakehouse.quality.metrics import (
    COST_GAUGES,
    DATA_GAUGES,
    FLAG_GAUGES,
    OWN_GAUGES,
    QualityMetrics,
)
from lakehouse.quality.refresh import refresh
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.maintenance import Day, merge_small_files
from lakehouse.storage.tables import ensure_tables
from tests.support.quality import Plan, correct, plant, recount


@pytest.fixture
def lake(tmp_path: Path) -> LakeSettings:
    settings = LakeSettings(home=tmp_path)
    ensure_tables(Lake(settings))
    return settings


def reader(lake: LakeSettings, **how: Any) -> Callable[..., float | None]:
    """How to look at one gauge, each time by a new scrape."""
    registry = CollectorRegistry()
    registry.register(QualityMetrics(Lake(lake), **how))

    def value(name: str, tenant: str | None = None) -> float | None:
        labels = {} if tenant is None else {"tenant_id": tenant, "data_type": "interactions"}
        return registry.get_sample_value(name, labels)

    return value


def test_gauges_follow_the_lake_and_time_goes_on_without_measures(lake: LakeSettings) -> None:
    sink, hours = DeltaSink(Lake(lake)), [0.0]
    value = reader(lake, clock=lambda: datetime.now(UTC) + timedelta(hours=hours[0]))
    assert value("eta_quality_tenants") == 0

    plant(sink, "b1", Plan(good=90, invalid=10))
    assert value("data_freshness_hours", "acme") == pytest.approx(0, abs=0.2)
    assert value("data_quality_score", "acme") is None  # not measured is not 0
    assert value("eta_quality_lag_seconds") > 1e9

    refresh(Lake(lake), "run")
    expected = recount(lake)["acme", "interactions"]
    for name in ("completeness", "validity", "uniqueness", "consistency"):
        found = value(f"data_{name}_percent", "acme")
        assert found == pytest.approx(expected[f"{name}_percent"])
    assert value("data_quality_score", "acme") == pytest.approx(90)
    assert value("eta_quality_lag_seconds") == 0

    hours[0] = 12
    assert value("data_freshness_hours", "acme") == pytest.approx(12, abs=0.2)
    assert value("data_quality_score", "acme") == pytest.approx(45, abs=1)

    plant(sink, "b2", Plan(good=1), known_at=datetime.now(UTC) + timedelta(hours=10))
    today = datetime.now(UTC).date().isoformat()
    merge_small_files(Lake(lake), OPS_INGEST_LEDGER, Day("acme", today), above=0)
    assert value("data_freshness_hours", "acme") == pytest.approx(2, abs=0.2)
    assert value("eta_quality_lag_seconds") == pytest.approx(36_000, abs=700)


@pytest.mark.parametrize("is_cold", [True, False])
def test_replay_is_no_arrival(lake: LakeSettings, monkeypatch: Any, is_cold: bool) -> None:
    if is_cold:
        monkeypatch.setattr(metrics, "_FEW_FILES", 0)
    sink, value = DeltaSink(Lake(lake)), reader(lake)
    before = datetime.now(UTC) - timedelta(hours=3)
    batch = plant(sink, "b1", Plan(good=1, invalid=1), known_at=before)
    correct(sink, batch, 1, ["line:0000000002"])
    refresh(Lake(lake), "run")
    assert value("data_freshness_hours", "acme") == pytest.approx(3, abs=0.2)
    assert value("eta_quality_lag_seconds") == 0


def test_scrapes_go_on_when_the_log_was_shortened_meanwhile(lake: LakeSettings) -> None:
    sink, value = DeltaSink(Lake(lake)), reader(lake)
    plant(sink, "b1", Plan(good=1), known_at=datetime.now(UTC) - timedelta(hours=3))
    assert value("data_freshness_hours", "acme") == pytest.approx(3, abs=0.2)
    for number in range(3):
        plant(sink, f"more-{number}", Plan(good=1))
    Lake(lake).table(OPS_INGEST_LEDGER).create_checkpoint()
    log = Path(Lake(lake).location(OPS_INGEST_LEDGER)) / "_delta_log"
    for entry in sorted(log.glob("*.json")):
        entry.unlink()
    assert value("data_freshness_hours", "acme") == pytest.approx(0, abs=0.2)


def test_tenants_beyond_the_bound_are_counted_and_not_shown(lake: LakeSettings) -> None:
    sink = DeltaSink(Lake(lake))
    for name in ("c", "a", "b"):
        plant(sink, f"batch-{name}", Plan(good=1), tenant=name)
    value = reader(lake, most_tenants=2)
    shown = [value("data_freshness_hours", name) is not None for name in ("a", "b", "c")]
    assert shown == [True, True, False]
    assert (value("eta_quality_tenants"), value("eta_quality_tenants_omitted")) == (3, 1)


def test_page_names_every_gauge_and_a_taken_port_is_told(lake: LakeSettings) -> None:
    plant(DeltaSink(Lake(lake)), "b1", Plan(good=1))
    refresh(Lake(lake), "run")
    server = serve_metrics(Lake(lake), "127.0.0.1", 0, 10)
    try:
        url = f"http://127.0.0.1:{server.server_port}"
        page = httpx.get(f"{url}/metrics", timeout=60).text
        assert httpx.get(url, timeout=60).status_code == 404
        with pytest.raises(EtaError, match="cannot listen"):
            serve_metrics(Lake(lake), "127.0.0.1", server.server_port, 10)
    finally:
        server.shutdown()
        server.server_close()
    registry = CollectorRegistry()
    registry.register(QualityMetrics(Lake(lake)))
    assert places(page) == places(generate_latest(registry).decode())
    families = {family.name: family for family in text_string_to_metric_families(page)}
    assert families.keys() == {*DATA_GAUGES, *FLAG_GAUGES, *COST_GAUGES, *OWN_GAUGES}
    for name in DATA_GAUGES:
        (sample,) = families[name].samples
        assert sample.labels == {"tenant_id": "acme", "data_type": "interactions"}


def test_flags_have_gauges_also_beside_rows_of_a_release_without_them(lake: LakeSettings) -> None:
    sink, flags = DeltaSink(Lake(lake)), ("rate", "uniformity", "agent")
    plant(sink, "b1", Plan(good=4))
    plant(sink, "b2", Plan(good=4), tenant="other")
    refresh(Lake(lake), "of both")
    held = Lake(lake).table(OPS_DATA_QUALITY).to_pyarrow_table()
    earlier = held.select([name for name in held.column_names if "flagged" not in name])
    place = f"{lake.lake}/{OPS_DATA_QUALITY.path}"
    shutil.rmtree(place)
    write_deltalake(place, earlier, partition_by=["tenant_id"])  # by a release without flags
    ensure_tables(Lake(lake))
    counts = {"rate_count": 1, "uniformity_count": 0, "agent_count": 2, "flagged_count": 3}
    counted = {"tenant_id": "acme", "join_rate": 1.0, "interaction_count": 4, **counts}
    write_deltalake(f"{lake.lake}/ops/join_rates", pa.Table.from_pylist([counted]))
    refresh(Lake(lake), "counted")
    registry = CollectorRegistry()
    registry.register(QualityMetrics(Lake(lake)))

    def value(tenant: str, flag: str) -> float | None:
        labels = {"tenant_id": tenant, "data_type": "interactions", "flag": flag}
        return registry.get_sample_value("data_flagged_percent", labels)

    assert [value("acme", flag) for flag in flags] == [25.0, 0.0, 50.0]
    assert [value("other", flag) for flag in flags] == [None, None, None]


def places(page: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """The series of a page and what is said of them, without their values."""
    return [
        (family.documentation, sample.name, sorted(sample.labels.items()))
        for family in text_string_to_metric_families(page)
        for sample in family.samples
    ]
