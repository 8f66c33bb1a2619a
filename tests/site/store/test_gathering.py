"""Many numbers as one parameter, and many rows as one, in both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, select

from cenote.site.papers import Paper
from cenote.site.search import Mode, Search
from cenote.site.store.database import Database
from cenote.site.store.gathering import among, gathered
from cenote.site.store.reading import find_papers, fitting
from cenote.site.store.saving import save_papers
from cenote.site.store.tables import papers

MANY = 700
"""More papers than a ranking has places."""


@pytest.fixture
def stocked(quick_store: Database) -> Database:
    """A store with many papers of one word, without a number between them."""
    new = [Paper(id=f"2001.{place:05}", title=f"Pooling {place}", summary="“Läyers”\n") for place in range(MANY)]
    with quick_store.write() as connection:
        save_papers(connection, new)
    return quick_store


def numbers_of(database: Database) -> dict[str, int]:
    with database.read() as connection:
        return {row.id: row.number for row in connection.execute(select(papers.c.id, papers.c.number))}


def test_among_is_true_of_the_numbers_that_are_given(stocked: Database) -> None:
    numbers = sorted(numbers_of(stocked).values())
    for wanted in ([], [numbers[3]], numbers[::2], [*numbers, -1, 2**62], [numbers[5]] * 2):
        with stocked.read() as connection:
            found = list(connection.scalars(select(papers.c.number).where(among(papers.c.number, wanted))))
            others = list(connection.scalars(select(papers.c.number).where(~among(papers.c.number, wanted))))
        assert sorted(found) == sorted(set(wanted) & set(numbers))
        assert sorted(others) == sorted(set(numbers) - set(wanted))


def test_among_takes_more_numbers_than_a_statement_has_parameters(stocked: Database) -> None:
    numbers = numbers_of(stocked)
    with stocked.read() as connection:
        found = fitting(connection, range(max(numbers.values()) + 100_000))
    assert sorted(found) == sorted(numbers.values())


def test_gathered_values_of_one_statement_belong_together(stocked: Database) -> None:
    expected = numbers_of(stocked)
    with stocked.read() as connection:
        ids, numbers, titles = connection.execute(
            select(gathered(papers.c.id), gathered(papers.c.number), gathered(papers.c.title))
        ).one()
    assert dict(zip(ids, numbers, strict=True)) == expected
    assert [f"Pooling {int(name.removeprefix('2001.'))}" for name in ids] == titles


def test_gathered_in_an_order_and_of_no_rows(stocked: Database) -> None:
    numbers = gathered(papers.c.number).over(order_by=papers.c.id.desc(), rows=(None, None))
    with stocked.read() as connection:
        assert connection.scalar(select(gathered(papers.c.number)).where(papers.c.number < 0)) == []
        assert connection.scalar(select(numbers).limit(1)) == [
            number for _, number in sorted(numbers_of(stocked).items(), reverse=True)
        ]


def test_numbers_are_those_of_papers_that_are_there_and_fit(stocked: Database) -> None:
    numbers = numbers_of(stocked)
    first, second = numbers["2001.00000"], numbers["2001.00001"]
    with stocked.read() as connection:
        assert fitting(connection, []) == []
        assert sorted(fitting(connection, [second, first, -1])) == sorted([first, second])
        assert fitting(connection, [first, second, -1], [papers.c.id > "2001.00000"]) == [second]
        assert fitting(connection, [first, -1], [papers.c.id > "2001.00000"]) == []


# --- how many rows are fetched ------------------------------------------------------------------------------------


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path}/store.sqlite3") as database:
        with database.write() as connection:
            save_papers(
                connection, [Paper(id=f"2001.{place:05}", title=f"Pooling {place:050}") for place in range(MANY)]
            )
        yield database


def test_sqlite_looks_numbers_up_by_the_key(sqlite: Database) -> None:
    plans: list[str] = []

    def explain(connection: Any, cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "json_each" in statement:
            rows = connection.connection.cursor().execute(f"EXPLAIN QUERY PLAN {statement}", parameters).fetchall()
            plans.append(rows[0][3])

    event.listen(sqlite.engine, "before_cursor_execute", explain)
    with sqlite.read() as connection:
        find_papers(connection, [1, 2])
        fitting(connection, [1, 2])
        fitting(connection, [1, 2], [papers.c.title != ""])
    assert plans == ["SEARCH papers USING INTEGER PRIMARY KEY (rowid=?)"] * 3


class _Counting(sqlite3.Connection):
    fetched = 0

    def cursor(self, *_: Any) -> sqlite3.Cursor:  # type: ignore[override]
        return super().cursor(_CountingCursor)


class _CountingCursor(sqlite3.Cursor):
    def fetchone(self) -> Any:
        row = super().fetchone()
        _Counting.fetched += row is not None
        return row

    def fetchall(self) -> list[Any]:
        rows = super().fetchall()
        _Counting.fetched += len(rows)
        return rows


def test_a_search_fetches_hardly_more_rows_than_it_shows(sqlite: Database, tmp_path: Path) -> None:
    sqlite.engine.dispose()
    event.listen(sqlite.engine, "do_connect", lambda *given: given[-1].update(factory=_Counting))
    _Counting.fetched = 0
    found = Search(sqlite, home=tmp_path, tags={}).find("pooling", mode=Mode.KEYWORD, limit=5)
    assert (len(found.hits), found.matched) == (5, MANY)
    assert 5 < _Counting.fetched < 20
