"""Runs from a paper's page: starting one, watching it, its log and its report."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse, PlainTextResponse, RedirectResponse, Response, StreamingResponse

from cenote.catalog.results import Result, read_result
from cenote.errors import ArgumentError, ResultError, RunError
from cenote.site.guarding.limits import Limit, network_of
from cenote.site.guarding.requests import came_through_proxy
from cenote.site.guarding.visitors import TheForm, Visitor, limit_client, visitor_of
from cenote.site.methods import Method
from cenote.site.readers.operating import is_operator
from cenote.site.runs.keeper import RunKeeper
from cenote.site.runs.log import log_end, log_tail, read_log
from cenote.site.runs.queue import AskedRun, State, ask, cancel, find_run, reader_owner, recent_runs, runs_before
from cenote.site.state import Site, TheSite
from cenote.site.web.rendering import page, render
from cenote.site.web.watching import TAIL, RunEvents, RunView, event_of, run_view

SHOWN = 50
"""Runs on the page of all runs."""

ASKED = Limit(10, dt.timedelta(hours=1))
"""Runs that one client may ask for."""

CANCELLED = Limit(30, dt.timedelta(hours=1))

_REPORT_POLICY = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data: 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-cache",
}
"""A report carries its styles and pictures inside, and does nothing."""

_MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}


def _kept_runs(request: Request, site: TheSite) -> RunKeeper:
    """Return the keeper of the runs, for whom this request may start and see them.

    Raises:
        HTTPException: 404 where runs are off; 403 if the request was handed on by a proxy that nobody said to trust:
            the site may then be open to more people than whoever allowed the runs thought of.
    """
    if site.runs is None:
        raise HTTPException(404)
    if came_through_proxy(request.headers) and not site.settings.proxies:
        raise HTTPException(
            403, "Runs are for requests without a proxy in between, unless CENOTE_TRUSTED_PROXIES names it."
        )
    return site.runs


TheKeeper = Annotated[RunKeeper, Depends(_kept_runs)]

router = APIRouter(dependencies=[Depends(_kept_runs)])


@dataclass(frozen=True)
class Offer:
    """What a paper's page says of runs."""

    recent: list[RunView]
    minutes: float
    """The longest that one may take."""


def offer_below(request: Request, site: Site, method: Method | None) -> Offer | None:
    """Return what a paper's page offers; None where it cannot be run from there."""
    if method is None or not method.card.runs:
        return None
    try:
        _kept_runs(request, site)
    except HTTPException:
        return None
    with site.database.read() as connection:
        recent = recent_runs(connection, 3, method.card.slug)
    return Offer([_view(site, run) for run in recent], site.settings.run_minutes)


@router.post("/papers/{name:path}/runs", include_in_schema=False)
def post_run(request: Request, site: TheSite, keeper: TheKeeper, form: TheForm, name: str) -> Response:
    """Ask for a run, and lead to its page."""
    method = site.methods.by_paper(name)
    if method is None or not method.card.runs:
        raise HTTPException(404, "There is no paper of this name that runs.")
    limit_client(request, "run", ASKED)
    try:
        with site.database.write() as connection:
            run = ask(connection, method.card.slug, form["preset"], _owner(form.visitor), dt.datetime.now(dt.UTC))
    except ArgumentError as error:
        raise HTTPException(400, _sentence(error)) from None
    except RunError as error:
        raise HTTPException(503, _sentence(error), {"Retry-After": "60"}) from None
    keeper.wake()
    return RedirectResponse(f"/runs/{run.id}", 303)


@page(router, "/runs")
def all_runs(request: Request, site: TheSite) -> Response:
    """List the runs that were asked for last."""
    with site.database.read() as connection:
        found = recent_runs(connection, SHOWN)
        before = {run.id: runs_before(connection, run) for run in found if run.state is State.QUEUED}
    return render(request, "runs.html.j2", runs=[_view(site, run, before.get(run.id, 0)) for run in found])


