"""What a run of the models would do, and why, before it does anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import Any, Final

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.storage.build_reports import read_build_reports
from lakehouse.storage.lake import Lake
from lakehouse.training.build import ON_REQUEST, run_dbt

_MARK: Final = "eta plan "
_MODES: Final = {
    "nothing": "UNCHANGED",
    "changed": "CHANGED",
    "rewrite": "REPLACED",
    "all": "CHANGED",
    "rebuild": "REBUILT",
}
_REPORTS_LOOKED_AT: Final = 200
_RUNS_COUNTED: Final = 5


@dataclass(frozen=True, slots=True)
class ModelPlan:
    """What a run would do with a model's table.

    `mode`: `UNCHANGED`, `CHANGED` (rows of the changed users, items or tenants), `REPLACED` (all
    rows of the changed tenants) or `REBUILT`. `is_whole`: the rows of all tenants are recomputed.
    `tenants` are those with changes, none where they are not counted; `users` is how many of
    their users are touched, about. `reads` maps each parent to the Delta version that the table
    has read and the newest one. `seconds` is the median of the last runs of the same mode.
    """

    model: str
    mode: str
    is_whole: bool
    reason: str
    tenants: tuple[str, ...]
    users: int
    reads: Mapping[str, tuple[int | None, int]]
    seconds: float | None


def plan_run(
    settings: LakeSettings,
    *,
    tenant_id: str | None = None,
    full_refresh: bool = False,
    variables: Mapping[str, Any] | None = None,
    select: Sequence[str] = (),
) -> list[ModelPlan]:
    """Return the plan of each model, in the order in which a run would come to them.

    No table is changed. A model below one that would change is planned as changed too; whether
    rows of its own differ is known only by then. Raises `EtaError` when dbt could not compile.
    """
    wanted = {**(variables or {}), **({"tenant_id": tenant_id} if tenant_id else {})}
    found: list[dict[str, Any]] = []

    def receive(message: Any) -> None:
        if message.info.name == "JinjaLogInfo" and message.data.msg.startswith(_MARK):
            found.append(json.loads(message.data.msg.removeprefix(_MARK)))

    outcome = run_dbt(
        settings,
        [
            "compile",
            *(("--select", *select) if select else ("--exclude", ON_REQUEST)),
            *(["--full-refresh"] if full_refresh else []),
            # other variables would have the next run parse the project again
            *("--target-path", str(settings.dbt_target_dir / "plan")),
            *("--vars", json.dumps({**wanted, "eta_plan": True}, sort_keys=True)),
        ],
        callbacks=[receive],
    )
    if not outcome.success:
        failed = [str(result.message) for result in outcome.result if result.message]
        raise EtaError(
            "the models do not compile: " + " ".join("; ".join(failed[:3]).split()),
            remedy="run `dbt compile` to see why",
        )
    seconds = _seconds_by_mode(Lake(settings))
    return [_model_plan(document, seconds) for document in found]


def _model_plan(
    document: Mapping[str, Any], seconds: Mapping[tuple[str, str], list[float]]
) -> ModelPlan:
    mode = _MODES[document["mode"]]
    runs = seconds.get((document["model"], mode), [])
    return ModelPlan(
        model=document["model"],
        mode=mode,
        is_whole=document["mode"] in ("all", "rebuild"),
        reason=document["reason"],
        tenants=tuple(document["tenants"]),
        users=document["users"],
        reads={name: (held, newest) for name, (held, newest) in document["reads"].items()},
        seconds=median(runs) if runs else None,
    )


def _seconds_by_mode(lake: Lake) -> dict[tuple[str, str], list[float]]:
    """The seconds of the newest runs, by model and mode."""
    since = datetime.now(UTC) - timedelta(days=90)
    found: dict[tuple[str, str], list[float]] = {}
    for report in read_build_reports(lake.home, since=since, limit=_REPORTS_LOOKED_AT):
        for node in report.nodes:
            if node.mode is None or node.status != "success":
                continue
            runs = found.setdefault((node.name, node.mode), [])
            if len(runs) < _RUNS_COUNTED:
                runs.append(node.seconds)
    return found
