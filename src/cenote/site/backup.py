"""A copy of the store in one file, and back again; what is in PostgreSQL has tools of its own for it."""

from __future__ import annotations

import contextlib
import datetime as dt
import fcntl
import os
import shlex
import sqlite3
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from alembic.script import ScriptDirectory
from sqlalchemy import URL

from cenote.catalog.files import sync_folder
from cenote.errors import ArgumentError, DataFormatError, RunError, StorageError
from cenote.site.store.database import MIGRATIONS

_BESIDE = ("-wal", "-shm", "-journal")
"""Endings of what SQLite keeps beside a database."""

_PAGES = 4096
"""Copied between two looks at whether the user wants to stop."""


@dataclass(frozen=True)
class Backup:
    """What was written."""

    papers: int
    size: int
    """In bytes."""


@dataclass(frozen=True)
class Restored:
    """What was put in place."""

    store: Path
    papers: int
    kept: Path | None
    """What was there before, if there was something."""


def back_up_store(url: URL, file: Path, *, overwrite: bool = False) -> Backup:
    """Copy the store to a file as it is at this moment, whoever reads or writes it meanwhile.

    The copy is checked, and gets its name when all of it is on the disk. Who can read the store can read it too.

    Args:
        url: Of the store.
        file: Where to write.
        overwrite: Replace a file that is there.

    Raises:
        ArgumentError: If the store is in PostgreSQL, or the file is there or cannot be one.
        DataFormatError: If the store is damaged.
        RunError: If another process writes the same file.
        StorageError: If there is no store, or the file cannot be written.
    """
    store = _file_of(url, "pg_dump --format=custom --no-owner --file={file} {address}", file)
    if not store.is_file():
        raise StorageError(f"there is no store at {store}; CENOTE_HOME names the folder it is in")
    if file.is_dir() or not file.parent.is_dir():
        raise ArgumentError(f"FILE must be a file in a folder that is there, got {file}")
    if file.exists() and (not overwrite or file.samefile(store)):
        hint = "it is the store itself" if file.samefile(store) else "choose another name, or --force to replace it"
        raise ArgumentError(f"FILE {file} is there already; {hint}")
    with _storing(file), _part_of(file) as part:
        _copy(store, part)
        papers = _check(part, store)
        part.chmod(stat.S_IMODE(store.stat().st_mode))
        _into_place(part, file)
        return Backup(papers, file.stat().st_size)


def restore_store(url: URL, file: Path) -> Restored:
    """Put a backup in the place of the store, at once and as a whole; what was there is kept beside it.

    Raises:
        ArgumentError: If the store is in PostgreSQL, or there is no such file.
        DataFormatError: If the file is no store of this version of cenote or an older one, or is damaged.
        RunError: If another process has the store open.
        StorageError: If the store cannot be written.
    """
    store = _file_of(
        url, "pg_restore --clean --if-exists --no-owner --single-transaction --dbname={address} {file}", file
    )
    if not file.is_file():
        raise ArgumentError(f"FILE must be a backup, got {file}, which is no file")
    with _storing(store):
        store.parent.mkdir(parents=True, exist_ok=True)
        if store.exists() and store.samefile(file):
            raise ArgumentError(f"FILE {file} is the store itself")
        with _part_of(store) as part:
            _copy(file, part)
            papers = _check(part, file)
            part.chmod(stat.S_IMODE((store if store.exists() else file).stat().st_mode))
            with _closed(store):
                kept = _keep(store)
                _into_place(part, store)
    return Restored(store, papers, kept)


def _file_of(url: URL, command: str, file: Path) -> Path:
    """The file of a store in SQLite; for PostgreSQL, say by which command it is done, without the password."""
    if url.get_backend_name() == "sqlite":
        if url.database in (None, "", ":memory:"):
            raise ArgumentError("CENOTE_DATABASE_URL names a store in memory, of which there is no file")
        return Path(str(url.database))
    query = {name: value for name, value in url.query.items() if "pass" not in name.lower()}
    shown = URL.create("postgresql", url.username, None, url.host, url.port, url.database, query)
    address = shlex.quote(shown.render_as_string())
    call = command.format(file=shlex.quote(str(file)), address=address)
    raise ArgumentError(f"the store is in PostgreSQL, whose own tools do this: {call}")


# --- copying ------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _storing(path: Path) -> Iterator[None]:
    """Say in a sentence that a file cannot be written."""
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"{path} could not be written: {error}; nothing half-written is left") from error
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}; nothing half-written is left"
        ) from error


