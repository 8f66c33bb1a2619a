"""Papers by mail: subscribing, confirming, and unsubscribing with one click (RFC 8058)."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from cenote.errors import ArgumentError
from cenote.site.guarding.limits import Limit
from cenote.site.guarding.visitors import TheForm, limit_client, read_fields, visitor_of
from cenote.site.mail.messages import ONE_CLICK
from cenote.site.mail.scopes import Scope, ScopeKind
from cenote.site.mail.subscriptions import (
    Confirmation,
    Frequency,
    Subscription,
    confirm,
    end_all,
    end_by_key,
    find_confirmation,
    find_subscription,
    leave_token,
    pending,
    read_leave_token,
    subscribe,
    subscriptions_of,
)
from cenote.site.readers.addresses import read_address
from cenote.site.state import Site, TheSite
from cenote.site.web.rendering import page, render

router = APIRouter()

BY_IP = Limit(30, dt.timedelta(hours=1))
BY_ADDRESS = Limit(20, dt.timedelta(hours=1))
USES_BY_IP = Limit(60, dt.timedelta(minutes=10))

NO_MAIL = "No mail is set up here, so nobody can subscribe."

_GONE = "This link was used already, is older than two days, or never was one. Subscribe again to get another."
_NOT_OURS = "This link is not one of this site's mails; see whether it is whole."
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")

TheFields = Annotated[Mapping[str, str], Depends(read_fields)]
"""Type of a route's parameter that receives a form's fields, whoever sent it."""


# --- subscribing --------------------------------------------------------------------------------------------------


@page(router, "/subscribe")
def show_form(request: Request, site: TheSite) -> Response:
    """Show the form; an address may choose a shelf, or bring a search along."""
    chosen = {name: request.query_params.get(name, "")[:4_000] for name in ("scope", "shelf", "search", "frequency")}
    return _form(request, site, chosen)


@router.post("/subscribe", include_in_schema=False)
def post_form(request: Request, site: TheSite, form: TheForm) -> Response:
    """Ask the address whether it wants the papers. The answer is the same whatever is known of it."""
    if site.post is None:
        raise HTTPException(404, NO_MAIL)
    try:
        address = read_address(form["address"])
        frequency = _frequency(form["frequency"])
        scope = Scope.read(form["scope"], form[form["scope"]])
    except ArgumentError as error:
        return _form(request, site, form.fields, problem=str(error))
    limit_client(request, "subscribe from", BY_IP)
    limit_client(request, "subscribe", BY_ADDRESS, who=address)
    if not form["website"]:  # nobody sees this field but programs that fill in all there are
        with site.database.write() as connection:
            subscribe(connection, site.secret, address, frequency, scope, dt.datetime.now(dt.UTC))
        site.post.wake()
    return RedirectResponse("/subscribe/sent", 303)


@page(router, "/subscribe/sent")
def sent(request: Request) -> Response:
    """Say that a mail is on its way, if there is one."""
    return render(request, "subscribe_sent.html.j2")


def _form(request: Request, site: Site, chosen: Mapping[str, str], *, problem: str = "") -> Response:
    reader = visitor_of(request).reader
    theirs: list[tuple[Subscription, str]] = []
    if reader is not None:
        with site.database.read() as connection:
            found = subscriptions_of(connection, reader.address)
        theirs = [(each, leave_token(site.secret, each.key)) for each in found]
    return render(
        request,
        "subscribe.html.j2",
        status=422 if problem else 200,
        can=site.post is not None,
        no_mail=NO_MAIL,
        problem=problem,
        address=chosen.get("address") or (reader.address if reader else ""),
        frequency=chosen.get("frequency") or Frequency.DAILY.value,
        scope=chosen.get("scope") or ("search" if chosen.get("search") else "shelf" if chosen.get("shelf") else "all"),
        shelf=chosen.get("shelf", ""),
        search=_search(chosen.get("search", "")),
        theirs=theirs,
    )


def _search(text: str) -> Scope | None:
    try:
        return Scope.read(ScopeKind.SEARCH, text)
    except ArgumentError:
        return None


def _frequency(text: str) -> Frequency:
    try:
        return Frequency(text)
    except ValueError:
        raise ArgumentError(f"frequency must be one of {', '.join(Frequency)}, got {text!r:.60}") from None


# --- confirming ---------------------------------------------------------------------------------------------------


@page(router, "/confirm/{token}")
def show_confirmation(request: Request, site: TheSite, token: str) -> Response:
    """Show what a link confirms, and a button: programs that look at mail open links, and press nothing."""
    with site.database.read() as connection:
        found = _usable(find_confirmation(connection, token) if _TOKEN.fullmatch(token) else None)
        wanted = pending(connection, found.address)
    return render(request, "confirm.html.j2", address=found.address, wanted=wanted)


@router.post("/confirm/{token}", include_in_schema=False)
def post_confirmation(request: Request, site: TheSite, form: TheForm, token: str) -> Response:
    """Confirm what the page showed; the link ends."""
    limit_client(request, "confirm", USES_BY_IP)
    chosen = {int(each) for each in form["shown"].split(",") if each.isascii() and each.isdecimal() and len(each) < 19}
    with site.database.write() as connection:
        found = _usable(find_confirmation(connection, token) if _TOKEN.fullmatch(token) else None)
        confirmed = confirm(connection, token, chosen, dt.datetime.now(dt.UTC))
    if confirmed is None:
        raise HTTPException(410, _GONE)
    if not confirmed:
        raise HTTPException(410, f"Nothing is left to be confirmed for {found.address}.")
    return RedirectResponse("/subscribe/confirmed", 303)


@page(router, "/subscribe/confirmed")
def confirmed_page(request: Request) -> Response:
    """Say that mail will come."""
    return render(request, "subscribe_confirmed.html.j2")


def _usable(found: Confirmation | None) -> Confirmation:
    if found is None:
        raise HTTPException(404, _GONE)
    if found.expires <= dt.datetime.now(dt.UTC):
        raise HTTPException(410, _GONE)
    return found


# --- unsubscribing ------------------------------------------------------------------------------------------------


@page(router, "/u/{token}")
def show_leaving(request: Request, site: TheSite, token: str) -> Response:
    """Show what a link of a digest unsubscribes from, and a button. Looking at it changes nothing."""
    return _leaving(request, site, token)


@router.post("/u/{token}", include_in_schema=False)
def leave(request: Request, site: TheSite, token: str, fields: TheFields) -> Response:
    """Unsubscribe, at once and without a question: mail programs send this, without cookies, as often as they like."""
    name, _, value = ONE_CLICK.partition("=")
    if fields.get(name) != value:
        raise HTTPException(400, f"To unsubscribe, send {ONE_CLICK} as a form.")
    key = _key(site, token)
    with site.database.write() as connection:
        end_by_key(connection, key, dt.datetime.now(dt.UTC))
    return _leaving(request, site, token)


@router.post("/u/{token}/all", include_in_schema=False)
def leave_all(request: Request, site: TheSite, token: str) -> Response:
    """End every subscription of the address that a digest went to."""
    key = _key(site, token)
    with site.database.write() as connection:
        found = find_subscription(connection, key)
        if found is not None:
            end_all(connection, found.address, dt.datetime.now(dt.UTC))
    return _leaving(request, site, token)


def _leaving(request: Request, site: Site, token: str) -> Response:
    key = _key(site, token)
    with site.database.read() as connection:
        found = find_subscription(connection, key)
        others = subscriptions_of(connection, found.address) if found else []
    there = found is not None and found.state != "ended"
    others = [each for each in others if found is not None and each.id != found.id]
    return render(request, "leave.html.j2", subscription=found, there=there, others=others, token=token)


def _key(site: Site, token: str) -> str:
    key = read_leave_token(site.secret, token)
    if key is None:
        raise HTTPException(404, _NOT_OURS)
    return key
