"""Filters of a list as a form offers them: each a name with the values it may have."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from urllib.parse import urlencode

from fastapi import Request


def chosen(request: Request, allowed: Mapping[str, Collection[str]]) -> dict[str, str]:
    """Return what a request asks for by name; a value that is not known filters nothing and is left empty."""
    asked = {name: request.query_params.get(name, "") for name in allowed}
    return {name: value if value in allowed[name] else "" for name, value in asked.items()}


def address(path: str, choice: Mapping[str, str], allowed: Mapping[str, Collection[str]]) -> str:
    """Return the address of another list with the same filters, as far as it has them."""
    kept = {name: value for name, value in choice.items() if value and value in allowed.get(name, ())}
    return f"{path}?{urlencode(kept)}" if kept else path
