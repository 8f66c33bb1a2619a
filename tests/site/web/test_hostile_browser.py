"""Hostile texts in Chromium, with the site's policy and without it: nothing is executed, nothing else is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from .chromium import NEEDS_CHROMIUM, OPEN_ALL, SITE, answer_from
from .conftest import FakeSearch, Opening
from .hostile import EVIL, Marking, addresses, found, papers_and_methods

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Dialog, Page, Route

pytestmark = [*NEEDS_CHROMIUM, pytest.mark.parametrize("quick_store", ["sqlite"], indirect=True)]

MARKING = Marking(EVIL)
PAPERS, METHODS = papers_and_methods(MARKING)
ANSWER = found(MARKING, PAPERS)
DOT = '<svg xmlns="http://www.w3.org/2000/svg" width="1" height="1"/>'
EXPECTED = ("/static/", "/papers/", "/search", "/methods", "/claims")
"""What a page may ask for; an element that came in with a text asks for something else."""


class Watched:
    """A page that keeps all that must not happen on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("dialog", self._dialog)
        page.on("console", lambda message: self.wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("request", lambda request: self._request(request.url))

    def _dialog(self, dialog: Dialog) -> None:
        self.wrong.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, url: str) -> None:
        path = urlsplit(url).path
        if not url.startswith(SITE) or not (path == "/" or path.startswith(EXPECTED)):
            self.wrong.append(f"asked for {url}")


@pytest.fixture(params=["with the policy", "without it"])
def watched(request: pytest.FixtureRequest, browser: Browser, open_with: Opening) -> Iterator[Watched]:
    """Without the policy only escaping stands between a text and its execution."""
    client = open_with(*PAPERS, methods=METHODS, search=FakeSearch(ANSWER, ANSWER.hits))
    context = browser.new_context(bypass_csp=request.param == "without it")
    page = context.new_page()
    answer_from(client, page)
    page.route("**/results/**", _figure)
    yield Watched(page)
    context.close()


def _figure(route: Route) -> None:
    """The results' pictures are not there under their hostile names; that is no error of the page."""
    if route.request.resource_type == "image":
        route.fulfill(body=DOT, content_type="image/svg+xml")
    else:
        route.fallback()


def test_the_watch_sees_a_script_and_an_image(watched: Watched) -> None:
    watched.page.goto(f"{SITE}/search")
    watched.page.evaluate("text => document.querySelector('[data-list]').innerHTML = text", EVIL)
    watched.page.wait_for_timeout(300)
    assert any("asked for" in each for each in watched.wrong)
    assert any(each.startswith(("dialog", "console")) for each in watched.wrong)


@pytest.mark.parametrize("address", addresses(PAPERS))
def test_nothing_of_a_page_is_executed(watched: Watched, address: str) -> None:
    watched.page.goto(SITE + address)
    watched.page.evaluate(OPEN_ALL)
    watched.page.wait_for_load_state("networkidle")
    assert watched.wrong == []


def test_nothing_of_live_results_is_executed(watched: Watched) -> None:
    watched.page.goto(f"{SITE}/search")
    watched.page.get_by_role("searchbox").press_sequentially("pooling")
    watched.page.locator("[data-list] article").first.wait_for()
    watched.page.wait_for_load_state("networkidle")
    assert watched.page.locator("[data-list] article").count() == len(PAPERS)
    assert EVIL[:8] in watched.page.locator("[data-list]").inner_text()
    assert watched.page.locator("[data-list] :is(img, script, svg[onload])").count() == 0
    assert watched.wrong == []
