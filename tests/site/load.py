"""What keeps a store busy: processes that write papers, embed them and read them, until they are killed."""

from __future__ import annotations

import itertools
import json
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from sqlalchemy import Connection, select

from cenote.site.embedding import worker
from cenote.site.papers import Paper
from cenote.site.search import Mode, Search
from cenote.site.store.database import Database
from cenote.site.store.saving import delete_papers, save_papers
from cenote.site.store.tables import papers

GROUPS = 60
EACH = 3
"""Papers of a group: written together, so that nobody may ever see one of them without the others."""
PREFIX = "2101."
WRITER = "cenote-writer"
"""What PostgreSQL calls the writer's connections."""


# --- embedding ----------------------------------------------------------------------------------------------------


def by_length(text: str) -> np.ndarray:
    return np.array([len(text) % 97, 1.0], np.float32) / np.hypot(len(text) % 97, 1.0)


class Lengths:
    """Encodes a text by its length, and remembers what it was asked."""

    def __init__(self, pause: float = 0.0) -> None:
        self.asked: list[str] = []
        self._pause = pause

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        time.sleep(self._pause)
        self.asked += texts
        return np.stack([by_length(text) for text in texts]).astype(np.float32)


def vector_of(title: str, summary: str | None) -> bytes:
    return by_length(f"{title}. {summary or ''}".strip()).astype("<f2").tobytes()


def embed(url: str, ready: str, again: bool) -> None:
    """Embed in small transactions; where ``again``, what comes later too, without end."""
    worker.STORED = 5
    database = Database(url)
    Path(ready).touch()
    while True:
        worker.embed_papers(database, Lengths(pause=0.01), "lengths")
        if not again:
            return
        time.sleep(0.01)


# --- writing ------------------------------------------------------------------------------------------------------


def papers_of(group: int, title: str) -> list[Paper]:
    summary = "word " * (int(title.split()[-1]) % 30)
    return [Paper(id=paper_id, title=title, summary=summary) for paper_id in ids_of(group)]


def ids_of(group: int) -> list[str]:
    return [f"{PREFIX}{EACH * group + place:05}" for place in range(EACH)]


@dataclass
class Journal:
    """What a writer said it would do, and what it said it had done, in a file that outlives it."""

    path: Path
    state: dict[int, str | None] = field(default_factory=dict)
    """The title of each group, None where it is deleted: what was acknowledged."""
    pending: tuple[int, str | None] | None = None
    """What was begun and not acknowledged: it may be in the store or not, but not in part."""
    acknowledged: int = 0
    _read: int = 0

    def read_on(self) -> None:
        with self.path.open("rb") as file:
            file.seek(self._read)
            for line in file.read().splitlines():
                said = json.loads(line)
                if said is None:
                    assert self.pending is not None
                    self.state[self.pending[0]] = self.pending[1]
                    self.pending = None
                    self.acknowledged += 1
                else:
                    self.pending = (said[0], said[1])
            self._read = file.tell()

    def settle(self, seen: Mapping[int, str | None]) -> None:
        """Take note whether what a killed writer had begun is in the store, after which it is as if acknowledged."""
        if self.pending is not None and seen.get(self.pending[0]) == self.pending[1]:
            self.state[self.pending[0]] = self.pending[1]
        self.pending = None


def write(url: str, ready: str, journal: str, seed: int) -> None:
    """Save, change and delete groups of papers without end; each is acknowledged behind its commit."""
    draw = random.Random(seed)
    os.environ["PGAPPNAME"] = WRITER
    file = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    database = Database(url)
    Path(ready).touch()
    for number in itertools.count():
        group = draw.randrange(GROUPS)
        title = None if draw.random() < 0.2 else f"Group {group} of {seed} at {number}"
        os.write(file, json.dumps([group, title]).encode() + b"\n")
        with database.write() as connection:
            if title is None:
                delete_papers(connection, ids_of(group))
            else:
                save_papers(connection, papers_of(group, title))
        os.write(file, b"null\n")
        time.sleep(0.003)


# --- reading ------------------------------------------------------------------------------------------------------


def groups(connection: Connection) -> dict[int, str | None]:
    """Return the title of each group that is there, all papers of which must be there and be alike."""
    rows = connection.execute(select(papers.c.id, papers.c.title).where(papers.c.id.startswith(PREFIX)))
    found: dict[int, list[str]] = {}
    for paper_id, title in rows:
        found.setdefault(int(paper_id.removeprefix(PREFIX)) // EACH, []).append(title)
    for group, titles in found.items():
        assert titles == titles[:1] * EACH, f"group {group} is there in part: {titles}"
    return {group: titles[0] for group, titles in found.items()}


def read(url: str, ready: str, home: str) -> None:
    """Poll as the site does: what is seen in one transaction is one state of the store, at any time."""
    database = Database(url)
    search = Search(database, home=Path(home), tags={})
    Path(ready).touch()
    while True:
        with database.read() as connection:
            groups(connection)
        found = search.find("group of", mode=Mode.KEYWORD, limit=50)
        assert len({hit.stored.paper.id for hit in found.hits}) == len(found.hits)
        time.sleep(0.01)
