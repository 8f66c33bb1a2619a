"""A store for every test, in SQLite and in PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
from sqlalchemy import URL, NullPool, create_engine, make_url, text

from cenote.site.store.database import Database
from cenote.site.store.tables import metadata

from .visiting import Post, Visited, open_visited

KINDS = ("sqlite", "postgresql")

_PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin")) if Path("/usr/lib/postgresql").is_dir() else []


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A PostgreSQL server: that of CENOTE_TEST_POSTGRESQL, else one of our own on a socket in a temporary folder."""
    given = os.environ.get("CENOTE_TEST_POSTGRESQL")
    if given:
        yield make_url(given).set(drivername="postgresql+psycopg")
        return
    programs = shutil.which("initdb")
    folder = Path(programs).parent if programs else (_PROGRAMS[-1] if _PROGRAMS else None)
    if folder is None:
        _give_up("PostgreSQL is not installed, and CENOTE_TEST_POSTGRESQL names no server")
    home = Path("/tmp") / f"cenote-postgresql-{uuid.uuid4().hex[:8]}"  # a socket's path is short
    home.mkdir()
    as_user: list[str] = []
    if os.geteuid() == 0:  # the server refuses to run as root
        shutil.chown(home, "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]

    def run(program: str, *arguments: str) -> None:
        subprocess.run([*as_user, str(folder / program), *arguments], check=True, capture_output=True, cwd=home)

    data, options = str(home / "data"), f"-k {home} -c listen_addresses='' -c fsync=off"
    try:
        run("initdb", "--pgdata", data, "--auth=trust", "--username=cenote", "--no-sync", "--encoding=UTF8")
        run("pg_ctl", "start", "--wait", "--pgdata", data, "--log", str(home / "log"), "--options", options)
        try:
            yield URL.create("postgresql+psycopg", username="cenote", database="postgres", query={"host": str(home)})
        finally:
            run("pg_ctl", "stop", "--pgdata", data, "--mode=immediate")
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _give_up(reason: str) -> NoReturn:
    """Skip, but never where the tests count: half of them would go unseen."""
    if os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason}; CI is set, so this is no reason to skip")
    pytest.skip(reason)


@contextmanager
def empty_store(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[URL]:
    """The address of an empty database: a file of this folder, or one of the PostgreSQL server, gone afterwards."""
    if kind == "sqlite":
        yield URL.create("sqlite", database=str(folder / "store.sqlite3"))
        return
    server: URL = request.getfixturevalue("postgresql")
    name = f"cenote_{uuid.uuid4().hex[:12]}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text(f'CREATE DATABASE "{name}"'))
    try:
        yield server.set(database=name)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))


@pytest.fixture(params=KINDS)
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[URL]:
    """The address of an empty database."""
    with empty_store(request.param, tmp_path, request) as url:
        yield url


@pytest.fixture
def database(store_url: URL) -> Iterator[Database]:
    """An empty store."""
    with Database(store_url) as opened:
        yield opened


@pytest.fixture(scope="session")
def shared_postgresql(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[URL]:
    """A database for tests that begin by emptying it: making one takes longer than most of them."""
    with empty_store("postgresql", tmp_path_factory.getbasetemp(), request) as url:
        yield url


@pytest.fixture(params=KINDS)
def quick_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty store that was perhaps another test's: for tests that come in their dozens."""
    if request.param == "sqlite":
        with Database(f"sqlite:///{tmp_path}/store.sqlite3") as opened:
            yield opened
        return
    with Database(request.getfixturevalue("shared_postgresql")) as opened:
        with opened.write() as connection:
            tables = ", ".join(table.name for table in metadata.sorted_tables)
            connection.execute(text(f"TRUNCATE {tables}"))
        yield opened


@pytest.fixture
def visited(database: Database, tmp_path: Path) -> Iterator[Visited]:
    """A site with mail, in each database, whose forms can be sent."""
    with open_visited(database, tmp_path, post=Post()) as opened:
        yield opened


@pytest.fixture
def visited_lite(tmp_path: Path) -> Iterator[Visited]:
    """The same in SQLite alone, for what does not depend on the database."""
    with (
        Database(f"sqlite:///{tmp_path}/store.sqlite3") as database,
        open_visited(database, tmp_path, post=Post()) as opened,
    ):
        yield opened
