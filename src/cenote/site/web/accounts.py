"""A reader's account: name, votes, comments, all of it as a file, and its end."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, HTTPException, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import JSONResponse, RedirectResponse, Response

from cenote.errors import ArgumentError
from cenote.site.guarding.limits import Limit
from cenote.site.guarding.visitors import SentForm, TheForm, limit_client, take_cookie, visitor_of
from cenote.site.readers.accounts import delete_reader, rename
from cenote.site.readers.comments import comments_by
from cenote.site.readers.data import data_of, votes_by
from cenote.site.readers.names import LONGEST, read_name
from cenote.site.readers.operating import is_operator
from cenote.site.readers.sessions import Reader
from cenote.site.state import Site, TheSite
from cenote.site.web.cards import excerpt, paper_url
from cenote.site.web.rendering import page, render

router = APIRouter()

SHOWN = 100
"""Votes and comments on the account's page; the file has all."""

CHANGES = Limit(10, dt.timedelta(hours=1))
CHANGES_BY_IP = Limit(60, dt.timedelta(hours=1))


@page(router, "/account")
def account(request: Request, site: TheSite) -> Response:
    """Show what the site has of a reader."""
    reader = visitor_of(request).reader
    return _to_sign_in() if reader is None else _account(request, site, reader)


@router.post("/account/name", include_in_schema=False)
def post_name(request: Request, site: TheSite, form: TheForm) -> Response:
    """Give the reader another name."""
    reader = form.visitor.reader
    if reader is None:
        return _to_sign_in()
    _limit(request, reader)
    try:
        if form["name"] != reader.name:  # a name that was given may stay, though nobody could choose it
            name = read_name(form["name"])
            with site.database.write() as connection:
                rename(connection, reader.id, name)
    except ArgumentError as error:
        return _account(request, site, reader, typed=form["name"], problem=str(error))
    return RedirectResponse("/account", 303)


@page(router, "/account/data.json")
def data(request: Request, site: TheSite) -> Response:
    """Return everything the store has of the reader."""
    reader = visitor_of(request).reader
    if reader is None:
        return _to_sign_in()
    with site.database.read() as connection:
        found = data_of(connection, reader)
    headers = {
        "Content-Disposition": 'attachment; filename="cenote-account.json"',
        "Cache-Control": "private, no-store",
    }
    return JSONResponse(jsonable_encoder(found), headers=headers)


@page(router, "/account/delete")
def delete(request: Request) -> Response:
    """Ask whether the account is to be deleted, and say what goes with it."""
    reader = visitor_of(request).reader
    return _to_sign_in() if reader is None else render(request, "account_delete.html.j2", reader=reader)


@router.post("/account/delete", include_in_schema=False)
def post_delete(request: Request, site: TheSite, form: TheForm) -> Response:
    """Delete the account with all that is the reader's."""
    reader = form.visitor.reader
    if reader is None:
        return _to_sign_in()
    _check_meant(form)
    _limit(request, reader)
    with site.database.write() as connection:
        delete_reader(connection, reader.id)
    response = RedirectResponse("/account/deleted", 303)
    take_cookie(response, site, "session")
    return response


@page(router, "/account/deleted")
def deleted(request: Request) -> Response:
    """Say that it is done."""
    return render(request, "account_deleted.html.j2")


def _account(request: Request, site: Site, reader: Reader, *, typed: str | None = None, problem: str = "") -> Response:
    with site.database.read() as connection:
        votes = votes_by(connection, reader.id, limit=SHOWN)
        comments = comments_by(connection, reader.id, limit=SHOWN)
    return render(
        request,
        "account.html.j2",
        status=422 if problem else 200,
        reader=reader,
        typed=reader.name if typed is None else typed,
        problem=problem,
        longest=LONGEST,
        votes=[(paper_url(paper), title) for paper, title in votes],
        comments=[(each, excerpt(" ".join(each.text.split()), 120)) for each in comments],
        shown=SHOWN,
        operates=is_operator(reader, site.settings),
        has_mail=site.post is not None,
    )


def _check_meant(form: SentForm) -> None:
    if form["sure"] != "yes":
        raise HTTPException(400, "Tick the box that says you are sure; nothing was deleted.")


def _limit(request: Request, reader: Reader) -> None:
    limit_client(request, "account", CHANGES, who=reader.address)
    limit_client(request, "account from", CHANGES_BY_IP)


def _to_sign_in() -> Response:
    return RedirectResponse("/sign-in?next=/account", 303)
