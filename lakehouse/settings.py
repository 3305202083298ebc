"""Where everything lives; the only module of `lakehouse` that reads the environment."""

import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import unquote

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from lakehouse.errors import EtaError

PROJECT_FILE = "dbt_project.yml"
PACKAGED_PROJECT: Final = Path(__file__).parent / "project"
"""The models of an installed wheel (pyproject.toml puts them there); a checkout has none here."""
PRODUCTION = "default"
"""The target schema of dbt in which the schemas have the names that all readers know."""


def find_project_dir(start: Path | None = None) -> Path:
    """Return the nearest folder at or above `start` (default: here) with our `dbt_project.yml`.

    Where there is none, an installed wheel's own; raises `EtaError` when the models are not
    installed either.
    """
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if _is_ours(folder / PROJECT_FILE):
            return folder
    if PACKAGED_PROJECT.is_dir():
        return PACKAGED_PROJECT
    raise EtaError(
        f"no {PROJECT_FILE} in {here} or above it",
        remedy="run the command inside a checkout of the project, or set ETA_PROJECT_DIR to one",
    )


def _is_ours(file: Path) -> bool:
    """Whether the file is a dbt project, and not somebody else's."""
    if not file.is_file():
        return False
    name = re.search(r"^name:\s*['\"]?(\w+)", file.read_text(encoding="utf-8"), re.MULTILINE)
    return name is None or name[1] == "eta"


