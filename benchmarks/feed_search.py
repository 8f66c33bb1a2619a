"""How fast the site's search answers over many papers, through the server, the encoding of the query included.

    python benchmarks/feed_search.py --build                  # import, embed, fill up, measure: of CENOTE_DATA
    python benchmarks/feed_search.py --home cenote-data       # a site that is there, as it is

200 queries, made from the store's own papers with a fixed seed: exact titles, two or three words, sentences of five to
twelve words, queries with filters, and odd input. No query is asked twice by a client, and nothing caches answers.
First one client asks, then eight at once in a closed loop: the API, then the search page's list of results, in which
each paper says why it was found. Both the server and its clients share the machine, and talk over the loopback address.
Every answer of the API must say that it was looked for by words and by meaning. An exact title must come back first.
Papers without a vector are filled up, on request, with vectors near those of other papers: as many numbers to compare,
though they mean nothing. The benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Annotated
from urllib.parse import urlencode, urlsplit

import httpx
import numpy as np
import psutil
import typer
from _feed_store import build, counts, environment, fill_up, records
from rich.console import Console
from rich.table import Table
from sqlalchemy import select

from cenote.lab.timing import machine_load, require_idle
from cenote.site.search import Mode
from cenote.site.search.asking import STOP_WORDS, words_of
from cenote.site.settings import SiteSettings, read_settings
from cenote.site.store.database import Database
from cenote.site.store.tables import papers

ONE_CLIENT_MS, MANY_CLIENTS_MS, MEMORY_MB, START_S = 35.0, 200.0, 600.0, 2.0
"""Targets: the median with one client, the 95th percentile with eight, the server's memory, its start."""
REAL_VECTORS = 20_000
CLIENTS = 8
STARTS = 5
TITLES = "50 exact titles"
ODD = ("", '"', "NEAR(", "title:*", "AND OR NOT", "😀", "a" * 10_000, "' OR 1=1 --", "\x00", "ﬀ Ångström ‮ x")

Query = dict[str, str]
Groups = dict[str, list[Query]]


@dataclass(frozen=True)
class Route:
    """An address that searches."""

    path: str
    is_page: bool = False
    """Whether it answers with HTML, in which each paper says why it was found."""


API, PAGE = Route("/api/papers/search"), Route("/search/results", is_page=True)


@dataclass(frozen=True)
class Answer:
    """What came back, and when."""

    group: str
    query: Query
    ms: float
    first: str | None
    """Identifier of the first paper, as far as it is read: a page's is not."""


