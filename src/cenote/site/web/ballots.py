"""Whose vote the papers of a page have, for the buttons that give and take it."""

from __future__ import annotations

from collections.abc import Collection

from fastapi import Request

from cenote.site.guarding.visitors import visitor_of
from cenote.site.readers.voting import voted_for
from cenote.site.state import Site


def voted_on(request: Request, site: Site, numbers: Collection[int]) -> frozenset[int] | None:
    """Return which papers of a page its reader voted for, by their number; None for who is not signed in."""
    reader = visitor_of(request).reader
    if reader is None:
        return None
    with site.database.read() as connection:
        return voted_for(connection, reader.id, numbers)


def address_of(request: Request) -> str:
    """Return the address of the page that is shown, to which its forms come back."""
    path, query = request.url.path, request.url.query
    if path == "/search/results":  # the list alone, for the page that searches as one types
        path = "/search"
    return f"{path}?{query}" if query else path