class LakeSettings(BaseSettings):
    """Settings of the lake, each an environment variable `ETA_<NAME>`, all with local defaults."""

    model_config = SettingsConfigDict(env_prefix="ETA_", extra="ignore")

    project_dir: Path | None = None
    """Folder of `dbt_project.yml`; see `project`."""
    home: Path | None = None
    """Folder of everything local: lake, control database, spool. Default: `.eta` in the checkout,
    else here."""
    lake_uri: str | None = None
    """Root of the Delta tables: a folder or an object-store URL. Default: `lake` in the home."""
    database_url: str | None = None
    """SQLAlchemy URL of the control database. Default: SQLite in the home."""
    storage_options: dict[str, str] = Field(default_factory=dict, repr=False)
    """Object-store options (JSON) by delta-rs' names, credentials included; never logged. Spark and
    boto3 get theirs from these, too (`lakehouse.storage.stores`)."""
    umask: str = Field(default="077", pattern=r"^0?[0-7]{3}$")
    """What others may not do with files of the lake and the home, as a mask of mode bits (octal).
    By default their owner alone may read them; `027` lets its group read."""
    sync: bool = True
    """Whether a local lake is synced to its disk before rows are acknowledged, so that a power cut
    takes none. An object store answers once it has stored, and needs no such thing."""
    redis_url: str | None = Field(default=None, repr=False)
    """Redis that holds the embeddings (`{tenant}:embedding:{user}`), as `redis://host:6379/0`."""
    erasure_tries: int = Field(default=12, ge=1)
    """After so many attempts that could not go on, an erasure needs attention."""
    erasure_hours: float = Field(default=24.0, gt=0)
    """After so many hours an erasure that cannot go on needs attention."""
    certificate_key_file: Path | None = None
    """Private key (PEM, Ed25519) that certificates of erasures are signed with. Default: one that
    is made in the home. Machines that share a lake name the same key."""
    cache_dir: Path = Field(default_factory=lambda: Path.home() / ".cache" / "eta")
    """Downloaded jars and launchers, shared between projects."""

    openlineage_url: str | None = Field(default=None, repr=False)
    """Where events of OpenLineage go: `file:///…`, a file of JSON lines, or the base of a server's
    HTTP interface, `http://127.0.0.1:5000`. Default: nobody is told (docs/lineage.md)."""
    openlineage_key: SecretStr | None = None
    """Key that such a server asks for, sent as a bearer token."""
    openlineage_namespace: str = Field(default="eta", pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$")
    """Namespace of the lake in the events; a tenant's is this, a slash and its id."""
    openlineage_seconds: float = Field(default=5.0, gt=0, le=60)
    """The longest that an attempt waits for such a server, and a command at its end for all."""

    spark_target: Literal["dev", "connect", "thrift"] = Field(
        default="dev", validation_alias="DBT_TARGET"
    )
    """Where the models run, a target of `profiles.yml`: `DBT_TARGET`, which dbt reads as well."""
    spark_remote: str = "sc://127.0.0.1:15002"
    """Spark Connect server of the `connect` target."""
    thrift_host: str = "127.0.0.1"
    """Machine of the Thrift Server of the `thrift` target."""
    thrift_port: int = 10000
    """Its port."""
    spark_cores: str = "*"
    """Cores of a local Spark, as Spark writes them: a number, or `*` for all."""
    spark_memory: str = "2560m"
    """Heap of a local Spark driver."""
    dbt_schema: str = PRODUCTION
    """The target schema of plain dbt: any other than `default` is somebody's own, beside the tables
    that everybody reads. The commands of `eta` build and read those alone."""
    dbt_target_path: Path | None = Field(default=None, validation_alias="DBT_TARGET_PATH")
    """Folder that dbt writes to. Default: `target` in the checkout, else in the home."""
    dbt_log_path: Path | None = Field(default=None, validation_alias="DBT_LOG_PATH")
    """Folder of dbt's logs. Default: `logs` in the checkout, else in the home."""
    run_id: str | None = None
    """The run that this process is a step of, where a scheduler splits a run into processes."""
    spark_pool: str | None = None
    """Pool of Airflow's that the models' tasks wait for; it must exist (`airflow pools set`), and
    `eta dev airflow up` makes it with a place per worker. Default: `default_pool`."""
    airflow_environment: Path | None = None
    """Environment that holds Airflow. Default: `.venv-airflow` in the project."""

    shuffle_partitions: int | None = Field(default=None, ge=1)
    """Partitions of a shuffle; by default as many as suit the size of the raw tables (at least 4).
    The content of a table does not depend on it."""
    java_options: str | None = None
    """JVM options of a local Spark; by default those that suit the size of the raw tables."""

    @property
    def project(self) -> Path:
        """The folder with the models, which nothing writes to unless it is a checkout.

        `project_dir`, else what `find_project_dir` finds.
        """
        return self.project_dir or find_project_dir()

    @property
    def is_packaged(self) -> bool:
        """Whether the models are those of an installed wheel and not of a checkout."""
        return self.project == PACKAGED_PROJECT

    @property
    def checkout(self) -> Path:
        """The checkout; raises `EtaError` where the models are those of a wheel."""
        if self.is_packaged:
            raise EtaError(
                "this needs a checkout of the project; the installed package has the models alone",
                remedy="run the command in a checkout, or set ETA_PROJECT_DIR to one",
            )
        return self.project

    def model_copy(
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> "LakeSettings":
        """Return a copy with other values, and with what follows from them worked out anew."""
        found = super().model_copy(update=update, deep=deep)
        for name, value in vars(LakeSettings).items():
            if isinstance(value, cached_property):
                found.__dict__.pop(name, None)
        return found

    @cached_property
    def home_dir(self) -> Path:
        """The home as an absolute path."""
        if self.home is not None:
            return self.home.absolute()
        return (Path.cwd() if self.is_packaged else self.project.absolute()) / ".eta"

    @cached_property
    def lake(self) -> str:
        """Absolute path or URL of the lake, without a trailing slash."""
        uri = self.lake_uri or str(self.home_dir / "lake")
        if uri.startswith("file:///"):
            uri = unquote(uri.removeprefix("file://"))
        scheme, mark, rest = uri.partition("://")
        return f"{scheme}{mark}{rest.rstrip('/')}" if mark else str(Path(uri).absolute())

    @property
    def dbt_target_dir(self) -> Path:
        """Where dbt writes what it has built."""
        return self.dbt_target_path or self._dbt_dir / "target"

    @property
    def dbt_log_dir(self) -> Path:
        """Where dbt writes its logs."""
        return self.dbt_log_path or self._dbt_dir / "logs"

    @property
    def _dbt_dir(self) -> Path:
        return self.home_dir if self.is_packaged else self.project

    @property
    def file_mask(self) -> int:
        """The mask of mode bits as a number."""
        return int(self.umask, 8)

    @cached_property
    def control_url(self) -> str:
        """SQLAlchemy URL of the control database."""
        return self.database_url or f"sqlite:///{self.home_dir / 'control.db'}"

    @property
    def spool_dir(self) -> Path:
        """Folder for request bodies on their way in."""
        return self.home_dir / "spool"

    @property
    def dev_dir(self) -> Path:
        """Folder of the servers that `eta dev` starts, one folder each."""
        return self.home_dir / "dev"
