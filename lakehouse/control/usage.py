"""How much each tenant has sent on a day, events or bytes of uploads, summed over processes."""

from collections.abc import Mapping
from datetime import date
from typing import Literal

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from lakehouse.control import schema
from lakehouse.control.connection import Connections


class DailyUsage:
    """The daily counts of one control database, of one kind."""

    def __init__(
        self, connections: Connections, kind: Literal["events", "upload_bytes"] = "events"
    ) -> None:
        self._connections = connections
        self._kind = kind

    def add(self, day: date, counts: Mapping[str, int]) -> dict[str, int]:
        """Add counts per tenant to a day; return the new totals of these tenants."""
        try:
            return self._add(day.isoformat(), counts)
        except IntegrityError:  # another process made the row at the same moment
            return self._add(day.isoformat(), counts)

    def _add(self, day: str, counts: Mapping[str, int]) -> dict[str, int]:
        table = schema.daily_usage
        column = table.c[self._kind]
        totals: dict[str, int] = {}
        with self._connections.write() as connection:
            for tenant_id, count in sorted(counts.items()):
                mine = (table.c.tenant_id == tenant_id, table.c.day == day)
                changed = connection.execute(
                    update(table).where(*mine).values({self._kind: column + count})
                )
                if not changed.rowcount:
                    row = {"tenant_id": tenant_id, "day": day, "events": 0, self._kind: count}
                    connection.execute(insert(table).values(row))
                totals[tenant_id] = connection.execute(select(column).where(*mine)).scalar_one()
        return totals

    def of(self, tenant_id: str, day: date) -> int:
        """Return a tenant's total of a day."""
        table = schema.daily_usage
        query = select(table.c[self._kind]).where(
            table.c.tenant_id == tenant_id, table.c.day == day.isoformat()
        )
        with self._connections.read() as connection:
            return connection.execute(query).scalar() or 0
