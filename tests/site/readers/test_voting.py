"""Votes are counted once, whoever asks how often, and the shown sum is that of source and readers."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import func, select

from cenote.site.methods import Methods
from cenote.site.papers import Paper
from cenote.site.readers.accounts import delete_reader
from cenote.site.readers.voting import vote, voted_for
from cenote.site.store.reader_tables import votes
from cenote.site.store.reading import papers_between
from cenote.site.store.saving import delete_papers, save_papers
from cenote.site.trending import trending

from .conftest import DAY, NOW, Store


def give(store: Store, paper: int, reader: int, want: bool = True) -> bool:
    with store.database.write() as connection:
        return vote(connection, store.paper(paper).number, reader, want=want, now=NOW)


def test_a_vote_is_given_once_and_taken_back_once(store: Store) -> None:
    ada, bob = store.reader(), store.reader("bob@example.org")
    for want, shown in [(True, 6), (True, 6), (False, 5), (False, 5), (True, 6)]:
        assert give(store, 1, ada.id, want) is want
        assert store.paper(1).votes == shown
    give(store, 1, bob.id)
    give(store, 1, ada.id, want=False)
    assert (store.paper(1).votes, store.paper(1).reader_votes) == (6, 1)


def test_nothing_is_shown_where_there_is_neither_source_nor_vote(store: Store) -> None:
    reader = store.reader()
    assert store.paper(2).votes is None
    give(store, 2, reader.id)
    assert store.paper(2).votes == 1
    give(store, 2, reader.id, want=False)
    assert store.paper(2).votes is None
    with store.database.write() as connection:
        save_papers(connection, [Paper(id="2611.00002", title="Two", featured=DAY, upvotes=0)])
    assert store.paper(2).votes == 0  # the source says that there are none


def test_one_question_for_all_papers_of_a_page(store: Store) -> None:
    reader = store.reader()
    one, two = store.paper(1).number, store.paper(2).number
    give(store, 2, reader.id)
    with store.database.read() as connection:
        assert voted_for(connection, reader.id, [one, two]) == {two}
        assert voted_for(connection, reader.id, [one]) == frozenset()
        assert voted_for(connection, reader.id, []) == frozenset()


def test_who_asks_at_once_counts_no_more_than_who_asks_in_turn(store: Store) -> None:
    everyone = [store.reader(f"reader{number}@example.org").id for number in range(4)]

    def ask(number: int) -> None:
        give(store, 1, everyone[number % 4], want=number % 3 > 0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(48)))
    with store.database.read() as connection:
        kept = connection.scalar(select(func.count()).select_from(votes))
    assert store.paper(1).reader_votes == kept


def test_votes_while_the_account_is_deleted_leave_no_count(store: Store) -> None:
    for attempt in range(6):
        reader = store.reader(f"reader{attempt}@example.org").id

        def delete(reader: int = reader) -> None:
            with store.database.write() as connection:
                delete_reader(connection, reader)

        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(give, store, 1 + number % 2, reader) for number in range(6)]
            asked.insert(3, pool.submit(delete))  # type: ignore[arg-type]
            for each in asked:
                each.result()
        delete()
        assert (store.paper(1).reader_votes, store.paper(2).reader_votes) == (0, 0)


def test_readers_votes_count_in_every_order(store: Store) -> None:
    batch = [Paper(id=f"2611.0001{number}", title="T", featured=DAY, upvotes=up) for number, up in enumerate([6, 5])]
    with store.database.write() as connection:
        save_papers(connection, batch)
    for number in range(3):
        give(store, 2, store.reader(f"r{number}@example.org").id)
        give(store, 1, store.reader(f"r{number}@example.org").id)
    expected = ["2611.00001", "2611.00010", "2611.00011", "2611.00002"]  # 8, 6, 5, 3
    with store.database.read() as connection:
        assert [each.paper.id for each in papers_between(connection, DAY, DAY)] == expected
        now = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)
        found = trending(connection, Methods(), now, days=(DAY, DAY))
        assert [each.paper.id for each in found.papers] == expected
        assert [each.votes for each in found.papers] == [8, 6, 5, 3]
        assert found.by_votes


def test_an_import_keeps_readers_votes_and_a_paper_takes_them_along(store: Store) -> None:
    give(store, 1, store.reader().id)
    with store.database.write() as connection:
        save_papers(connection, [Paper(id="2611.00001", title="One, again", featured=DAY, upvotes=50)])
    assert store.paper(1).votes == 51
    with store.database.write() as connection:
        delete_papers(connection, ["2611.00001"])
        assert connection.scalar(select(func.count()).select_from(votes)) == 0
