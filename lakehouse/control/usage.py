"""How many events each tenant has sent on a day, summed over processes."""

from collections.abc import Mapping
from datetime import date

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from lakehouse.control import schema
from lakehouse.control.connection import Connections


class DailyUsage:
    """The daily counts of one control database."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections

    def add(self, day: date, events: Mapping[str, int]) -> dict[str, int]:
        """Add events per tenant to a day; return the new totals of these tenants."""
        try:
            return self._add(day.isoformat(), events)
        except IntegrityError:  # another process made the row at the same moment
            return self._add(day.isoformat(), events)

    def _add(self, day: str, events: Mapping[str, int]) -> dict[str, int]:
        table = schema.daily_usage
        totals: dict[str, int] = {}
        with self._connections.write() as connection:
            for tenant_id, count in sorted(events.items()):
                mine = (table.c.tenant_id == tenant_id, table.c.day == day)
                changed = connection.execute(
                    update(table).where(*mine).values(events=table.c.events + count)
                )
                if not changed.rowcount:
                    connection.execute(
                        insert(table).values(tenant_id=tenant_id, day=day, events=count)
                    )
                totals[tenant_id] = connection.execute(
                    select(table.c.events).where(*mine)
                ).scalar_one()
        return totals

    def of(self, tenant_id: str, day: date) -> int:
        """Return a tenant's total of a day."""
        table = schema.daily_usage
        query = select(table.c.events).where(
            table.c.tenant_id == tenant_id, table.c.day == day.isoformat()
        )
        with self._connections.read() as connection:
            return connection.execute(query).scalar() or 0
