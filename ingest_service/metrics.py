"""Every metric of the service, with its unit, in one place. No label names a tenant."""

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from ingest_service.pipeline.report import IngestReport
from lakehouse.contracts.tenant import DataType
from lakehouse.control.database import Erasure
from lakehouse.storage.ledger_check import LedgerCheck

DURATION_BUCKETS: Final = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class ServiceMetrics:
    """The service's metrics on a registry of their own.

    Labels are bounded: `data_type` has three values, `outcome` five, `quota` five, `limit` two,
    `code` is a warning's,
    `status` the HTTP codes the service answers with, `route` the path templates.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "eta_ingest_requests_total",
            "Requests answered.",
            ("route", "status"),
            registry=self.registry,
        )
        self.rows = Counter(
            "eta_ingest_rows_total",
            "Rows of uploads, by what became of them.",
            ("data_type", "outcome"),
            registry=self.registry,
        )
        self.over_quota = Counter(
            "eta_ingest_over_quota_total",
            "Requests refused because their tenant had used up a quota, by the quota.",
            ("quota",),
            registry=self.registry,
        )
        self.connections_over = Counter(
            "eta_ingest_connections_over_limit_total",
            "Connections that came over a limit: an idle one was closed, or they were refused.",
            ("limit",),
            registry=self.registry,
        )
        self.malformed = Counter(
            "eta_ingest_malformed_requests_total",
            "Connections that sent what is no HTTP/1.1 request, or one whose end is not certain.",
            registry=self.registry,
        )
        self.warnings = Counter(
            "eta_ingest_warnings_total",
            "What was odd about rows or files that were taken, by code (docs/codes.md).",
            ("data_type", "code"),
            registry=self.registry,
        )
        self.bytes = Counter(
            "eta_ingest_received_bytes_total",
            "Bytes of files received.",
            registry=self.registry,
        )
        self.duration = Histogram(
            "eta_ingest_upload_seconds",
            "Seconds from the end of a body to the end of its batch.",
            ("data_type",),
            buckets=DURATION_BUCKETS,
            registry=self.registry,
        )
        self.wrong_batches = Gauge(
            "eta_ledger_wrong_batches",
            "Batches of the last two days whose ledger does not add up; must be 0.",
            registry=self.registry,
        )
        self.unfinished_batches = Gauge(
            "eta_ledger_unfinished_batches",
            "Batches of the last two days that are under way or were left by a kill.",
            registry=self.registry,
        )
        self.lost_batches = Gauge(
            "eta_ledger_lost_batches",
            "Batches of the last two days that were acknowledged and are not whole; must be 0.",
            registry=self.registry,
        )
        self.damaged_files = Gauge(
            "eta_lake_damaged_files",
            "Data files and logs that the check of the ledger could not read; must be 0.",
            registry=self.registry,
        )
        self.open_erasures = Gauge(
            "eta_erasures_open",
            "Erasures that are not completed.",
            registry=self.registry,
        )
        self.late_erasures = Gauge(
            "eta_erasures_late",
            "Erasures that are open for more than 12 of their 24 hours; must be 0.",
            registry=self.registry,
        )
        self.oldest_erasure = Gauge(
            "eta_erasure_oldest_seconds",
            "Age of the oldest erasure that is open; 0 when none is.",
            registry=self.registry,
        )
        self.idempotency_keys = Gauge(
            "eta_idempotency_keys",
            "Idempotency keys that are kept.",
            registry=self.registry,
        )
        self.idempotent_answer_bytes = Gauge(
            "eta_idempotent_answer_bytes",
            "Bytes of the answers kept for them.",
            registry=self.registry,
        )
        self.answers_cut = Counter(
            "eta_idempotent_answers_cut_total",
            "Answers of which the counts alone are kept, for their size.",
            registry=self.registry,
        )
        self.keys_refused = Counter(
            "eta_idempotency_keys_refused_total",
            "Requests refused because their tenant holds too many idempotency keys.",
            registry=self.registry,
        )
        self.lineage = Counter(
            "eta_lineage_runs_total",
            "Batches that were to be told to OpenLineage, by what became of that.",
            ("outcome",),
            registry=self.registry,
        )
        self.ledger_checked = Gauge(
            "eta_ledger_checked_timestamp_seconds",
            "When the ledger was last checked, seconds since 1970.",
            registry=self.registry,
        )

        self.join_rate = Gauge(
            "eta_catalogue_join_ratio",
            "Share of the interactions whose item the catalogue has; NaN before the models ran.",
            registry=self.registry,
        )
        self.join_rate.set(math.nan)

    def observe_join_rate(self, rate: float | None) -> None:
        """Show what the newest run of the models counted."""
        self.join_rate.set(math.nan if rate is None else rate)

    def observe_erasures(self, open_erasures: Sequence[Erasure], moment: datetime) -> None:
        """Show the erasures that are open."""
        ages = [(moment - one.requested_at).total_seconds() for one in open_erasures]
        self.open_erasures.set(len(ages))
        self.late_erasures.set(sum(one.is_late(moment) for one in open_erasures))
        self.oldest_erasure.set(max(ages, default=0.0))

    def observe_answers(self, keys: int, answer_bytes: int) -> None:
        """Show what idempotency keys hold."""
        self.idempotency_keys.set(keys)
        self.idempotent_answer_bytes.set(answer_bytes)

    def observe_ledger(self, check: LedgerCheck, moment: datetime) -> None:
        """Show what a check of the ledger found."""
        self.wrong_batches.set(len(check.wrong))
        self.unfinished_batches.set(check.unfinished)
        self.lost_batches.set(check.lost)
        self.damaged_files.set(len(check.damage))
        self.ledger_checked.set(moment.timestamp())

    def observe(self, data_type: DataType, report: IngestReport, seconds: float) -> None:
        """Count an upload that was read to its end."""
        self.duration.labels(data_type.value).observe(seconds)
        for code, count in report.warnings.by_code.items():
            self.warnings.labels(data_type.value, code).inc(count)
        counts = report.counts
        outcomes = {"refused": counts.received}
        if report.is_stored:
            outcomes = {
                "stored": counts.stored,
                "duplicate": counts.duplicate,
                "quarantined": counts.quarantined,
                "suppressed": counts.suppressed,
            }
        for outcome, count in outcomes.items():
            self.rows.labels(data_type.value, outcome).inc(count)
