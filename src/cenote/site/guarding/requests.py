"""Requests that are refused before anything is done: for another site, sent by another site's page, or too large."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cenote.site.state import Site

LARGEST = 64 * 1024
"""Bytes of a form; a comment is the longest thing in one."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

FORWARDED = (
    "forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-forwarded-port",
    "x-forwarded-server", "x-forwarded-scheme", "x-forwarded-ssl", "x-real-ip", "x-client-ip", "x-cluster-client-ip",
    "true-client-ip", "cf-connecting-ip",
)  # fmt: skip
"""What proxies add to a request."""

ONE_CLICK = "/u/"
"""Where mail programs unsubscribe, from everywhere and without cookies (RFC 8058)."""


class GuardRequests:
    """Refuses what a browser would send without its reader's will.

    - A name that is not this site's: a page elsewhere whose name was made to point here would be taken for the site's
      own (DNS rebinding). Asked of whatever changes something, and of everything where runs may be started.
    - A form sent by a page of another site, as ``Origin`` or ``Sec-Fetch-Site`` tell. Mail programs that unsubscribe
      are let through.
    - More bytes than a form of this site has.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = _refused(scope)
        if refused is not None:
            from cenote.site.web.errors import refusal

            await refusal(Request(scope), refused)(scope, receive, send)
            return
        await self._app(scope, receive if scope["method"] in SAFE else _bounded(receive), send)


def _refused(scope: Scope) -> HTTPException | None:
    headers, site = Headers(scope=scope), scope["app"].state.site
    assert isinstance(site, Site)
    changes = scope["method"] not in SAFE
    if (changes or site.allows_runs) and scope["path"] != "/healthz":
        host = _hostname(headers.get("host", ""))
        if host not in site.settings.hosts:
            return HTTPException(421, "This site does not go by that name.")
    if not changes:
        return None
    if not scope["path"].startswith(ONE_CLICK) and not _from_here(headers):
        return HTTPException(403, "This form was sent by a page of another site, so nothing was done.")
    length = headers.get("content-length", "0")
    if not length.isdecimal() or int(length) > LARGEST:
        return HTTPException(413, f"A form may have {LARGEST // 1024} KiB at most.")
    return None


def _from_here(headers: Headers) -> bool:
    """Whether a page of this site sent it; a program that says nothing of it still needs the form's token."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == headers.get("host", "").lower()


def _hostname(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _bounded(receive: Receive) -> Receive:
    """Count what comes, since a length may not have been given."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > LARGEST:
            raise HTTPException(413, f"A form may have {LARGEST // 1024} KiB at most.")
        return message

    return receive_bounded


def came_through_proxy(headers: Headers) -> bool:
    """Return whether a proxy says that it handed a request on.

    One that adds no header cannot be told from a browser on this machine: where such a one stands in front, the
    operator must name it.
    """
    return any(name in headers for name in FORWARDED)
