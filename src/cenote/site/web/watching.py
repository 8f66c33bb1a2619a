"""A run as its page shows it, and as a stream of events that keeps the page up to date."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from fastapi.responses import StreamingResponse
from sqlalchemy.exc import OperationalError
from starlette.concurrency import run_in_threadpool
from starlette.types import Receive, Scope, Send

from cenote.catalog.numbers import counted, write_duration
from cenote.errors import StorageError
from cenote.site.methods import Method
from cenote.site.runs.files import RunFiles
from cenote.site.runs.log import log_tail
from cenote.site.runs.queue import AskedRun, State, find_run, runs_before
from cenote.site.runs.streams import Streams
from cenote.site.state import Site
from cenote.site.store.database import Database
from cenote.site.web.cards import paper_url
from cenote.site.web.chips import Chip

TAIL = 30
"""Lines of the log that a page shows."""

_SIGNS = {State.QUEUED: "○", State.RUNNING: "▸", State.DONE: "●", State.FAILED: "✗", State.CANCELLED: "–"}


@dataclass(frozen=True)
class RunView:
    """A run in words."""

    run: AskedRun
    url: str
    title: str
    """Of its paper."""
    paper_url: str | None
    chip: Chip
    sentence: str


def run_view(run: AskedRun, method: Method | None, before: int = 0) -> RunView:
    """Return what a page says of a run.

    Args:
        run: The run.
        method: That of its paper; None if it has gone.
        before: How many runs come before one that is queued.
    """
    return RunView(
        run=run,
        url=f"/runs/{run.id}",
        title=method.card.title if method else run.slug,
        paper_url=paper_url(method.card.arxiv) if method else None,
        chip=Chip(run.state.value, _SIGNS[run.state], run.state.value),
        sentence=_sentence(run, before),
    )


def _sentence(run: AskedRun, before: int) -> str:
    if run.state is State.QUEUED:
        again = "It was interrupted and goes on where it stopped. " if run.started else ""
        return f"{again}{counted(before, 'run') if before else 'No run'} before it."
    if run.state is State.RUNNING:
        if run.cancelling:
            return "It is being stopped."
        if not run.total:
            return "It is starting: data and libraries are being loaded."
        left = "" if run.seconds_left is None else f", {write_duration(run.seconds_left)} left"
        if run.done == run.total:
            left = "; the report is being written"
        return f"{run.done or 0} of {counted(run.total, 'trial')} done{left}."
    if run.state is State.DONE and run.started and run.finished:
        return f"It is finished, {write_duration((run.finished - run.started).total_seconds())} after it started."
    return (run.message or "It is finished.").rstrip(".") + "."


# --- events -------------------------------------------------------------------------------------------------------


def event_of(database: Database, files: RunFiles, run_id: str) -> dict[str, Any] | None:
    """Return all that can change on a run's page; None if there is no such run any more."""
    with database.read() as connection:
        run = find_run(connection, run_id)
        if run is None:
            return None
        before = runs_before(connection, run) if run.state is State.QUEUED else 0
    view = run_view(run, None, before)
    return {
        "state": run.state.value,
        "ended": run.state.ended,
        "chip": f"{view.chip.icon} {view.chip.text}",
        "sentence": view.sentence,
        "done": run.done,
        "total": run.total,
        "seconds_left": run.seconds_left,
        "trial": run.trial or "",
        "log": log_tail(files.log(run.id), TAIL),
    }


class RunEvents(StreamingResponse):
    """Server-sent events about a run, one for each change, until it ends.

    Each event says everything, so a browser that comes back has missed nothing, whatever it saw last.

    Args:
        site: The site, whose runs are kept.
        run_id: The run.
        client: Who follows; its place is free again when the stream ends, however it does.
    """

    def __init__(self, site: Site, run_id: str, client: str) -> None:
        assert site.runs is not None
        self._streams = site.runs.streams
        self._client = client
        events = _events(site.database, site.runs.files, self._streams, run_id)
        # A proxy that collects an answer before it hands it on would hold the events back.
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave(self._client)


async def _events(database: Database, files: RunFiles, streams: Streams, run_id: str) -> AsyncIterator[str]:
    last: dict[str, Any] | None = None
    number, said = 0, time.monotonic()
    while not streams.ended:
        event = last
        with contextlib.suppress(StorageError, OperationalError):  # it is asked again in a moment
            event = await run_in_threadpool(event_of, database, files, run_id)
            if event is None:
                return
        if event is not None and event != last:
            last, said, number = event, time.monotonic(), number + 1
            yield f"id: {number}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"
            if event["ended"]:
                return
        elif time.monotonic() - said >= streams.heartbeat:
            said = time.monotonic()
            yield ": nothing new\n\n"
        await asyncio.sleep(streams.look)
