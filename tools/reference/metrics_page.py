"""`docs/reference/metrics.md`: every Prometheus metric with its type, labels and help."""

from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import yaml
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from ingest_service.metrics import ServiceMetrics
from ingest_service.sources.kafka.metrics import StreamMetrics
from lakehouse.quality.metrics import (
    COST_GAUGES,
    COST_LABELS,
    DATA_GAUGES,
    FLAG_GAUGES,
    FLAG_LABELS,
    LABELS,
    OWN_GAUGES,
)
from lakehouse.training.run_metrics import RUN_GAUGES
from tools.reference.text import PROJECT_DIR, notice, page, paragraph, table

RULES: Final = PROJECT_DIR / "deploy" / "prometheus" / "rules.yml"


class MetricLine(NamedTuple):
    """A metric as the page shows it."""

    name: str
    kind: str
    labels: Sequence[str]
    text: str


def metrics_page() -> str:
    """Return the page."""
    lines = [
        "# Metrics",
        "",
        paragraph(
            "A histogram has `_bucket`, `_sum` and `_count`; a state is 1 for the state it is in",
            "and 0 for the others, by a label of the metric's own name. Labels never name a",
            "person; only those of quality and costs name a tenant. What to do when one alerts:",
            "[runbook](../runbook.md).",
            notice("the metrics"),
        ),
    ]
    for title, text, metrics in sections():
        lines += ["", f"## {title}", "", text, ""]
        lines += table(
            ("metric", "type", "labels", "meaning"),
            [
                (f"`{m.name}`", m.kind, ", ".join(f"`{label}`" for label in m.labels), m.text)
                for m in metrics
            ],
        )
    lines += [
        "",
        "## Recorded",
        "",
        "Worked out by Prometheus (`deploy/prometheus/rules.yml`).",
        "",
    ]
    lines += table(("series", "expression"), [(f"`{n}`", f"`{e}`") for n, e in recorded()])
    return page(lines)


def sections() -> list[tuple[str, str, list[MetricLine]]]:
    """Return every metric, by what serves it."""
    quality = [MetricLine(n, "gauge", LABELS, t) for n, t in DATA_GAUGES.items()]
    quality += [MetricLine(n, "gauge", FLAG_LABELS, t) for n, t in FLAG_GAUGES.items()]
    quality += [MetricLine(n, "gauge", COST_LABELS, t) for n, t in COST_GAUGES.items()]
    quality += [MetricLine(n, "gauge", (), t) for n, t in OWN_GAUGES.items()]
    runs = [MetricLine(n, "gauge", labels, t) for n, (t, labels) in RUN_GAUGES.items()]
    return [
        (
            "Service",
            "`GET /metrics` of `eta serve`, with `ETA_SERVICE_METRICS_TOKEN` as bearer token.",
            list(_of_registry(ServiceMetrics().registry)),
        ),
        (
            "Stream",
            "`eta consume`, on the port `ETA_STREAM_METRICS_PORT`.",
            list(_of_registry(StreamMetrics().registry)),
        ),
        ("Quality", "`eta quality serve-metrics` ([measures](../quality.md)).", quality),
        (
            "Runs of the models",
            "`metrics/eta_runs.prom` in the home, for a textfile collector;"
            " `eta runs metrics` prints it.",
            runs,
        ),
    ]


def names() -> set[str]:
    """Return the name of every metric and recorded series."""
    return {m.name for _, _, metrics in sections() for m in metrics} | {n for n, _ in recorded()}


def recorded() -> list[tuple[str, str]]:
    """Return the series that Prometheus records, with their expressions."""
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    rules: list[dict[str, Any]] = [rule for group in groups for rule in group["rules"]]
    return [(rule["record"], rule["expr"]) for rule in rules if "record" in rule]


def _of_registry(registry: CollectorRegistry) -> Iterator[MetricLine]:
    for collector in registry._collector_to_names:  # noqa: SLF001 - labels have no public reader
        if isinstance(collector, MetricWrapperBase):
            family = next(iter(collector.describe()))
            labels: Sequence[str] = collector._labelnames  # noqa: SLF001
        else:
            family = next(iter(collector.collect()))
            labels = getattr(family, "_labelnames", ())
        name, kind = family.name, family.type
        if kind == "counter":
            name = f"{name}_total"
        elif kind == "stateset":
            kind, labels = "state", (name,)
        yield MetricLine(name, kind, labels, family.documentation)
