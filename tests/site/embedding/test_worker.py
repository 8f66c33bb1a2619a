"""The worker that gives papers their vectors: which, in which order, and after a kill."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import func, select, update

from cenote.site.embedding import worker
from cenote.site.embedding.worker import Progress, embed_papers
from cenote.site.papers import Paper
from cenote.site.store.database import Database
from cenote.site.store.saving import delete_papers, save_papers
from cenote.site.store.tables import papers, vectors
from tests.site import load
from tests.site.killing import kill, start_function
from tests.site.load import Lengths, vector_of


def stock(database: Database, number: int) -> None:
    batch = [
        Paper(
            id=f"2001.{n:05}",
            title=f"Paper {n}",
            summary="word " * (n % 30),
            published=dt.datetime(2020, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=n),
            featured=dt.date(2021, 1, 1) if n == 1 else None,
        )
        for n in range(number)
    ]
    with database.write() as connection:
        save_papers(connection, batch)


def expected(database: Database) -> dict[int, bytes]:
    with database.read() as connection:
        rows = connection.execute(select(papers.c.number, papers.c.title, papers.c.summary)).all()
    return {number: vector_of(title, summary) for number, title, summary in rows}


def stored(database: Database) -> dict[int, bytes]:
    with database.read() as connection:
        rows = connection.execute(select(vectors.c.number, vectors.c.vector)).all()
    assert len({row.number for row in rows}) == len(rows)
    return {row.number: row.vector for row in rows}


def test_every_paper_gets_the_vector_of_its_text(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STORED", 20)
    stock(database, 50)
    seen: list[Progress] = []
    assert embed_papers(database, Lengths(), "lengths", on_progress=seen.append) == Progress(50, 50)
    assert seen == [Progress(done, 50) for done in (0, 20, 40, 50)]
    assert stored(database) == expected(database)


def test_featured_and_newest_papers_come_first(database: Database) -> None:
    stock(database, 6)
    encoder = Lengths()
    for _ in range(3):
        embed_papers(database, encoder, "lengths", limit=1)
    assert [text.split(".")[0] for text in encoder.asked] == ["Paper 1", "Paper 5", "Paper 4"]


def test_what_has_a_vector_is_left_alone_until_its_text_changes(database: Database) -> None:
    stock(database, 5)
    embed_papers(database, Lengths(), "lengths")
    again = Lengths()
    assert embed_papers(database, again, "lengths").total == 0
    with database.write() as connection:
        save_papers(connection, [Paper(id="2001.00003", title="Another title", organization="x")])
        save_papers(connection, [Paper(id="2001.00002", title="Paper 2", organization="not of the text")])
    embed_papers(database, again, "lengths")
    assert [text.split(".")[0] for text in again.asked] == ["Another title"]
    assert stored(database) == expected(database)
    assert embed_papers(database, Lengths(), "another encoder").total == 5


def test_each_batch_has_a_higher_number(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "STORED", 2)
    stock(database, 5)
    embed_papers(database, Lengths(), "lengths")
    with database.read() as connection:
        counted = connection.execute(
            select(vectors.c.written, func.count()).group_by(vectors.c.written).order_by(vectors.c.written)
        )
        assert [tuple(row) for row in counted] == [(1, 2), (2, 2), (3, 1)]


def test_a_paper_that_goes_or_changes_meanwhile(database: Database) -> None:
    stock(database, 4)

    class Meddles(Lengths):
        def encode(self, texts: Sequence[str]) -> np.ndarray:
            with database.write() as connection:
                delete_papers(connection, ["2001.00000"])
                renamed = papers.c.id == "2001.00001"
                connection.execute(update(papers).where(renamed).values(title="Renamed meanwhile", text_version=2))
            return super().encode(texts)

    embed_papers(database, Meddles(), "lengths")
    assert len(stored(database)) == 3
    assert embed_papers(database, Lengths(), "lengths").total == 1
    assert stored(database) == expected(database)


KILLS = 50
MANY = 400


@pytest.mark.slow
def test_killed_at_random_points_nothing_is_lost_or_doubled(database: Database, tmp_path: Path) -> None:
    stock(database, MANY)
    url = database.url.render_as_string(hide_password=False)
    draw, ready, kills, done = random.Random(7), tmp_path / "ready", 0, set[int]()
    while kills < KILLS:
        ready.unlink(missing_ok=True)
        process = start_function(Path(load.__file__), "embed", url, str(ready), False)
        while not ready.exists() and process.exitcode is None:
            time.sleep(0.001)
        process.join(draw.uniform(0, 0.12))
        killed = kill(process)
        assert killed or process.exitcode == 0
        now = stored(database)
        assert done <= set(now), "a vector that was there is lost"
        whole = expected(database)
        assert all(whole[number] == vector for number, vector in now.items())
        if killed and len(now) < MANY:
            kills += 1
            done = set(now)
        else:  # it had come to its end, so that this was no kill: it begins anew
            assert len(now) == MANY
            with database.write() as connection:
                connection.execute(vectors.delete())
            done = set()
    embed_papers(database, Lengths(), "lengths")
    assert stored(database) == expected(database)
