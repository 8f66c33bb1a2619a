"""Killed at any moment, an import loses and doubles nothing, and a backup or a restored store is whole or not there."""

from __future__ import annotations

import io
import itertools
import json
import os
import random
import shutil
import sqlite3
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import zstandard
from sqlalchemy import URL, select, text

from cenote.catalog import load_cards
from cenote.site.backup import back_up_store
from cenote.site.papers import Paper
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers
from cenote.site.store.tables import papers
from tests.site.killing import start

pytestmark = pytest.mark.slow

KILLS = 50
RECORDS = 600
BATCH = 20
"""Records of a transaction: smaller than a user's, so that a kill meets one of many."""

PATIENCE = 120.0

CALL = """
import os
os.environ.update({environment!r})
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
from cenote.site import importing
importing.BATCH = {batch}
from cenote.cli import app
app({arguments!r})
"""


class Cenote:
    """The command line in processes of its own."""

    def __init__(self) -> None:
        self._random = random.Random(0)
        self.kills = 0
        self.longest = 0.0
        """Seconds a whole call took; kills come within this time."""

    def finish(self, *arguments: str, **environment: str) -> None:
        """Call it, and let it come to its end."""
        begin = time.monotonic()
        process = self._start(arguments, environment)
        process.join(PATIENCE)
        assert process.exitcode == 0
        self.longest = time.monotonic() - begin

    def kill(self, *arguments: str, **environment: str) -> bool:
        """Call it, and kill it after a while; return whether it was still running."""
        process = self._start(arguments, environment)
        process.join(self._random.uniform(0, self.longest))
        running = process.exitcode is None
        process.kill()
        process.join(PATIENCE)
        assert running or process.exitcode in (0, -9)
        self.kills += process.exitcode == -9
        return process.exitcode == -9

    def _start(self, arguments: tuple[str, ...], environment: dict[str, str]) -> BaseProcess:
        return start(CALL.format(arguments=list(arguments), environment=environment, batch=BATCH))


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The head of real records, every hundredth of which is broken."""
    root = os.environ.get("CENOTE_DATA")
    path = Path(root or ".") / "arxiv" / "arxiv-metadata.jsonl.zst"
    if root is None or not path.exists():
        pytest.skip("arxiv is not under CENOTE_DATA")
    head = tmp_path_factory.mktemp("arxiv") / "snapshot.json"
    with path.open("rb") as packed, head.open("wb") as written:
        lines = io.BufferedReader(zstandard.ZstdDecompressor().stream_reader(packed))
        for number, line in enumerate(itertools.islice(lines, RECORDS), start=1):
            written.write(line[:40] + b"\n" if number % 100 == 0 else line)
    return head


@pytest.fixture
def cenote() -> Cenote:
    cenote = Cenote()
    cenote.finish("--version")  # the process that the others are forked from takes seconds to start
    return cenote


def test_import(cenote: Cenote, snapshot: Path, tmp_path: Path, store_url: URL) -> None:
    lines = snapshot.read_bytes().splitlines()
    expected = {card.arxiv for card in load_cards()}
    expected |= {json.loads(line)["id"] for number, line in enumerate(lines, start=1) if number % 100}
    side_file = tmp_path / "bad.jsonl"
    environment = {
        "CENOTE_HOME": str(tmp_path),
        "CENOTE_DATABASE_URL": store_url.render_as_string(hide_password=False),
    }
    arguments = ("import", "kaggle", str(snapshot), "--bad", str(side_file))
    cenote.finish(*arguments, **environment)
    check_import(store_url, side_file, expected)
    empty(store_url)
    stopped = False
    while cenote.kills < KILLS or stopped:
        stopped = cenote.kill(*arguments, **environment)
        if not stopped:
            check_import(store_url, side_file, expected)
            empty(store_url)


def check_import(url: URL, side_file: Path, expected: set[str]) -> None:
    with Database(url) as database, database.read() as connection:
        ids = list(connection.scalars(select(papers.c.id)))
        assert len(ids) == len(expected)
        assert set(ids) == expected
    if url.get_backend_name() == "sqlite":
        assert damage(Path(str(url.database))) is None
    positions = [json.loads(line)["position"] for line in side_file.read_text().splitlines()]
    assert positions == list(range(100, RECORDS + 1, 100))


def empty(url: URL) -> None:
    """Begin anew, with the import as if it had never been."""
    with Database(url) as database, database.write() as connection:
        connection.execute(text("DELETE FROM papers"))
        connection.execute(text("DELETE FROM imports"))


def test_backup(cenote: Cenote, tmp_path: Path) -> None:
    store, home = a_store(tmp_path / "home", 400), str(tmp_path / "home")
    file = tmp_path / "out" / "copy.sqlite3"
    file.parent.mkdir()
    cenote.finish("backup", str(file), CENOTE_HOME=home)
    expected = contents(store)
    seen = set()
    while cenote.kills < KILLS:
        # Every second time there is an older one, which must then stay until the new one takes its place.
        older = cenote.kills % 2 == 1
        file.unlink(missing_ok=True)
        if older:
            file.write_text("older")
        cenote.kill("backup", str(file), "--force", CENOTE_HOME=home)
        assert {path.name for path in file.parent.iterdir()} <= {"copy.sqlite3", *PARTS}
        if file.exists() and not (older and file.read_bytes() == b"older"):
            assert contents(file) == expected
            assert damage(file) is None
            seen.add("whole")
        else:
            assert file.exists() == older
            seen.add("absent")
    assert "absent" in seen
    cenote.finish("backup", str(file), "--force", CENOTE_HOME=home)
    assert [path.name for path in file.parent.iterdir()] == ["copy.sqlite3"]
    assert contents(file) == contents(store) == expected


def test_restore(cenote: Cenote, tmp_path: Path) -> None:
    store, home = a_store(tmp_path / "home", 300), str(tmp_path / "home")
    new = tmp_path / "new.sqlite3"
    back_up_store(URL.create("sqlite", database=str(a_store(tmp_path / "other", 500))), new)
    old = Path(shutil.copy(store, tmp_path / "old.sqlite3"))
    before, after = contents(store), contents(new)
    cenote.finish("restore", str(new), CENOTE_HOME=home)
    assert contents(store) == after
    while cenote.kills < KILLS:
        for path in store.parent.iterdir():
            path.unlink()
        shutil.copy(old, store)
        killed = cenote.kill("restore", str(new), CENOTE_HOME=home)
        now = contents(store)
        assert damage(store) is None
        assert now == after or (killed and now == before)
        if now == after:
            (kept,) = store.parent.glob(f"{store.name}.before-*")
            assert contents(kept) == before


PARTS = {f".copy.sqlite3.part{ending}" for ending in ("", "-wal", "-shm", "-journal")}


def a_store(home: Path, count: int) -> Path:
    """A store of so many papers, closed, in one file."""
    path = home / "cenote.sqlite3"
    with Database(URL.create("sqlite", database=str(path))) as database, database.write() as connection:
        save_papers(
            connection, [Paper(id=f"2501.{n:05}", title=f"{count} {n}", summary="w " * 900) for n in range(count)]
        )
    return path


def contents(path: Path) -> list[tuple[str, str]]:
    return asked(path, lambda connection: connection.execute("SELECT id, title FROM papers ORDER BY id").fetchall())


def damage(path: Path) -> str | None:
    def ask(connection: sqlite3.Connection) -> str | None:
        said: str = connection.execute("PRAGMA integrity_check").fetchone()[0]
        connection.execute("INSERT INTO papers_text (papers_text) VALUES ('integrity-check')")
        return None if said == "ok" else said

    return asked(path, ask)


def asked(path: Path, ask: Callable[[sqlite3.Connection], Any]) -> Any:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        return ask(connection)
    finally:
        connection.close()
