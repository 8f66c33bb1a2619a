"""The operators' page: what readers wrote, who is blocked, which paper is featured when, and what was done."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from cenote.errors import ArgumentError
from cenote.site.guarding.limits import Limit
from cenote.site.guarding.visitors import TheForm, limit_client, visitor_of
from cenote.site.papers import paper_id
from cenote.site.readers import operating
from cenote.site.readers.addresses import read_address
from cenote.site.readers.comments import newest_comments
from cenote.site.readers.markdown import render_comment
from cenote.site.readers.sessions import Reader
from cenote.site.state import TheSite
from cenote.site.store.tables import is_row
from cenote.site.web.paging import page_number
from cenote.site.web.rendering import page, render

router = APIRouter()

PAGE = 50
"""Comments on one page."""

SHOWN = 100
"""Actions on the page."""

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

ACTIONS = Limit(300, dt.timedelta(minutes=10))
ACTIONS_BY_IP = Limit(600, dt.timedelta(minutes=10))


def _operator(request: Request, site: TheSite) -> Reader:
    """The operator who asks; for others the page is not there."""
    reader = visitor_of(request).reader
    if reader is None or not operating.is_operator(reader, site.settings):
        raise HTTPException(404)
    return reader


def _acting(request: Request, operator: Annotated[Reader, Depends(_operator)], form: TheForm) -> Reader:
    """The operator who sent the form."""
    limit_client(request, "operate", ACTIONS, who=operator.address)
    limit_client(request, "operate from", ACTIONS_BY_IP)
    return operator


_Operator = Annotated[Reader, Depends(_operator)]
_Acting = Annotated[Reader, Depends(_acting)]


@page(router, "/operate")
def operate(request: Request, site: TheSite, operator: _Operator) -> Response:
    """Show what operators look after."""
    return _show(request, site)


@router.post("/operate/comments/{number}/hide", include_in_schema=False)
def post_hide(site: TheSite, operator: _Acting, number: int) -> Response:
    """Take a comment from its page."""
    with site.database.write() as connection:
        operating.hide(connection, _stored_number(number), operator, _now())
    return _done("comments")


@router.post("/operate/comments/{number}/show", include_in_schema=False)
def post_show(site: TheSite, operator: _Acting, number: int) -> Response:
    """Put a hidden comment back."""
    with site.database.write() as connection:
        operating.show(connection, _stored_number(number), operator, _now())
    return _done("comments")


@router.post("/operate/block", include_in_schema=False)
def post_block(request: Request, site: TheSite, operator: _Acting, form: TheForm) -> Response:
    """Block an address."""
    try:
        address = read_address(form["address"])
    except ArgumentError as error:
        return _show(request, site, blocking=form["address"], problem=str(error))
    if operating.operates(address, site.settings):
        problem = "address must not be an operator's; take it out of CENOTE_OPERATORS first"
        return _show(request, site, blocking=address, problem=problem)
    with site.database.write() as connection:
        operating.block(connection, address, operator, _now())
    return _done("blocks")


@router.post("/operate/unblock", include_in_schema=False)
def post_unblock(request: Request, site: TheSite, operator: _Acting, form: TheForm) -> Response:
    """Let an address sign in again."""
    try:
        address = read_address(form["address"])
    except ArgumentError as error:
        return _show(request, site, problem=str(error))
    with site.database.write() as connection:
        operating.unblock(connection, address, operator, _now())
    return _done("blocks")


@router.post("/operate/feature", include_in_schema=False)
def post_feature(request: Request, site: TheSite, operator: _Acting, form: TheForm) -> Response:
    """Show a paper under a day."""
    featuring = {"paper": form["paper"], "day": form["day"]}
    try:
        paper, day = paper_id(form["paper"]), _day(form["day"])
        with site.database.write() as connection:
            changed = operating.feature(connection, paper, day, operator, _now())
    except ArgumentError as error:
        return _show(request, site, featuring=featuring, problem=str(error))
    if not changed:
        return _show(request, site, featuring=featuring, problem=f"paper must be one of this feed, got {paper}")
    return _done("feature")


@router.post("/operate/unfeature", include_in_schema=False)
def post_unfeature(request: Request, site: TheSite, operator: _Acting, form: TheForm) -> Response:
    """Show a paper under its own day again."""
    featuring = {"paper": form["paper"], "day": form["day"]}
    try:
        paper = paper_id(form["paper"])
        with site.database.write() as connection:
            changed = operating.unfeature(connection, paper, operator, _now())
    except ArgumentError as error:
        return _show(request, site, featuring=featuring, problem=str(error))
    if not changed:
        return _show(request, site, featuring=featuring, problem=f"paper must be one of this feed, got {paper}")
    return _done("feature")


def _show(
    request: Request,
    site: TheSite,
    *,
    blocking: str = "",
    featuring: dict[str, str] | None = None,
    problem: str = "",
) -> Response:
    number = page_number(request)
    with site.database.read() as connection:
        found = newest_comments(connection, limit=PAGE + 1, offset=(number - 1) * PAGE)
        blocks = operating.blocked(connection)
        done = operating.actions(connection, limit=SHOWN)
    return render(
        request,
        "operate.html.j2",
        status=422 if problem else 200,
        comments=[(each, render_comment(each.text)) for each in found[:PAGE]],
        number=number,
        more=len(found) > PAGE,
        blocks=blocks,
        actions=done,
        blocking=blocking,
        featuring=featuring or {"paper": "", "day": _now().date().isoformat()},
        problem=problem,
        problem_of="feature" if featuring else "block",
    )


def _day(text: str) -> dt.date:
    try:
        if not _DAY.fullmatch(text):  # Python reads 20261123 and 2026-W48-1 too
            raise ValueError
        return dt.date.fromisoformat(text)
    except ValueError:
        raise ArgumentError(f"day must be one such as 2026-11-23, got {text!r:.40}") from None


def _stored_number(number: int) -> int:
    """A number that a row may have; for others there is no page."""
    if not is_row(number):
        raise HTTPException(404)
    return number


def _done(section: str) -> Response:
    return RedirectResponse(f"/operate#{section}", 303)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
