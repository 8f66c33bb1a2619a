"""Readers' votes: one a paper and reader, counted beside the paper in the same transaction."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

from sqlalchemy import Connection, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cenote.site.readers.accounts import hold_reader
from cenote.site.store.reader_tables import votes
from cenote.site.store.saving import hold_papers
from cenote.site.store.tables import papers


def vote(connection: Connection, paper: int, reader: int, *, want: bool, now: dt.datetime) -> bool:
    """Give a paper a reader's vote, or take it back; what is so already stays so.

    Args:
        connection: One that may write.
        paper: The paper's number in the store.
        reader: The reader's.
        want: Whether the reader's vote is to be there.
        now: The present moment, with its zone.

    Returns:
        Whether the vote is there afterwards.
    """
    if not hold_reader(connection, reader) or not hold_papers(connection, papers.c.number == paper):
        return False
    if want:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        row = {"paper": paper, "reader": reader, "created": now}
        given = insert(votes).values(row).on_conflict_do_nothing().returning(votes.c.paper)
        changed = len(connection.execute(given).all())  # what was there already gives none
    else:
        changed = -connection.execute(delete(votes).where(votes.c.paper == paper, votes.c.reader == reader)).rowcount
    if changed:
        counted = papers.c.reader_votes + changed
        connection.execute(update(papers).where(papers.c.number == paper).values(reader_votes=counted))
    return want


def voted_for(connection: Connection, reader: int, numbers: Collection[int]) -> frozenset[int]:
    """Return which of some papers have a reader's vote, by number: one question for all of a page."""
    found = select(votes.c.paper).where(votes.c.reader == reader, votes.c.paper.in_(list(numbers)))
    return frozenset(connection.scalars(found)) if numbers else frozenset()
