"""Two small tenants whose lake is in a bucket and whose models run on a cluster, and their twin.

The twin is a lake on this machine's disk with the same raw rows, run by local Spark.
"""

import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import polars as pl
import psutil
from deltalake import QueryBuilder, write_deltalake

from ingest_service.settings import ServiceSettings
from ingest_service.sources.uploads.upload import FileUpload
from ingest_service.wiring import build_services
from lakehouse.contracts.tables import SERVICE_TABLES
from lakehouse.contracts.tenant import DataType, FileFormat, OnError, TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.dev.spark_cluster import Cluster, executors, start_cluster, stop_cluster
from lakehouse.settings import LakeSettings, find_project_dir
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables
from tests.support.lake import DERIVED_TABLES

TENANTS = ("acme", "globex")
FIRST_MS = 1_700_000_000_000
ITEMS = 12
TYPES = ("view", "click", "like", "dislike")
RAW = ("raw.interactions", "raw.items")


def hashes(
    settings: LakeSettings,
    tables: Sequence[str] = (*RAW, *DERIVED_TABLES),
    tenant_id: str | None = None,
) -> dict[str, str | None]:
    """Rows and a hash of each table, whatever their order; None for one that is not there."""
    return {name: _hash(settings, name, tenant_id) for name in tables}


def _hash(settings: LakeSettings, name: str, tenant_id: str | None) -> str | None:
    table = Lake(settings).find(name)
    if table is None:
        return None
    where = f" where tenant_id = '{tenant_id}'" if tenant_id else ""
    query = QueryBuilder().register("rows_of", table).execute(f"select * from rows_of{where}")
    frame = pl.DataFrame(query.read_all())
    rows = sorted(frame.select(sorted(frame.columns)).write_ndjson().splitlines())
    return f"{len(rows)} rows, {sha256(chr(10).join(rows).encode()).hexdigest()[:16]}"


class Story:
    """A lake and what is done to it; `target` is where its models run."""

    def __init__(self, settings: LakeSettings, target: str) -> None:
        self.settings = settings
        self.target = target
        self.remote = ""
        settings.home_dir.mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        home = self.settings.home_dir
        kept = {n: v for n, v in os.environ.items() if not n.startswith(("SPARK", "ETA_", "DBT_"))}
        return {
            **kept,
            "ETA_PROJECT_DIR": str(find_project_dir()),
            "ETA_HOME": str(home),
            "ETA_LAKE_URI": self.settings.lake,
            "ETA_STORAGE_OPTIONS": json.dumps(self.settings.storage_options),
            "ETA_SPARK_MEMORY": self.settings.spark_memory,
            "DBT_TARGET": self.target,
            "DBT_TARGET_PATH": str(home / "target"),
            "DBT_LOG_PATH": str(home / "logs"),
            **({"ETA_SPARK_REMOTE": self.remote} if self.remote else {}),
        }

    def start(self, *command: str) -> "subprocess.Popen[str]":
        """Start a command of the environment as a person would."""
        return subprocess.Popen(
            [Path(sys.executable).with_name(command[0]), *command[1:]],
            cwd=find_project_dir(),
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, *command: str) -> str:
        """Run a command; fails the test when it fails."""
        return ended(self.start(*command))

    def models(self, *select: str) -> str:
        """Bring the models up to date."""
        chosen = ("--select", *select) if select else ("--exclude", "tag:on_request")
        return self.run("dbt", "run", *chosen)


def ended(running: "subprocess.Popen[str]") -> str:
    """Wait for a command; fails the test when it fails."""
    said, _ = running.communicate()
    assert running.returncode == 0, said[-4000:]
    return said


