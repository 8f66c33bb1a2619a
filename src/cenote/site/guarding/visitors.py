"""Who asks: the reader that a session names, and what ties a form to the browser it was shown in."""

from __future__ import annotations

import datetime as dt
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote, unquote

from fastapi import Depends, HTTPException, Request
from fastapi.responses import Response
from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException as StarletteHTTPException

from cenote.site.guarding.limits import Limit, limit_key, network_of, take
from cenote.site.readers.sessions import LASTS, Reader, reader_of
from cenote.site.readers.tokens import token_hash
from cenote.site.state import Site

FORM_LASTS = dt.timedelta(hours=12)
"""A form that was left open for longer is shown again."""

NEXT_LASTS = dt.timedelta(minutes=30)
"""How long a browser remembers where its reader came from."""

MOST_FIELDS = 40

_LONGEST_PATH = 1_000

# As ``secrets.token_urlsafe(24)`` makes them: another would not be given back to the browser as it came.
_KEY = re.compile(r"[A-Za-z0-9_-]{32}")

# Browsers read a backslash as a slash, and pass over tabs and ends of lines.
_PATH = re.compile(r"/(?![/\\])[!-\[\]-~]*")


@dataclass
class Visitor:
    """Who asks, as far as the request's cookies tell."""

    reader: Reader | None
    session: str | None
    """The session's token, if it is one of a reader."""
    key: str | None
    """A random text that the browser keeps, made when it is first shown a form."""
    has_form: bool = False
    """Whether the page has a form that is tied to this browser."""

    @property
    def owner(self) -> str:
        """What stands for this browser in the store."""
        return token_hash(self.session or self.key or "")


def visitor_of(request: Request) -> Visitor:
    """Return who asks; looked up once a request, and only if it has a session's cookie."""
    found = getattr(request.state, "visitor", None)
    if isinstance(found, Visitor):
        return found
    site: Site = request.app.state.site
    token = request.cookies.get(_name("session", site))
    reader = None
    if token:
        with site.database.read() as connection:
            reader = reader_of(connection, token, dt.datetime.now(dt.UTC))
    key = request.cookies.get(_name("visitor", site), "")
    visitor = Visitor(reader, token if reader else None, key if _KEY.fullmatch(key) else None)
    request.state.visitor = visitor
    return visitor


def form_token(request: Request) -> str:
    """Return what a form of this browser must send along; it is another each time, so that nothing can be guessed."""
    site: Site = request.app.state.site
    visitor = visitor_of(request)
    if visitor.session is None and visitor.key is None:
        visitor.key = secrets.token_urlsafe(24)
    visitor.has_form = True
    return str(_serializer(site).dumps([visitor.owner, secrets.token_hex(4)]))


def give_cookies(request: Request, response: Response) -> None:
    """Give the browser the key that a form on this page is tied to, and keep pages of a reader out of shared caches.

    The key is given again with each form, so that it lasts as long as the form does.
    """
    visitor = getattr(request.state, "visitor", None)
    if not isinstance(visitor, Visitor):
        return
    site: Site = request.app.state.site
    if visitor.has_form and visitor.session is None and visitor.key is not None:
        _set_cookie(response, site, "visitor", visitor.key, FORM_LASTS)
    if visitor.reader is not None or visitor.has_form:
        response.headers["Cache-Control"] = "private, no-store"


def give_session(response: Response, site: Site, token: str) -> None:
    """Sign a browser in. What it had as a visitor ends, since somebody else may have given it."""
    _set_cookie(response, site, "session", token, LASTS)
    take_cookie(response, site, "visitor")


def take_cookie(response: Response, site: Site, kind: str) -> None:
    """Take a cookie from the browser: ``session``, ``visitor`` or ``next``."""
    response.delete_cookie(_name(kind, site), path="/", secure=site.settings.secure, httponly=True, samesite="lax")


def remember_next(response: Response, site: Site, address: str) -> None:
    """Let the browser remember where its reader wants to go on once signed in; the mail's link says nothing of it."""
    _set_cookie(response, site, "next", quote(address, safe="/"), NEXT_LASTS)


