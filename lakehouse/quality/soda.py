"""Runs SodaCL files on a Spark session, without Soda's telemetry, its logs or its `.env`.

Soda is a program first and a library second: on import it would write `~/.soda/config.yml` and
start to send usage data, a scan would load a `.env` over this process's environment, and it logs
the statements that failed. None of that may happen inside a build.
"""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from lakehouse.contracts.tenant import check_tenant_id
from lakehouse.errors import EtaError
from lakehouse.quality.outcomes import Figure

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DATA_SOURCE: Final = "eta"
WARNING: Final = ".warn"
_ERROR: Final = 3
_SILENT: Final = logging.CRITICAL + 1


@dataclass(frozen=True, slots=True)
class Finding:
    """A check that did not pass. `rows` are the figures of the tenants that failed it.

    A check of a table's columns has no rows: `measured` then says what is wrong with them. The two
    halves of a check with a limit have one name here; `WARNING` ends that of the half that warns.
    """

    check: str
    layer: str
    table: str
    is_warning: bool
    attributes: Mapping[str, str]
    rows: tuple[Mapping[str, Figure], ...] = ()
    measured: str | None = None

    def see(self, row: Mapping[str, Figure]) -> str:
        """Return the statement that shows the rows of a failed tenant.

        A tenant's id becomes part of it: raises `EtaError` when it may not.
        """
        check_tenant_id(str(row["tenant_id"]))
        return self.attributes["see"].format_map(row)


def scan(
    session: "SparkSession", files: Sequence[Path], configuration: Path
) -> tuple[Finding, ...]:
    """Run the checks of `files` and return those that did not pass.

    The name of a file's folder is its checks' layer. Raises `EtaError` when Soda could not evaluate
    every check (its exit code 3), when there was none, or when it kept fewer failed rows than it
    counted. One scan at a time per process.
    """
    switch_telemetry_off(configuration.parent)
    with _silent(), _without_dotenv():
        from soda.scan import Scan

        rows = _row_keeper()
        soda = Scan()
        soda.set_data_source_name(DATA_SOURCE)
        soda.add_configuration_yaml_file(str(configuration))
        soda.add_spark_session(session, data_source_name=DATA_SOURCE)
        soda.sampler = rows
        for file in files:
            soda.add_sodacl_yaml_file(str(file))
        code = soda.execute()
    checks = soda._checks  # noqa: SLF001  # its public results leave out what a check is about
    _refuse_errors(soda, code, checks)
    return tuple(
        _finding(check, rows.by_check) for check in checks if check.outcome.value != "pass"
    )


def switch_telemetry_off(folder: Path) -> None:
    """Make sure that Soda sends nothing from this process; repeated calls cost nothing.

    Soda decides when it is first imported, from the first configuration file that exists. This
    makes it ours. Raises `EtaError` when something else imported Soda before, with telemetry on.
    """
    from soda.common.config_helper import ConfigHelper

    ConfigHelper.get_instance(str(folder / "telemetry.yml"))
    from soda.telemetry.soda_telemetry import SodaTelemetry

    if SodaTelemetry.soda_config.send_anonymous_usage_stats is not False:
        raise EtaError(
            "Soda's usage telemetry is on in this process",
            remedy="put `send_anonymous_usage_stats: false` into ~/.soda/config.yml, or import "
            "lakehouse.quality before Soda",
        )


def _row_keeper() -> Any:
    """Return a Soda sampler that keeps failed rows in memory; nothing is stored or sent."""
    from soda.sampler.sample_ref import SampleRef
    from soda.sampler.sampler import Sampler

    class RowKeeper(Sampler):  # type: ignore[misc]  # Soda has no types
        def __init__(self) -> None:
            self.by_check: dict[str, tuple[dict[str, Figure], ...]] = {}

        def store_sample(self, sample_context: Any) -> Any:
            sample = sample_context.sample
            names = [column.name for column in sample.get_schema().columns]
            found = tuple(dict(zip(names, row, strict=True)) for row in sample.get_rows())
            self.by_check[sample_context.check_name] = found
            return SampleRef(
                name=sample_context.sample_name,
                schema=sample.get_schema(),
                total_row_count=len(found),
                stored_row_count=len(found),
                type=SampleRef.TYPE_NOT_PERSISTED,
            )

    return RowKeeper()


def _refuse_errors(soda: Any, code: int, checks: Sequence[Any]) -> None:
    unevaluated = sorted(check.name for check in checks if check.outcome is None)
    if code < _ERROR and checks and not unevaluated:
        return
    reason = f"not evaluated: {', '.join(unevaluated[:3])}" if unevaluated else "see the log"
    errors = soda.get_error_logs()
    if errors:  # the text of an error may hold data: its kind is enough
        reason += f"; {len(errors)} errors, the first a {_kind(errors[0])}"
    raise EtaError(
        f"the checks could not be run ({reason if checks else 'there are none'})",
        remedy="look at the files in soda_checks/ and at the tables they name; "
        "`eta --debug gate` shows more",
    )


def _kind(error: Any) -> str:
    """Return Spark's error class, else the exception's type, else Soda's own words."""
    cause = error.exception
    if cause is None:
        return f"message: {str(error.message).splitlines()[0][:200]}"
    condition = getattr(cause, "getCondition", lambda: None)()
    return str(condition or type(cause).__name__)


def _finding(check: Any, kept: Mapping[str, tuple[Mapping[str, Figure], ...]]) -> Finding:
    configured = check.check_cfg
    attributes = (configured.source_configurations or {}).get("attributes", {})
    measured, rows = None, kept.get(check.name, ())
    if hasattr(check, "measured_schema"):
        measured = _schema_differences(check.fail_result or check.warn_result)
    elif len(rows) != check.check_value:
        raise EtaError(
            f"{check.check_value} rows failed the check {check.name}, {len(rows)} are known",
            remedy="name fewer tenants: `eta gate --tenant TENANT`",
        )
    return Finding(
        check=check.name.removesuffix(WARNING),
        layer=Path(configured.location.file_path).parent.name,
        table=attributes.get("table", check.partition.table.table_name),
        is_warning=check.outcome.value == "warn",
        attributes=attributes,
        rows=rows,
        measured=measured,
    )


def _schema_differences(result: Any) -> str:
    missing = [f"{name} is missing" for name in sorted(result.missing_column_names)]
    mistyped = [
        f"{name} is {types['actual_type']} instead of {types['expected_type']}"
        for name, types in sorted(result.column_type_mismatches.items())
    ]
    return "; ".join([*missing, *mistyped])


@contextmanager
def _silent() -> Iterator[None]:
    """Keep Soda's log out of ours: it repeats failed statements and the words of their errors."""
    logger = logging.getLogger("soda")
    before = logger.level
    logger.setLevel(_SILENT)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _without_dotenv() -> Iterator[None]:
    """Keep the first scan from loading the nearest `.env` over this process's environment."""
    name = "PYTHON_DOTENV_DISABLED"
    before = os.environ.get(name)
    os.environ[name] = "true"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
