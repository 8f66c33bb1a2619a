"""A reader's account: its name, what belongs to it, and taking all of it out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sqlalchemy import Connection, delete, select, union, update
from sqlalchemy.exc import IntegrityError

from cenote.errors import ArgumentError
from cenote.site.readers.names import name_key
from cenote.site.runs.queue import disown
from cenote.site.store.mail_tables import bounces, confirmations, mails, subscriptions
from cenote.site.store.reader_tables import comments, readers, sign_in_links, votes
from cenote.site.store.saving import hold_papers
from cenote.site.store.tables import papers


def hold_reader(connection: Connection, reader: int) -> bool:
    """Return whether there is such a reader, who then stays until the transaction ends.

    Whoever writes something of a reader's asks first. Otherwise an account that is deleted at the same moment could
    leave a vote counted that is not there any more.
    """
    # SQLite's writers take turns, and it has no such lock.
    held = select(readers.c.id).where(readers.c.id == reader).with_for_update(read=True, key_share=True)
    return connection.scalar(held) is not None


def rename(connection: Connection, reader: int, name: str) -> None:
    """Give a reader a name, as ``read_name`` returns it.

    Raises:
        ArgumentError: If another reader has it, however it is written.
    """
    named = update(readers).where(readers.c.id == reader).values(name=name, name_key=name_key(name))
    try:
        with connection.begin_nested():
            connection.execute(named)
    except IntegrityError:
        raise ArgumentError(f"name must be one that no other reader has, got {name!r:.80}") from None


def delete_reader(connection: Connection, reader: int) -> bool:
    """Take a reader out as ``delete_readers`` does; return whether there was one."""
    return delete_readers(connection, [reader]) > 0


def delete_readers(connection: Connection, numbers: Sequence[int]) -> int:
    """Take readers out with all that is theirs, and what their papers counted of it; return how many there were.

    Votes, comments, sessions, links, subscriptions and mails of their addresses go, and runs are nobody's. What keeps
    mail from an address stays: that an operator blocked it, or that its mailbox refused three times.
    """
    chosen = select(readers.c.id, readers.c.address).where(readers.c.id.in_(numbers)).order_by(readers.c.id)
    for _, address in connection.execute(chosen).all():
        forget_mail(connection, address)  # first, in the order that ``hold_papers`` names
    gone = {row.id: row.address for row in connection.execute(chosen.with_for_update())}
    _take_back(connection, list(gone))
    for reader, address in gone.items():
        disown(connection, reader)
        connection.execute(delete(bounces).where(bounces.c.address == address, bounces.c.suppressed.is_(None)))
    connection.execute(delete(readers).where(readers.c.id.in_(list(gone))))  # and sessions
    return len(gone)


def _take_back(connection: Connection, numbers: list[int]) -> None:
    """Take out what readers voted and wrote, and what their papers counted of it."""
    theirs = [table.c.reader.in_(numbers) for table in (votes, comments)]
    on = union(select(votes.c.paper).where(theirs[0]), select(comments.c.paper).where(theirs[1]))
    hold_papers(connection, papers.c.number.in_(on))
    wrote = delete(comments).where(theirs[1]).returning(comments.c.paper, comments.c.hidden)
    counted = {
        papers.c.reader_votes: connection.scalars(delete(votes).where(theirs[0]).returning(votes.c.paper)).all(),
        papers.c.reader_comments: [paper for paper, hidden in connection.execute(wrote) if hidden is None],
    }
    for column, found in counted.items():
        for number, times in Counter(found).items():
            connection.execute(update(papers).where(papers.c.number == number).values({column: column - times}))


def forget_mail(connection: Connection, address: str) -> None:
    """Take out what was sent to an address or would be: links, subscriptions and mails."""
    for table in (sign_in_links, confirmations, mails, subscriptions):
        connection.execute(delete(table).where(table.c.address == address))
