"""Makes evaluation snapshots: each tenant's own way to divide, or another that was asked for."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

from pydantic import ValidationError

from lakehouse.contracts.settings_model import problems
from lakehouse.contracts.tenant import EvaluationSettings, check_tenant_id
from lakehouse.control.opening import existing_database
from lakehouse.errors import EtaError
from lakehouse.jobs.prepare import Build
from lakehouse.jobs.tell import tell_published
from lakehouse.lineage.delivery import lineage_of
from lakehouse.settings import LakeSettings
from lakehouse.training.build import ON_REQUEST, build
from lakehouse.training.evaluation import make_evaluations
from lakehouse.training.manifest import EvaluationManifest
from lakehouse.training.writing import writing_models


def evaluate(
    settings: LakeSettings,
    tenants: Sequence[str],
    split: Mapping[str, Any],
    *,
    cutoff: str | None = None,
    seed: int | None = None,
    full_refresh: bool = False,
    build: Build = build,
) -> list[EvaluationManifest]:
    """Divide the tenants' interactions, build and publish the snapshots under one lock.

    `split` holds what differs from a tenant's setting `evaluation`. Raises `EtaError` for a split
    that makes no sense, before anything runs; `RunLocked` while another run goes on.
    """
    wanted = {tenant_id: _divided(settings, tenant_id, split) for tenant_id in tenants}

    def on_request(variables: dict[str, Any]) -> None:
        build(settings, variables=variables, select=[ON_REQUEST], full_refresh=full_refresh)

    now = datetime.now(UTC)
    with writing_models(settings, f"eta evaluation make {now:%Y-%m-%dT%H:%M:%SZ} {token_hex(3)}"):
        made = make_evaluations(
            settings, wanted, on_request, lambda: datetime.now(UTC), cutoff=cutoff, seed=seed
        )
    with lineage_of(settings) as lineage:
        tell_published(lineage, [one for one in made if one.created_at >= now])
    return made


def _divided(
    settings: LakeSettings, tenant_id: str, split: Mapping[str, Any]
) -> EvaluationSettings:
    own = _own_settings(settings, check_tenant_id(tenant_id)).model_dump()
    if split.get("method") == "leave_one_out" or "train_until" in split:
        own |= {"train_until": None, "validation_until": None}
    try:
        return EvaluationSettings.model_validate({**own, **split})
    except ValidationError as error:
        told = "; ".join(problems(error, "the division"))
        raise EtaError(
            f"the snapshot of {tenant_id} cannot be divided like that: {told}",
            remedy="see `eta evaluation make --help`",
        ) from error


def _own_settings(settings: LakeSettings, tenant_id: str) -> EvaluationSettings:
    with existing_database(settings) as database:
        if database is None or not database.tenants.exists(tenant_id):
            return EvaluationSettings()
        return database.tenant_settings(tenant_id).evaluation