@page(router, "/runs/{run_id}")
def one_run(request: Request, site: TheSite, keeper: TheKeeper, run_id: str) -> Response:
    """Show how far a run is, or what came of it."""
    run = _found(site, run_id)
    with site.database.read() as connection:
        before = runs_before(connection, run) if run.state is State.QUEUED else 0
    method = site.methods.by_slug(run.slug)
    result = _result(keeper, run)
    return render(
        request,
        "run.html.j2",
        view=_view(site, run, before),
        run=run,
        log=(log_end if run.state.ended else log_tail)(keeper.files.log(run.id), TAIL),
        may_cancel=not run.state.ended and not run.cancelling and _may_cancel(visitor_of(request), run, site),
        result=result,
        sentences={claim.id: claim.sentence for claim in method.card.claims} if method else {},
    )


@router.post("/runs/{run_id}/cancel", include_in_schema=False)
def post_cancel(request: Request, site: TheSite, keeper: TheKeeper, form: TheForm, run_id: str) -> Response:
    """Stop a run, for who started it or an operator."""
    run = _found(site, run_id)
    if not _may_cancel(form.visitor, run, site):
        raise HTTPException(403, "Only who started a run, or an operator, may stop it.")
    limit_client(request, "cancel a run", CANCELLED)
    with site.database.write() as connection:
        cancel(connection, run.id, dt.datetime.now(dt.UTC))
    keeper.wake()
    return RedirectResponse(f"/runs/{run.id}", 303)


@router.get("/runs/{run_id}/events", include_in_schema=False)
def events(request: Request, site: TheSite, keeper: TheKeeper, run_id: str) -> Response:
    """Follow a run, as server-sent events."""
    if event_of(site.database, keeper.files, run_id) is None:
        raise HTTPException(404, "There is no such run.")
    client = network_of(request.client.host if request.client else "")
    refused = keeper.streams.enter(client)
    if refused:
        said = "As many pages follow runs as may at once; this one shows what is new when it is loaded again."
        raise HTTPException(refused, said, {"Retry-After": "30"})
    return RunEvents(site, run_id, client)


@page(router, "/runs/{run_id}/log")
def log(site: TheSite, keeper: TheKeeper, run_id: str) -> Response:
    """Return what a run printed."""
    headers = {"Cache-Control": "no-store"}
    try:
        size, pieces = read_log(keeper.files.log(_found(site, run_id).id))
    except OSError:
        return PlainTextResponse("", headers=headers)
    return StreamingResponse(pieces, media_type="text/plain", headers=headers | {"Content-Length": f"{size}"})


@page(router, "/runs/{run_id}/report")
def report(site: TheSite, keeper: TheKeeper, run_id: str) -> Response:
    """Return a run's report, a page that stands alone."""
    folder = keeper.files.folder(_found(site, run_id))
    if folder is None or not (folder / "report.html").is_file():
        raise HTTPException(404, "This run has no report here.")
    return FileResponse(folder / "report.html", media_type="text/html; charset=utf-8", headers=_REPORT_POLICY)


@page(router, "/runs/{run_id}/report/{file:path}")
def report_figure(site: TheSite, keeper: TheKeeper, run_id: str, file: str) -> Response:
    """Return a figure of a run; only what its result names."""
    run = _found(site, run_id)
    folder, result = keeper.files.folder(run), _result(keeper, run)
    media = _MEDIA.get(Path(file).suffix)
    if folder is None or result is None or media is None or file not in {each.file for each in result.figures}:
        raise HTTPException(404, "This run has no such figure.")
    return FileResponse(folder / file, media_type=media, headers=_REPORT_POLICY)


def _found(site: Site, run_id: str) -> AskedRun:
    with site.database.read() as connection:
        run = find_run(connection, run_id)
    if run is None:
        raise HTTPException(404, "There is no such run, or it ended long ago and was forgotten.")
    return run


def _view(site: Site, run: AskedRun, before: int = 0) -> RunView:
    return run_view(run, site.methods.by_slug(run.slug), before)


def _may_cancel(visitor: Visitor, run: AskedRun, site: Site) -> bool:
    return _owner(visitor) == run.owner or is_operator(visitor.reader, site.settings)


def _owner(visitor: Visitor) -> str:
    """Return whose a run is: a reader's, in whatever session and browser, or this browser's."""
    return reader_owner(visitor.reader.id) if visitor.reader else visitor.owner


def _result(keeper: RunKeeper, run: AskedRun) -> Result | None:
    folder = keeper.files.folder(run)
    try:
        return None if folder is None else read_result(folder / "result.json", figures=folder)
    except ResultError:
        return None


def _sentence(error: Exception) -> str:
    text = str(error)
    return f"{text[0].upper()}{text[1:]}."
