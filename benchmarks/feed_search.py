"""How fast the site's search answers over many papers, through the server, the encoding of the query included.

    cenote import kaggle arxiv-metadata-oai-snapshot.json && cenote embed --limit 20000
    python benchmarks/feed_search.py --home cenote-data --fill

200 queries, made from the store's own papers with a fixed seed: exact titles, two or three words, sentences of five to
twelve words, queries with filters, and odd input. No query is asked twice by a client, and nothing caches answers.
First one client asks, then eight at once in a closed loop; both the server and its clients share the machine, and talk
over the loopback address. Papers without a vector are filled up, on request, with vectors near those of other papers:
as many numbers to compare, though they mean nothing. The benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from cenote.lab.timing import machine_load, require_idle
from cenote.site.search.asking import STOP_WORDS, words_of
from cenote.site.settings import SiteSettings, read_settings
from cenote.site.store.database import Database
from cenote.site.store.tables import papers, vectors

ONE_CLIENT_MS, MANY_CLIENTS_MS, MEMORY_MB, START_S = 35.0, 200.0, 600.0, 2.0
"""Targets: the median with one client, the 95th percentile with eight, the server's memory, its start."""
CLIENTS = 8
ODD = ("", '"', "NEAR(", "title:*", "AND OR NOT", "😀", "a" * 10_000, "' OR 1=1 --", "\x00", "ﬀ Ångström ‮ x")

Query = dict[str, str]