class ClusterStory(Story):
    """The lake in the bucket, with the service's way in, and the cluster."""

    def __init__(self, settings: LakeSettings, workers: int = 2) -> None:
        super().__init__(settings, "connect")
        self.database = ControlDatabase.open(settings.control_url)
        for tenant in TENANTS:
            self.database.tenants.add(tenant)
        ensure_tables(Lake(settings))
        self.services = build_services(settings, ServiceSettings())
        self.batches = 0
        self.workers = workers
        self.cluster: Cluster | None = None

    def up(self) -> Cluster:
        """Start the cluster."""
        self.cluster = start_cluster(self.settings, self.workers, memory="1g")
        self.remote = self.cluster.connect.addresses["remote"]
        return self.cluster

    def close(self) -> None:
        stop_cluster(self.settings)
        self.services.control.close()
        self.database.close()

    def ingest(self, tenant: str, text: str, data_type: DataType = DataType.INTERACTIONS) -> None:
        """Take in a file through the service."""
        self.batches += 1
        path = self.settings.home_dir / "in.csv"
        path.write_text(text)
        plain = TenantSettings()
        self.services.ingest.ingest(
            FileUpload(
                tenant_id=tenant,
                data_type=data_type,
                batch_id=f"batch-{self.batches:04}",
                path=path,
                settings=plain,
                mapping=plain.mapping("default", data_type),
                mapping_name="default",
                on_error=OnError.QUARANTINE,
                format=FileFormat.CSV,
            )
        )
        path.unlink()

    def ingest_catalogues(self) -> None:
        rows = "".join(f"i{n},thing {n},kind {n % 3},631238400000\n" for n in range(ITEMS))
        for tenant in TENANTS:
            self.ingest(tenant, f"item_id,title,category,available_from\n{rows}", DataType.ITEMS)

    def ingest_rows(self, seed: int, users: int = 8, per_user: int = 6) -> None:
        """Interactions of each tenant; some of the users are touched by every seed."""
        rng = random.Random(seed)
        for tenant in TENANTS:
            rows = [
                f"{name},i{rng.randrange(ITEMS)},{rng.choice(TYPES)},"
                f"{FIRST_MS + seed * 86_400_000 + rng.randrange(86_000_000)}\n"
                for name in (*(f"u{n}" for n in range(users)), f"seed{seed}")
                for _ in range(per_user)
            ]
            self.ingest(tenant, "user_id,item_id,interaction_type,timestamp\n" + "".join(rows))


def twin_of(story: ClusterStory, home: Path) -> Story:
    """A lake on the disk with the same rows of the service's tables and the same tenants."""
    settings = LakeSettings(home=home)
    twin = Story(settings, "dev")
    ensure_tables(Lake(settings))
    for spec in SERVICE_TABLES:
        rows = Lake(story.settings).table(spec).to_pyarrow_table()
        write_deltalake(Lake(settings).table(spec), rows, mode="append")
    source = story.settings.home_dir / "control.db"
    with sqlite3.connect(source) as held, sqlite3.connect(settings.home_dir / "control.db") as copy:
        held.backup(copy)
    return twin


@dataclass
class Killed:
    """Executors that were killed, and in how many runs."""

    executors: int = 0
    runs: int = 0


def run_with_kills(
    story: ClusterStory,
    kills: int,
    rng: random.Random,
    say: Callable[[str], None] = lambda _: None,
    longest_pause: float = 10.0,
) -> Killed:
    """Bring the models up to date by runs on new rows, killing executors until so many are lost.

    Every run must end well: a lost executor costs time and nothing else.
    """
    assert story.cluster is not None
    done, seed = Killed(), 100
    while done.executors < kills:
        seed += 1
        story.ingest_rows(seed)
        running = story.start("dbt", "run", "--exclude", "tag:on_request")
        done.runs += 1
        while running.poll() is None and done.executors < kills:
            pause = time.monotonic() + rng.uniform(1, longest_pause)
            while running.poll() is None and time.monotonic() < pause:
                time.sleep(0.05)
            if running.poll() is None and _is_writing(story) and _kill_one(story, rng):
                done.executors += 1
                say(f"run {done.runs}: executor {done.executors} of {kills} killed")
        ended(running)
        say(f"run {done.runs} has ended")
    return done


def _is_writing(story: ClusterStory) -> bool:
    """Whether dbt has begun with the models: before that a kill hits an idle executor."""
    log = story.settings.home_dir / "logs" / "dbt.log"
    if not log.is_file():
        return False
    last = log.read_text(encoding="utf-8").rpartition("Running with dbt")[2]
    return " START sql " in last


def _kill_one(story: ClusterStory, rng: random.Random) -> bool:
    """Kill -9 one executor that this cluster runs; False when there is none just now."""
    assert story.cluster is not None
    alive = [one for worker in story.cluster.workers for one in executors(worker)]
    if not alive:
        return False
    victim = rng.choice(alive)
    try:
        victim.kill()
    except psutil.NoSuchProcess:
        return False
    return True
