"""Which papers are talked about now: votes over age."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, and_, case, func, literal, or_, select

from cenote.site.methods import Methods
from cenote.site.store.reading import StoredPaper, day_before, find_papers, votes
from cenote.site.store.tables import VOTED, papers

WINDOW = 30
"""Days whose votes count, back from the newest that has papers, or from the newest that has votes where these are all
older; papers from before would not come near the top."""

RULE = (
    f"votes / (age in hours + 2)^1.5 over {WINDOW} days, back from the newest paper or, if these have no votes, from "
    "the newest that has; papers without votes by their newest verdict"
)
"""The order in words, for the pages."""

_HOUR = dt.timedelta(hours=1)


@dataclass(frozen=True)
class Trending:
    """A page of the papers in their order."""

    papers: Sequence[StoredPaper]
    total: int
    """Number of papers on all pages."""
    by_votes: bool
    """Whether any of them has a vote that counts; without one the newest verdict comes first."""


def trending(
    connection: Connection,
    methods: Methods,
    now: dt.datetime,
    *,
    days: tuple[dt.date, dt.date] | None = None,
    submitter: str | None = None,
    limit: int = 50,
    offset: int = 0,
) -> Trending:
    """Return papers in the order of ``RULE``: votes over age, then the newest verdict, then the newest day.

    Args:
        connection: One that reads.
        methods: Who has verdicts, and since when.
        now: The present moment, with its zone.
        days: First and last day of the papers, a month at most; by default the newest days, and the papers with a
            verdict however old they are.
        submitter: Only the papers that this person submitted.
        limit: Papers on a page.
        offset: Papers to pass over.
    """
    counted = [days or recent_days(connection, now)]
    chosen: list[ColumnElement[bool]] = [papers.c.day.between(*counted[0])]
    if days is None:
        chosen.append(papers.c.id.in_(_ranks(methods)))
        if before := _voted_before(connection, *counted[0]):
            counted.append(before)
            chosen.append(and_(papers.c.day.between(*before), VOTED))
    chosen = [or_(*chosen)]
    if submitter is not None:
        chosen.append(papers.c.submitted_by == submitter)
    score = _score(counted, now)
    total, best = connection.execute(select(func.count(), func.max(score)).where(*chosen)).one()
    # Numbers alone are sorted, not the papers' texts.
    ranking = (score.desc(), _rank_of_verdict(methods), papers.c.day.desc(), papers.c.id)
    query = select(papers.c.number).where(*chosen).order_by(*ranking).limit(limit).offset(offset)
    numbers = connection.scalars(query).all()
    found = find_papers(connection, numbers)
    return Trending([found[number] for number in numbers], total, by_votes=(best or 0) > 0)


def trending_score(votes: int, day: dt.date, now: dt.datetime) -> float:
    """Return ``votes / (age + 2)^1.5``, the age in hours since the paper's day began (UTC).

    Example:
        >>> trending_score(27, dt.date(2025, 1, 1), dt.datetime(2025, 1, 1, 7, tzinfo=dt.UTC))
        1.0
    """
    began = dt.datetime.combine(day, dt.time(), dt.UTC)
    return votes / float((max(0.0, (now - began) / _HOUR) + 2) ** 1.5)


def recent_days(connection: Connection, now: dt.datetime) -> tuple[dt.date, dt.date]:
    """Return the first and last day of the window: it ends with the newest day that has papers, today at the latest."""
    today = now.astimezone(dt.UTC).date()
    last = day_before(connection, today + dt.timedelta(days=1)) or today
    return _window(last)


def _window(last: dt.date) -> tuple[dt.date, dt.date]:
    return dt.date.fromordinal(max(1, last.toordinal() - WINDOW + 1)), last


def _voted_before(connection: Connection, first: dt.date, last: dt.date) -> tuple[dt.date, dt.date] | None:
    """Return the days back from the newest that has votes, or None if it is one of those given."""
    last = connection.scalar(select(func.max(papers.c.day)).where(papers.c.day <= last, VOTED)) or last
    return _window(last) if last < first else None


def _score(counted: Sequence[tuple[dt.date, dt.date]], now: dt.datetime) -> ColumnElement[float]:
    """``trending_score`` in the database: papers of one day have one age, so its power comes as a number."""
    days = {
        dt.date.fromordinal(number)
        for first, last in counted
        for number in range(first.toordinal(), last.toordinal() + 1)
    }
    weights = {day: trending_score(1, day, now) for day in sorted(days)}
    return case(weights, value=papers.c.day, else_=literal(0.0)) * votes


def _rank_of_verdict(methods: Methods) -> ColumnElement[int]:
    ranks = _ranks(methods)
    return case(ranks, value=papers.c.id, else_=len(ranks)) if ranks else literal(0)


def _ranks(methods: Methods) -> dict[str, int]:
    """Papers with a verdict by arXiv id, the newest result first."""
    dated = [(method.result.finished, method.card.arxiv) for method in methods if method.result]
    return {paper: rank for rank, (_, paper) in enumerate(sorted(dated, reverse=True))}
