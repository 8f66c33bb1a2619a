"""The site's commands: papers in, backup and restore. Imported when one of them is called."""

from __future__ import annotations

import contextlib
import datetime as dt
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import DatabaseError, OperationalError

from cenote.catalog.loading import read_cards
from cenote.errors import ArgumentError, StorageError
from cenote.site.backup import back_up_store, restore_store
from cenote.site.feeding import Asking, Feed, Kind, feed_from, news_from, side_name
from cenote.site.importing import Progress, import_records
from cenote.site.reading.records import Cursor, Record
from cenote.site.seeding import seed
from cenote.site.settings import SiteSettings, read_settings
from cenote.site.store.database import Database

QUIET_SECONDS = 30
"""Between two lines of progress where the output is not a terminal."""

SIDE_FOLDER = "imports"
"""Where in the home the records are written that cannot be used."""


def import_papers(
    kind: Annotated[Kind, typer.Argument(metavar="FORMAT", help="daily, kaggle, oai or atom.", show_default=False)],
    source: Annotated[
        str | None,
        typer.Argument(help="A file, '-' (standard input) or an address; if left out, what is new at the server."),
    ] = None,
    category: Annotated[
        list[str] | None, typer.Option(help="Only this arXiv category, such as cs.LG; for atom; may be repeated.")
    ] = None,
    set_: Annotated[str | None, typer.Option("--set", help="Only this set, such as cs or cs:cs:LG; for oai.")] = None,
    since: Annotated[
        dt.datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Ask the server from this day on, not from where the last time ended."),
    ] = None,
    server: Annotated[str | None, typer.Option(help="Ask this server instead of arXiv or the hub.")] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="Stop after this many records of SOURCE; called again, go on behind them.")
    ] = None,
    bad: Annotated[
        Path | None, typer.Option(help="File for records that cannot be used; in the home by default.")
    ] = None,
    allow_private: Annotated[
        bool, typer.Option("--allow-private", help="Ask hosts of private networks too, and use the system's proxies.")
    ] = False,
) -> None:
    """Bring papers into the feed, from a file or from what is new on the net.

    An import that was stopped is gone on with by the same command. Exit code 1 if there were records but none could be
    used.
    """
    settings = read_settings()
    _check_options(kind, source, category=category, set_=set_, since=since, server=server, limit=limit)
    asking = Asking(settings.contact or None, allow_private)
    feed = (
        feed_from(kind, source, asking)
        if source is not None
        else news_from(
            kind, asking, since=since.date() if since else None, categories=category or (), set_=set_, server=server
        )
    )
    side_file = bad or settings.home / SIDE_FOLDER / side_name(kind, feed, dt.datetime.now(dt.UTC))
    with open_store(settings) as database, _shown(feed) as (told, on_progress):
        done = import_records(database, feed.key, told.read, bad_file=side_file, on_progress=on_progress, limit=limit)
    typer.echo(_summary(feed, done, side_file))
    if done.bad and not done.saved and not done.deleted:
        raise typer.Exit(1)


def back_up(
    file: Annotated[Path, typer.Argument(help="Where to write the copy.")],
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a copy of the feed's store to a file, also while it is written to."""
    made = back_up_store(read_settings().database, file, overwrite=force)
    typer.echo(f"{file}: {made.papers:,} papers, {made.size / 1e6:,.1f} MB")


def restore(file: Annotated[Path, typer.Argument(help="A file that 'cenote backup' has written.")]) -> None:
    """Put a backup in the place of the feed's store, which is kept beside it; stop the server first."""
    done = restore_store(read_settings().database, file)
    kept = f"; what was there before is {done.kept}" if done.kept else ""
    typer.echo(f"{done.store}: {done.papers:,} papers{kept}")


def _check_options(kind: Kind, source: str | None, **given: object) -> None:
    """Refuse an option that would have no effect."""
    only_for = {"category": Kind.ATOM, "set_": Kind.OAI}
    for name, value in given.items():
        option = f"--{name.strip('_')}"
        if not value:
            continue
        if only_for.get(name, kind) is not kind:
            raise ArgumentError(f"{option} is for {only_for[name]}, not for {kind}")
        if (name == "limit") != (source is not None):
            raise ArgumentError(
                f"{option} needs SOURCE" if name == "limit" else f"{option} is for servers, without SOURCE"
            )


@contextlib.contextmanager
def open_store(settings: SiteSettings) -> Iterator[Database]:
    """Open the store, in which the papers with cards come first; what the database complains of is one sentence.

    Raises:
        StorageError: If the store cannot be opened, read or written.
    """
    try:
        with Database(settings.database) as database:
            seed(database, read_cards()[0])
            yield database
    except DatabaseError as error:
        # Its other kinds, such as a violated constraint, are defects of ours and keep their traceback.
        if type(error) not in (DatabaseError, OperationalError):
            raise
        shown = settings.database.render_as_string(hide_password=True)
        raise StorageError(f"the store {shown} says: {str(error.orig).strip().splitlines()[0]}") from error


# --- in the terminal ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _shown(feed: Feed) -> Iterator[tuple[Feed, Callable[[Progress], None]]]:
    """Show an import's progress on standard error: a line that changes on a terminal, now and then one elsewhere."""
    console = Console(stderr=True, highlight=False)

    def read(progress: Progress) -> Iterator[Record | Cursor]:
        if progress.resumed:
            console.print(f"going on with {feed.title}: {_counts(progress)} before", soft_wrap=True, markup=False)
        return feed.read(progress)

    told = replace(feed, read=read)
    pace = _Pace()
    if not console.is_terminal:
        yield told, _Lines(pace)
        return
    with Bar(
        SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn(), console=console, transient=True
    ) as bar:
        task = bar.add_task(f"reading {feed.title}", total=None)
        yield told, lambda progress: bar.update(task, description=pace.line(progress))


class _Pace:
    """Says how far an import is and how fast, in a line."""

    def __init__(self) -> None:
        self._start = time.monotonic()

    def line(self, progress: Progress) -> str:
        here = progress.new + progress.changed + progress.same
        rate = here / max(time.monotonic() - self._start, 1e-3)
        return f"{_counts(progress)}, {rate:,.0f} a second"


class _Lines:
    """One line at the start, then one every ``QUIET_SECONDS``."""

    def __init__(self, pace: _Pace) -> None:
        self._pace = pace
        self._last = -float(QUIET_SECONDS)

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._last >= QUIET_SECONDS:
            sys.stderr.write(self._pace.line(progress) + "\n")
            self._last = now


def _counts(progress: Progress) -> str:
    bad = f", {progress.bad:,} bad records" if progress.bad else ""
    return f"{progress.saved:,} papers{bad}"


def _summary(feed: Feed, done: Progress, side_file: Path) -> str:
    parts = [f"{done.new:,} new", f"{done.changed:,} changed", f"{done.same:,} same"]
    if done.deleted:
        parts.append(f"{done.deleted:,} taken back")
    parts.append(f"{done.bad:,} bad" + (f" (see {side_file})" if done.bad else ""))
    rest = "" if done.finished else "; there is more" + (", which the same command reads" if feed.key else "")
    return f"{feed.title}: {', '.join(parts)}{rest}"
