"""Importing: records from a reader into the store, batch by batch, so that a killed import goes on where it stopped."""

from __future__ import annotations

import datetime as dt
import json
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection, select

from cenote.errors import RunError, StorageError
from cenote.site.papers import Paper
from cenote.site.reading.records import Bad, Cursor, Deleted, Good, Record
from cenote.site.store.database import Database
from cenote.site.store.saving import delete_papers, save_papers
from cenote.site.store.tables import imports

BATCH = 1000
"""Records of one transaction: enough that its cost does not show, few enough that readers of the site never wait."""
_BAD_TEXT = 16 << 20
"""Characters of bad records after which a batch is full too: a thousand of the largest would take a gigabyte."""


@dataclass(frozen=True)
class Progress:
    """How far an import has come."""

    position: int = 0
    """Number of the last record that is in the store."""
    saved: int = 0
    """Papers saved since the import began, whether new, changed or known; killed and resumed parts included."""
    bad: int = 0
    """Records that could not be used."""
    new: int = 0
    """Papers this process put in."""
    changed: int = 0
    """Papers it brought up to date."""
    same: int = 0
    """Papers it had nothing new to say of."""
    deleted: int = 0
    cursor: Cursor | None = None
    """Where to ask a server next time."""
    resumed: bool = False
    """Whether it goes on where an earlier import was stopped."""
    finished: bool = False
    bad_bytes: int = field(default=0, repr=False)


