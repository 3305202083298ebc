"""Tenants and the versions of their settings."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, func, insert, select
from sqlalchemy.exc import IntegrityError

from lakehouse.contracts.tenant import (
    TENANT_ID_PATTERN,
    SourceMapping,
    TenantSettings,
    check_tenant_id,
)
from lakehouse.control import schema
from lakehouse.control.audit import SYSTEM, AuditLog
from lakehouse.control.connection import Connections
from lakehouse.errors import EtaError

_OF_A_TENANT: Final = (
    *(schema.idempotency_keys, schema.jobs, schema.api_keys, schema.daily_usage),
    *(schema.suppression_lists, schema.tenant_settings, schema.tenants),
)
"""What belongs to a tenant, each before what it refers to."""


class TenantNotFound(EtaError):
    """No tenant has this id."""

    status = HTTPStatus.NOT_FOUND
    code = "unknown_tenant"

    def __init__(self, tenant_id: str) -> None:
        super().__init__(
            f"there is no tenant {tenant_id[:63]!r}",
            remedy="see `eta tenants list`; add it with `eta tenants add TENANT`",
        )


class TenantExists(EtaError):
    """A tenant has this id already."""

    def __init__(self, tenant_id: str) -> None:
        super().__init__(
            f"there is a tenant {tenant_id!r} already",
            remedy="choose another id, or change its settings with `eta tenants set TENANT`",
        )


class SettingsHistoryLost(EtaError):
    """A version of a tenant's settings is missing or cannot be read."""

    def __init__(self, version: int) -> None:
        super().__init__(
            f"version {version} of the tenant's settings is missing or damaged in the control "
            "database, so nobody can say which fields of records of that time name a person",
            remedy="restore the control database from a backup that has it (table "
            "tenant_settings), then run `eta privacy work`",
        )


@dataclass(frozen=True, slots=True)
class Tenant:
    """A customer: the unit that data, keys and settings belong to."""

    tenant_id: str
    name: str
    created_at: datetime


class Tenants:
    """The tenants of one control database."""

    def __init__(
        self, connections: Connections, clock: Callable[[], datetime], audit: AuditLog
    ) -> None:
        self._connections = connections
        self._clock = clock
        self._audit = audit

    def add(
        self,
        tenant_id: str,
        *,
        name: str | None = None,
        settings: TenantSettings | None = None,
        by: str = SYSTEM,
    ) -> Tenant:
        """Add a tenant with its first settings, both or neither.

        Raises `TenantExists`, and `EtaError` for an id that may not stand in a path.
        """
        check_tenant_id(tenant_id)
        tenant = Tenant(tenant_id, name or tenant_id, self._clock())
        with self._connections.write() as connection:
            try:
                connection.execute(
                    insert(schema.tenants).values(
                        tenant_id=tenant_id, name=tenant.name, created_at=tenant.created_at
                    )
                )
            except IntegrityError as error:
                raise TenantExists(tenant_id) from error
            self._insert_settings(connection, tenant_id, 1, settings or TenantSettings())
            self._audit.write(connection, by, "tenant.add", tenant_id, tenant_id)
        return tenant

    def remove_unused(self, tenant_id: str, *, by: str = SYSTEM) -> bool:
        """Take out a tenant of which nothing was ever stored; return whether that was so.

        Its settings, keys and the jobs of what was refused go as well. One that has a job that
        succeeded or goes on, a webhook source or an erasure stays.
        """
        check_tenant_id(tenant_id)
        with self._connections.write() as connection:
            jobs = schema.jobs
            used = [
                select(jobs.c.job_id).where(
                    jobs.c.tenant_id == tenant_id, jobs.c.state.not_in(("refused", "failed"))
                ),
                *(
                    select(table.c.tenant_id).where(table.c.tenant_id == tenant_id)
                    for table in (schema.webhook_sources, schema.erasures, schema.suppressions)
                ),
            ]
            if any(connection.execute(query.limit(1)).first() is not None for query in used):
                return False
            for table in _OF_A_TENANT:
                connection.execute(delete(table).where(table.c.tenant_id == tenant_id))
            self._audit.write(connection, by, "tenant.remove", tenant_id, tenant_id)
        return True

    def list(self) -> tuple[Tenant, ...]:
        """Return every tenant, by id."""
        query = select(schema.tenants).order_by(schema.tenants.c.tenant_id)
        with self._connections.read() as connection:
            return tuple(_tenant(row) for row in connection.execute(query))

    def get(self, tenant_id: str) -> Tenant:
        """Return the tenant; raises `TenantNotFound`."""
        found = self._find(tenant_id)
        if found is None:
            raise TenantNotFound(tenant_id)
        return found

    def exists(self, tenant_id: str) -> bool:
        """Whether there is such a tenant; any text may be asked for."""
        return self._find(tenant_id) is not None

    def settings(self, tenant_id: str) -> TenantSettings:
        """Return the newest settings; raises `TenantNotFound`."""
        found = None
        if re.fullmatch(TENANT_ID_PATTERN, tenant_id):
            with self._connections.read() as connection:
                found = _newest_settings(connection, tenant_id)
        if found is None:
            raise TenantNotFound(tenant_id)
        return _stored_settings(tenant_id, found.document)

    def all_settings(self) -> dict[str, TenantSettings]:
        """Return the newest settings of every tenant, by its id, in the order of the ids.

        One question, however many tenants there are. Raises `EtaError` when those of one do not
        fit this version.
        """
        table = schema.tenant_settings
        newest = (
            select(table.c.tenant_id, func.max(table.c.version).label("version"))
            .group_by(table.c.tenant_id)
            .subquery()
        )
        query = (
            select(table.c.tenant_id, table.c.document)
            .join(
                newest,
                (table.c.tenant_id == newest.c.tenant_id) & (table.c.version == newest.c.version),
            )
            .order_by(table.c.tenant_id)
        )
        with self._connections.read() as connection:
            rows = connection.execute(query).all()
        return {row.tenant_id: _stored_settings(row.tenant_id, row.document) for row in rows}

    def mapping_versions(self, tenant_id: str) -> tuple[dict[str, SourceMapping], ...]:
        """Return the source mappings of every version of the settings, oldest first, by name.

        Each with what it says of fields (columns, values, constants) alone; versions in a row that
        say the same come once. Raises `TenantNotFound`, and `SettingsHistoryLost` for a version
        that is missing or cannot be read.
        """
        table = schema.tenant_settings
        query = select(table.c.version, table.c.document).where(table.c.tenant_id == tenant_id)
        with self._connections.read() as connection:
            rows = connection.execute(query.order_by(table.c.version)).all()
        if not rows:
            raise TenantNotFound(tenant_id)
        found: list[dict[str, SourceMapping]] = []
        for number, row in enumerate(rows, start=1):
            if row.version != number:
                raise SettingsHistoryLost(number)
            sources = _stored_sources(number, row.document)
            if found[-1:] != [sources]:
                found.append(sources)
        return tuple(found)

    def declared_types(self) -> dict[str, frozenset[str]]:
        """Return the event types that each tenant has declared in any version of its settings.

        Tenants that never declared one are left out.
        """
        table = schema.tenant_settings
        found: dict[str, frozenset[str]] = {}
        with self._connections.read() as connection:
            for row in connection.execute(select(table.c.tenant_id, table.c.document)):
                names = frozenset(row.document.get("event_types") or ())
                if names:
                    found[row.tenant_id] = found.get(row.tenant_id, frozenset()) | names
        return found

    def set_settings(self, tenant_id: str, settings: TenantSettings, *, by: str = SYSTEM) -> int:
        """Store a new version of the settings and return its number; older ones are kept.

        Settings equal to the newest ones add no version. Raises `TenantNotFound`.
        """
        check_tenant_id(tenant_id)
        with self._connections.write() as connection:
            lock = select(schema.tenants.c.tenant_id).where(schema.tenants.c.tenant_id == tenant_id)
            connection.execute(lock.with_for_update())
            newest = _newest_settings(connection, tenant_id)
            if newest is None:
                raise TenantNotFound(tenant_id)
            version: int = newest.version
            if newest.document == settings_document(settings):
                return version
            self._insert_settings(connection, tenant_id, version + 1, settings)
            change = {"version": version + 1}
            self._audit.write(connection, by, "tenant.set", tenant_id, tenant_id, **change)
            return version + 1

    def _find(self, tenant_id: str) -> Tenant | None:
        if re.fullmatch(TENANT_ID_PATTERN, tenant_id) is None:
            return None
        query = select(schema.tenants).where(schema.tenants.c.tenant_id == tenant_id)
        with self._connections.read() as connection:
            row = connection.execute(query).first()
        return None if row is None else _tenant(row)

    def _insert_settings(
        self, connection: Connection, tenant_id: str, version: int, settings: TenantSettings
    ) -> None:
        connection.execute(
            insert(schema.tenant_settings).values(
                tenant_id=tenant_id,
                version=version,
                document=settings_document(settings),
                updated_at=self._clock(),
            )
        )


