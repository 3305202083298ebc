"""A real Prometheus scrapes service and exporter: numbers, alerts, and every panel's query."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from ingest_service.sinks.delta import DeltaSink
from lakehouse.quality.refresh import refresh
from lakehouse.storage.cost_reports import Kept, write_costs, write_kept
from lakehouse.storage.lake import Lake
from tests.conftest import PROJECT_DIR
from tests.support.prometheus import RunningPrometheus
from tests.support.quality import Plan, plant, recount
from tests.support.service import METRICS_TOKEN, RunningService, service

__all__ = ["service"]

HEADER = "user_id,item_id,interaction_type,timestamp\n"
MILLISECONDS = 1_750_000_000_000


def csv(first: int, count: int, invalid: int = 0) -> str:
    """Interactions, the first of them of a type that is none."""
    return HEADER + "".join(
        f"u{n},i1,{'nothing' if n - first < invalid else 'click'},{MILLISECONDS + n}\n"
        for n in range(first, first + count)
    )


@pytest.fixture(scope="module")
def exporter(service: RunningService) -> Iterator[str]:
    """Where `eta quality serve-metrics` answers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "lakehouse.cli", "quality", "serve-metrics", "--port", "0"],
        env={**os.environ, "ETA_HOME": str(service.home)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    yield line.removeprefix("metrics on http://").removesuffix("/metrics\n")
    process.terminate()
    process.stdout.close()
    assert process.wait(30) == 0


@pytest.fixture(scope="module")
def prometheus(
    service: RunningService, exporter: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningPrometheus]:
    targets = {
        "eta-service": service.base_url.removeprefix("http://"),
        "eta-quality": exporter,
    }
    folder = tmp_path_factory.mktemp("monitoring") / "prometheus"
    running = RunningPrometheus(folder, targets, METRICS_TOKEN)
    yield running
    running.stop()


def test_scrapes_alerts_and_panels(
    service: RunningService, prometheus: RunningPrometheus, tmp_path: Path
) -> None:
    prometheus.wait(lambda: prometheus.value('sum(up{job=~"eta-.*"})') == 2)

    # a clean upload: at least 95, and no alert
    assert service.upload("acme", csv(0, 100)).status_code == 200
    refresh(Lake(service.lake), "clean")
    of_acme = '{tenant_id="acme", data_type="interactions"}'
    prometheus.wait(lambda: (prometheus.value(f"data_quality_score{of_acme}") or 0) >= 95)
    assert not {one for one in prometheus.firing() if one[1] == "acme"}

    # a tenth of all rows invalid: below 95, and an alert
    answer = service.upload("acme", csv(100, 100, invalid=20), on_error="quarantine")
    assert answer.status_code == 200, answer.text
    refresh(Lake(service.lake), "invalid")
    prometheus.wait(lambda: ("EtaDataQualityLow", "acme") in prometheus.firing())
    assert prometheus.value(f"data_quality_score{of_acme}") == pytest.approx(90)
    expected = recount(service.lake)["acme", "interactions"]
    assert expected["received_count"] == 200
    for name in ("completeness", "validity", "uniqueness", "consistency"):
        found = prometheus.value(f"data_{name}_percent{of_acme}")
        assert found == pytest.approx(expected[f"{name}_percent"]), name

    # more good rows, and it clears; a run of the models has counted what looks like a program's,
    # and what the tenant costs
    counts = dict.fromkeys(("rate_count", "uniformity_count", "agent_count", "flagged_count"), 12)
    counted = {"tenant_id": "acme", "join_rate": 1.0, "interaction_count": 1_200, **counts}
    write_deltalake(
        f"{Lake(service.lake).location()}/ops/join_rates", pa.Table.from_pylist([counted])
    )
    cost = {"bytes": 40_000.0, "seconds": 3.5, "processor_seconds": 2.5}
    write_costs(Lake(service.lake).home, datetime.now(UTC), {"acme": {"training": cost}})
    write_kept(Lake(service.lake).home, {"acme": {"training": Kept(50_000, 900)}})
    assert service.upload("acme", csv(200, 1_000)).status_code == 200
    refresh(Lake(service.lake), "mostly good")
    prometheus.wait(lambda: ("EtaDataQualityLow", "acme") not in prometheus.firing())

    # seven hours without a row: stale, whether anything measures or not; new rows clear it
    sink = DeltaSink(Lake(service.lake))
    seven_hours_ago = datetime.now(UTC) - timedelta(hours=7)
    plant(sink, "seven-hours-ago", Plan(good=3), tenant="late", known_at=seven_hours_ago)
    prometheus.wait(lambda: ("EtaDataStale", "late") in prometheus.firing())
    late = prometheus.value('data_freshness_hours{tenant_id="late"}')
    assert late == pytest.approx(7, abs=0.2)
    check_panels(prometheus)
    plant(sink, "now", Plan(good=3), tenant="late")
    prometheus.wait(lambda: ("EtaDataStale", "late") not in prometheus.firing())


def check_panels(prometheus: RunningPrometheus) -> None:
    """Every query of the dashboard has an answer now."""
    dashboard = json.loads((PROJECT_DIR / "deploy/grafana/data_quality.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    for query in queries:
        for name in ("tenant", "data_type"):
            query = query.replace(f"${name}", ".*")
        assert "$" not in query
        assert prometheus.query(query), query
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "query":
            metric = variable["definition"].removeprefix("label_values(").split(",")[0]
            assert prometheus.query(metric)
