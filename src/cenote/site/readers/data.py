"""All that is kept of a reader, for the reader to take along."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, select

from cenote.site.readers.sessions import Reader
from cenote.site.runs.queue import reader_owner
from cenote.site.store.mail_tables import bounces, mails, subscriptions
from cenote.site.store.reader_tables import comments, readers, sessions, votes
from cenote.site.store.run_tables import runs
from cenote.site.store.tables import papers


def data_of(connection: Connection, reader: Reader) -> dict[str, Any]:
    """Return everything the store has of a reader, by what it is; moments are in UTC.

    Of tokens, and of what limits count, the store itself has no more than a hash.
    """
    mine, at = reader.id, reader.address
    paper = papers.c.id.label("paper")
    sub, mail = subscriptions.c, mails.c
    return {
        "reader": _rows(
            connection, select(readers.c.address, readers.c.name, readers.c.created, readers.c.seen).filter_by(id=mine)
        )[0],
        "sessions": _rows(connection, select(sessions.c.created, sessions.c.expires).where(sessions.c.reader == mine)),
        "votes": _rows(
            connection, select(paper, votes.c.created).select_from(votes.join(papers)).where(votes.c.reader == mine)
        ),
        "comments": _rows(
            connection,
            select(comments.c.id, paper, comments.c.text, comments.c.created, comments.c.hidden)
            .select_from(comments.join(papers))
            .where(comments.c.reader == mine)
            .order_by(comments.c.id),
        ),
        "subscriptions": _rows(
            connection,
            select(sub.frequency, sub.scope, sub.chosen, sub.state, sub.created, sub.confirmed, sub.ended).where(
                sub.address == at
            ),
        ),
        "mails": _rows(
            connection,
            select(mail.kind, mail.issue, mail.state, mail.created, mail.ended).where(mail.address == at),
        ),
        "bounces": _rows(
            connection,
            select(bounces.c.failures, bounces.c.last, bounces.c.reason, bounces.c.suppressed).where(
                bounces.c.address == at
            ),
        ),
        "runs": _rows(
            connection,
            select(runs.c.id, runs.c.slug, runs.c.preset, runs.c.state, runs.c.requested, runs.c.finished)
            .where(runs.c.owner == reader_owner(mine))
            .order_by(runs.c.requested, runs.c.id),
        ),
    }


def votes_by(connection: Connection, reader: int, *, limit: int) -> list[tuple[str, str]]:
    """Return identifier and title of the papers a reader voted for, the last vote first."""
    found = select(papers.c.id, papers.c.title).select_from(votes.join(papers)).where(votes.c.reader == reader)
    rows = connection.execute(found.order_by(votes.c.created.desc(), papers.c.id).limit(limit))
    return [(row.id, row.title) for row in rows]


def _rows(connection: Connection, query: Select[Any]) -> list[dict[str, Any]]:
    return [dict(row._mapping) for row in connection.execute(query)]
