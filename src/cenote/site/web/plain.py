"""What machines ask for: whether the site is well, and where robots may go."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import JSONResponse, PlainTextResponse
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from cenote.errors import StorageError
from cenote.site.state import TheSite
from cenote.site.web.rendering import page

router = APIRouter()

_ROBOTS = """User-agent: *
Disallow: /search
Disallow: /api/
"""


@page(router, "/healthz")
def health(site: TheSite) -> JSONResponse:
    """Say whether the store answers: 200 or 503."""
    try:
        with site.database.read() as connection:
            connection.execute(text("SELECT 1 FROM papers WHERE number = 0"))
    except (StorageError, SQLAlchemyError):
        return JSONResponse({"status": "the store does not answer"}, 503, headers={"Cache-Control": "no-store"})
    return JSONResponse({"status": "ok"}, headers={"Cache-Control": "no-store"})


@page(router, "/robots.txt")
def robots() -> PlainTextResponse:
    """Keep robots from the addresses that have no end."""
    return PlainTextResponse(_ROBOTS, headers={"Cache-Control": "public, max-age=86400"})
