"""The leak auditor: does any training row see what was not known before its event?

The checks are dbt tests tagged `leak`: SQL over the tables as they stand, each computing what it
guards in another way than the models do. They read whole tables, so a build leaves most of them
out.
"""

import json
from dataclasses import dataclass
from typing import Any, Final

from lakehouse.errors import EtaError
from lakehouse.settings import LakeSettings
from lakehouse.training.build import run_dbt

_NO_VERDICT: Final = ("error", "runtime error", "skipped")


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """What one check found. `rows` is the number of violations; `trap` what it guards against."""

    name: str
    rule: str
    trap: str
    rows: int

    @property
    def passed(self) -> bool:
        """Whether no row violates the rule."""
        return self.rows == 0


def run_audit(
    settings: LakeSettings, *, tenant_id: str | None = None, cutoff: str | None = None
) -> list[LeakCheck]:
    """Run every leak check, for all tenants or one; the tables must have been built.

    `cutoff` is the one that the tables were built with. Raises `EtaError` when a check could not
    be run: that is never a pass.
    """
    given = {"audit": True, "tenant_id": tenant_id, "cutoff": cutoff}
    variables = {name: value for name, value in given.items() if value is not None}
    outcome = run_dbt(
        settings, ["test", "--select", "tag:leak", "--vars", json.dumps(variables, sort_keys=True)]
    )
    tests = [result for result in outcome.result if result.node.resource_type == "test"]
    found = [_check(result) for result in tests]  # the hooks at the start have results as well
    if not found:
        raise EtaError("there is no leak check", remedy="restore dbt_project/tests/leaks")
    return sorted(found, key=lambda check: check.name)


def _check(result: Any) -> LeakCheck:
    node = result.node
    if str(result.status) in _NO_VERDICT:
        raise EtaError(
            f"the leak check {node.name} could not be run: {str(result.message)[:200]}",
            remedy="run `eta prepare` first, or read logs/dbt.log",
        )
    trap = str(node.config.meta.get("trap", ""))
    return LeakCheck(node.name, node.description, trap, int(result.failures or 0))