@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[Path]:
    """Hand out an empty file beside ``path``, locked against other processes and removed unless it was moved.

    Its name is always the same, so that one that a kill left behind is used again and not left for ever.
    """
    part = path.with_name(f".{path.name}.part")
    with part.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # The process that had the lock before may have given the file its final name in the meantime.
            if not os.path.samestat(os.fstat(file.fileno()), part.stat()):
                raise BlockingIOError
        except (BlockingIOError, FileNotFoundError):
            raise RunError(f"another process writes {path}; let it finish, or stop it") from None
        file.truncate(0)
        part.chmod(0o600)  # until it is known who may read it
        try:
            _remove_beside(part)
            yield part
        finally:
            _remove_beside(part)
            part.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with contextlib.closing(_open(source, "ro")) as read, contextlib.closing(_open(target, "rw")) as written:
        # The whole copy is thrown away if it is not finished, so no journal need protect a part of it.
        written.execute("PRAGMA journal_mode = OFF")
        written.execute("PRAGMA synchronous = OFF")
        try:
            # One transaction sees one state; without it the copy would begin anew at each change by another process.
            read.execute("BEGIN")
            read.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        except sqlite3.DatabaseError as error:
            raise DataFormatError(f"{source} is not a store of cenote, or is damaged: {error}") from None
        read.backup(written, pages=_PAGES)
    with contextlib.closing(_open(target, "rw")) as written:
        written.execute("PRAGMA journal_mode = DELETE")  # all of it in one file


def _open(path: Path, mode: str) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode={mode}", uri=True, isolation_level=None, timeout=30)


def _into_place(part: Path, path: Path) -> None:
    descriptor = os.open(part, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    part.replace(path)
    sync_folder(path.parent)


def _remove_beside(path: Path) -> None:
    for ending in _BESIDE:
        path.with_name(path.name + ending).unlink(missing_ok=True)


# --- what may be restored -----------------------------------------------------------------------------------------


def _check(copy: Path, source: Path) -> int:
    """See that a copy is whole and a store that this version knows; return its number of papers."""
    with contextlib.closing(_open(copy, "rw")) as connection:
        try:
            revision = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            papers: int = connection.execute("SELECT count(*) FROM papers").fetchone()[0]
        except sqlite3.OperationalError:
            raise DataFormatError(f"{source} is a database, but not a store of cenote") from None
        except sqlite3.DatabaseError as error:
            raise DataFormatError(f"{source} is damaged: {error}") from None
        known = [script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()]
        if revision is None or revision[0] not in known:
            raise DataFormatError(
                f"{source} is of another version of cenote: its tables are of revision {revision and revision[0]}, and "
                f"this one knows those up to {known[0]}"
            )
        if damage := _damage(connection):
            raise DataFormatError(f"{source} is damaged: {damage}")
    return papers


def _damage(connection: sqlite3.Connection) -> str | None:
    try:
        said: str = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
        if said != "ok":
            return said
        if broken := connection.execute("PRAGMA foreign_key_check").fetchone():
            return f"a row of {broken[0]} belongs to none of {broken[2]}"
        connection.execute("INSERT INTO papers_text (papers_text) VALUES ('integrity-check')")
    except sqlite3.DatabaseError as error:
        return str(error)
    return None


@contextlib.contextmanager
def _closed(store: Path) -> Iterator[None]:
    """Hold a store that nobody else has open; one that is damaged or absent cannot be held, and need not be."""
    if not store.exists():
        yield
        return
    with contextlib.closing(_open(store, "rw")) as connection:
        try:
            connection.execute("PRAGMA busy_timeout = 1000")
            # A connection in WAL mode, even an idle one, keeps a lock that forbids to leave that mode.
            connection.execute("PRAGMA journal_mode = DELETE")
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise RunError(f"another process has {store} open; stop the server and imports first") from None
        except sqlite3.DatabaseError:
            pass
        yield


def _keep(store: Path) -> Path | None:
    """Give the store a second name, with what SQLite keeps beside it; take the latter away from the first name."""
    if not store.exists():
        _remove_beside(store)
        return None
    kept = store.with_name(f"{store.name}.before-{dt.datetime.now(dt.UTC):%Y%m%d-%H%M%S-%f}")
    for ending in ("", *_BESIDE):
        old = store.with_name(store.name + ending)
        if old.exists():
            os.link(old, kept.with_name(kept.name + ending))
    # A log of the old store would be taken for one of the new.
    _remove_beside(store)
    return kept
