"""The measures of quality, and costs, as Prometheus gauges: no Spark, no database.

Shares are those of the newest row of `ops.data_quality`. Freshness is asked of the ledger at every
scrape, so it goes on when nothing measures any more, and the score is worked out with it. Costs are
those that the runs' reports say.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from threading import Lock
from typing import Any, Final
from urllib.parse import unquote

import polars as pl
import pyarrow.fs as pafs
import pyarrow.parquet as pq
from deltalake import DeltaTable
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tables import OPS_DATA_QUALITY, OPS_INGEST_LEDGER, TableSpec
from lakehouse.contracts.tenant import UNATTRIBUTED
from lakehouse.contracts.traffic import TrafficFlag
from lakehouse.errors import EtaError
from lakehouse.quality.scoring import Shares, score
from lakehouse.storage.cost_reports import DAYS, SHARED, AllKept, CostReports, Costs, read_kept
from lakehouse.storage.lake import Lake
from lakehouse.storage.ledger import query
from lakehouse.storage.maintenance import live_files
from lakehouse.storage.stores import table_filesystem

Key = tuple[str, str]
"""Tenant and data type."""
LABELS: Final = ("tenant_id", "data_type")
MOST_TENANTS: Final = 1_000

DATA_GAUGES: Final = {
    "data_freshness_hours": "Hours since the newest batch arrived.",
    "data_completeness_percent": "Share of rows that lack no required field, 0 to 100.",
    "data_validity_percent": "Share of rows that no other rule refused, 0 to 100.",
    "data_uniqueness_percent": "Share of rows that were not known before, 0 to 100.",
    "data_consistency_percent": "Share of rows that contradict nothing, 0 to 100.",
    "data_quality_score": "Product of the five dimensions, 0 to 100 (docs/quality.md).",
}
"""Gauges of a tenant and data type, each with its unit; labels are `LABELS`."""

FLAG_GAUGES: Final = {
    "data_flagged_percent": "Share of interactions that look like a program's, 0 to 100, by flag.",
}
"""Gauges of a tenant, data type and `flag` (docs/traffic.md); the models count them."""
FLAG_LABELS: Final = (*LABELS, "flag")

COST_GAUGES: Final = {
    "eta_tenant_kept_bytes": "Bytes of a tenant's current files, as the last run left them.",
    "eta_tenant_seconds": f"A tenant's share of models' and tests' seconds, {DAYS} days of runs.",
    "eta_tenant_processor_seconds": f"The same of the processor, if dbt sees it, {DAYS} days.",
}
"""Gauges of a tenant and stage (docs/orchestration.md); their sums are what was measured."""
COST_LABELS: Final = ("tenant_id", "stage")
NOBODY, OTHERS = "(shared)", "(others)"
"""In place of a tenant: what none alone has caused, and all those that have no gauges."""

OWN_GAUGES: Final = {
    "eta_quality_tenants": "Tenants that have sent data.",
    "eta_quality_tenants_omitted": "Tenants beyond the bound, which have no gauges; must be 0.",
    "eta_quality_lag_seconds": "Seconds from the newest arrival that was measured to the newest.",
    "eta_cost_reports_unreadable": "Reports of runs' costs that no figure holds; must be 0.",
}
"""Gauges of the exporter itself, without labels."""

_SHARES: Final = tuple(f"{name}_percent" for name in Shares.__dataclass_fields__)
_FLAGGED: Final = tuple(f"{flag}_flagged_percent" for flag in TrafficFlag)
_KNOWN_AT: Final = "newest_known_at"
_IS_ARRIVAL: Final = "replay = 0"
"""A replay takes in what had arrived before."""
_KEEPING_ROWS: Final = frozenset({"WRITE", "OPTIMIZE", "VACUUM START", "VACUUM END"})
"""Operations after which every row is still there, if in another file."""
_FEW_FILES: Final = 32
"""More than these are read by one query over the table, which costs less than one by one."""


def _now() -> datetime:
    return datetime.now(UTC)


class Newest:
    """The newest row per tenant and data type of a table whose rows never change but may go.

    `condition` is the program's own SQL over the table's columns: only such rows are looked at.

    Keeps a handle and what it has read: a look costs what was committed since the last one. Rows
    of files that were merged are read again and change nothing.
    """

    def __init__(
        self,
        lake: Lake,
        spec: TableSpec,
        moment: str,
        columns: Sequence[str] = (),
        condition: str = "true",
    ) -> None:
        self._condition = condition
        self._lake = lake
        self._spec = spec
        self._table: DeltaTable | None = None
        self._version = -1
        self._files: set[str] = set()
        self._columns = (moment, *columns)
        self.rows: dict[Key, tuple[Any, ...]] = {}

    def look(self) -> None:
        """Take in what was committed since; `rows` then has (moment, *columns) by key.

        After an error the next look opens the table again and takes in what this one did not.
        """
        try:
            self._look()
        except BaseException:
            self._table = None
            raise

    def _look(self) -> None:
        if self._table is None:
            self._table = self._lake.table(self._spec)
        else:
            self._table.update_incremental()  # also where the log was shortened meanwhile
        if self._table.version() == self._version:
            return
        live = live_files(self._table)
        if self._rows_went(self._table, set(live["path"].to_list())):
            self.rows, self._files = {}, set()
        fresh = live.filter(~pl.col("path").is_in(list(self._files)))
        if fresh.height > _FEW_FILES:
            self._take(self._of_all(self._table))
        else:
            files = table_filesystem(self._table)
            for path, tenant_id in fresh.select("path", "tenant_id").iter_rows():
                self._take(self._of_file(files, path, tenant_id))
        self._files = set(live["path"].to_list())
        self._version = self._table.version()

    def _rows_went(self, table: DeltaTable, live: set[str]) -> bool:
        """Whether rows were deleted since the last look: those of batches that came to nothing."""
        if self._files <= live:
            return False
        commits = table.version() - self._version
        told = [commit.get("operation") for commit in table.history(commits)]
        return len(told) < commits or not set(told) <= _KEEPING_ROWS

    def _of_all(self, table: DeltaTable) -> pl.DataFrame:
        moment = self._columns[0]
        newest = ", ".join(
            f"last_value({name} order by {moment}) as {name}" for name in self._columns
        )
        rest = f"{self._condition} group by tenant_id, data_type"
        return query(table, f"tenant_id, data_type, {newest}", None, rest)

    def _of_file(self, files: pafs.FileSystem, path: str, tenant_id: str) -> pl.DataFrame:
        with files.open_input_file(unquote(path)) as file:  # the log has it as a URL
            rows = pl.DataFrame(pq.ParquetFile(file).read())
        # files of earlier releases lack the columns that were added
        missing = [pl.lit(None).alias(name) for name in self._columns if name not in rows.columns]
        rows = rows.with_columns(*missing, tenant_id=pl.lit(tenant_id))
        return (
            rows.filter(pl.sql_expr(self._condition))
            .sort(self._columns[0])
            .group_by("data_type")
            .last()
        )

    def _take(self, newest: pl.DataFrame) -> None:
        for tenant_id, data_type, *values in newest.select(*LABELS, *self._columns).iter_rows():
            key = (tenant_id, data_type)
            is_newer = key not in self.rows or self.rows[key][0] <= values[0]
            if is_newer and tenant_id != UNATTRIBUTED:
                self.rows[key] = tuple(values)


class QualityMetrics(Collector):
    """Reads the lake at each scrape; a scrape fails when the lake cannot be read.

    Labels are bounded: the first `most_tenants` tenants by id have gauges, of each data type, and
    `eta_quality_tenants_omitted` says how many have none.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        most_tenants: int = MOST_TENANTS,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._arrivals = Newest(lake, OPS_INGEST_LEDGER, "known_at", (), _IS_ARRIVAL)
        self._measures = Newest(
            lake, OPS_DATA_QUALITY, "measured_at", (_KNOWN_AT, *_SHARES, *_FLAGGED)
        )
        self._costs = CostReports(lake.home)
        self._most = most_tenants
        self._clock = clock
        self._lock = Lock()  # the server answers several scrapes at once

    def collect(self) -> Iterator[Metric]:
        """Yield every gauge; see `DATA_GAUGES` and `OWN_GAUGES`."""
        with self._lock:
            self._measures.look()
            self._arrivals.look()
            arrivals, measures = dict(self._arrivals.rows), dict(self._measures.rows)
            now = self._clock()
            costs = self._costs.sum(now - timedelta(days=DAYS))
            kept, damaged = self._kept()
        tenants = sorted({tenant for tenant, _ in arrivals})
        shown = set(tenants[: self._most])
        families = {
            name: GaugeMetricFamily(name, text, labels=LABELS) for name, text in DATA_GAUGES.items()
        }
        for key in sorted(arrivals):
            if key[0] in shown:
                values = _values(key, arrivals[key][0], measures.get(key), now)
                for family, value in zip(families.values(), values, strict=True):
                    if value is not None:  # not known is no sample, never a 0
                        family.add_metric(key, value)
        yield from families.values()
        yield from _flagged({key: row for key, row in measures.items() if key[0] in shown})
        yield from _cost_families(kept, costs.costs, shown)
        lag = _lag(arrivals, measures)
        own = (len(tenants), len(tenants) - len(shown), lag, costs.unreadable + damaged)
        for (name, text), value in zip(OWN_GAUGES.items(), own, strict=True):
            yield GaugeMetricFamily(name, text, value=value)

    def _kept(self) -> tuple[AllKept, int]:
        """Return what tenants keep, and how many files of it are damaged: no reason to fail."""
        try:
            return read_kept(self._costs.home), 0
        except EtaError:
            return {}, 1


