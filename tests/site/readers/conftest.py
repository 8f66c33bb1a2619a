"""Readers and papers in a store of each kind."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import pytest

from cenote.site.papers import Paper
from cenote.site.readers.sessions import Reader, reader_of
from cenote.site.readers.sign_in import new_link, use_link
from cenote.site.store.database import Database
from cenote.site.store.reading import StoredPaper, find_paper
from cenote.site.store.saving import save_papers

NOW = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)
DAY = dt.date(2026, 11, 20)


@dataclass(frozen=True)
class Store:
    """A store with two papers."""

    database: Database

    def reader(self, address: str = "ada@example.org", now: dt.datetime = NOW) -> Reader:
        with self.database.write() as connection:
            session = use_link(connection, new_link(connection, address, now), now)
            found = reader_of(connection, session or "", now)
        assert found is not None
        return found

    def paper(self, number: int) -> StoredPaper:
        with self.database.read() as connection:
            found = find_paper(connection, f"2611.{number:05}")
        assert found is not None
        return found


@pytest.fixture
def store(database: Database) -> Store:
    papers = [
        Paper(id="2611.00001", title="One", featured=DAY, upvotes=5, comments=1),
        Paper(id="2611.00002", title="Two", featured=DAY),
    ]
    with database.write() as connection:
        save_papers(connection, papers)
    return Store(database)
