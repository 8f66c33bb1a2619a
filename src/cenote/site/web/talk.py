"""Votes and comments: what readers do on a paper's page."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response
from markupsafe import Markup

from cenote.errors import ArgumentError
from cenote.site.guarding.limits import Limit
from cenote.site.guarding.visitors import SentForm, TheForm, limit_client, same_site, visitor_of
from cenote.site.papers import paper_id
from cenote.site.readers.comments import LONGEST as LONGEST_COMMENT
from cenote.site.readers.comments import (
    Comment,
    add_comment,
    comments_below,
    count_before,
    count_below,
    delete_comment,
    find_comment,
    read_comment,
)
from cenote.site.readers.markdown import render_comment
from cenote.site.readers.operating import operates
from cenote.site.readers.sessions import Reader
from cenote.site.readers.voting import vote
from cenote.site.state import Site, TheSite
from cenote.site.store.reading import StoredPaper, find_paper
from cenote.site.store.tables import is_row
from cenote.site.web.cards import paper_url
from cenote.site.web.paging import Pages, page_number
from cenote.site.web.rendering import page, render

router = APIRouter()

PAGE = 50
"""Comments on one page."""

VOTES = Limit(120, dt.timedelta(minutes=10))
COMMENTS = Limit(10, dt.timedelta(minutes=30))
BY_IP = Limit(300, dt.timedelta(minutes=10))
"""Several readers may have one address of the net."""


@dataclass(frozen=True)
class CommentView:
    """A comment as a page shows it."""

    comment: Comment
    html: Markup
    own: bool
    by_operator: bool


@dataclass(frozen=True)
class Talk:
    """What stands below a paper."""

    comments: list[CommentView]
    pages: Pages
    reader: Reader | None
    longest: int = LONGEST_COMMENT


def talk_below(request: Request, site: Site, stored: StoredPaper) -> Talk | None:
    """Return the comments of a page; None where there are none and nobody could write one."""
    reader = visitor_of(request).reader
    number = page_number(request)
    with site.database.read() as connection:
        total = count_below(connection, stored.number) if stored.reader_comments else 0
        found = comments_below(connection, stored.number, limit=PAGE, offset=(number - 1) * PAGE) if total else []
    if not total and reader is None and site.post is None:
        return None
    views = [_view(each, reader, site) for each in found]
    return Talk(views, Pages(number, PAGE, total, paper_url(stored.paper.id), {}), reader)


@router.post("/papers/{name:path}/vote", include_in_schema=False)
def post_vote(request: Request, site: TheSite, form: TheForm, name: str) -> Response:
    """Give a paper the reader's vote or take it back, as the form wants it to be afterwards."""
    stored = _stored(site, name)
    reader = form.visitor.reader
    if reader is None:
        return _to_sign_in(stored)
    if form["want"] not in ("0", "1"):
        raise HTTPException(400, "The form does not say whether the vote is wanted: want must be 1 or 0.")
    limit_client(request, "vote", VOTES, who=reader.address)
    limit_client(request, "vote from", BY_IP)
    with site.database.write() as connection:
        voted = vote(connection, stored.number, reader.id, want=form["want"] == "1", now=_now())
        counted = find_paper(connection, stored.paper.id)
    if "application/json" in request.headers.get("accept", ""):
        votes = counted.votes if counted else None
        return JSONResponse({"voted": voted, "votes": votes or 0}, headers={"Cache-Control": "no-store"})
    back = same_site(form["next"])
    return RedirectResponse(f"{back}#paper-{stored.number}" if back else paper_url(stored.paper.id), 303)


@router.post("/papers/{name:path}/comments", include_in_schema=False)
def post_comment(request: Request, site: TheSite, form: TheForm, name: str) -> Response:
    """Put a comment below a paper, and go to it."""
    stored = _stored(site, name)
    reader = form.visitor.reader
    if reader is None:
        return _to_sign_in(stored)
    try:
        text = read_comment(form["text"])
    except ArgumentError as error:
        return _not_taken(request, stored, form, str(error))
    limit_client(request, "comment", COMMENTS, who=reader.address)
    limit_client(request, "comment from", BY_IP)
    with site.database.write() as connection:
        number = add_comment(connection, stored.number, reader.id, text, _now())
    return RedirectResponse(paper_url(stored.paper.id) if number is None else f"/comments/{number}", 303)


@page(router, "/comments/{number}")
def comment(site: TheSite, number: int) -> Response:
    """Go to a comment: this address stays, whichever page of its paper the comment is on."""
    with site.database.read() as connection:
        found = find_comment(connection, number) if is_row(number) else None
        if found is None or found.hidden is not None:
            raise HTTPException(404, "This comment is not here any more.")
        at = count_before(connection, found) // PAGE + 1
    query = f"?page={at}" if at > 1 else ""
    return RedirectResponse(f"{paper_url(found.paper)}{query}#comment-{found.id}", 303)


@router.post("/comments/{number}/delete", include_in_schema=False)
def post_delete(request: Request, site: TheSite, form: TheForm, number: int) -> Response:
    """Take the reader's own comment away."""
    reader = form.visitor.reader
    if reader is None:
        return RedirectResponse("/sign-in", 303)
    limit_client(request, "comment from", BY_IP)
    with site.database.write() as connection:
        paper = delete_comment(connection, number, reader.id) if is_row(number) else None
    if paper is None:
        raise HTTPException(404, "There is no such comment of yours.")
    return RedirectResponse(same_site(form["next"]) or f"{paper_url(paper)}#comments", 303)


def _not_taken(request: Request, stored: StoredPaper, form: SentForm, sentence: str) -> Response:
    """Show what was written again, with what is wrong about it."""
    return render(
        request,
        "comment.html.j2",
        status=422,
        paper=stored.paper,
        url=paper_url(stored.paper.id),
        text=form["text"],
        problem=sentence,
        longest=LONGEST_COMMENT,
    )


def _view(each: Comment, reader: Reader | None, site: Site) -> CommentView:
    own = reader is not None and reader.id == each.reader
    return CommentView(each, render_comment(each.text), own, operates(each.address, site.settings))


def _stored(site: Site, name: str) -> StoredPaper:
    try:
        wanted = paper_id(name)
    except ArgumentError:
        raise HTTPException(404, "There is no paper of this name.") from None
    with site.database.read() as connection:
        stored = find_paper(connection, wanted)
    if stored is None:
        raise HTTPException(404, f"The paper {wanted} is not in this feed.")
    return stored


def _to_sign_in(stored: StoredPaper) -> Response:
    return RedirectResponse(f"/sign-in?next={quote(paper_url(stored.paper.id))}", 303)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
