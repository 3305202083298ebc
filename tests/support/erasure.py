"""A lake with people in every place that an erasure has to clean; no Spark needed."""

import json
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex

import polars as pl

from ingest_service.settings import ServiceSettings
from ingest_service.sources.replay import ReplayedBatch
from ingest_service.sources.uploads.upload import FileUpload
from ingest_service.wiring import build_services, replay
from lakehouse.contracts.tables import RAW_CLICKSTREAM, RAW_INTERACTIONS, RAW_QUARANTINE, TableSpec
from lakehouse.contracts.tenant import (
    DataType,
    FileFormat,
    OnError,
    SourceMapping,
    TenantSettings,
)
from lakehouse.control.database import ControlDatabase
from lakehouse.privacy.identifier_patterns import IdentifierPatterns
from lakehouse.privacy.verify import Search, search
from lakehouse.privacy.worker import Progress, Worker
from lakehouse.settings import LakeSettings
from lakehouse.storage.lake import Lake
from lakehouse.storage.tables import ensure_tables

TENANT = "acme"
FIRST_MS = 1_700_000_000_000


def person() -> str:
    return f"user-{token_hex(16)}"


@dataclass
class NoModels:
    """Stands for dbt where no model was ever built; knows of no snapshot."""

    runs: int = 0
    withdrawn: list[str] = field(default_factory=list)

    @contextmanager
    def locked(self, settings):
        yield

    def delete(self, settings, tenant_id: str, tables: Sequence[str], subjects: str) -> None:
        raise AssertionError("there are no tables of models")

    def run(self, settings) -> None:
        self.runs += 1

    def withdraw(self, settings, tenant_id: str, now: datetime) -> list[str]:
        return self.withdrawn

    def publish(self, settings, tenant_id: str) -> str | None:
        return None


class ErasableLake:
    """A lake, its control database, and the ways in and out."""

    def __init__(self, home: Path, project_dir: Path) -> None:
        # dbt's folders of the checkout are other tests' business
        self.settings = LakeSettings(
            home=home, project_dir=project_dir, DBT_TARGET_PATH=home / "target"
        )
        self.home = home
        self.database = ControlDatabase.open(self.settings.control_url)
        self.database.tenants.add(TENANT)
        ensure_tables(Lake(self.settings))
        self.services = build_services(self.settings, ServiceSettings())
        self.models = NoModels()
        self.tenant = TenantSettings()
        self.batches = 0

    def close(self) -> None:
        self.services.control.close()
        self.database.close()

    def upload(
        self,
        text: str,
        data_type: DataType = DataType.INTERACTIONS,
        tenant_id: str = TENANT,
        on_error: OnError = OnError.QUARANTINE,
        file_format: FileFormat = FileFormat.CSV,
        mapping: str = "default",
    ):
        """Take in a file by one of the tenant's mappings; return the report."""
        self.batches += 1
        path = self.home / f"in-{token_hex(4)}.csv"
        path.write_text(text)
        settings = self.tenant
        try:
            return self.services.ingest.ingest(
                FileUpload(
                    tenant_id=tenant_id,
                    data_type=data_type,
                    batch_id=f"b{self.batches:04}-{token_hex(4)}",
                    path=path,
                    settings=settings,
                    mapping=settings.mapping(mapping, data_type),
                    mapping_name=mapping,
                    on_error=on_error,
                    format=file_format,
                )
            )
        finally:
            path.unlink()

    def set_sources(self, **sources: SourceMapping) -> None:
        """Give the tenant these mappings and no others: a version of its settings."""
        self.tenant = TenantSettings(sources=sources)
        self.database.set_tenant_settings(TENANT, self.tenant)

    def replay(self) -> list[ReplayedBatch]:
        return replay(self.settings, ServiceSettings(), TENANT, None, None, None)

    def erase(self, *subjects: str) -> str:
        return self.database.erasures.request(TENANT, subjects).request_id

    def work(self, **how) -> list[Progress]:
        return Worker(
            self.settings, self.database, self.models, lambda: datetime.now(UTC), **how
        ).work()

    def search(self, *subjects: str, tenant_id: str = TENANT) -> Search:
        return search(self.settings, self.database, tenant_id, IdentifierPatterns(subjects))

    def rows(self, spec: TableSpec, tenant_id: str = TENANT) -> pl.DataFrame:
        found = pl.DataFrame(Lake(self.settings).table(spec).to_pyarrow_table())
        return found.filter(pl.col("tenant_id") == tenant_id)

    def fill(self, gone: str, kept: Sequence[str]) -> None:
        """Interactions, clickstream and quarantined records of one who goes and of others."""
        people = [gone, *kept]
        self.upload(interactions([(user, n) for n in range(6) for user in people]))
        self.upload(interactions([(user, n) for n in range(6, 9) for user in people]))
        self.upload(
            "event_name,user_id,anonymous_id,session_id,timestamp\n"
            + f"page,{gone},anon-of-{gone[-12:]},s1,{FIRST_MS}\n"
            + f"page,,anon-of-{gone[-12:]},s1,{FIRST_MS + 1}\n"
            + "".join(f"page,{user},anon-{n},s2,{FIRST_MS}\n" for n, user in enumerate(kept)),
            DataType.CLICKSTREAM,
        )
        wrong = "".join(f"{user},i1,nonsense,{FIRST_MS}\n" for user in people)
        self.upload(f"user_id,item_id,interaction_type,timestamp\n{wrong}")


def interactions(events: Sequence[tuple[str, int]]) -> str:
    """A file of events: who, and a number that makes it distinct."""
    rows = "".join(f"{u},i{n % 5},click,{FIRST_MS + n * 1_000}\n" for u, n in events)
    return f"user_id,item_id,interaction_type,timestamp\n{rows}"


def state_of_others(lake: ErasableLake, gone: Sequence[str]) -> dict[str, str]:
    """A hash per table over the rows of everybody else."""
    found = {}
    for spec in (RAW_INTERACTIONS, RAW_CLICKSTREAM, RAW_QUARANTINE):
        rows = lake.rows(spec)
        texts = sorted(
            text
            for text in (json.dumps(row, default=str, sort_keys=True) for row in rows.to_dicts())
            if not any(subject in text or subject[-12:] in text for subject in gone)
        )
        found[spec.full_name] = str(hash(tuple(texts)))
    return found
