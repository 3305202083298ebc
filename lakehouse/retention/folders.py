"""Which kind of data each table is: said once, for the models in their folder's `meta`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import yaml

from lakehouse.contracts.retention import DataClass
from lakehouse.contracts.tables import RAW_QUARANTINE, RAW_TABLES
from lakehouse.errors import EtaError
from lakehouse.settings import PROJECT_FILE, LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.schemas import DEFAULT

EXPIRING: Final = (
    *(spec for kind, spec in RAW_TABLES.items() if not kind.definition.is_state),
    RAW_QUARANTINE,
)
"""The tables whose rows expire. The catalogue (`raw.items`) is state that the newest rows carry."""
KEPT: Final = "kept"
"""A folder whose rows stay: what raw loses by age, the models have taken in."""


def folder_policies(project_dir: Path) -> dict[str, DataClass | None]:
    """Return the retention of each folder of models by its schema; None where rows stay.

    Raises `EtaError` for a folder without `+meta: {retention: …}` or with one that is no policy.
    """
    project = yaml.safe_load((project_dir / PROJECT_FILE).read_text(encoding="utf-8"))
    folders: dict[str, Any] = project["models"][project["name"]]
    found: dict[str, DataClass | None] = {}
    for folder, config in folders.items():
        if folder.startswith("+") or not isinstance(config, dict):
            continue
        named = (config.get("+meta") or {}).get("retention")
        if named != KEPT and named not in set(DataClass):
            known = ", ".join([KEPT, *DataClass])
            raise EtaError(
                f"{PROJECT_FILE}: models.{project['name']}.{folder} has no retention policy",
                remedy=f"give it `+meta: {{retention: POLICY}}`, one of: {known}",
            )
        found[config.get("+schema", DEFAULT)] = None if named == KEPT else DataClass(named)
    return found


def classified_tables(settings: LakeSettings) -> dict[str, DataClass]:
    """Return the tables that move between storage tiers, by path below the lake."""
    tables = {spec.path: DataClass.RAW_INTERACTIONS for spec in EXPIRING}
    for schema, kind in folder_policies(settings.project).items():
        if kind is not None:
            for name in Lake(settings).folder(schema).folders():
                tables[f"{schema}/{name}"] = kind
    return tables
