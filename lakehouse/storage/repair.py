"""Takes out of the tables what is damaged for good, so that the rest can be used again.

What is taken out is lost, and `eta ledger check` names the batches: first look for a backup. A log
entry that is cut off is renamed, not deleted; data files that cannot be read stay on disk.
"""

from __future__ import annotations

from typing import Final

from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError

from lakehouse.contracts.tables import SERVICE_TABLES, TableSpec
from lakehouse.errors import EtaError
from lakehouse.storage.damage import Damage, DamagedError, damaged_files, torn_entry
from lakehouse.storage.durable import LOG, sync_folder
from lakehouse.storage.lake import Lake
from lakehouse.storage.staging import DataFile, commit_files
from lakehouse.waiting import retry_times

TRIES: Final = 20
ASIDE: Final = ".damaged"


def repair_tables(lake: Lake, *, dry_run: bool) -> list[Damage]:
    """Take damaged files out of the tables that the service writes; return them.

    Of a log only its newest entry can be taken out. Raises `EtaError` for a table that stays
    damaged. Stop the service first: an entry that is moved away must not be in anybody's memory.
    """
    found: list[Damage] = []
    for spec in SERVICE_TABLES:
        try:
            table = lake.intact(spec)
        except DamagedError as error:
            found.append(error.damage)
            if dry_run:
                continue
            table = _without_torn_entry(lake, spec, error)
        damage = damaged_files(spec, table)
        found += damage
        if damage and not dry_run:
            _take_out(lake, spec, damage)
    return found


def _without_torn_entry(lake: Lake, spec: TableSpec, error: DamagedError) -> DeltaTable:
    log = lake.disk(f"{spec.path}/{LOG}")
    entry = None if log is None else torn_entry(log)
    if log is None or entry is None:
        raise EtaError(
            f"{error.message}, and it is not the log's newest entry",
            remedy="put the table back from a backup; other tables are not concerned",
        ) from error
    entry.rename(entry.with_name(entry.name + ASIDE))
    sync_folder(log)
    return lake.intact(spec)


def _take_out(lake: Lake, spec: TableSpec, damage: list[Damage]) -> None:
    names = {one.file for one in damage}

    def take_out() -> None:
        table = lake.intact(spec)
        adds = table.get_add_actions(flatten=True)
        rows = zip(
            adds["path"].to_pylist(),
            adds["size_bytes"].to_pylist(),
            adds["partition.tenant_id"].to_pylist(),
            adds["partition.ingest_date"].to_pylist(),
            strict=True,
        )
        removed = [
            DataFile(path, size, {"tenant_id": tenant, "ingest_date": str(day)})
            for path, size, tenant, day in rows
            if path in names
        ]
        commit_files(table, spec, (), {}, removed=removed)

    failed = EtaError(
        f"{spec.full_name} could not be repaired: other writers were always faster",
        remedy="stop the service, then run the command again",
    )
    retry_times(take_out, CommitFailedError, TRIES, failed=failed)
