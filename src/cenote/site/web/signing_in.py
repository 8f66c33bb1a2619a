"""Signing in by a link that comes by mail, and signing out."""

from __future__ import annotations

import datetime as dt
import re

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from cenote.errors import ArgumentError
from cenote.site.guarding.limits import Limit
from cenote.site.guarding.visitors import (
    TheForm,
    give_session,
    limit_client,
    remember_next,
    remembered_next,
    same_site,
    take_cookie,
    visitor_of,
)
from cenote.site.mail.outbox import MailKind, put_mail
from cenote.site.readers.addresses import read_address
from cenote.site.readers.sessions import close_session, close_sessions, reader_of
from cenote.site.readers.sign_in import LINK_LASTS, link_address, use_link
from cenote.site.runs.queue import hand_over, reader_owner
from cenote.site.state import TheSite
from cenote.site.web.rendering import page, render

router = APIRouter()

LINKS_BY_ADDRESS = Limit(5, dt.timedelta(hours=1))
LINKS_BY_ADDRESS_A_DAY = Limit(10, dt.timedelta(days=1))
LINKS_BY_IP = Limit(10, dt.timedelta(hours=1))
USES_BY_IP = Limit(30, dt.timedelta(minutes=10))

NO_MAIL = "No mail is set up here, so nobody can sign in."

_MINUTES = int(LINK_LASTS.total_seconds()) // 60
_LINK_GONE = f"This link was used already, is older than {_MINUTES} minutes, or never was one. Ask for another."
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


@page(router, "/sign-in")
def sign_in(request: Request, site: TheSite) -> Response:
    """Show the form that asks for a link; who is signed in goes on."""
    following = same_site(request.query_params.get("next", ""))
    if visitor_of(request).reader is not None:
        return RedirectResponse(following or "/account", 303)
    return _form(request, can=site.post is not None, following=following)


@router.post("/sign-in", include_in_schema=False)
def post_sign_in(request: Request, site: TheSite, form: TheForm) -> Response:
    """Send a link. The answer is the same whether there is an account, and where the address is blocked."""
    if site.post is None:
        raise HTTPException(404, NO_MAIL)
    following = same_site(form["next"])
    try:
        address = read_address(form["address"])
    except ArgumentError as error:
        return _form(request, can=True, following=following, typed=form["address"], problem=str(error))
    limit_client(request, "sign-in from", LINKS_BY_IP)
    limit_client(request, "sign-in", LINKS_BY_ADDRESS, who=address)
    limit_client(request, "sign-in a day", LINKS_BY_ADDRESS_A_DAY, who=address)
    with site.database.write() as connection:
        put_mail(connection, MailKind.SIGN_IN, address, dt.datetime.now(dt.UTC))  # none if blocked, or one waits
    site.post.wake()
    response = RedirectResponse("/sign-in/sent", 303)
    if following:
        remember_next(response, site, following)
    return response


@page(router, "/sign-in/sent")
def sent(request: Request) -> Response:
    """Say that a link is on its way, if there is one."""
    return render(request, "sign_in_sent.html.j2", minutes=_MINUTES)


@page(router, "/sign-in/{token}")
def link(request: Request, site: TheSite, token: str) -> Response:
    """Show whom a link signs in, and a button: programs that look at mail open links, and press nothing."""
    _check_form(token)
    with site.database.read() as connection:
        address = link_address(connection, token, dt.datetime.now(dt.UTC))
    if address is None:
        raise HTTPException(410, _LINK_GONE)
    return render(request, "sign_in_link.html.j2", address=address)


@router.post("/sign-in/{token}", include_in_schema=False)
def post_link(request: Request, site: TheSite, form: TheForm, token: str) -> Response:
    """Sign in, with a session that is new; the one this browser had ends."""
    _check_form(token)
    limit_client(request, "sign-in link", USES_BY_IP)
    with site.database.write() as connection:
        now = dt.datetime.now(dt.UTC)
        session = use_link(connection, token, now)
        reader = None if session is None else reader_of(connection, session, now)
        if reader is not None:
            hand_over(connection, form.visitor.owner, reader_owner(reader.id))
        if session is not None and form.visitor.session is not None:
            close_session(connection, form.visitor.session)
    if session is None:
        raise HTTPException(410, _LINK_GONE)
    response = RedirectResponse(remembered_next(request) or "/account", 303)
    give_session(response, site, session)
    take_cookie(response, site, "next")
    return response


@router.post("/sign-out", include_in_schema=False)
def post_sign_out(site: TheSite, form: TheForm) -> Response:
    """End this session, or every session of the reader."""
    reader, session = form.visitor.reader, form.visitor.session
    if reader is not None and session is not None:
        with site.database.write() as connection:
            if form["everywhere"]:
                close_sessions(connection, reader.id)
            else:
                close_session(connection, session)
    response = RedirectResponse("/", 303)
    take_cookie(response, site, "session")
    return response


def _form(request: Request, *, can: bool, following: str, typed: str = "", problem: str = "") -> Response:
    return render(
        request,
        "sign_in.html.j2",
        status=422 if problem else 200,
        can=can,
        no_mail=NO_MAIL,
        following=following,
        typed=typed,
        problem=problem,
        minutes=_MINUTES,
    )


def _check_form(token: str) -> None:
    if not _TOKEN.fullmatch(token):
        raise HTTPException(404, _LINK_GONE)
