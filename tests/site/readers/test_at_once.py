"""Accounts are deleted, papers imported and comments written at once: nobody waits for ever, and all is counted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from sqlalchemy import Connection, func, select

from cenote.site.papers import Paper
from cenote.site.readers.accounts import delete_reader
from cenote.site.readers.comments import add_comment, delete_comment, hide_comments
from cenote.site.readers.operating import block
from cenote.site.readers.retention import READER_KEPT, clean
from cenote.site.readers.sign_in import new_link, use_link
from cenote.site.readers.voting import vote
from cenote.site.store.reader_tables import comments, votes
from cenote.site.store.saving import delete_papers, save_papers

from .conftest import NOW, Store

ADA, BOB, OLGA = "ada@example.org", "bob@example.org", "olga@example.org"
OLD = NOW - READER_KEPT - dt.timedelta(days=1)
ROUNDS = 10
PAPERS = [f"2611.{number:05}" for number in (4, 3, 2, 1)]
"""In another order than that of their numbers."""

Work = Callable[[Connection], object]


def write_at_once(store: Store, works: Sequence[Work]) -> None:
    """Do each in a transaction; PostgreSQL ends one of two that wait for each other, which is an error here."""
    together = Barrier(len(works))

    def alone(work: Work) -> None:
        together.wait()
        with store.database.write() as connection:
            work(connection)

    with ThreadPoolExecutor(len(works)) as pool:
        for each in [pool.submit(alone, work) for work in works]:
            each.result()


def bring(votes: int) -> Work:
    return lambda connection: save_papers(connection, [Paper(id=each, title=each, upvotes=votes) for each in PAPERS])


def votes_and_writes(store: Store, reader: int) -> int:
    """Let a reader vote for all papers and write below them; return the last comment."""
    said = 0
    for each in (1, 2, 3, 4):
        with store.database.write() as connection:
            vote(connection, store.paper(each).number, reader, want=True, now=NOW)
            said = add_comment(connection, store.paper(each).number, reader, "Yes", NOW) or 0
    return said


def test_accounts_go_while_their_papers_are_imported(store: Store) -> None:
    write_at_once(store, [bring(0)])
    for number in range(ROUNDS):
        going = [store.reader(address).id for address in (ADA, BOB)]
        for reader in going:
            votes_and_writes(store, reader)
        ends = [lambda connection, reader=reader: delete_reader(connection, reader) for reader in going]
        write_at_once(store, [bring(number), *ends, bring(number + 1)])
        assert [store.paper(each).reader_votes for each in (1, 2, 3, 4)] == [0] * 4


def test_whatever_is_written_at_once_is_counted(store: Store) -> None:
    for number in range(ROUNDS):
        write_at_once(store, [bring(number)])
        bob, olga = store.reader(BOB), store.reader(OLGA)
        said, going = votes_and_writes(store, bob.id), store.reader(ADA).id
        old = [store.reader(f"{number}-{each}@example.org", OLD).id for each in "xyz"]
        for reader in (going, *old):
            votes_and_writes(store, reader)
        with store.database.write() as connection:
            link = new_link(connection, ADA, NOW)
        paper = store.paper(3).number
        works: list[Work] = [
            bring(number),
            lambda connection: delete_papers(connection, PAPERS[:2]),
            lambda connection: delete_reader(connection, going),  # noqa: B023
            lambda connection: use_link(connection, link, NOW),  # noqa: B023
            lambda connection: clean(connection, NOW),
            lambda connection: vote(connection, paper, bob.id, want=False, now=NOW),  # noqa: B023
            lambda connection: add_comment(connection, paper, bob.id, "And", NOW),  # noqa: B023
            lambda connection: hide_comments(connection, [said - 1, said], NOW),  # noqa: B023
            lambda connection: delete_comment(connection, said - 2, bob.id),  # noqa: B023
            lambda connection: block(connection, f"{number}-y@example.org", olga, NOW),  # noqa: B023
        ]
        write_at_once(store, works)
        assert_all_is_counted(store)


def assert_all_is_counted(store: Store) -> None:
    write_at_once(store, [bring(0)])
    for each in (1, 2, 3, 4):
        stored = store.paper(each)
        with store.database.read() as connection:
            given = connection.scalar(select(func.count()).where(votes.c.paper == stored.number))
            below = select(func.count()).where(comments.c.paper == stored.number, comments.c.hidden.is_(None))
            assert (stored.reader_votes, stored.reader_comments) == (given, connection.scalar(below))