def settings_document(settings: TenantSettings) -> dict[str, Any]:
    """Return the settings as JSON values, every field written out, sets in order.

    Defaults are written out so that a later version's defaults do not change a tenant's data;
    what is null follows the project's variables.
    """
    document = settings.model_dump(mode="json")
    for name in type(settings).model_fields:
        if isinstance(getattr(settings, name), frozenset):
            document[name] = sorted(document[name])
    return document


def _newest_settings(connection: Connection, tenant_id: str) -> Row[Any] | None:
    table = schema.tenant_settings
    query = select(table.c.version, table.c.document).where(table.c.tenant_id == tenant_id)
    return connection.execute(query.order_by(table.c.version.desc()).limit(1)).first()


def _stored_settings(tenant_id: str, document: dict[str, Any]) -> TenantSettings:
    try:
        return TenantSettings.model_validate(document)
    except ValidationError as error:
        places = sorted({".".join(str(part) for part in one["loc"]) for one in error.errors()})
        raise EtaError(
            f"the stored settings of tenant {tenant_id} do not fit this version: "
            + ", ".join(places),
            remedy=f"store them anew with `eta tenants set {tenant_id} --settings FILE`",
        ) from error


def _stored_sources(version: int, document: Any) -> dict[str, SourceMapping]:
    """Return a version's mappings, whatever else an earlier program has written beside them."""
    try:
        return {
            str(name): SourceMapping.model_validate(
                {
                    **_of_fields(one),
                    "data_types": {
                        kind: _of_fields(section)
                        for kind, section in one.get("data_types", {}).items()
                    },
                }
            )
            for name, one in document.get("sources", {}).items()
        }
    except (ValidationError, AttributeError, TypeError) as error:
        raise SettingsHistoryLost(version) from error


def _of_fields(said: dict[str, Any]) -> dict[str, Any]:
    return {name: said[name] for name in ("columns", "values", "constants") if name in said}


def _tenant(row: Row[Any]) -> Tenant:
    return Tenant(row.tenant_id, row.name, row.created_at)
