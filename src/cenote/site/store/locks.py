"""Locks that several processes of the site share: one of them does a thing at a time, and none is left locked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, text

from cenote.errors import StorageError
from cenote.site.store.database import Database


@contextmanager
def exclusive(database: Database, home: Path, name: str) -> Iterator[bool]:
    """Try to be the only process of the site that does something; the lock ends with its process, however it ends.

    With SQLite all processes are on one machine and lock a file in the home. With PostgreSQL they may be on several,
    and the server holds the lock for as long as the connection lasts.

    Args:
        database: The store.
        home: The site's folder.
        name: What is done.

    Yields:
        Whether the lock was got; another has it otherwise.

    Raises:
        StorageError: If the file cannot be made.
    """
    held = _by_server(database, name) if database.dialect == "postgresql" else _by_file(home / f".{name}.lock")
    with held as got:
        yield got


def in_turn(connection: Connection, name: str) -> None:
    """Wait until no other transaction does this; where one looks first and writes then, nobody writes in between.

    Writers take turns in SQLite anyway.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _number(f"turn {name}")})


@contextmanager
def _by_file(path: Path) -> Iterator[bool]:
    import fcntl

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a")
    except OSError as error:
        raise StorageError(f"the lock {path} cannot be made: {error.strerror or error}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        except OSError as error:
            raise StorageError(f"{path} cannot be locked: {error.strerror or error}") from None
        yield True


@contextmanager
def _by_server(database: Database, name: str) -> Iterator[bool]:
    key = {"key": _number(name)}
    # A transaction left open for hours would keep the server from tidying up.
    with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), key):
            yield False
            return
        try:
            yield True
        finally:
            # If the connection is lost the lock is too; otherwise the pool would hand it on with the lock.
            if not connection.closed and not connection.invalidated:
                connection.execute(text("SELECT pg_advisory_unlock(:key)"), key)


def _number(name: str) -> int:
    """PostgreSQL's advisory locks are numbers of 64 bits."""
    return int.from_bytes(hashlib.sha256(f"cenote {name}".encode()).digest()[:8], "big", signed=True)