def main(
    home: Annotated[
        Path | None, typer.Option(help="Folder of the site, with papers and the encoder; CENOTE_HOME by default.")
    ] = None,
    build_: Annotated[
        bool, typer.Option("--build", help="Import, embed and fill up a store of its own, gone afterwards.")
    ] = False,
    rows: Annotated[int, typer.Option("--papers", min=200, help="Records to import, with --build.")] = 100_000,
    real: Annotated[int, typer.Option(min=1, help="Papers that must have a vector of their own.")] = REAL_VECTORS,
    fill: Annotated[bool, typer.Option(help="First give papers without a vector one that is near another's.")] = False,
    seed: Annotated[int, typer.Option(help="Which papers the queries are made from.")] = 0,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print milliseconds by kind of query, titles found, and the server's start and memory, each beside its target."""
    console = Console(width=110)
    if not busy:
        require_idle(0.5)
    with contextlib.ExitStack() as stack:
        if build_:
            if not records().exists():
                console.print(f"feed_search: skipped, {records()} is not there; set CENOTE_DATA")
                return
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            build(home, records(), rows, real, console)
        home = home or read_settings().home
        if not (home / "cenote.sqlite3").exists() or not (home / "encoder").exists():
            console.print(f"feed_search: skipped, {home} has no store with an encoder; try --build")
            return
        database = stack.enter_context(Database(SiteSettings(home=home, database_url=None).database))
        if fill or build_:
            console.print(f"filled up {fill_up(database):,} vectors")
        there = counts(database)
        console.print(f"{there.papers:,} papers, {there.filled:,} vectors near those of others")
        console.print(_judged("papers with a vector of their own", there.real, real, ",.0f", least=True))
        if not busy:
            require_idle(0.5)
        console.print(f"busy cores before: {machine_load().busy_cores:.2f}")
        _measure(console, home, database, queries(database, random.Random(seed)), seed)


def _measure(console: Console, home: Path, database: Database, groups: Groups, seed: int) -> None:
    starts = []
    for _ in range(STARTS):
        with _server(home) as (_, _, seconds):
            starts.append(seconds)
    spread = f"{min(starts):.2f} – {max(starts):.2f} s in {STARTS} starts"
    console.print(
        _judged("start until the front page is there", statistics.median(starts), START_S, ".2f", " s"), spread
    )
    everything = [(name, query) for name, each in groups.items() for query in each]
    with _server(home) as (address, process, _):
        memory = {"at start": _memory(process)}
        _ask(address, [("first", {"q": "first query"})])  # loads encoder and vectors
        memory["with encoder and vectors"] = _memory(process)
        alone = _ask(address, everything)
        console.print(_table("one client", groups, alone))
        _print_median(console, alone)
        together = _ask_at_once(address, everything, seed)
        console.print(_table(f"{CLIENTS} clients", groups, together))
        _print_high(console, together)
        read = _ask(address, everything, PAGE)
        console.print(_table("one client that reads the search page, with the reasons", groups, read))
        _print_median(console, read)
        read_together = _ask_at_once(address, everything, seed, PAGE)
        console.print(_table(f"{CLIENTS} clients that read the search page", groups, read_together))
        _print_high(console, read_together)
        answers = len(alone) + len(together) + len(read) + len(read_together)
        memory[f"after {answers:,} answers"] = _memory(process)
    asked = [each for each in alone if each.group == TITLES]
    first = _titles(database, [each.first for each in asked if each.first])
    right = sum(first.get(each.first or "") == each.query["q"] for each in asked)
    console.print(_judged("exact titles found first", right, len(asked), ".0f", f" of {len(asked)}", least=True))
    console.print("memory: " + ", ".join(f"{value:,.0f} MB {when}" for when, value in memory.items()))
    console.print(_judged("largest memory", max(memory.values()), MEMORY_MB, ",.0f", " MB"))


def _print_median(console: Console, answers: Sequence[Answer]) -> None:
    console.print(_judged("median", statistics.median(each.ms for each in answers), ONE_CLIENT_MS, ".1f", " ms"))


def _print_high(console: Console, answers: Sequence[Answer]) -> None:
    high = float(np.percentile([each.ms for each in answers], 95))
    console.print(_judged("95th percentile", high, MANY_CLIENTS_MS, ".1f", " ms"))


def _judged(what: str, value: float, target: float, form: str, unit: str = "", *, least: bool = False) -> str:
    reached = value >= target if least else value <= target
    sign = "≥" if least else "≤"
    return f"{what}: {value:{form}}{unit}, target {sign} {target:,g}: {'reached' if reached else 'MISSED'}"


def queries(database: Database, draws: random.Random) -> Groups:
    """Return the queries by kind."""
    with database.read() as connection:
        numbers = draws.sample(list(connection.scalars(select(papers.c.number))), 200)
        rows = connection.execute(select(papers.c.title, papers.c.summary).where(papers.c.number.in_(numbers)))
        texts = sorted((title, summary or title) for title, summary in rows)
    draws.shuffle(texts)
    filters = [{"category": "cs.NI"}, {"first": "2018-01-01", "last": "2018-12-31"}, {"author": "wang"}]
    return {
        TITLES: [{"q": title} for title, _ in texts[:50]],
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


def _titles(database: Database, ids: Sequence[str]) -> dict[str, str]:
    with database.read() as connection:
        rows = connection.execute(select(papers.c.id, papers.c.title).where(papers.c.id.in_(ids)))
        return {row.id: row.title for row in rows}


@contextmanager
def _server(home: Path) -> Iterator[tuple[str, psutil.Process, float]]:
    """Start ``cenote serve`` on a free port; yield address, process and the seconds until its front page came."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "cenote.cli", "serve", "--port", "0"]
    with subprocess.Popen(command, env=environment(home), stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            line = server.stderr.readline()
            address = next((word.rstrip(";") for word in line.split() if word.startswith("http://")), "")
            if not address:
                raise RuntimeError(f"the server did not start: {line!r}")
            httpx.get(address).raise_for_status()
            yield address, psutil.Process(server.pid), time.perf_counter() - began
        finally:
            server.terminate()


def _memory(process: psutil.Process) -> float:
    """Return the megabytes of a process and those that it started."""
    return sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 1e6


def _ask(address: str, asked: Sequence[tuple[str, Query]], route: Route = API) -> list[Answer]:
    """Ask one after the other."""
    answers = []
    # The standard library's client, which leaves most of the cores that both share to the server.
    client = HTTPConnection(urlsplit(address).netloc, timeout=60)
    with contextlib.closing(client):
        for group, query in asked:
            began = time.perf_counter()
            client.request("GET", f"{route.path}?{urlencode(query)}", headers={"Accept-Encoding": "gzip"})
            answer = client.getresponse()
            body = answer.read()
            if answer.getheader("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            taken = 1e3 * (time.perf_counter() - began)
            if answer.status != 200:
                raise RuntimeError(f"{query} was answered with {answer.status}: {body[:200]!r}")
            if route.is_page:
                answers.append(Answer(group, query, taken, None))
                continue
            mode = answer.getheader("Search-Mode")
            if mode != Mode.HYBRID:
                raise RuntimeError(
                    f"{query} was looked for by {mode} alone; is there an encoder, and are there vectors?"
                )
            items = json.loads(body)
            answers.append(Answer(group, query, taken, items[0]["paper"]["id"] if items else None))
    return answers


def _ask_at_once(address: str, asked: Sequence[tuple[str, Query]], seed: int, route: Route = API) -> list[Answer]:
    """Let each client ask everything, in an order of its own, as soon as it has the answer before."""
    orders = [random.Random(f"{seed} {client}").sample(asked, len(asked)) for client in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as clients:
        return [each for answers in clients.map(lambda order: _ask(address, order, route), orders) for each in answers]


def _table(title: str, groups: Groups, answers: Sequence[Answer]) -> Table:
    table = Table("", "queries", "median ms", "95th percentile ms", "longest ms", title=title, title_justify="left")
    for name in (*groups, "all"):
        taken = [each.ms for each in answers if name in (each.group, "all")]
        middle, high = np.percentile(taken, [50, 95])
        table.add_row(name, f"{len(taken):,}", f"{middle:.1f}", f"{high:.1f}", f"{max(taken):.1f}")
    return table


if __name__ == "__main__":
    typer.run(main)
