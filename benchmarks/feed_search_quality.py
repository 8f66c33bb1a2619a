"""How often the site's search finds the paper that a paraphrase is about, by words, by meaning, and by both.

    python benchmarks/feed_search_quality.py --papers 20000
    pg_virtualenv python benchmarks/feed_search_quality.py --papers 20000 --database postgresql:///postgres

``data/paraphrases.jsonl`` has 200 queries, each written from the abstract of one arXiv paper in other words; they were
written down before anything was tuned. One half is for tuning, the other for the report. The papers searched are those
200 and others drawn with a fixed seed, read from arXiv's records under CENOTE_DATA; each gets its vector here, so that
many papers take long. Recall@10 is the share of queries whose paper is among the first ten; its interval is that of a
share, and hybrid search is held against the better of the other two, query by query. Each of the 200 papers is also
looked for by its exact title, which must come first, and each of all papers whose title has TeX by what pages show of
it. SQLite and PostgreSQL have text indexes of their own, so each is measured by itself: in SQLite by default, else in
an empty database that is named (Debian's ``pg_virtualenv`` makes one that lasts as long as the command). With
``--vectors FILE`` the papers' vectors are kept for the next run.
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
import typer
from pydantic import SecretStr
from rich.console import Console
from rich.table import Table

from cenote.catalog.files import write_bytes_atomic
from cenote.catalog.settings import EnvironmentSettings
from cenote.lab.intervals import PairedT, rate_interval
from cenote.site.embedding.export import export_encoder
from cenote.site.embedding.worker import embed_papers
from cenote.site.papers import Paper
from cenote.site.reading import Good, open_source, read_kaggle
from cenote.site.search import Mode, Search
from cenote.site.search.encoder import Encoder
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.reading import count_papers
from cenote.site.store.saving import save_papers
from cenote.site.tex import plain

QUERIES = Path(__file__).parent / "data" / "paraphrases.jsonl"
FIRST = 10
MARGIN = 0.04
"""How much worse than the better of the two hybrid search may be."""


def main(
    papers: Annotated[int, typer.Option(min=200, help="Papers to search in, the 200 included.")] = 20_000,
    split: Annotated[str, typer.Option(help="'tune' or 'report'.")] = "report",
    threads: Annotated[int, typer.Option(min=1, help="Threads of the encoder while papers are embedded.")] = 2,
    seed: Annotated[int, typer.Option(help="Which other papers are searched.")] = 0,
    database: Annotated[str | None, typer.Option(help="Address of an empty database, such as postgresql:///x.")] = None,
    vectors: Annotated[
        Path | None, typer.Option(help="File (.npz) that keeps the papers' vectors: read if it is there, then written.")
    ] = None,
) -> None:
    """Print recall@10 of each way of searching, and how many exact titles come first."""
    console = Console(width=110)
    source = (EnvironmentSettings().data or Path()) / "arxiv" / "arxiv-metadata.jsonl.zst"
    if not source.exists():
        console.print(f"feed_search_quality: skipped, {source} is not there; set CENOTE_DATA")
        return
    asked = [json.loads(line) for line in QUERIES.read_text(encoding="utf-8").splitlines()]
    chosen = _papers(source, {each["id"] for each in asked}, papers, random.Random(seed))
    with tempfile.TemporaryDirectory() as folder, _empty_store(database, Path(folder)) as store:
        search = _stock(store, Path(folder), chosen, threads, vectors, console)
        used = [each for each in asked if each["split"] == split]
        found = {mode: np.array([_is_found(search, each, mode) for each in used], float) for mode in Mode}
        wanted = {each["id"] for each in asked}
        titles = [paper.title for paper in chosen if paper.id in wanted]
        set_in_type = [paper.title for paper in chosen if plain(paper.title) != paper.title]
        first = {mode: sum(_is_first(search, title, title, mode) for title in titles) for mode in Mode}
        shown = sum(_is_first(search, plain(title), title, Mode.HYBRID) for title in set_in_type)
    where = f"{len(chosen):,} papers in {store.dialect}"
    console.print(_table(f"{len(used)} queries of the split '{split}' over {where}", found))
    others = {mode: hits for mode, hits in found.items() if mode is not Mode.HYBRID}
    better = max(others, key=lambda mode: others[mode].mean())
    apart = PairedT(found[Mode.HYBRID] - others[better])
    low = apart.interval(0.90).low  # its lower end is the one-sided 95 % bound
    word = "no worse" if low > -MARGIN else "not shown to be no worse"
    console.print(
        f"hybrid - {better}: {100 * apart.value:+.1f} points, one-sided 95 % bound {100 * low:+.1f}: {word} by the "
        f"margin of {100 * MARGIN:g} points"
    )
    counted = ", ".join(f"{count} by {mode}" for mode, count in first.items())
    console.print(f"exact titles found first, of {len(titles)}: {counted}")
    console.print(
        f"titles with TeX, asked for as pages show them, found first by hybrid: {shown} of {len(set_in_type)}"
    )


def _empty_store(address: str | None, folder: Path) -> Database:
    """Open the store; one that has papers is somebody's, and is left alone."""
    settings = SiteSettings(home=folder, database_url=SecretStr(address) if address else None)
    database = Database(settings.database)
    database.migrate()
    with database.read() as connection:
        if count_papers(connection):
            raise typer.BadParameter("the database must be empty, and has papers", param_hint="--database")
    return database