def import_records(
    database: Database,
    key: str | None,
    read: Callable[[Progress], Iterable[Record | Cursor]],
    *,
    bad_file: Path,
    limit: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Put what a reader yields into the store.

    A batch, the place in the source and the number of bad records are written in one transaction: an import that was
    killed goes on behind the last batch, and no paper is lost or counted twice. Importing a source again from its
    beginning changes nothing that has not changed.

    Args:
        database: The store.
        key: Name of the source; an unfinished import of the same name is gone on with. None where one cannot know that
            the source is the same the next time: it is then read from its beginning.
        read: Opens the source behind ``progress.position``, or at ``progress.cursor``.
        bad_file: Receives a JSON line for each record that cannot be used; made when there is one.
        limit: Stop after this many records; the import is then not finished, and the next one goes on behind them.
        on_progress: Called after each batch.

    Raises:
        RunError: If another process imports the same source.
        StorageError: If the side file cannot be written.
    """
    progress = _start(database, key)
    side_file = _SideFile(bad_file, progress.bad_bytes)
    records = iter(read(progress))
    for batch in _batches(islice(records, limit)):
        progress = _store(database, key, progress, batch, side_file)
        on_progress(progress)
    if limit is not None and next(records, None) is not None:
        return progress
    return _finish(database, key, progress)


def stored_cursor(database: Database, key: str) -> Cursor | None:
    """Return where the last import of this name said to go on."""
    with database.read() as connection:
        text: str | None = connection.scalar(select(imports.c.cursor).where(imports.c.key == key))
    return None if text is None else _read_cursor(text)


# --- batches ------------------------------------------------------------------------------------------------------


@dataclass
class _Batch:
    papers: list[Paper] = field(default_factory=list)
    deleted: list[str] = field(default_factory=list)
    bad: list[Bad] = field(default_factory=list)
    position: int = 0
    cursor: Cursor | None = None
    records: int = 0
    bad_text: int = 0


def _batches(records: Iterable[Record | Cursor]) -> Iterator[_Batch]:
    """Gather records; a batch ends where the source says that one could go on from here, or when it is full."""
    batch = _Batch()
    for record in records:
        if isinstance(record, Cursor):
            batch.cursor = record
        else:
            batch.records += 1
            batch.position = record.position
            if isinstance(record, Good):
                batch.papers.append(record.paper)
            elif isinstance(record, Deleted):
                # What was said of the paper before it was taken back must not bring it back.
                batch.papers = [paper for paper in batch.papers if paper.id != record.id]
                batch.deleted.append(record.id)
            else:
                batch.bad.append(record)
                batch.bad_text += len(record.text)
        if batch.cursor is not None or batch.records >= BATCH or batch.bad_text >= _BAD_TEXT:
            yield batch
            batch = _Batch()
    if batch.records:
        yield batch


def _store(database: Database, key: str | None, progress: Progress, batch: _Batch, side_file: _SideFile) -> Progress:
    with database.write() as connection:
        _claim(connection, key, progress)
        bad_bytes = side_file.append(batch.bad)  # only now is it sure that no other process writes there
        deleted = delete_papers(connection, batch.deleted)
        saved = save_papers(connection, batch.papers)
        progress = Progress(
            position=max(progress.position, batch.position),
            saved=progress.saved + len(batch.papers),
            bad=progress.bad + len(batch.bad),
            new=progress.new + saved.new,
            changed=progress.changed + saved.changed,
            same=progress.same + saved.same,
            deleted=progress.deleted + deleted,
            cursor=batch.cursor or progress.cursor,
            resumed=progress.resumed,
            bad_bytes=bad_bytes,
        )
        if key is not None:
            connection.execute(imports.update().where(imports.c.key == key).values(_row(progress)))
    return progress


# --- where an import stands ---------------------------------------------------------------------------------------


def _start(database: Database, key: str | None) -> Progress:
    if key is None:
        return Progress()
    with database.write() as connection:
        row = connection.execute(select(imports).where(imports.c.key == key)).one_or_none()
        if row is None:
            connection.execute(imports.insert().values(key=key, **_row(Progress())))
            return Progress()
        cursor = None if row.cursor is None else _read_cursor(row.cursor)
        if row.finished is None:
            return Progress(row.position, row.saved, row.bad, cursor=cursor, resumed=True, bad_bytes=row.bad_bytes)
        again = Progress(cursor=cursor)
        connection.execute(imports.update().where(imports.c.key == key).values(_row(again)))
        return again


def _claim(connection: Connection, key: str | None, progress: Progress) -> None:
    """See that nobody else has moved on since our last batch; PostgreSQL holds others up until we are done."""
    if key is None:
        return
    query = select(imports.c.position, imports.c.saved, imports.c.bad, imports.c.finished).where(imports.c.key == key)
    row = connection.execute(query.with_for_update()).one_or_none()
    if row is None or tuple(row) != (progress.position, progress.saved, progress.bad, None):
        raise RunError(f"another process imports {key!r}; let it finish, or stop it")


def _finish(database: Database, key: str | None, progress: Progress) -> Progress:
    if key is None:
        return replace(progress, finished=True)
    with database.write() as connection:
        _claim(connection, key, progress)
        done = imports.update().where(imports.c.key == key).values(finished=dt.datetime.now(dt.UTC))
        connection.execute(done)
    return replace(progress, finished=True)


def _row(progress: Progress) -> dict[str, object]:
    return {
        "position": progress.position,
        "saved": progress.saved,
        "bad": progress.bad,
        "bad_bytes": progress.bad_bytes,
        "cursor": None if progress.cursor is None else _write_cursor(progress.cursor),
        "finished": None,
    }


def _write_cursor(cursor: Cursor) -> str:
    begun = cursor.begun.isoformat() if cursor.begun else None
    return json.dumps({"day": cursor.day.isoformat(), "token": cursor.token, "begun": begun})


def _read_cursor(text: str) -> Cursor:
    read = json.loads(text)
    begun = read.get("begun")
    return Cursor(dt.date.fromisoformat(read["day"]), read["token"], dt.date.fromisoformat(begun) if begun else None)


# --- what could not be used ---------------------------------------------------------------------------------------


class _SideFile:
    """Bad records, a JSON line each. What a killed batch wrote is cut off before the batch is read again."""

    def __init__(self, path: Path, length: int) -> None:
        self._path = path
        self._length = length

    def append(self, records: list[Bad]) -> int:
        """Write behind what is known to be in the store, and return the length the file then has."""
        if not records:
            return self._length
        data = "".join(f"{_line(bad)}\n" for bad in records).encode()
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            if not self._length and self._path.exists():
                self._path.replace(self._path.with_name(f"{self._path.name}.old"))  # of an earlier import, or no one's
            with self._path.open("r+b" if self._path.exists() else "xb") as file:
                # Shorter than we know it to be if somebody took it away: what is lost is not made up with zeros.
                self._length = min(self._length, file.seek(0, os.SEEK_END))
                file.truncate(self._length)
                file.seek(self._length)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise StorageError(f"{self._path} could not be written: {error.strerror}") from error
        self._length += len(data)
        return self._length


def _line(bad: Bad) -> str:
    said: dict[str, object] = {"position": bad.position, "reason": bad.reason, "record": bad.text}
    return json.dumps(said | {"truncated": True} if bad.truncated else said, ensure_ascii=False)
