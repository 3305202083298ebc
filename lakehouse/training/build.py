"""Runs the dbt project in this process and reports each model and test as it ends."""

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from lakehouse.errors import EtaError
from lakehouse.settings import PRODUCTION, LakeSettings
from lakehouse.training.failed_tests import HOLD_BACK

ON_REQUEST: Final = "tag:on_request"
"""The models that are built only when somebody asks for what they make."""

COMMANDS_THAT_WRITE: Final = frozenset({"run", "build", "retry", "seed", "snapshot"})
"""dbt commands that change tables: one run at a time."""

SCHEMA_VARIABLE: Final = "ETA_DBT_SCHEMA"
"""What `profiles.yml` takes the target schema from; `LakeSettings.dbt_schema`."""

_FINISHED: Final = "NodeFinished"
_FAILED: Final = ("error", "fail", "runtime error")
_SKIPPED: Final = "skipped"
_STARTED: Final = "LogStartLine"


@dataclass(frozen=True, slots=True)
class NodeEvent:
    """A model, test, seed or snapshot that started or ended.

    `seconds` and `status` are set at the end.
    """

    name: str
    kind: str
    is_finished: bool
    status: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did: the seconds of each node."""

    seconds_by_node: Mapping[str, float]


def build(
    settings: LakeSettings,
    *,
    tenant_id: str | None = None,
    full_refresh: bool = False,
    variables: Mapping[str, Any] | None = None,
    select: Sequence[str] = (),
    holds_back: bool = False,
    on_event: Callable[[NodeEvent], None] = lambda _: None,
    on_count: Callable[[int], None] = lambda _: None,
) -> BuildResult:
    """Build and test the models, for all tenants with new data or for `tenant_id` alone.

    Those that `select` names, as dbt's own option does; by default all but those made on request.

    `on_count` hears the number of models and tests that run once it is known, and again when some
    are skipped. `variables` are dbt vars,
    such as `seed` or `cutoff`. Safe to repeat: a build that was killed is finished by the next
    one. Unit tests are left out, they belong to development. `holds_back`: a test that fails is no
    failure but noted in the run, whose gate holds back the tenants (`failed_tests`). Raises
    `EtaError` when dbt could not run at all, and one that names the first failures when a model or
    a test failed.
    """
    wanted = {**(variables or {}), **({"tenant_id": tenant_id} if tenant_id else {})}
    failures: list[str] = []
    outcome = run_dbt(
        settings,
        [
            *("build", "--exclude", "test_type:unit"),
            *(("--select", *select) if select else (ON_REQUEST,)),
            *(["--full-refresh"] if full_refresh else []),
            *(["--vars", json.dumps(wanted, sort_keys=True)] if wanted else []),
        ],
        callbacks=[_listen(on_event, on_count, failures)],
        variables={HOLD_BACK: "1"} if holds_back else {},
    )
    if not outcome.success:
        raise EtaError(
            "the build failed: " + "; ".join(failures[:3]),
            remedy="run `dbt build` where you ran this, or read "
            f"{settings.dbt_log_dir / 'dbt.log'}",
        )
    return BuildResult({result.node.name: result.execution_time for result in outcome.result})


def run_dbt(
    settings: LakeSettings,
    arguments: Sequence[str],
    *,
    callbacks: Sequence[Callable[[Any], None]] = (),
    schema: str = PRODUCTION,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Any:
    """Run a dbt command of this project without its console output; return dbt's own result.

    In production, whatever schema somebody's own dbt works in (`ETA_DBT_SCHEMA`), or in `schema`;
    with these environment variables besides.
    A command that writes takes the lock of the models unless the job that runs it has it. Raises
    `EtaError` when dbt could not run at all, `RunLocked` while another run goes on, and Ctrl-C on.
    """
    from dbt.cli.main import dbtRunner

    from lakehouse.training.writing import handing_over, writing_models

    command = ["--log-level", "none", "--log-level-file", "info", *arguments]
    writes = arguments[0] in COMMANDS_THAT_WRITE
    with (
        writing_models(settings) if writes else contextlib.nullcontext(),
        handing_over(settings.model_copy(update={"dbt_schema": schema})),
        _environment({**dbt_environment(settings), SCHEMA_VARIABLE: schema, **variables}),
        contextlib.chdir(settings.project),  # selectors of paths begin here
    ):
        outcome = dbtRunner(callbacks=list(callbacks)).invoke(command)
    if outcome.exception is not None:
        if isinstance(outcome.exception, EtaError) or _ends_the_process(outcome.exception):
            raise outcome.exception
        raise EtaError(
            f"dbt could not run: {_first_lines(str(outcome.exception))}",
            remedy=f"read {settings.dbt_log_dir / 'dbt.log'}, or run dbt yourself",
        )
    return outcome


def _ends_the_process(error: BaseException) -> bool:
    """Whether it is Ctrl-C or the like, which dbt hands out as what went wrong."""
    return not isinstance(error, Exception)


def dbt_environment(settings: LakeSettings) -> dict[str, str]:
    """The variables by which dbt, wherever it runs, finds the models and where it may write."""
    project = str(settings.project)
    return {
        "DBT_PROJECT_DIR": project,
        "DBT_PROFILES_DIR": project,
        "DBT_TARGET_PATH": str(settings.dbt_target_dir.absolute()),
        "DBT_LOG_PATH": str(settings.dbt_log_dir.absolute()),
    }


@contextlib.contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Set variables of this process, which dbt and its profile read, in this block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _listen(
    on_event: Callable[[NodeEvent], None], on_count: Callable[[int], None], failures: list[str]
) -> Callable[[Any], None]:
    """Return a dbt callback; failures are taken here, as results leave ephemeral models out.

    What runs is counted: no ephemeral model, and nothing that is skipped because something before
    it failed. dbt tells of those as if they had started and finished, and has them in its total.
    """
    total = skipped = 0

    def receive(message: Any) -> None:
        nonlocal total, skipped
        if message.info.name not in (_STARTED, _FINISHED):
            return
        node = message.data.node_info
        event = NodeEvent(node.node_name, node.resource_type, is_finished=False)
        if message.info.name == _STARTED:
            total = message.data.total
        else:
            result = message.data.run_result
            if result.status in _FAILED:
                failures.append(f"{event.name}: {_first_lines(result.message or result.status)}")
            event = replace(
                event,
                is_finished=True,
                status=result.message or node.node_status,
                seconds=result.execution_time,
            )
        if node.materialized == "ephemeral":  # nothing is run for those
            return
        is_skipped = event.is_finished and message.data.run_result.status == _SKIPPED
        skipped += is_skipped
        if total:
            on_count(total - skipped)
        if not is_skipped:
            on_event(event)

    return receive


def _first_lines(text: str, count: int = 3) -> str:
    return " ".join(text.strip().splitlines()[:count])
