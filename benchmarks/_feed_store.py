"""A store for the feed's benchmarks: real records, real vectors for some, and vectors near those for the rest."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from sqlalchemy import and_, func, select

from cenote.catalog.settings import EnvironmentSettings
from cenote.site.store.database import Database
from cenote.site.store.tables import papers, vectors

FILLED = 0
"""Version of the text that a filled-up vector says it is of. Real ones begin with 1, so that the two can be told apart,
and ``cenote embed`` takes a filled-up one for that of an older text and replaces it."""


@dataclass(frozen=True)
class Counts:
    """What a store holds."""

    papers: int
    real: int
    """Vectors that the encoder made of the text as it is now."""
    filled: int


def records() -> Path:
    """Return where arXiv's records are under CENOTE_DATA, whether there are any or not."""
    return (EnvironmentSettings().data or Path()) / "arxiv" / "arxiv-metadata.jsonl.zst"


def build(home: Path, file: Path, count: int, embedded: int, console: Console) -> None:
    """Import records and embed some of them, each with the command a user has.

    Args:
        home: The site's folder.
        file: The records.
        count: Records to import.
        embedded: Papers that get a real vector.
    """
    for arguments in (["import", "kaggle", str(file), "--limit", str(count)], ["embed", "--limit", str(embedded)]):
        began = time.perf_counter()
        command = [sys.executable, "-m", "cenote.cli", *arguments]
        done = subprocess.run(command, env=environment(home), check=True, stdout=subprocess.PIPE, text=True)
        console.print(
            f"cenote {arguments[0]}: {time.perf_counter() - began:,.0f} s; {done.stdout.strip()}", markup=False
        )


def environment(home: Path) -> dict[str, str]:
    """Return the environment of a process that works on this home, in SQLite."""
    return os.environ | {"CENOTE_HOME": str(home), "CENOTE_DATABASE_URL": ""}


def fill_up(database: Database, spread: float = 0.5) -> int:
    """Give every paper without a vector a real one with noise of this length; return how many there were."""
    with database.write() as connection:
        there = connection.execute(
            select(vectors.c.encoder, vectors.c.vector).where(vectors.c.text_version > FILLED)
        ).all()
        without = papers.c.number.not_in(select(vectors.c.number))
        missing = list(connection.scalars(select(papers.c.number).where(without)))
        real = np.stack([np.frombuffer(row.vector, "<f2").astype(np.float32) for row in there])
        draws = np.random.default_rng(0)
        noise = draws.standard_normal((len(missing), real.shape[1]), dtype=np.float32)
        noise *= spread / np.linalg.norm(noise, axis=1, keepdims=True)
        near = real[draws.integers(len(real), size=len(missing))] + noise
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        written = (connection.scalar(select(func.max(vectors.c.written))) or 0) + 1
        same = {"encoder": there[0].encoder, "text_version": FILLED, "written": written}
        rows = [
            {"number": number, "vector": row.tobytes()} | same
            for number, row in zip(missing, near.astype("<f2"), strict=True)
        ]
        if rows:
            connection.execute(vectors.insert(), rows)
    return len(rows)


def counts(database: Database) -> Counts:
    """Count papers, real vectors and filled-up ones."""
    own = and_(vectors.c.number == papers.c.number, vectors.c.text_version == papers.c.text_version)
    queries = (
        select(func.count()).select_from(papers),
        select(func.count()).select_from(papers.join(vectors, own)),
        select(func.count()).select_from(vectors).where(vectors.c.text_version == FILLED),
    )
    with database.read() as connection:
        return Counts(*(connection.scalar(query) or 0 for query in queries))
