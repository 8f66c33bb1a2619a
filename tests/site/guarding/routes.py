"""The routes of the application that change something: enumerated, so that a new one is tested too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fastapi import FastAPI

from cenote.site.guarding.requests import SAFE


def routes(app: FastAPI) -> Iterator[Any]:
    def walk(found: list[Any]) -> Iterator[Any]:
        for each in found:
            inner = getattr(each, "original_router", None)
            yield from walk(inner.routes) if inner is not None else [each]

    return walk(list(app.routes))


def changing(app: FastAPI) -> list[tuple[str, str]]:
    """Method and address of all that changes something, with something in place of its parameters."""
    return [
        (method, _filled(route.path))
        for route in routes(app)
        for method in sorted(getattr(route, "methods", None) or ())
        if method not in SAFE
    ]


def shown(app: FastAPI) -> list[str]:
    """Addresses of all that is shown."""
    return [_filled(route.path) for route in routes(app) if "GET" in (getattr(route, "methods", None) or ())]


def _filled(path: str) -> str:
    path = path.replace("{name:path}", "2611.00001").replace("{paper:path}", "2611.00001")
    return re.sub(r"\{\w+\}", "1", path)
