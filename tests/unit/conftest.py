"""Control databases whose migrations run once per process; what they made is then repeated."""

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def schema_statements() -> list[str]:
    """What the migrations left in an empty SQLite database, as SQL; empty until they have run."""
    return []


@pytest.fixture(scope="module", autouse=True)
def _migrated_once(schema_statements: list[str]) -> Iterator[None]:
    """An empty SQLite database gets the schema without alembic, in the same transaction.

    The migrations themselves are tested in `control`, which does without this.
    """
    from sqlalchemy import Connection

    from lakehouse.control import upgrade

    real = upgrade._migrate

    def migrate(connection: Connection, found: str | None) -> None:
        if found is not None or connection.dialect.name != "sqlite":
            real(connection, found)
        elif schema_statements:
            for statement in schema_statements:
                connection.exec_driver_sql(statement)
        else:
            real(connection, None)
            made = connection.connection.driver_connection.iterdump()
            schema_statements.extend(list(made)[1:-1])  # without begin and commit

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upgrade, "_migrate", migrate)
        yield
