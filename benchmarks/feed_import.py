"""Rows a second of importing arXiv's records with the text index, beside what parsing and inserting alone take.

    python benchmarks/feed_import.py                # 100,000 of the records under CENOTE_DATA
    python benchmarks/feed_import.py arxiv-metadata-oai-snapshot.json --rows 20000

The import is the one behind ``cenote import kaggle``, into an empty store in SQLite. The limits: reading the lines as
JSON is the least that any import does, and the inserts without the text index, of papers that were read before, are the
least that this store does. Each is the best of its repeats, in turns. The benchmark refuses to run on a busy machine.
"""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cenote.catalog.settings import EnvironmentSettings
from cenote.lab.timing import machine_load, require_idle
from cenote.site.feeding import Asking, Kind, feed_from
from cenote.site.importing import BATCH, import_records
from cenote.site.papers import Paper
from cenote.site.reading import Good, open_source, read_kaggle
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers

IMPORT = "import with text index"
TARGET = 5_000
"""Rows a second of it."""


def main(
    file: Annotated[
        Path | None, typer.Argument(help="JSON lines as in arXiv's snapshot on Kaggle, packed or not.")
    ] = None,
    rows: Annotated[int, typer.Option(min=1, help="Records to import.")] = 100_000,
    repeats: Annotated[int, typer.Option(min=1, help="How often each is timed.")] = 3,
    busy: Annotated[bool, typer.Option(help="Run on a busy machine too; the figures then mean little.")] = False,
) -> None:
    """Print rows a second of the import, and of the parts that limit it."""
    console = Console(width=110)
    file = file or (EnvironmentSettings().data or Path()) / "arxiv" / "arxiv-metadata.jsonl.zst"
    if not file.exists():
        console.print(f"feed_import: skipped, {file} is not there; name a file, or set CENOTE_DATA")
        return
    if not busy:
        require_idle(0.5)
    console.print(f"busy cores before: {machine_load().busy_cores:.2f}; batches of {BATCH:,}")
    with tempfile.TemporaryDirectory() as folder:
        head = Path(folder) / "head.json"
        count = _write_head(file, head, rows)
        timed: dict[str, Callable[[Path], float]] = {
            "JSON of the lines": _parse_json,
            "records of the reader": _read,
            "inserts without text index": _insert_without_text,
            IMPORT: _import,
        }
        seconds: dict[str, list[float]] = {name: [] for name in timed}
        for _ in range(repeats):
            for name, run in timed.items():
                seconds[name].append(run(head))
    table = Table("", "rows a second", "s", "", title=f"{count:,} records, best of {repeats}", title_justify="left")
    for name, each in seconds.items():
        rate = count / min(each)
        judged = f"target {TARGET:,}: {'reached' if rate >= TARGET else 'MISSED'}" if name == IMPORT else ""
        table.add_row(name, f"{rate:,.0f}", f"{min(each):.2f}", judged)
    console.print(table)


def _write_head(file: Path, head: Path, rows: int) -> int:
    """Unpack the first records, so that unpacking is not timed; return how many there are."""
    with open_source(file) as stream, head.open("wb") as written:
        lines = list(itertools.islice(stream, rows))
        written.writelines(lines)
    return len(lines)


def _parse_json(head: Path) -> float:
    begin = time.perf_counter()
    with head.open("rb") as lines:
        for line in lines:
            json.loads(line)
    return time.perf_counter() - begin


def _read(head: Path) -> float:
    begin = time.perf_counter()
    for _ in _papers(head):
        pass
    return time.perf_counter() - begin


def _insert_without_text(head: Path) -> float:
    papers, seconds = _papers(head), 0.0
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/store.sqlite3") as database:
        with database.write() as connection:
            for event in ("insert", "delete", "update"):
                connection.exec_driver_sql(f"DROP TRIGGER papers_text_{event}")
        while batch := list(itertools.islice(papers, BATCH)):
            begin = time.perf_counter()
            with database.write() as connection:
                save_papers(connection, batch)
            seconds += time.perf_counter() - begin
    return seconds


def _import(head: Path) -> float:
    with tempfile.TemporaryDirectory() as folder, Database(f"sqlite:///{folder}/store.sqlite3") as database:
        feed = feed_from(Kind.KAGGLE, str(head), Asking())
        begin = time.perf_counter()
        done = import_records(database, feed.key, feed.read, bad_file=Path(folder) / "bad.jsonl")
        seconds = time.perf_counter() - begin
    assert done.bad == 0, f"{done.bad} records could not be used"
    return seconds


def _papers(head: Path) -> Iterator[Paper]:
    with head.open("rb") as lines:
        yield from (record.paper for record in read_kaggle(lines) if isinstance(record, Good))


if __name__ == "__main__":
    typer.run(main)