def remembered_next(request: Request) -> str:
    """Return what the browser was to remember: whatever it says, it is an address of this site."""
    site: Site = request.app.state.site
    return same_site(unquote(request.cookies.get(_name("next", site), "")))


def same_site(address: str) -> str:
    """Return a path of this site with its query, and nothing if the address is anything else (no open redirect).

    Example:
        >>> same_site("/papers/2412.06097?page=2#comment-1")
        '/papers/2412.06097?page=2#comment-1'
        >>> same_site("//elsewhere.example"), same_site("https://elsewhere.example")
        ('', '')
    """
    return address if len(address) <= _LONGEST_PATH and _PATH.fullmatch(address) else ""


class FormRefused(HTTPException):
    """A form that is too old, or was not shown in this browser. What was written in it is not lost."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(403, "This form is too old or was not shown in this browser; go back and send it again.")
        self.fields = fields


@dataclass(frozen=True)
class SentForm:
    """A form of this site that this browser was shown."""

    fields: Mapping[str, str]
    visitor: Visitor

    def __getitem__(self, name: str) -> str:
        return self.fields.get(name, "")


async def read_fields(request: Request) -> Mapping[str, str]:
    """Return a form's fields, whoever sent it; what a route takes from a program that was shown no form.

    Raises:
        HTTPException: 400 if it is no form, or has files.
    """
    try:
        async with request.form(max_files=0, max_fields=MOST_FIELDS) as form:
            return {name: value for name, value in form.items() if not isinstance(value, UploadFile)}
    except StarletteHTTPException:
        raise
    except (ValueError, AssertionError):
        raise HTTPException(400, "The form could not be read.") from None


def _sent_form(request: Request, fields: Annotated[Mapping[str, str], Depends(read_fields)]) -> SentForm:
    site: Site = request.app.state.site
    visitor = visitor_of(request)
    refused = FormRefused(fields)
    try:
        owner, _ = _serializer(site).loads(fields.get("csrf", ""), max_age=int(FORM_LASTS.total_seconds()))
    except (BadData, ValueError, TypeError):
        raise refused from None
    if (visitor.session is None and visitor.key is None) or not secrets.compare_digest(str(owner), visitor.owner):
        raise refused
    return SentForm(fields, visitor)


TheForm = Annotated[SentForm, Depends(_sent_form)]
"""Type of a route's parameter that receives the form; 403 if it was not shown in this browser, or is too old."""


def limit_client(request: Request, what: str, limit: Limit, *, who: str | None = None) -> None:
    """Let a client do something once more, counted by its IP address, or by ``who``.

    Raises:
        HTTPException: 429 if it did so too often; it says when to try again.
    """
    site: Site = request.app.state.site
    who = who or network_of(request.client.host if request.client else "")
    with site.database.write() as connection:
        wait = take(connection, limit_key(site.secret, what, who), limit, dt.datetime.now(dt.UTC))
    if wait > 0:
        seconds = max(1, round(wait + 0.5))
        raise HTTPException(429, f"That was often; try again in {_in_words(seconds)}.", {"Retry-After": f"{seconds}"})


def _in_words(seconds: int) -> str:
    if seconds < 120:
        return f"{seconds} seconds"
    return f"{seconds // 60} minutes" if seconds < 7200 else f"{seconds // 3600} hours"


def _serializer(site: Site) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(site.secret, salt="cenote form")


def _name(kind: str, site: Site) -> str:
    # A browser takes a cookie with this prefix only by TLS, for this host alone, and from no page of a subdomain.
    return f"__Host-cenote-{kind}" if site.settings.secure else f"cenote-{kind}"


def _set_cookie(response: Response, site: Site, kind: str, value: str, lasts: dt.timedelta) -> None:
    response.set_cookie(
        _name(kind, site),
        value,
        max_age=int(lasts.total_seconds()),
        path="/",
        secure=site.settings.secure,
        httponly=True,
        samesite="lax",
    )
