"""The Chromium that is installed, and pages in it that ask an application itself and no server."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
NEEDS_CHROMIUM = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")]
SITE = "http://cenote.localhost"  # which browsers trust as they do https
OPEN_ALL = "document.querySelectorAll('details').forEach(each => each.open = true)"

ROWS = """() => {
    const places = [...document.querySelectorAll("header.site nav a")].map(each => each.getBoundingClientRect());
    const rows = [...new Set(places.map(each => each.top))];
    return rows.map(top => places.filter(each => each.top === top).map(each => [each.width, each.height]));
}"""
"""How wide and how high the entries of the main navigation are, row by row."""


def answer_from(client: TestClient, page: Page) -> None:
    """Let the application answer whatever the page asks for."""

    def answer(route: Route) -> None:
        got = client.get(route.request.url.removeprefix(SITE))
        headers = {
            name: text for name, text in got.headers.items() if name not in ("content-encoding", "content-length")
        }
        route.fulfill(status=got.status_code, headers=headers, body=got.content)

    page.route("**/*", answer)
