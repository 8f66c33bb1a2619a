"""Giving every paper its vector: newest first, resumable, a batch in one transaction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection, and_, func, or_, select, text
from sqlalchemy.dialects import postgresql, sqlite

from cenote.site.store.database import Database
from cenote.site.store.saving import hold_papers
from cenote.site.store.tables import papers, vectors

STORED = 256
"""Papers of one transaction: what a killed worker does over again, at most."""
ENCODED = 16
"""Texts of one call: of about equal length, so that little is computed for padding."""


class Encodes(Protocol):
    """What the worker needs of an encoder."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return a vector of length one for each text."""


@dataclass(frozen=True)
class Progress:
    """How far the worker has come."""

    done: int
    """Papers that this call gave a vector."""
    total: int
    """Papers that had none, or one of an older text, when it began."""


def embed_papers(
    database: Database,
    encoder: Encodes,
    name: str,
    *,
    limit: int | None = None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> Progress:
    """Give a vector to papers that have none of this encoder, or one of an older text: featured and newest first.

    A worker that was killed goes on where it stopped, because what has a vector is left alone; a paper that is changed
    while its old text is encoded is encoded again by the next call. Several workers do no harm, only work twice.

    Args:
        database: The store.
        encoder: Makes the vectors.
        name: Name of the encoder; vectors of different ones live side by side.
        limit: Papers at most.
        on_progress: Called at the beginning and after each transaction.
    """
    with database.read() as connection:
        numbers = _missing(connection, name, limit)
    progress = Progress(0, len(numbers))
    on_progress(progress)
    for first in range(0, len(numbers), STORED):
        chosen = numbers[first : first + STORED]
        with database.read() as connection:
            texts = _texts(connection, chosen)
        encoded = dict(_encoded(encoder, texts))
        with database.write() as connection:
            _store(connection, name, encoded)
        progress = Progress(min(first + STORED, len(numbers)), len(numbers))
        on_progress(progress)
    return progress


def _missing(connection: Connection, name: str, limit: int | None) -> list[int]:
    own = and_(vectors.c.number == papers.c.number, vectors.c.encoder == name)
    query = (
        select(papers.c.number)
        .outerjoin(vectors, own)
        .where(or_(vectors.c.number.is_(None), vectors.c.text_version < papers.c.text_version))
        .order_by(papers.c.featured.desc().nulls_last(), papers.c.day.desc().nulls_last(), papers.c.number.desc())
    )
    return list(connection.scalars(query.limit(limit)))


@dataclass(frozen=True)
class _Text:
    number: int
    version: int
    text: str


def _texts(connection: Connection, numbers: Sequence[int]) -> list[_Text]:
    columns = papers.c.number, papers.c.text_version, papers.c.title, papers.c.summary
    rows = connection.execute(select(*columns).where(papers.c.number.in_(numbers)))
    return [_Text(number, version, f"{title}. {summary or ''}".strip()) for number, version, title, summary in rows]


def _encoded(encoder: Encodes, texts: Sequence[_Text]) -> Iterator[tuple[_Text, bytes]]:
    by_length = sorted(texts, key=lambda each: len(each.text))
    for first in range(0, len(by_length), ENCODED):
        batch = by_length[first : first + ENCODED]
        for each, vector in zip(batch, encoder.encode([each.text for each in batch]), strict=True):
            yield each, vector.astype("<f2").tobytes()


def _store(connection: Connection, name: str, encoded: dict[_Text, bytes]) -> None:
    """Write vectors of papers that are still there; of two workers the one with the newer text wins."""
    kept = set(hold_papers(connection, papers.c.number.in_([each.number for each in encoded])))
    if connection.dialect.name == "postgresql":
        # Writers in turn, so that what is written later has the higher number and no reader passes over it.
        connection.execute(text("LOCK TABLE vectors IN SHARE ROW EXCLUSIVE MODE"))
    written = (connection.scalar(select(func.max(vectors.c.written)).where(vectors.c.encoder == name)) or 0) + 1
    rows = [
        {
            "number": each.number,
            "encoder": name,
            "text_version": each.version,
            "vector": vector,
            "written": written,
        }
        for each, vector in encoded.items()
        if each.number in kept
    ]
    if not rows:
        return
    insert = (sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert)(vectors)
    said = insert.excluded
    newer: ColumnElement[bool] = vectors.c.text_version < said.text_version
    changed = {column: said[column] for column in ("text_version", "vector", "written")}
    key = [vectors.c.number, vectors.c.encoder]
    connection.execute(insert.on_conflict_do_update(index_elements=key, set_=changed, where=newer), rows)
