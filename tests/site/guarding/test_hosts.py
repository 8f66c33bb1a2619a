"""Names that are not the site's: a page elsewhere may have its name point here (DNS rebinding)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from starlette.datastructures import Headers

from cenote.site.app import create_app
from cenote.site.guarding.requests import came_through_proxy
from cenote.site.settings import SiteSettings
from cenote.site.state import Site

from ..visiting import Browser, Visited
from .routes import changing, shown

EVIL = "evil.example"


def test_nothing_is_changed_under_another_name(visited_lite: Visited) -> None:
    browser = visited_lite.reader()
    for method, address in changing(visited_lite.app):
        answer = browser.client.request(method, address, headers={"Host": EVIL})
        assert answer.status_code == 421, address
        assert "This site does not go by that name." in answer.text


class _Runs:
    """Somebody who would start runs; nothing here comes so far."""


def test_where_runs_are_started_nothing_is_shown_under_another_name(visited_lite: Visited) -> None:
    site, browser = visited_lite.site, visited_lite.browser()
    assert browser.get("/", headers={"Host": EVIL}).status_code == 200  # as feeds are read, by whatever name
    runs: Any = _Runs()
    visited_lite.app.state.site = Site(site.settings, site.database, site.methods, site.search, site.post, runs)
    addresses = shown(visited_lite.app)
    assert len(addresses) >= 40
    for address in addresses:
        status = browser.get(address, headers={"Host": EVIL}).status_code
        assert status == (200 if address == "/healthz" else 421), address
    assert browser.get("/").status_code == 200


@pytest.mark.parametrize(
    "name", ["Via", "X-Forwarded-Server", "X-Forwarded-Scheme", "X-Forwarded-Ssl", "CF-Connecting-IP", "True-Client-IP",
             "X-Client-IP", "X-Cluster-Client-IP", "X-Real-IP", "Forwarded", "X-Forwarded-For"],
)  # fmt: skip
def test_a_proxy_is_known_by_what_it_adds(name: str) -> None:
    assert came_through_proxy(Headers({name: "1.1 edge"}))
    assert not came_through_proxy(Headers({"Host": "localhost", f"{name}-not": "1.1 edge"}))


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8000", True),
        ("localhost", True),
        ("LOCALHOST:9", True),
        ("[::1]:8000", True),
        ("feed.example", True),
        ("Feed.Example.:443", True),
        ("papers.example:8443", True),
        ("evil.example", False),
        ("evil.example:8000", False),
        ("feed.example.evil.example", False),
        ("evilfeed.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.nip.io", False),
        ("feed.example@evil.example", False),
        ("evil.example#feed.example", False),
        ("192.0.2.7", False),
        ("[::2]", False),
        ("[", False),
        ("", False),
        ("127.1", False),
        ("0.0.0.0", False),
    ],
)
def test_what_is_a_name_of_the_site(tmp_path: Path, visited_lite: Visited, host: str, ours: bool) -> None:
    named = SiteSettings(home=tmp_path, base_url="https://feed.example", allowed_hosts="Papers.Example, other.example")
    site = visited_lite.site
    visited_lite.app.state.site = Site(named, site.database, site.methods, site.search, site.post)
    browser: Browser = visited_lite.browser(base_url="http://127.0.0.1:8000")
    answer = browser.client.post("/sign-in", headers={"Host": host})
    assert answer.status_code == (403 if ours else 421)  # the form's token is asked for next


def test_a_host_that_is_missing_is_none_of_ours(visited_lite: Visited) -> None:
    import asyncio

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    app = create_app(site=visited_lite.site)
    app.state.site = visited_lite.site
    scope = {"type": "http", "method": "POST", "path": "/sign-in", "headers": [], "query_string": b"", "app": app}
    scope |= {"http_version": "1.0", "scheme": "http", "server": ("127.0.0.1", 8000), "client": ("192.0.2.1", 1)}
    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 421
