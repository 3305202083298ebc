"""What is told of a run: datasets, versions, counts, times. Nothing in here names a person.

A tenant's own datasets and jobs stand in a namespace of its own; the tables that all tenants share
stand in the lake's, and an event says which tenant's part it is about. No event names two tenants,
a file, a mapping, a row or a key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final
from uuid import NAMESPACE_URL, uuid5

if TYPE_CHECKING:
    from deltalake import DeltaTable

    from lakehouse.storage.lake import Lake

PRODUCER: Final = "https://pypi.org/project/eta-lakehouse"
_RUNS: Final = uuid5(NAMESPACE_URL, PRODUCER)

Fields = Sequence[tuple[str, str]]
"""Columns: name and type."""


@dataclass(frozen=True, slots=True)
class Dataset:
    """A dataset that a run reads or writes; of what is None or empty nothing is told.

    `tenant_id`: the run is about this tenant's part of a table that all share. `partitions`: the
    run is about these parts, such as offsets of a topic. `uri`: where it lies. `rows`, `size`
    (bytes) and `files` are what this run read or wrote.
    """

    namespace: str
    name: str
    version: str | None = None
    fields: Fields = ()
    uri: str | None = None
    tenant_id: str | None = None
    partitions: Sequence[Mapping[str, str | int]] = ()
    rows: int | None = None
    size: int | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """A job, and the id (a UUID) of one of its runs."""

    namespace: str
    name: str
    run_id: str


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a job. `ended_at` None: it goes on. `error`: why it failed, without any data.

    `is_begun`: that it began was told before.
    """

    job: Job
    started_at: datetime
    ended_at: datetime | None = None
    inputs: Sequence[Dataset] = ()
    outputs: Sequence[Dataset] = ()
    error: str | None = None
    parent: Job | None = None
    tags: Mapping[str, str] | None = None
    is_begun: bool = False


class Names:
    """The names of a lake's datasets and jobs, below the namespace that the operator has set."""

    def __init__(self, lake: Lake, namespace: str) -> None:
        self._lake = lake
        self.namespace = namespace

    def of_tenant(self, tenant_id: str) -> str:
        """Return the namespace of what is one tenant's alone."""
        return f"{self.namespace}/{tenant_id}"

    def job(self, name: str, key: str, tenant_id: str | None = None) -> Job:
        """Return a run of a job of the lake, or of a tenant: the same `key` is the same run."""
        namespace = self.namespace if tenant_id is None else self.of_tenant(tenant_id)
        return Job(namespace, name, run_id(namespace, name, key))

    def table(
        self,
        name: str,
        version: int | None = None,
        *,
        tenant_id: str | None = None,
        fields: Fields = (),
        rows: int | None = None,
        size: int | None = None,
        files: int | None = None,
    ) -> Dataset:
        """Return a table of the lake, `schema.table`, or a tenant's part of it."""
        return Dataset(
            self.namespace,
            name,
            None if version is None else str(version),
            fields,
            self._lake.uri(name.replace(".", "/")),
            tenant_id,
            rows=rows,
            size=size,
            files=files,
        )


def run_id(namespace: str, name: str, key: str) -> str:
    """Return the id of a run: told again, it is the same run."""
    return str(uuid5(_RUNS, f"{namespace}\n{name}\n{key}"))


def fields_of(table: DeltaTable) -> Fields:
    """Return the columns of a table, nested ones by their kind."""
    return [(field.name, str(field.type.type)) for field in table.schema().fields]
