"""Where the project is and what the objectives are; the only place here that reads the environment.

The commands (`eta`, `dbt`) run in the project's own environment: Airflow pins other versions of
what they need.
"""

import os
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

PROJECT_DIR = Path(os.environ.get("ETA_PROJECT_DIR") or Path(__file__).resolve().parents[2])
TENANT_ID_PATTERN = r"^[a-z0-9][a-z0-9_-]{0,62}$"


@dataclass(frozen=True)
class Config:
    """Settings of the DAGs, each an environment variable."""

    project_dir: Path = PROJECT_DIR
    """`ETA_PROJECT_DIR`: folder of `dbt_project.yml`."""
    environment: Path = field(
        default_factory=lambda: Path(os.environ.get("ETA_ENVIRONMENT") or PROJECT_DIR / ".venv")
    )
    """`ETA_ENVIRONMENT`: the environment with `eta` and `dbt`."""
    target: str = field(default_factory=lambda: os.environ.get("DBT_TARGET", "connect"))
    """`DBT_TARGET`: `connect` or `thrift`, a shared Spark; `dev`, a session per task."""
    deadline: timedelta = field(
        default_factory=lambda: timedelta(
            hours=float(os.environ.get("ETA_RUN_DEADLINE_HOURS", "5"))
        )
    )
    """`ETA_RUN_DEADLINE_HOURS`: a run that takes longer is told."""
    freshness_hours: float = field(
        default_factory=lambda: float(os.environ.get("ETA_FRESHNESS_HOURS", "12"))
    )
    """`ETA_FRESHNESS_HOURS`: how long a received row may wait for publication."""
    run_after_rows: int | None = field(
        default_factory=lambda: int(os.environ.get("ETA_RUN_AFTER_ROWS") or 0) or None
    )
    """`ETA_RUN_AFTER_ROWS`: a run begins early when a tenant has so many new rows; none: never."""
    spark_pool: str = field(
        default_factory=lambda: os.environ.get("ETA_SPARK_POOL") or "default_pool"
    )
    """`ETA_SPARK_POOL`: the pool of the models' tasks. It must exist: else they never start."""
    docs_destination: str = field(
        default_factory=lambda: (
            os.environ.get("ETA_DOCS_DESTINATION")
            or str(Path(os.environ.get("ETA_HOME") or PROJECT_DIR / ".eta") / "docs")
        )
    )
    """`ETA_DOCS_DESTINATION`: folder or bucket of the documentation; default: in the home."""

    @property
    def manifest(self) -> Path:
        """The graph that `eta dags build` writes."""
        return self.project_dir / "target" / "dags" / "manifest.json"

    @property
    def eta(self) -> Path:
        """The `eta` command, without the seconds of its start where that can be."""
        return self._command("eta")

    @property
    def dbt(self) -> Path:
        """The `dbt` command, likewise."""
        return self._command("dbt")

    def _command(self, name: str) -> Path:
        warm = self.environment / "bin" / f"warm-{name}"
        return warm if warm.is_file() else self.environment / "bin" / name

    @property
    def variables(self) -> dict[str, str]:
        """What every command gets besides Airflow's own environment."""
        return {
            "ETA_PROJECT_DIR": str(self.project_dir),
            "DBT_TARGET": self.target,
            "ETA_DBT_SCHEMA": "default",  # production, whoever started Airflow
        }


CONFIG = Config()
