"""An import, a worker, a writer and a reader at work on one store, one of them killed again and again."""

from __future__ import annotations

import json
import random
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection, func, or_, select, text

from cenote.catalog import load_cards
from cenote.site.embedding.worker import embed_papers
from cenote.site.seeding import seed
from cenote.site.store.database import Database
from cenote.site.store.tables import imports, papers, vectors
from tests.site import load
from tests.site.killing import kill, start, start_function

pytestmark = pytest.mark.slow

WORKERS = ("import", "embed", "write")
KILLS = 54
LEAST = 10
"""Of each worker."""
LONGEST = 0.3
"""Seconds that a process is let to work before it is killed, at most."""
PATIENCE = 120.0

FILES = 60
RECORDS = 400
"""Of a file; more files than are read."""
BROKEN = 50
"""Every so manieth record is none."""

IMPORT = """
import os
os.environ.update({environment!r})
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
from cenote.site import importing
importing.BATCH = 20
from cenote.cli import app
open({ready!r}, "x").close()
app(["import", "kaggle", {file!r}, "--bad", {bad!r}])
"""


@dataclass
class Load:
    """The four processes; an import that has come to its end is followed by that of the next file."""

    url: URL
    folder: Path
    running: dict[str, BaseProcess] = field(default_factory=dict)
    journal: load.Journal = field(init=False)
    file: int = 0
    starts: int = 0

    def __post_init__(self) -> None:
        self.journal = load.Journal(self.folder / "journal.jsonl")
        self.journal.path.touch()
        for number in range(FILES):
            write_file(self.folder / f"{number}.json", number)

    def keep_going(self) -> None:
        """Start what does not run, and see that nothing ended that should not."""
        for name in (*WORKERS, "read"):
            process = self.running.get(name)
            if process is not None and process.exitcode is None:
                continue
            if process is not None and name == "import" and process.exitcode == 0:
                self.file += 1
            else:
                assert process is None or process.exitcode == -9, f"{name} ended with {process.exitcode}"
            self.running[name] = self._start(name)

    def ready(self, name: str) -> Path:
        """A file that the process makes when it begins."""
        return self.folder / f"{name}.ready"

    def stop(self) -> None:
        for process in self.running.values():
            kill(process)

    def finish_import(self) -> None:
        """Let the import that was stopped go on to its end, alone."""
        if self.running["import"].exitcode != 0:
            self.running["import"] = self._start("import")
        self.running["import"].join(PATIENCE)
        assert self.running["import"].exitcode == 0

    def _start(self, name: str) -> BaseProcess:
        self.starts += 1
        ready = str(self.ready(name))
        Path(ready).unlink(missing_ok=True)
        url = self.url.render_as_string(hide_password=False)
        if name == "import":
            environment = {"CENOTE_HOME": str(self.folder), "CENOTE_DATABASE_URL": url}
            file, bad = self.folder / f"{self.file}.json", self.folder / f"{self.file}.bad"
            return start(IMPORT.format(environment=environment, file=str(file), bad=str(bad), ready=ready))
        more = {"embed": (True,), "write": (str(self.journal.path), self.starts), "read": (str(self.folder),)}
        return start_function(Path(load.__file__), name, url, ready, *more[name])


def write_file(path: Path, number: int) -> None:
    with path.open("w") as file:
        for place in range(1, RECORDS + 1):
            item = {
                "id": imported(number, place),
                "title": f"Imported {number} {place}",
                "abstract": "w " * (place % 40),
            }
            file.write(json.dumps(item)[: 20 if place % BROKEN == 0 else None] + "\n")


def imported(number: int, place: int) -> str:
    return f"22{number % 12 + 1:02}.{RECORDS * number + place:05}"


def test_what_was_acknowledged_is_there_once(store_url: URL, tmp_path: Path) -> None:
    with Database(store_url) as database:
        seed(database, load_cards())  # as each command does before its own work
        busy, draw, kills = Load(store_url, tmp_path), random.Random(4), Counter[str]()
        try:
            while sum(kills.values()) < KILLS or min(kills[name] for name in WORKERS) < LEAST:
                busy.keep_going()
                kills.update(kill_one(busy, draw, database))
        finally:
            busy.stop()
        check_writer(busy, database)
        busy.finish_import()
        embed_papers(database, load.Lengths(), "lengths")
        check_all(busy, database)


