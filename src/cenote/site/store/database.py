"""Opening the store: one engine for SQLite or PostgreSQL, transactions, migrations."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import URL, Connection, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.exc import TimeoutError as NoneIsFree

from cenote.errors import StorageError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).resolve().parent / "migrations"

_MIGRATION_LOCK = 0x63656E6F7465  # "cenote": PostgreSQL's advisory locks are numbers

_BUSY_SECONDS = 30
"""How long a writer waits for another."""


class Database:
    """The store's engine. Open it once a process; connections are pooled.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql+psycopg://…``.

    Raises:
        StorageError: If the database cannot be opened or reached.
    """

    def __init__(self, url: URL | str) -> None:
        self.url = make_url(url)
        self.dialect = self.url.get_backend_name()
        if self.dialect == "sqlite":
            self._make_folder()
            self.engine = create_engine(self.url, pool_size=8, max_overflow=16)
            event.listen(self.engine, "connect", _prepare_sqlite)
            event.listen(self.engine, "begin", _begin_sqlite)
        else:
            self.engine = create_engine(self.url, pool_size=8, max_overflow=16, pool_pre_ping=True)

    def _make_folder(self) -> None:
        if self.url.database and self.url.database != ":memory:":
            folder = Path(self.url.database).parent
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise StorageError(f"{folder} could not be made: {error.strerror}") from None

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Open a transaction that sees one state of the store."""
        with self._connection() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Open a transaction that may write: all of it is kept, or nothing. Writers take turns in SQLite."""
        with self._connection() as connection, connection.execution_options(cenote_writes=True).begin():
            yield connection

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            connection = self.engine.connect()
        except NoneIsFree:
            raise StorageError("the store is asked for more at once than it can answer; try again") from None
        except DatabaseError as error:
            shown = self.url.render_as_string(hide_password=True)
            raise StorageError(f"the database {shown} cannot be opened: {_first_line(error)}") from None
        try:
            yield connection
        finally:
            connection.close()

    def migrate(self) -> None:
        """Bring the tables to this version's form. Several processes may call it at once."""
        with self.read() as connection:
            if _revision(connection) == newest_revision():
                return
        # Not with the module: a store that has this form already, as at almost every start, needs no Alembic.
        from alembic import command

        with self.write() as connection:
            if self.dialect == "postgresql":
                connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _MIGRATION_LOCK})
            command.upgrade(alembic_config(connection), "head")

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        self.migrate()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def newest_revision() -> str:
    """Return the number of the newest migration, which begins its file's name: ``v0002_search.py``."""
    return max(path.name[1:].partition("_")[0] for path in (MIGRATIONS / "versions").glob("v*_*.py"))


def _revision(connection: Connection) -> str | None:
    """Return the migration that the tables have; None for an empty store."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def alembic_config(connection: Connection) -> Config:
    """Return Alembic's settings for one connection."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions begin where we say so, not where sqlite3 guesses
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {1000 * _BUSY_SECONDS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = NORMAL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    # A transaction that reads first and writes later can fail when another wrote in between; a writer says so at once.
    writes = connection.get_execution_options().get("cenote_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _first_line(error: Exception) -> str:
    return str(getattr(error, "orig", None) or error).strip().splitlines()[0]
