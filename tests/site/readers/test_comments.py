"""Comments are kept as they were written, counted while they can be read, and taken away by whom they belong to."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import text

from cenote.errors import ArgumentError
from cenote.site.readers.accounts import delete_reader
from cenote.site.readers.comments import (
    LONGEST,
    add_comment,
    comments_below,
    comments_by,
    count_before,
    count_below,
    delete_comment,
    find_comment,
    hide_comments,
    newest_comments,
    read_comment,
    show_comments,
)

from .conftest import NOW, Store


def write(store: Store, paper: int, reader: int, said: str = "Nice.") -> int:
    with store.database.write() as connection:
        number = add_comment(connection, store.paper(paper).number, reader, said, NOW)
    assert number is not None
    return number


def test_oldest_first_with_what_is_known_of_each(store: Store) -> None:
    ada, bob = store.reader(), store.reader("bob@example.org")
    numbers = [write(store, 1, reader.id, f"said {reader.id}") for reader in (ada, bob, ada)]
    write(store, 2, ada.id)
    with store.database.read() as connection:
        below = comments_below(connection, store.paper(1).number, limit=2, offset=0)
        rest = comments_below(connection, store.paper(1).number, limit=2, offset=2)
        assert [each.id for each in (*below, *rest)] == numbers
        assert [count_before(connection, each) for each in (*below, *rest)] == [0, 1, 2]
        assert (below[1].name, below[1].address, below[1].text) == (bob.name, bob.address, f"said {bob.id}")
        assert (below[0].paper, below[0].title, below[0].created) == ("2611.00001", "One", NOW)
        assert [each.id for each in comments_by(connection, bob.id, limit=9)] == [numbers[1]]
        assert len(newest_comments(connection, limit=9)) == 4
    assert store.paper(1).comments == 4  # one is the source's
    assert store.paper(2).comments == 1


def test_only_their_own_can_be_deleted(store: Store) -> None:
    ada, bob = store.reader(), store.reader("bob@example.org")
    number = write(store, 1, ada.id)
    with store.database.write() as connection:
        assert delete_comment(connection, number, bob.id) is None
        assert delete_comment(connection, number + 1, ada.id) is None
    assert store.paper(1).reader_comments == 1
    with store.database.write() as connection:
        assert delete_comment(connection, number, ada.id) == "2611.00001"
        assert delete_comment(connection, number, ada.id) is None
    assert store.paper(1).reader_comments == 0
    assert write(store, 1, ada.id) > number  # so that an address never leads to another comment


def test_what_is_hidden_is_neither_shown_nor_counted(store: Store) -> None:
    ada = store.reader()
    first, second = write(store, 1, ada.id), write(store, 1, ada.id)
    with store.database.write() as connection:
        assert hide_comments(connection, [first], NOW) == [first]
        assert hide_comments(connection, [first], NOW) == []
        below = comments_below(connection, store.paper(1).number, limit=9, offset=0)
        assert [each.id for each in below] == [second]
        assert count_below(connection, store.paper(1).number) == 1
        hidden = find_comment(connection, first)
        assert hidden is not None
        assert hidden.hidden == NOW
    assert store.paper(1).reader_comments == 1
    with store.database.write() as connection:
        assert show_comments(connection, [first, second]) == [first]
    assert store.paper(1).reader_comments == 2
    with store.database.write() as connection:
        hide_comments(connection, [first, second], NOW)
        delete_comment(connection, first, ada.id)
        delete_reader(connection, ada.id)
    assert store.paper(1).reader_comments == 0


def test_the_count_is_that_of_the_table_whatever_happens_at_once(store: Store) -> None:
    everyone = [store.reader(f"r{number}@example.org").id for number in range(4)]

    def act(number: int) -> None:
        writer, paper = everyone[number % 4], store.paper(1).number
        with store.database.write() as connection:
            mine = add_comment(connection, paper, writer, "Nice.", NOW)
        if mine is None:
            assert writer == everyone[1]  # whose account was deleted meanwhile
            return
        with store.database.write() as connection:
            if number == 20:
                delete_reader(connection, everyone[1])
            elif number % 3 == 0:
                hide_comments(connection, [mine], NOW)
            elif number % 3 == 1:
                delete_comment(connection, mine, writer)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(act, range(30)))
    with store.database.read() as connection:
        kept = connection.scalar(text("SELECT count(*) FROM comments WHERE hidden IS NULL"))
    assert store.paper(1).reader_comments == kept


def test_signs_that_turn_the_direction_are_left_out() -> None:
    assert read_comment("a\u202ab\u202ec\u2066d\u2069e\u200ff") == "abcde\u200ff"
    with pytest.raises(ArgumentError, match="got 0"):
        read_comment("\u202e\u2069")


def test_how_it_is_read() -> None:
    assert read_comment(" a\r\nb\rc\u2028d\x00\ud800\x07\te\n\n") == "a\nb\nc\nd\te"
    assert read_comment("x" * LONGEST) == "x" * LONGEST
    for written in ("", " \r\n\t\x00", "x" * (LONGEST + 1)):
        with pytest.raises(ArgumentError, match="comment must have 1 to 5,000 characters, got"):
            read_comment(written)