class _Remembering:
    """Encodes what it has not met, and keeps all vectors in a file, so that a second store is stocked in a minute."""

    def __init__(self, encoder: Encoder, file: Path | None) -> None:
        self._encoder = encoder
        self._file = file
        self._known: dict[str, npt.NDArray[np.float32]] = {}
        if file and file.exists():
            with np.load(file) as kept:
                if kept["encoder"] == encoder.description.name:
                    self._known = dict(zip(kept["texts"].tolist(), kept["vectors"], strict=True))

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        keys = [hashlib.sha256(text.encode()).hexdigest() for text in texts]
        if any(key not in self._known for key in keys):
            self._known |= zip(keys, self._encoder.encode(texts), strict=True)
        return np.stack([self._known[key] for key in keys])

    def keep(self) -> None:
        if self._file:
            buffer = io.BytesIO()
            texts, kept = list(self._known), np.stack(list(self._known.values()))
            np.savez(buffer, encoder=self._encoder.description.name, texts=texts, vectors=kept)
            write_bytes_atomic(self._file, buffer.getvalue())


def _stock(
    database: Database, home: Path, chosen: list[Paper], threads: int, vectors: Path | None, console: Console
) -> Search:
    """Save the papers and give each its vector."""
    encoder = Encoder(export_encoder(home), threads=threads)
    remembering = _Remembering(encoder, vectors)
    for start in range(0, len(chosen), 1000):
        with database.write() as connection:
            save_papers(connection, chosen[start : start + 1000])
    with console.status("embedding") as status:
        embed_papers(
            database,
            remembering,
            encoder.description.name,
            on_progress=lambda done: status.update(f"embedded {done.done:,} of {done.total:,}"),
        )
    remembering.keep()
    return Search(database, home=home, tags={})


def _papers(source: Path, wanted: set[str], count: int, draws: random.Random) -> list[Paper]:
    """Read the wanted papers and as many others as are asked for."""
    with open_source(source) as stream:
        read = [record.paper for record in read_kaggle(stream) if isinstance(record, Good)]
    others = [paper for paper in read if paper.id not in wanted]
    targets = [paper for paper in read if paper.id in wanted]
    return targets + draws.sample(others, min(len(others), count - len(targets)))


def _is_found(search: Search, asked: dict[str, str], mode: Mode) -> bool:
    answer = search.find(asked["query"], mode=mode, limit=FIRST)
    assert answer.mode is mode, answer.note
    return any(hit.stored.paper.id == asked["id"] for hit in answer.hits)


def _is_first(search: Search, query: str, title: str, mode: Mode) -> bool:
    """Whether a paper of this title comes first; there may be several."""
    hits = search.find(query, mode=mode, limit=1).hits
    return bool(hits) and hits[0].stored.paper.title == title


def _table(title: str, found: dict[Mode, np.ndarray[tuple[int], np.dtype[np.float64]]]) -> Table:
    table = Table("search", f"recall@{FIRST}", "95 % interval", title=title, title_justify="left")
    for mode, hits in found.items():
        interval = rate_interval(math.floor(hits.sum()), len(hits))
        table.add_row(
            str(mode), f"{100 * hits.mean():.1f} %", f"{100 * interval.low:.1f} – {100 * interval.high:.1f} %"
        )
    return table


if __name__ == "__main__":
    typer.run(main)
