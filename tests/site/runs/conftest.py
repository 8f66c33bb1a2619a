"""Stores with a home in which keepers work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from sqlalchemy import URL

from cenote.site.store.database import Database

from .keeping import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """An empty store in SQLite; keepers are closed at the end."""
    with Database(f"sqlite:///{tmp_path}/store.sqlite3") as database, ExitStack() as stack:
        yield Place(database, tmp_path.resolve(), stack)


@pytest.fixture
def either_place(database: Database, tmp_path: Path) -> Iterator[Place]:
    """The same in SQLite and in PostgreSQL."""
    with ExitStack() as stack:
        yield Place(database, tmp_path.resolve(), stack)


@pytest.fixture
def address(store_url: URL) -> str:
    """The store's address, for other processes."""
    return store_url.render_as_string(hide_password=False)
