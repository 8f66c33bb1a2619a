"""The commands of mail: digests, for cron, and mails that came back, for the mail server."""

from __future__ import annotations

import datetime as dt
import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from cenote.catalog.numbers import counted
from cenote.errors import ArgumentError, RunError, SourceError
from cenote.site.app import open_search
from cenote.site.commands import open_store
from cenote.site.mail.bounces import allow_again
from cenote.site.mail.digest import Content, Issue, Planner, Span, queue_issue
from cenote.site.mail.news import announce, result_days
from cenote.site.mail.outbox import count_queued
from cenote.site.mail.previewing import write_preview
from cenote.site.mail.returns import LARGEST, read_return, take_return
from cenote.site.mail.scopes import Scope, ScopeKind
from cenote.site.mail.sending import Dispatcher, Round
from cenote.site.mail.subscriptions import Frequency
from cenote.site.methods import Methods
from cenote.site.readers.addresses import read_address
from cenote.site.readers.retention import clean
from cenote.site.secret import site_secret
from cenote.site.settings import SiteSettings, read_settings
from cenote.site.store.database import Database

_TURN = 0.5
"""Seconds after which it is asked again whether another process still sends."""


def digest(
    date: Annotated[
        dt.datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The digest's day; today (UTC) by default.")
    ] = None,
    frequency: Annotated[Frequency | None, typer.Option(help="Only daily or only weekly ones.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say who would get what; send and keep nothing.")] = False,
    preview: Annotated[
        Path | None,
        typer.Option(help="Write one example of each digest into this folder; send and keep nothing.", file_okay=False),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Digests at most; called again, go on behind them.")] = None,
) -> None:
    """Send the digests that are due: each once, however often this is called.

    Exit code 1 if some could not be handed over and wait in the outbox.
    """
    settings = read_settings()
    now = dt.datetime.now(dt.UTC)
    day = date.date() if date else now.date()
    if day > now.date():
        raise ArgumentError(f"--date must not be in the future, got {day}; today is {now.date()} in UTC")
    methods = Methods()
    with open_store(settings) as database:
        search = open_search(settings, database, methods)
        try:
            if dry_run or preview:
                with database.read() as connection:
                    days = result_days(connection, methods, day)
                _show(settings, Planner(database, methods, search, day, days), day, frequency, limit, preview)
                return
            dispatcher = Dispatcher(settings, database)
            with database.write() as connection:
                clean(connection, now)
                days = announce(connection, methods, day)
            queued = _queue(database, Planner(database, methods, search, day, days), frequency, limit)
            _send(database, dispatcher, queued)
        finally:
            search.close()


def bounced(
    file: Annotated[str, typer.Argument(help="A mail that came to the sender's address; '-' is standard input.")] = "-",
    allow: Annotated[
        str | None, typer.Option(help="Send mail to this address again, and forget what came back.", metavar="ADDRESS")
    ] = None,
) -> None:
    """Read a mail that came back, or one that unsubscribes; after three that came back an address gets no more.

    For the mail server, which pipes what comes to the sender's address; with what is neither nothing is done.
    """
    settings = read_settings()
    now = dt.datetime.now(dt.UTC)
    if allow is not None:
        address = read_address(allow)
        with open_store(settings) as database, database.write() as connection:
            forgotten = allow_again(connection, address)
        typer.echo(f"{address}: {'gets mail again' if forgotten else 'nothing ever came back'}")
        return
    returned = read_return(_read(file))
    with open_store(settings) as database, database.write() as connection:
        typer.echo(take_return(connection, site_secret(settings), returned, now))


def _show(
    settings: SiteSettings,
    planner: Planner,
    day: dt.date,
    frequency: Frequency | None,
    limit: int | None,
    preview: Path | None,
) -> None:
    """Say who would get what; write each different digest once."""
    written: dict[int, tuple[Content, dt.date]] = {}
    count = 0
    for count, issue in enumerate(planner.issues(frequency), start=1):
        typer.echo(_line(issue))
        written.setdefault(id(issue.content), (issue.content, issue.span.issue))
        if count == limit:
            break
    typer.echo(f"{counted(count, 'digest')} due on {day}; nothing was sent")
    if preview is None:
        return
    for path in write_preview(preview, settings, list(written.values()) or [(_for_anybody(planner, day), day)]):
        typer.echo(path)


def _for_anybody(planner: Planner, day: dt.date) -> Content:
    """What a subscriber to all papers gets in a week: something to look at where nobody has subscribed yet."""
    before = day - dt.timedelta(days=7)
    return planner.content(Frequency.WEEKLY, Scope(ScopeKind.ALL), Span(day, before, before, 0))


def _queue(database: Database, planner: Planner, frequency: Frequency | None, limit: int | None) -> int:
    queued = 0
    for issue in planner.issues(frequency):
        if queued == limit:
            break
        with database.write() as connection:
            queued += queue_issue(connection, issue, dt.datetime.now(dt.UTC))
    return queued


def _send(database: Database, dispatcher: Dispatcher, queued: int) -> None:
    """Send until nothing is due; another process that is at it already does the same meanwhile."""
    total = Round()
    while dispatcher.has_due():
        done = dispatcher.send_due()
        if done.problem:
            with database.read() as connection:
                waiting = count_queued(connection)
            raise RunError(f"{done.problem}; {counted(waiting, 'mail')} left, with which the next call goes on")
        total.sent += done.sent
        total.refused += done.refused
        total.deferred += done.deferred
        total.dropped += done.dropped
        if done.busy:
            time.sleep(_TURN)
    parts = [f"{queued:,} queued", f"{counted(total.sent, 'mail')} sent"]
    parts += [f"{total.refused:,} refused"] if total.refused else []
    parts += [f"{total.dropped:,} dropped"] if total.dropped else []
    parts += [f"{total.deferred:,} to be tried again later"] if total.deferred else []
    typer.echo(", ".join(parts))
    if total.deferred:
        raise typer.Exit(1)


def _line(issue: Issue) -> str:
    """Who gets what, without the whole address: a log may be read by others."""
    local, _, domain = issue.subscription.address.partition("@")
    content = issue.content
    return (
        f"{local[:2]}…@{domain}: {issue.subscription.words}, {issue.span.issue}: "
        f"{counted(len(content.papers), 'paper')}, {counted(len(content.verdicts), 'verdict')}"
    )


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read(LARGEST)
    try:
        with Path(file).open("rb") as opened:
            return opened.read(LARGEST)
    except OSError as error:
        raise SourceError(f"{file} cannot be opened: {error.strerror or error}") from None
