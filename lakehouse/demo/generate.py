"""Writes a demonstration tenant's files, as its customer would export them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from lakehouse.demo.behaviour import make_interactions
from lakehouse.demo.catalogue import make_catalogue
from lakehouse.demo.tenants import DemoTenant
from lakehouse.storage.whole_files import whole_file


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """The two files of a tenant; every time in them is in epoch milliseconds."""

    interactions: Path
    items: Path


def generate(tenant: DemoTenant, folder: Path) -> DemoFiles:
    """Write interactions.csv and items.csv into `folder`, replacing earlier ones whole.

    The same tenant, sizes and seed give the same bytes. interactions.csv holds exactly
    `interaction_count` rows; items.csv one row per item and a few later changes.
    """
    rng = np.random.default_rng(tenant.seed)
    catalogue = make_catalogue(tenant, rng)
    folder.mkdir(parents=True, exist_ok=True)
    files = DemoFiles(folder / "interactions.csv", folder / "items.csv")
    _write(make_interactions(tenant, catalogue, rng), files.interactions)
    _write(catalogue.rows, files.items)
    return files


def _write(frame: pl.DataFrame, path: Path) -> None:
    with whole_file(path) as partial:
        frame.write_csv(partial)
