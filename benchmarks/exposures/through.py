"""Takes logs through eta: the service, the mapping, the models, a published set, its loader."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import polars as pl
import pyarrow as pa

from benchmarks.exposures.log import Log, ndjson
from eta_data import TrainingSet
from lakehouse.cli.service_process import running_service
from lakehouse.cli.uploading import UploadClient
from lakehouse.contracts.kinds import DataType
from lakehouse.contracts.tenant import TenantSettings
from lakehouse.control.database import ControlDatabase
from lakehouse.jobs.prepare import prepare
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.training.publish import current_snapshot
from lakehouse.training.run_parameters import RunParameters

COLUMNS: Final = ("user_id", "item_id", "label", "negative_type")
COMMON: Final[Mapping[str, Any]] = {
    "time_range": {"start": "2019-01-01T00:00:00Z", "end": "2030-01-01T00:00:00Z"}
}


def tenant_settings(seed: int, negatives: int, window_minutes: int) -> TenantSettings:
    """As many sampled as shown negatives per positive; clicks by the preset of Segment."""
    impressions = {"click_window_minutes": window_minutes, "negatives_per_positive": negatives}
    return TenantSettings.model_validate(
        {
            **COMMON,
            "seed": seed,
            "negatives_per_positive": negatives,
            "clickstream": {"preset": "segment", "impressions": impressions},
        }
    )


def training_sets(
    logs: Mapping[str, Log], settings_of: Mapping[str, TenantSettings], folder: Path
) -> dict[str, tuple[pl.DataFrame, dict[str, Any]]]:
    """Return each tenant's published rows (`COLUMNS`) and its manifest's counts.

    The earlier part of each log is uploaded with a catalogue of all its items.
    """
    files = {name: _files(log, folder / name) for name, log in logs.items()}
    settings = published(files, settings_of, folder)
    return {tenant_id: _read(settings, tenant_id) for tenant_id in logs}


def published(
    files: Mapping[str, Sequence[tuple[Path, DataType]]],
    settings_of: Mapping[str, TenantSettings],
    folder: Path,
) -> LakeSettings:
    """Upload each tenant's files to a home below `folder`, and publish their training sets.

    Raises `RuntimeError` where a row is not taken, or a tenant not published.
    """
    os.environ |= {
        "ETA_HOME": str(folder / "home"),
        "DBT_TARGET_PATH": str(folder / "target"),
        "DBT_LOG_PATH": str(folder / "logs"),
    }
    settings = LakeSettings()
    settings.home_dir.mkdir(parents=True)
    database = ControlDatabase.open(settings.control_url)
    keys = {}
    for tenant_id in files:
        database.tenants.add(tenant_id, settings=settings_of[tenant_id])
        keys[tenant_id] = database.keys.create(tenant_id).secret
    database.close()
    with running_service(folder / "service.log") as url:
        for tenant_id, sent in files.items():
            client = UploadClient(url, keys[tenant_id], tenant_id)
            for file, kind in sent:
                report = client.send(file, kind)
                if report["rows_accepted"] != report["rows_received"]:
                    raise RuntimeError(f"not all rows of {file.name} were taken: {report}")
    prepare(settings, RunParameters())
    for tenant_id in files:
        if current_snapshot(Lake(settings), tenant_id) is None:
            raise RuntimeError(f"{tenant_id} was not published: `eta gate` says why")
    return settings


def _files(log: Log, folder: Path) -> list[tuple[Path, DataType]]:
    folder.mkdir()
    clicks, items = folder / "clickstream.ndjson", folder / "items.csv"
    clicks.write_text(ndjson(log))
    first = log.impressions["shown_at"].dt.epoch("ms").min()
    before = int(first) - 86_400_000  # type: ignore[arg-type]
    catalogue = log.impressions.select("item_id").unique(maintain_order=True)
    catalogue.with_columns(
        title=pl.lit("item"),
        category=pl.lit("any"),
        available_from=pl.lit(before),
        updated_at=pl.lit(before),
    ).write_csv(items)
    return [(items, DataType.ITEMS), (clicks, DataType.CLICKSTREAM)]


def _read(settings: LakeSettings, tenant_id: str) -> tuple[pl.DataFrame, dict[str, Any]]:
    manifest = current_snapshot(Lake(settings), tenant_id)
    assert manifest is not None
    rows = TrainingSet.open(settings.lake, tenant_id)
    loader = rows.arrow(65_536, columns=list(COLUMNS), remainder="keep", seed=0)
    found = pl.DataFrame(pl.from_arrow(pa.Table.from_batches(loader)))
    return found, manifest.counts.model_dump()
