"""Migrations, run from the package: alembic is imported only when there is something to do."""

from typing import TYPE_CHECKING, Final

from sqlalchemy import Connection, inspect, text

from lakehouse.control.connection import Connections, connect
from lakehouse.control.schema import HEAD
from lakehouse.errors import EtaError

if TYPE_CHECKING:
    from alembic.config import Config

_MIGRATION_LOCK: Final = 0x657461  # "eta": PostgreSQL's advisory lock for upgrades


def upgrade_database(url: str) -> str:
    """Bring the database at `url` to this version's schema; return the revision it stands at."""
    connections = connect(url)
    try:
        upgrade(connections)
    finally:
        connections.close()
    return HEAD


def current_revision(url: str) -> str | None:
    """Return the revision of the database at `url`, None when it is empty."""
    connections = connect(url)
    try:
        with connections.read() as connection:
            return revision(connection)
    finally:
        connections.close()


def revision(connection: Connection) -> str | None:
    """Return the revision that the connection's database stands at, None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found = connection.execute(text("select version_num from alembic_version")).scalar()
    return None if found is None else str(found)


def upgrade(connections: Connections) -> None:
    """Run the missing migrations in one transaction.

    Several processes may call this at once: one migrates, the others wait for its lock and find
    nothing left to do. A migration that fails or is killed leaves the old schema.
    """
    with connections.write() as connection:
        if not connections.is_sqlite:
            connection.execute(text(f"select pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        found = revision(connection)
        if found != HEAD:
            _migrate(connection, found)


def _migrate(connection: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(migrations(connection), "head")
    except CommandError as error:
        raise unknown_revision(found) from error


def database_lags(url: str) -> str | None:
    """Return the revision of the database at `url` if it is older than this version needs.

    "none" is an empty database. Raises `EtaError` for one of a later version of the software.
    """
    found = current_revision(url)
    if found == HEAD:
        return None
    if found is not None:
        _check_known(found)
    return found or "none"


def _check_known(found: str) -> None:
    from alembic.script import ScriptDirectory
    from alembic.util import CommandError

    try:
        ScriptDirectory.from_config(migrations()).get_revision(found)
    except CommandError as error:
        raise unknown_revision(found) from error


def migrations(connection: Connection | None = None) -> "Config":
    """Alembic's configuration: the scripts of this package on an open connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "lakehouse.control:migrations")
    config.attributes["connection"] = connection
    return config


def unknown_revision(found: str | None) -> EtaError:
    """The error for a database of a later version of the software."""
    return EtaError(
        f"the control database stands at revision {found}, which this version does not know",
        remedy="run the version of eta that wrote it, or a later one",
    )
