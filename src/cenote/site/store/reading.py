"""Reading papers from the store: one, those of some days, and the days that have any."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import ColumnElement, Connection, Row, Select, func, select

from cenote.site.papers import Paper
from cenote.site.store.gathering import among, gathered
from cenote.site.store.tables import papers

Order = Literal["votes", "newest"]

_COLUMNS = [column for column in papers.columns if column.name != "text_version"]

# Made once: making them takes longer than looking a few papers up.
_OF_NUMBERS = select(*_COLUMNS).where(among(papers.c.number, "numbers"))
_THERE = select(gathered(papers.c.number)).where(among(papers.c.number, "numbers"))

votes: ColumnElement[int] = func.coalesce(papers.c.upvotes, 0) + papers.c.reader_votes
"""A paper's votes, those at its source and those of this site's readers."""


@dataclass(frozen=True, slots=True)
class StoredPaper:
    """A paper of the store."""

    number: int
    """The store's own name for it, never used again."""
    day: dt.date | None
    """The day under which the feed shows it."""
    paper: Paper
    """What sources say of it."""
    reader_votes: int = 0
    reader_comments: int = 0

    @property
    def votes(self) -> int | None:
        """Votes at its source and of this site's readers, None if no source gives any and no reader voted."""
        return _sum(self.paper.upvotes, self.reader_votes)

    @property
    def comments(self) -> int | None:
        """Comments at its source and of this site's readers, None if there are neither."""
        return _sum(self.paper.comments, self.reader_comments)

    @property
    def author_count(self) -> int | None:
        """Number of authors, None if no source gives it."""
        return self.paper.author_count


def find_paper(connection: Connection, paper_id: str) -> StoredPaper | None:
    """Return the paper with this identifier."""
    row = connection.execute(select(*_COLUMNS).where(papers.c.id == paper_id)).one_or_none()
    return None if row is None else _stored(row)


def find_papers(connection: Connection, numbers: Iterable[int]) -> dict[int, StoredPaper]:
    """Return the papers with these numbers, by number."""
    rows = connection.execute(_OF_NUMBERS, {"numbers": list(numbers)})
    return {row.number: _stored(row) for row in rows}


def fitting(connection: Connection, numbers: Sequence[int], where: Sequence[ColumnElement[bool]] = ()) -> list[int]:
    """Return those of the numbers whose papers are there and fulfil the conditions, in no order."""
    found: list[int] = connection.scalar(_THERE.where(*where) if where else _THERE, {"numbers": list(numbers)}) or []
    return found


def papers_between(
    connection: Connection,
    first: dt.date,
    last: dt.date,
    *,
    order: Order = "votes",
    submitter: str | None = None,
    preferred: Collection[str] = (),
    limit: int = 50,
    offset: int = 0,
) -> Sequence[StoredPaper]:
    """Return the papers of some days, both ends included: most votes first, or newest first.

    Of papers that are equal in this, those with preferred identifiers come first.
    """
    ranking = (votes.desc(), papers.c.day.desc()) if order == "votes" else (papers.c.day.desc(), votes.desc())
    among_equals = papers.c.id.in_(preferred).desc()
    query = select(*_COLUMNS).where(papers.c.day.between(first, last)).order_by(*ranking, among_equals, papers.c.id)
    if submitter is not None:
        query = query.where(papers.c.submitted_by == submitter)
    return [_stored(row) for row in connection.execute(query.limit(limit).offset(offset))]


def count_between(connection: Connection, first: dt.date, last: dt.date) -> int:
    """Return how many papers these days have."""
    return connection.scalar(select(func.count()).where(papers.c.day.between(first, last))) or 0


def count_papers(connection: Connection) -> int:
    """Return how many papers the store has."""
    return connection.scalar(select(func.count()).select_from(papers)) or 0


def day_before(connection: Connection, day: dt.date) -> dt.date | None:
    """Return the latest day before this one that has papers."""
    return _day(connection, select(func.max(papers.c.day)).where(papers.c.day < day))


def day_after(connection: Connection, day: dt.date) -> dt.date | None:
    """Return the first day after this one that has papers."""
    return _day(connection, select(func.min(papers.c.day)).where(papers.c.day > day))


def newest_day(connection: Connection, today: dt.date) -> dt.date | None:
    """Return the latest day that has papers, today at the latest: a date can be wrong in a source."""
    return _day(connection, select(func.max(papers.c.day)).where(papers.c.day <= today))


def _day(connection: Connection, query: Select[dt.date | None]) -> dt.date | None:
    day: dt.date | None = connection.scalar(query)
    return day


def _stored(row: Row[tuple[object, ...]]) -> StoredPaper:
    values = row._asdict()
    ours = {name: values.pop(name) for name in ("number", "day", "reader_votes", "reader_comments")}
    return StoredPaper(**ours, paper=Paper.model_construct(**values))  # checked when it was saved


def _sum(at_source: int | None, here: int) -> int | None:
    return here or None if at_source is None else at_source + here