def main(
    home: Annotated[
        Path | None, typer.Option(help="Folder of the site, with papers and the encoder; CENOTE_HOME by default.")
    ] = None,
    fill: Annotated[bool, typer.Option(help="First give papers without a vector one that is near another's.")] = False,
    seed: Annotated[int, typer.Option(help="Which papers the queries are made from.")] = 0,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print milliseconds by kind of query, and the server's start and memory."""
    console = Console(width=110)
    home = home or read_settings().home
    if not (home / "cenote.sqlite3").exists() or not (home / "encoder").exists():
        console.print(f"feed_search: skipped, {home} has no store with an encoder; import papers and embed them first")
        return
    with Database(SiteSettings(home=home, database_url=None).database) as database:
        if fill:
            console.print(f"filled up {fill_up(database):,} vectors")
        groups = queries(database, random.Random(seed))
        with database.read() as connection:
            counts = [connection.scalar(select(func.count()).select_from(each)) for each in (papers, vectors)]
    if not busy:
        require_idle(0.5)
    console.print(f"busy cores before: {machine_load().busy_cores:.2f}; {counts[0]:,} papers, {counts[1]:,} vectors")
    with _server(home) as (address, process, start):
        console.print(f"start: {start:.2f} s, target {START_S:g}")
        _ask(address, [{"q": "first query"}])  # loads encoder and vectors
        console.print(_table("one client", {name: _ask(address, each) for name, each in groups.items()}))
        console.print(f"target: median ≤ {ONE_CLIENT_MS:g} ms")
        everything = [query for each in groups.values() for query in each]
        console.print(_table(f"{CLIENTS} clients", {"all": _ask_at_once(address, everything, seed)}))
        console.print(f"target: 95th percentile ≤ {MANY_CLIENTS_MS:g} ms")
        memory = sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 1e6
        console.print(f"memory: {memory:,.0f} MB, target {MEMORY_MB:g}")


def fill_up(database: Database, spread: float = 0.5) -> int:
    """Give every paper without a vector a real one with noise of this length; return how many there were."""
    with database.write() as connection:
        there = connection.execute(select(vectors.c.encoder, vectors.c.vector)).all()
        without = papers.c.number.not_in(select(vectors.c.number))
        missing = list(connection.scalars(select(papers.c.number).where(without)))
        real = np.stack([np.frombuffer(row.vector, "<f2").astype(np.float32) for row in there])
        draws = np.random.default_rng(0)
        noise = draws.standard_normal((len(missing), real.shape[1]), dtype=np.float32)
        noise *= spread / np.linalg.norm(noise, axis=1, keepdims=True)
        near = real[draws.integers(len(real), size=len(missing))] + noise
        near /= np.linalg.norm(near, axis=1, keepdims=True)
        written = (connection.scalar(select(func.max(vectors.c.written))) or 0) + 1
        rows = [
            {
                "number": number,
                "encoder": there[0].encoder,
                "text_version": 1,
                "vector": row.tobytes(),
                "written": written,
            }
            for number, row in zip(missing, near.astype("<f2"), strict=True)
        ]
        if rows:
            connection.execute(vectors.insert(), rows)
    return len(rows)


def queries(database: Database, draws: random.Random) -> dict[str, list[Query]]:
    """Return the queries by kind."""
    with database.read() as connection:
        numbers = draws.sample(list(connection.scalars(select(papers.c.number))), 200)
        rows = connection.execute(select(papers.c.title, papers.c.summary).where(papers.c.number.in_(numbers)))
        texts = sorted((title, summary or title) for title, summary in rows)
    draws.shuffle(texts)
    filters = [{"category": "cs.NI"}, {"first": "2018-01-01", "last": "2018-12-31"}, {"author": "wang"}]
    return {
        "50 exact titles": [{"q": title} for title, _ in texts[:50]],
        "50 of two or three words": [{"q": " ".join(_telling(title, draws))} for title, _ in texts[50:100]],
        "75 sentences": [{"q": " ".join(_sentence(summary, draws))} for _, summary in texts[100:175]],
        "15 with filters": [
            {"q": " ".join(_telling(title, draws))} | filters[place % len(filters)]
            for place, (title, _) in enumerate(texts[175:190])
        ],
        "10 odd": [{"q": text} for text in ODD],
    }


def _telling(title: str, draws: random.Random) -> list[str]:
    words = [word for word in words_of(title) if word not in STOP_WORDS] or words_of(title)
    size = min(len(words), draws.choice((2, 3)))
    start = draws.randint(0, len(words) - size)
    return words[start : start + size]


def _sentence(summary: str, draws: random.Random) -> list[str]:
    words = summary.split()
    size = min(len(words), draws.randint(5, 12))
    start = draws.randint(0, len(words) - size)
    return words[start : start + size]


@contextmanager
def _server(home: Path) -> Iterator[tuple[str, psutil.Process, float]]:
    """Start ``cenote serve`` on a free port; yield address, process and the seconds until it answered."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "cenote.cli", "serve", "--port", "0"]
    environment = os.environ | {"CENOTE_HOME": str(home)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        address = next((word.rstrip(";") for word in line.split() if word.startswith("http://")), "")
        if not address:
            raise RuntimeError(f"the server did not start: {line!r}")
        httpx.get(f"{address}/healthz").raise_for_status()
        try:
            yield address, psutil.Process(server.pid), time.perf_counter() - began
        finally:
            server.terminate()


def _ask(address: str, asked: Sequence[Query]) -> list[float]:
    """Ask one after the other; return the milliseconds of each answer."""
    taken = []
    with httpx.Client(base_url=address, timeout=60) as client:
        for query in asked:
            began = time.perf_counter()
            answer = client.get("/api/papers/search", params=query)
            taken.append(1e3 * (time.perf_counter() - began))
            if answer.status_code != 200:
                raise RuntimeError(f"{query} was answered with {answer.status_code}: {answer.text:.200}")
    return taken


def _ask_at_once(address: str, asked: Sequence[Query], seed: int) -> list[float]:
    """Let each client ask everything, in an order of its own, as soon as it has the answer before."""
    orders = [random.Random(f"{seed} {client}").sample(asked, len(asked)) for client in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        return [each for taken in clients.map(lambda order: _ask(address, order), orders) for each in taken]


def _table(title: str, groups: dict[str, list[float]]) -> Table:
    table = Table("", "queries", "median ms", "95th percentile ms", "longest ms", title=title, title_justify="left")
    together = {"all": [value for each in groups.values() for value in each]}
    for name, taken in (groups | together).items():
        middle, high = np.percentile(taken, [50, 95])
        table.add_row(name, f"{len(taken):,}", f"{middle:.1f}", f"{high:.1f}", f"{max(taken):.1f}")
    return table


if __name__ == "__main__":
    typer.run(main)
