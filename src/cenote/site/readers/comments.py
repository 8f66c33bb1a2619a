"""What readers write below a paper."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from cenote.errors import ArgumentError
from cenote.site.readers.accounts import hold_reader
from cenote.site.store.reader_tables import comments, readers
from cenote.site.store.saving import hold_papers
from cenote.site.store.tables import papers

LONGEST = 5_000
"""Characters."""

# They turn the direction of what follows, so that a link would seem to lead elsewhere; scripts that are written from
# the right need none of them.
_TURNING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@dataclass(frozen=True)
class Comment:
    """A comment and who wrote it."""

    id: int
    text: str
    """Markdown, as it was written."""
    created: dt.datetime
    hidden: dt.datetime | None
    """When an operator took it from the page."""
    reader: int
    name: str
    """The reader's."""
    address: str
    paper: str
    """arXiv identifier."""
    title: str
    """The paper's."""


def read_comment(text: str) -> str:
    """Return a comment in the form in which it is kept.

    Raises:
        ArgumentError: If it is empty or too long.
    """
    lines = "\n".join(text.splitlines())  # browsers send the ends of lines as two characters
    kept = "".join(each for each in lines if _is_kept(each)).strip()
    if not 1 <= len(kept) <= LONGEST:
        raise ArgumentError(f"comment must have 1 to {LONGEST:,} characters, got {len(kept):,}")
    return kept


def add_comment(connection: Connection, paper: int, reader: int, text: str, now: dt.datetime) -> int | None:
    """Put a comment below a paper; return its number, None if there is no such reader or paper any more.

    Args:
        connection: One that may write.
        paper: The paper's number in the store.
        reader: The reader's.
        text: As ``read_comment`` returns it.
        now: The present moment, with its zone.
    """
    if not hold_reader(connection, reader) or not hold_papers(connection, papers.c.number == paper):
        return None
    row = {"paper": paper, "reader": reader, "text": text, "created": now}
    number: int = connection.execute(insert(comments).values(row).returning(comments.c.id)).scalar_one()
    _count(connection, paper, 1)
    return number


def delete_comment(connection: Connection, comment: int, reader: int) -> str | None:
    """Take a reader's own comment away; return the identifier of its paper, None if it is not theirs."""
    _hold_papers_of(connection, [comment])
    own = delete(comments).where(comments.c.id == comment, comments.c.reader == reader)
    gone = connection.execute(own.returning(comments.c.paper, comments.c.hidden)).one_or_none()
    if gone is None:
        return None
    if gone.hidden is None:
        _count(connection, gone.paper, -1)
    paper: str | None = connection.scalar(select(papers.c.id).where(papers.c.number == gone.paper))
    return paper


def hide_comments(connection: Connection, numbers: Sequence[int], now: dt.datetime) -> list[int]:
    """Take comments from their pages; return those that were there."""
    return _set_hidden(connection, numbers, now)


def show_comments(connection: Connection, numbers: Sequence[int]) -> list[int]:
    """Put hidden comments back; return those that were hidden."""
    return _set_hidden(connection, numbers, None)


def comments_below(connection: Connection, paper: int, *, limit: int, offset: int) -> list[Comment]:
    """Return what can be read below a paper, the oldest first."""
    shown = _query().where(comments.c.paper == paper, comments.c.hidden.is_(None)).order_by(comments.c.id)
    return [_comment(row) for row in connection.execute(shown.limit(limit).offset(offset))]


def count_below(connection: Connection, paper: int) -> int:
    """Return how many comments can be read below a paper."""
    shown = select(func.count()).where(comments.c.paper == paper, comments.c.hidden.is_(None))
    return connection.scalar(shown) or 0


def count_before(connection: Connection, comment: Comment) -> int:
    """Return how many comments stand above this one."""
    shown = select(func.count()).select_from(comments.join(papers)).where(papers.c.id == comment.paper)
    return connection.scalar(shown.where(comments.c.hidden.is_(None), comments.c.id < comment.id)) or 0


def comments_by(connection: Connection, reader: int, *, limit: int) -> list[Comment]:
    """Return what a reader wrote, the newest first."""
    theirs = _query().where(comments.c.reader == reader).order_by(comments.c.id.desc())
    return [_comment(row) for row in connection.execute(theirs.limit(limit))]


def newest_comments(connection: Connection, *, limit: int, offset: int = 0) -> list[Comment]:
    """Return comments of all papers, hidden ones too, the newest first."""
    newest = _query().order_by(comments.c.id.desc()).limit(limit).offset(offset)
    return [_comment(row) for row in connection.execute(newest)]


def find_comment(connection: Connection, number: int) -> Comment | None:
    """Return a comment, also a hidden one."""
    row = connection.execute(_query().where(comments.c.id == number)).one_or_none()
    return None if row is None else _comment(row)


def _is_kept(each: str) -> bool:
    return each in "\n\t" or (unicodedata.category(each) not in ("Cc", "Cs") and each not in _TURNING)


def _query() -> Select[tuple[object, ...]]:
    own = [column for column in comments.columns if column.name != "paper"]
    about = (papers.c.id.label("paper"), papers.c.title)
    query: Select[tuple[object, ...]] = select(*own, readers.c.name, readers.c.address, *about)
    return query.select_from(comments.join(readers).join(papers, papers.c.number == comments.c.paper))


def _comment(row: Row[tuple[object, ...]]) -> Comment:
    return Comment(**row._asdict())


def _set_hidden(connection: Connection, numbers: Sequence[int], hidden: dt.datetime | None) -> list[int]:
    _hold_papers_of(connection, numbers)
    other = comments.c.hidden.is_not(None) if hidden is None else comments.c.hidden.is_(None)
    changed = update(comments).where(comments.c.id.in_(list(numbers)), other).values(hidden=hidden)
    rows = connection.execute(changed.returning(comments.c.id, comments.c.paper)).all()
    for row in rows:
        _count(connection, row.paper, 1 if hidden is None else -1)
    return sorted(row.id for row in rows)


def _hold_papers_of(connection: Connection, numbers: Sequence[int]) -> None:
    hold_papers(connection, papers.c.number.in_(select(comments.c.paper).where(comments.c.id.in_(list(numbers)))))


def _count(connection: Connection, paper: int, change: int) -> None:
    counted = papers.c.reader_comments + change
    connection.execute(update(papers).where(papers.c.number == paper).values(reader_comments=counted))