def kill_one(busy: Load, draw: random.Random, database: Database) -> list[str]:
    """Kill one of the processes; return its name if it was running and had work left."""
    name = draw.choice(list(busy.running))
    process = busy.running[name]
    while not busy.ready(name).exists() and process.exitcode is None:
        time.sleep(0.001)
    process.join(draw.uniform(0, LONGEST))
    if not kill(process):
        return []
    with database.read() as connection:
        load.groups(connection)
        left = check_vectors(connection)
    if name == "write":
        check_writer(busy, database)
    # A reader has nothing to lose; it is killed because others might wait for what it held.
    return [] if name == "read" or (name == "embed" and not left) else [name]


def check_writer(busy: Load, database: Database) -> None:
    """While nobody writes groups: each is as it was acknowledged, but for the one that was being written."""
    wait_for_the_last_commit(database)
    with database.read() as connection:
        seen = load.groups(connection)
    busy.journal.read_on()
    busy.journal.settle(seen)
    assert {group: title for group, title in busy.journal.state.items() if title is not None} == seen


def wait_for_the_last_commit(database: Database) -> None:
    """Wait until PostgreSQL has done what a killed writer had sent: it finds out only then that nobody listens."""
    if database.dialect != "postgresql":
        return
    given_up = time.monotonic() + PATIENCE
    alive = text("SELECT count(*) FROM pg_stat_activity WHERE application_name = :name")
    while True:
        with database.read() as connection:
            if not connection.scalar(alive, {"name": load.WRITER}):
                return
        assert time.monotonic() < given_up
        time.sleep(0.005)


def check_vectors(connection: Connection) -> int:
    """See that each vector is that of the text it says; return how many papers have none, or one of an older text."""
    query = (
        select(papers.c.number, papers.c.title, papers.c.summary, papers.c.text_version)
        .add_columns(vectors.c.text_version.label("encoded"), vectors.c.vector)
        .join(vectors, vectors.c.number == papers.c.number)
    )
    rows = connection.execute(query).all()
    assert len({row.number for row in rows}) == len(rows)
    for row in rows:
        assert row.encoded <= row.text_version
        if row.encoded == row.text_version:
            assert row.vector == load.vector_of(row.title, row.summary), row.title
    without = or_(vectors.c.number.is_(None), vectors.c.text_version < papers.c.text_version)
    missing = select(func.count()).select_from(papers.outerjoin(vectors, vectors.c.number == papers.c.number))
    return connection.scalar(missing.where(without)) or 0


def check_all(busy: Load, database: Database) -> None:
    """When all is quiet and every vector made: nothing lost, nothing doubled, and all indexes agree."""
    broken = list(range(BROKEN, RECORDS + 1, BROKEN))
    expected = {card.arxiv for card in load_cards()}
    for number in range(busy.file + 1):
        expected |= {imported(number, place) for place in range(1, RECORDS + 1) if place not in broken}
        lines = (busy.folder / f"{number}.bad").read_text().splitlines()
        assert [json.loads(line)["position"] for line in lines] == broken
    written = {group: title for group, title in busy.journal.state.items() if title is not None}
    expected |= {paper_id for group in written for paper_id in load.ids_of(group)}
    assert busy.journal.acknowledged > KILLS
    with database.read() as connection:
        ids = list(connection.scalars(select(papers.c.id)))
        counted = connection.execute(select(imports.c.position, imports.c.saved, imports.c.bad, imports.c.finished))
        progress = [tuple(row) for row in counted]
        assert check_vectors(connection) == 0
        assert connection.scalar(select(func.count()).select_from(vectors)) == len(ids)
    assert Counter(ids) == Counter(expected)
    assert len(progress) == busy.file + 1
    assert {row[:3] for row in progress} == {(RECORDS, RECORDS - len(broken), len(broken))}
    assert all(row[3] for row in progress)
    if database.dialect == "sqlite":
        check_file(Path(str(busy.url.database)))


def check_file(path: Path) -> None:
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        # Rank 1: compared with the papers' own words, and not only with itself.
        connection.execute("INSERT INTO papers_text (papers_text, rank) VALUES ('integrity-check', 1)")
    finally:
        connection.close()


def test_the_check_of_the_text_index_sees_a_word_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite3"
    with Database(f"sqlite:///{path}") as database:
        seed(database, load_cards())
        check_file(path)
        with database.write() as connection:
            connection.exec_driver_sql("DROP TRIGGER papers_text_update")
            connection.exec_driver_sql("UPDATE papers SET title = 'Another'")
    with pytest.raises(sqlite3.DatabaseError, match="malformed"):
        check_file(path)
