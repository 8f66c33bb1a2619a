"""Templates into answers."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any, TypeVar

import jinja2
from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from markupsafe import Markup, escape

from cenote.catalog.numbers import counted
from cenote.catalog.results import ICONS
from cenote.site.guarding.visitors import form_token, give_cookies, visitor_of
from cenote.site.readers.sessions import Reader
from cenote.site.state import Site
from cenote.site.tex import plain
from cenote.site.web.ballots import address_of
from cenote.site.web.shelves import SHELVES
from cenote.site.web.static_files import static_url

_BETWEEN_BACKTICKS = re.compile(r"`([^`]+)`")

_Route = TypeVar("_Route", bound=Callable[..., Any])


def page(router: APIRouter, path: str) -> Callable[[_Route], _Route]:
    """Serve a function's answer at a path, to GET and HEAD; pages are no part of the API's description."""
    return router.api_route(path, methods=["GET", "HEAD"], include_in_schema=False, response_class=HTMLResponse)


def render(request: Request, template: str, *, status: int = 200, **context: Any) -> HTMLResponse:
    """Render a page; browsers ask each time whether it is still the newest."""
    html = render_text(template, request=request, path=request.url.path, **context)
    response = HTMLResponse(html, status, headers={"Cache-Control": "no-cache", "Vary": "Cookie"})
    give_cookies(request, response)
    return response


def render_text(template: str, **context: Any) -> str:
    """Render a template; all that is put into HTML is escaped."""
    return _environment.get_template(template).render(**context)


def day_in_words(day: dt.date | dt.datetime) -> str:
    """Write a day: '8 December 2024'.

    Example:
        >>> day_in_words(dt.date(2024, 12, 8))
        '8 December 2024'
    """
    return f"{day.day} {day:%B %Y}"


def commands(text: str) -> Markup:
    """Write a sentence into HTML, with what stands between backticks as code.

    Example:
        >>> commands("<b>: `cenote embed` makes it.")
        Markup('&lt;b&gt;: <code>cenote embed</code> makes it.')
    """
    return Markup(_BETWEEN_BACKTICKS.sub(r"<code>\1</code>", str(escape(text))))


def markdown_text(text: str) -> str:
    r"""Write a text into Markdown as one line of nothing but text.

    Example:
        >>> markdown_text("a*b* <i>")
        'a\\*b\\* &lt;i&gt;'
    """
    text = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~#]|\b_|_\b)", r"\\\1", text)


def reader_of(request: Request) -> Reader | None:
    """Return who is signed in."""
    return visitor_of(request).reader


def can_sign_in(request: Request) -> bool:
    """Return whether mail is set up, without which nobody can sign in."""
    site: Site = request.app.state.site
    return site.post is not None


_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("cenote.site.web"),
    autoescape=lambda name: name is None or ".html" in name,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {
    "day": day_in_words,
    "counted": counted,
    "md": markdown_text,
    "plain": plain,
    "commands": commands,
}
_environment.globals |= {"static": static_url, "shelves": SHELVES, "icons": ICONS}
_environment.globals |= {
    "form_token": form_token,
    "reader_of": reader_of,
    "can_sign_in": can_sign_in,
    "address_of": address_of,
}