def _values(
    key: Key, known_at: datetime, measured: tuple[Any, ...] | None, now: datetime
) -> tuple[float | None, ...]:
    """Return the values of `DATA_GAUGES`, in their order."""
    hours = max((now - known_at).total_seconds(), 0.0) / 3600
    found = Shares() if measured is None else Shares(*measured[2 : 2 + len(_SHARES)])
    parts = (found.completeness, found.validity, found.uniqueness, found.consistency)
    return (hours, *parts, score(DataType(key[1]), hours, found))


def _flagged(measures: Mapping[Key, tuple[Any, ...]]) -> Iterator[Metric]:
    """Yield the gauges of `FLAG_GAUGES`; what the models have not counted is no sample."""
    for name, text in FLAG_GAUGES.items():
        family = GaugeMetricFamily(name, text, labels=FLAG_LABELS)
        for key, measured in sorted(measures.items()):
            for flag, share in zip(TrafficFlag, measured[2 + len(_SHARES) :], strict=True):
                if share is not None:
                    family.add_metric((*key, flag), share)
        yield family


def _cost_families(kept: AllKept, costs: Costs, shown: Collection[str]) -> Iterator[Metric]:
    """Yield the gauges of `COST_GAUGES`; what was not measured is no sample."""
    sizes: Counter[Key] = Counter()
    seconds: defaultdict[Key, float] = defaultdict(float)
    processor: defaultdict[Key, float] = defaultdict(float)
    for tenant_id in {*kept, *costs}:
        name = NOBODY if tenant_id == SHARED else tenant_id if tenant_id in shown else OTHERS
        for stage, one in kept.get(tenant_id, {}).items():
            sizes[name, stage] += one.bytes
        for stage, values in costs.get(tenant_id, {}).items():
            seconds[name, stage] += values["seconds"]
            if "processor_seconds" in values:
                processor[name, stage] += values["processor_seconds"]
    found: tuple[Mapping[Key, float], ...] = (sizes, seconds, processor)
    for (name, text), by_key in zip(COST_GAUGES.items(), found, strict=True):
        family = GaugeMetricFamily(name, text, labels=COST_LABELS)
        for key, value in sorted(by_key.items()):
            family.add_metric(key, value)
        yield family


def _lag(arrivals: Mapping[Key, tuple[Any, ...]], measures: Mapping[Key, tuple[Any, ...]]) -> float:
    """Return by how many seconds the measures are behind, of the key where it is most."""
    long_ago = datetime.fromtimestamp(0, UTC)
    ages: list[float] = [
        (known_at - (measures[key][1] if key in measures else long_ago)).total_seconds()
        for key, (known_at,) in arrivals.items()
    ]
    return max([0.0, *ages])
