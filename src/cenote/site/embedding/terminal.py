"""``cenote embed``: the worker with a progress bar."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from cenote.site.embedding.export import export_encoder, has_encoder
from cenote.site.embedding.worker import Progress, embed_papers
from cenote.site.search.encoder import FOLDER, Encoder
from cenote.site.settings import read_settings
from cenote.site.store.database import Database

PAUSE = 30.0
"""Seconds between two looks for new papers."""


def embed(*, limit: int | None, watch: bool, threads: int, export: bool, pause: float = PAUSE) -> None:
    """Export the encoder if it is not there, or is asked for anew; then give papers their vectors.

    Args:
        limit: Papers at most.
        watch: Go on with papers that come later, until interrupted.
        threads: Threads of the encoder.
        export: Export the encoder though it is there.
        pause: Seconds between two looks for new papers.
    """
    console = Console(stderr=True)
    settings = read_settings()
    if export or not has_encoder(settings.home):
        with console.status("exporting the encoder"):
            export_encoder(settings.home)
    encoder = Encoder(settings.home / FOLDER, threads=threads)
    with Database(settings.database) as database:
        while True:
            done = _embed_once(console, database, encoder, limit)
            if not watch:
                Console().print(f"{done:,} papers got a vector of {encoder.description.name}.", highlight=False)
                return
            time.sleep(pause)


def _embed_once(console: Console, database: Database, encoder: Encoder, limit: int | None) -> int:
    columns = BarColumn(), MofNCompleteColumn(), TextColumn("papers"), TimeElapsedColumn(), TimeRemainingColumn()
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("embed", total=None)

        def show(progress: Progress) -> None:
            bar.update(task, completed=progress.done, total=progress.total)

        return embed_papers(database, encoder, encoder.description.name, limit=limit, on_progress=show).done
