"""A lake of its own for tests: raw rows in, one Spark session for all, tables out."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, write_deltalake

from lakehouse.contracts.tables import RAW_INTERACTIONS, RAW_ITEMS, RAW_USERS, TableSpec
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.build import BuildResult, build, run_dbt
from lakehouse.training.tenant_settings import publish_tenant_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


def at(text: str) -> datetime:
    """`at("05-01 12:30")` is a moment of 2026, UTC."""
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


def interaction(
    event_id: str,
    user_id: str = "u1",
    item_id: str = "i1",
    interaction_type: str = "click",
    event_time: datetime = NOON,
    rating: float | None = None,
    session_id: str | None = None,
) -> dict[str, Any]:
    """An interaction without its provenance."""
    return {
        "event_id": event_id,
        "user_id": user_id,
        "item_id": item_id,
        "interaction_type": interaction_type,
        "event_time": event_time,
        "rating": rating,
        "context": {"device_type": None, "location": None, "session_id": session_id},
    }


def item(item_id: str, event_id: str | None = None, **columns: Any) -> dict[str, Any]:
    """A catalogue row without its provenance."""
    row = dict.fromkeys(("title", "category", "price", "available_from", "is_active", "attributes"))
    return {
        **row,
        "event_id": event_id or item_id,
        "item_id": item_id,
        "updated_at": NOON,
    } | columns


def user(user_id: str, consent: str | None, event_id: str, **columns: Any) -> dict[str, Any]:
    """A state of a user without its provenance."""
    row = {"event_id": event_id, "user_id": user_id, "attributes": None, "consent": consent}
    return {**row, "updated_at": NOON, "sent_fields": None} | columns


def generate_code(session: "SparkSession", *, wanted: bool) -> None:
    """Whether Spark generates code for each plan, as it does by default.

    To compile it takes longer than to read a few hundred rows without: test_models.py cost 197 s of
    processor time with it and 148 s without, the 100,000 rows of MovieLens 208 s and 253 s.
    Whole runs in other processes (demo, DAGs, S3, kills) keep it on.
    """
    context = session.sparkContext._jsc
    assert context is not None
    of_new_sessions = context.sc().conf()  # each of dbt's threads opens one
    for name, value in (
        ("spark.sql.codegen.wholeStage", str(wanted).lower()),
        ("spark.sql.codegen.factoryMode", "FALLBACK" if wanted else "NO_CODEGEN"),
    ):
        session.conf.set(name, value)
        of_new_sessions.set(name, value)


def one_task_per_stage(session: "SparkSession") -> None:
    """Hand over one task per stage: a few hundred rows cost less than to hand over a second.

    Building thirty tenants cost 193 processor seconds with two and 136 with one; of the demo's
    100,000 rows it is slower by the clock, so that whole runs in other processes have two.
    """
    context = session.sparkContext._jsc
    assert context is not None
    for name in (
        "spark.sql.shuffle.partitions",
        "spark.sql.files.minPartitionNum",
        "spark.sql.leafNodeDefaultParallelism",
    ):
        session.conf.set(name, "1")
        context.sc().conf().set(name, "1")


@contextmanager
def partitioned(partitions: int) -> Iterator[None]:
    """In this block the runs shuffle into so many partitions; others here into one."""
    from pyspark.sql import SparkSession

    session, name = SparkSession.active(), "spark.sql.shuffle.partitions"
    context = session.sparkContext._jsc
    assert context is not None
    of_new_sessions = context.sc().conf()  # each of dbt's threads opens one
    before = of_new_sessions.get(name)
    of_new_sessions.set(name, str(partitions))
    try:
        assert session.newSession().conf.get(name) == str(partitions)
        yield
    finally:
        of_new_sessions.set(name, before)


def run_in_target_of_variables(
    settings: LakeSettings, arguments: Sequence[str], **options: Any
) -> Any:
    """`run_dbt` with a target folder for each project and variables: dbt parses each once."""
    usual, project = settings.home_dir / "target", str(settings.project)
    variables = arguments[arguments.index("--vars") + 1] if "--vars" in arguments else ""
    is_own = "schema" in options or project != os.environ.get("ETA_PROJECT_DIR")
    if not (variables or is_own) or os.environ.get("DBT_TARGET_PATH") != str(usual):
        return run_dbt(settings, arguments, **options)
    known = md5(f"{project} {variables} {options.get('schema')}".encode(), usedforsecurity=False)
    target = usual.with_name(f"target-{known.hexdigest()[:12]}")
    return run_dbt(settings, [*arguments, "--target-path", str(target)], **options)


@dataclass
class SessionLake:
    """Handles of the session's lake; tests keep apart by using tenants of their own."""

    settings: LakeSettings
    batches: int = 0
    tenants: dict[str, TenantSettings] = field(default_factory=dict)

    def store(
        self,
        tenant_id: str,
        rows: Iterable[Mapping[str, Any]],
        *,
        spec: TableSpec = RAW_INTERACTIONS,
        known_at: datetime | None = None,
        batch_id: str | None = None,
    ) -> list[dict[str, Any]]:
        """Append raw rows as the service would, in one commit; return them with provenance."""
        self.batches += 1
        known_at = known_at or datetime.now(UTC)
        stored = [
            {
                "tenant_id": tenant_id,
                "ingest_date": known_at.date(),
                "known_at": known_at,
                "source": "test",
                "batch_id": batch_id or f"batch-{self.batches:05}",
                "source_ref": f"line:{number:06}",
                **row,
            }
            for number, row in enumerate(rows, 2)
        ]
        table = pa.Table.from_pylist(stored, schema=spec.schema)
        write_deltalake(Lake(self.settings).table(spec), table, mode="append")
        return stored

    def store_items(self, tenant_id: str, rows: Iterable[Mapping[str, Any]], **how: Any) -> None:
        """Append catalogue rows."""
        self.store(tenant_id, rows, spec=RAW_ITEMS, **how)

    def store_users(
        self, tenant_id: str, rows: Iterable[Mapping[str, Any]], **how: Any
    ) -> list[dict[str, Any]]:
        """Append states of users; return them with provenance."""
        return self.store(tenant_id, rows, spec=RAW_USERS, **how)

    def set_tenant(self, tenant_id: str, settings: TenantSettings) -> None:
        """Hand a tenant's settings to the models."""
        self.tenants[tenant_id] = settings
        publish_tenant_settings(Lake(self.settings), self.tenants, datetime.now(UTC))

    def build(self, **options: Any) -> BuildResult:
        """Run `dbt build`; fails the test when a model or a test fails."""
        return build(self.settings, **options)

    def kill_build(self, *, after: str) -> None:
        """Start `dbt build` in a process of its own and kill it when `after` has a new commit."""
        log = Path(self.settings.lake, after, "_delta_log")
        commits = len(list(log.glob("*.json")))
        without = ("test_type:unit", "test_type:data")  # the models are what is killed
        command = [Path(sys.executable).with_name("dbt"), "build", "--exclude", *without]
        running = subprocess.Popen(
            command,
            cwd=self.settings.project,
            start_new_session=True,  # its JVM dies with it
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while len(list(log.glob("*.json"))) == commits:
                assert running.poll() is None, "the build ended before it could be killed"
                time.sleep(0.05)
        finally:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()

    def start_again(self, *, is_known: bool = True) -> None:
        """End the session and open another, whose catalogue is as empty as a new process's.

        `is_known`: it is told of the lake's tables; else it is like a server of somebody else's.
        """
        from pyspark.sql import SparkSession

        from lakehouse.spark.session import open_local_session

        SparkSession.active().stop()
        if is_known:
            session = open_local_session(self.settings)
        else:
            session = SparkSession.builder.appName("somebody else's").getOrCreate()
        generate_code(session, wanted=False)
        one_task_per_stage(session)

    def dbt(self, *arguments: str) -> Any:
        """Run any dbt command; fails the test when it fails."""
        outcome = run_in_target_of_variables(self.settings, arguments)
        assert outcome.success, [r.message for r in outcome.result if r.status != "success"]
        return outcome

    def table(self, name: str, tenant_id: str) -> pl.DataFrame:
        """A tenant's rows of `schema.table`, without `tenant_id`, in a fixed order."""
        path, query = VIEWS.get(name, (name, "select * from rows_of"))
        table = DeltaTable(f"{self.settings.lake}/{path.replace('.', '/')}")
        query = f"select * from ({query}) where tenant_id = '{tenant_id}'"
        frame = pl.DataFrame(QueryBuilder().register("rows_of", table).execute(query).read_all())
        frame = frame.drop("tenant_id")
        return frame.sort(sorted(c for c, t in frame.schema.items() if not t.is_nested()))

    def data_files(self) -> set[Path]:
        """Every data file of the lake, whoever wrote it; checkpoints are none."""
        files = Path(self.settings.lake).rglob("*.parquet")
        return {file for file in files if "_delta_log" not in file.parts}


VIEWS: Mapping[str, tuple[str, str]] = {
    "training.positives": (
        "training.training_data",
        "select tenant_id, user_id, item_id, event_id, first_type as interaction_type, "
        "interaction_type as strongest_type, has_dislike, event_time from rows_of where label = 1",
    ),
    "training.explicit_negatives": (
        "training.training_data",
        "select tenant_id, user_id, item_id, event_id, interaction_type, event_time from rows_of "
        "where negative_type = 'explicit'",
    ),
    "training.sampled_negatives": (
        "training.training_data",
        "select tenant_id, user_id, item_id, anchor_item_id as positive_item_id, draw_index, "
        "eligible_count, sampling_probability, event_time from rows_of "
        "where negative_type = 'sampled'",
    ),
}
"""The views of the models, for readers that have tables alone: what to read, and by which query."""

DERIVED_TABLES: Sequence[str] = (
    "staging.stg_interactions",
    "staging.stg_identity_ties",
    "staging.stg_clickstream",
    "staging.stg_items",
    "staging.stg_users",
    "staging.stg_tenant_settings",
    "ops.staging_conflicts",
    "ops.staging_counts",
    "ops.join_rates",
    "features.item_history",
    "features.enriched_interactions",
    "features.user_feature_history",
    "features.user_features",
    "features.item_hours",
    "features.item_feature_history",
    "features.item_features",
    "features.recent_interactions",
    "features.impressions",
    "training.item_availability",
    "training.training_data",
    "training.training_users",
    "training.user_histories",
    "training.training_examples",
    "training.training_contents",
)
