"""The site in Chromium: with and without JavaScript, in both schemes, on a phone, and under axe-core."""

from __future__ import annotations

import datetime as dt
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cenote.site.papers import Paper
from cenote.site.seeding import FIRST_RELEASE
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers

from .chromium import NEEDS_CHROMIUM, OPEN_ALL

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_CHROMIUM

PAPER = "/papers/2412.06097"
IMPORTED = Paper(
    id="hep-th/9901001",
    title="An imported paper on the pooling of ponds",
    summary="We pool ponds. " * 40,
    authors=("Zoë Müller", "王小明", *(f"Author {number}" for number in range(30))),
    published=dt.datetime(2026, 11, 20, tzinfo=dt.UTC),
    featured=FIRST_RELEASE,
    categories=("hep-th", "cs.CV"),
    keywords=("ponds",),
    organization="Pond University",
    code_url="https://example.org/code",
    project_url="https://example.org/",
    upvotes=3,
    comments=1,
)
PAGES = ["/", "/papers/trending", "/papers/date/2020-01-01", "/papers/week/2026-W47", "/papers/month/2026-11",
         "/search", "/search?q=pooling&shelf=pooling", "/methods", "/methods?shelf=pooling&verdict=holds", "/claims",
         "/claims?verdict=fails", "/api", PAPER, "/papers/2212.04114", "/papers/2410.12761", f"/papers/{IMPORTED.id}",
         f"{PAPER}/history", "/nothing"]  # fmt: skip
PICTURES = {
    "feed": "/",
    "paper": PAPER,
    "search": "/search?q=pooling+layers",
    "methods": "/methods",
    "claims": "/claims",
}
LOOKS = {"light": (1280, 1400, 1), "dark": (1280, 1400, 1), "phone": (360, 780, 2)}
"""Width, height, and pixels of the screen for one of the page's."""
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server as ``cenote serve`` starts it."""
    home = tmp_path_factory.mktemp("home")
    with Database(f"sqlite:///{home}/cenote.sqlite3") as database, database.write() as connection:
        save_papers(connection, [IMPORTED])
    environment = os.environ | {"CENOTE_HOME": str(home), "CENOTE_DATABASE_URL": ""}
    command = [sys.executable, "-m", "cenote.cli", "serve", "--port", "0"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    said = process.stderr.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert found, said
    yield found[0]
    process.send_signal(signal.SIGINT)
    _, rest = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_axe_finds_nothing_and_nothing_is_wider_than_the_window(
    server: str, browser: Browser, scheme: str, width: int
) -> None:
    import axe_playwright_python

    axe = Path(axe_playwright_python.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    size = {"width": width, "height": 900}
    context = browser.new_context(viewport=size, color_scheme=scheme, bypass_csp=True)  # type: ignore[arg-type]
    page = context.new_page()
    for address in PAGES:
        page.goto(server + address)
        page.evaluate(OPEN_ALL)
        page.evaluate(axe + "; 0")
        found = page.evaluate("rules => axe.run({runOnly: rules})", RULES)
        wrong = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found["violations"]]
        assert not wrong, address
        assert found["passes"]
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address
    context.close()


def test_the_policy_is_kept_and_nothing_comes_from_elsewhere(server: str, browser: Browser) -> None:
    page = browser.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: asked.append(request.url))
    for address in PAGES[:-1]:
        page.goto(server + address)
    assert not said
    assert not [url for url in asked if not url.startswith(server)]
    page.close()


def test_search_as_one_types(server: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(f"{server}/search")
    page.get_by_role("searchbox").press_sequentially("order theory")
    page.get_by_role("link", name="Order Theory in the Context of Machine Learning").wait_for()
    assert page.url.endswith("/search?q=order+theory")
    assert "found" in page.get_by_role("status").inner_text()
    page.close()


@pytest.mark.parametrize("status", [503, None], ids=["refused", "offline"])
def test_a_search_that_fails_is_seen(server: str, browser: Browser, status: int | None) -> None:
    page = browser.new_page()
    page.goto(f"{server}/search?q=order+theory")
    assert page.locator("[data-list] article").count()
    asked = "**/search/results?*"
    page.route(asked, lambda route: route.fulfill(status=status, body="later") if status else route.abort())
    page.get_by_role("searchbox").fill("token pooling")
    note = page.locator("[data-list] > .note", has_text="did not answer")
    note.wait_for()
    assert note.inner_text() == "The search did not answer. Try again."
    assert page.get_by_role("status").inner_text() == "The search did not answer; press Enter to try again."
    assert page.locator("[data-list] article").count() == 0
    assert (page.title(), page.url) == ("token pooling · Search · cenote", f"{server}/search?q=token+pooling")
    page.unroute(asked)
    page.get_by_role("searchbox").press_sequentially(" layers")
    page.locator("[data-list] article").first.wait_for()
    assert not note.is_visible()
    page.route(asked, lambda route: route.abort())
    page.get_by_role("searchbox").fill("order theory")
    note.get_by_role("link").click()
    page.get_by_role("link", name="Order Theory in the Context of Machine Learning").wait_for()
    assert page.url == f"{server}/search?q=order+theory"
    page.close()


@pytest.mark.parametrize("script", [True, False])
def test_without_filters_keeps_what_was_typed(server: str, browser: Browser, script: bool) -> None:
    context = browser.new_context(java_script_enabled=script)
    page = context.new_page()
    page.goto(f"{server}/search?q=order+theory&shelf=tracking&mode=keyword")
    page.get_by_role("searchbox").fill("token pooling")
    page.get_by_role("button", name="Without filters").click()
    page.wait_for_url(f"{server}/search?q=token+pooling&mode=keyword")
    assert page.get_by_role("searchbox").input_value() == "token pooling"
    assert page.locator("#shelf").input_value() == ""
    assert page.locator("[data-list] article").count()
    context.close()


def test_the_scheme_is_chosen_and_kept(server: str, browser: Browser) -> None:
    context = browser.new_context(color_scheme="light")
    page = context.new_page()
    page.goto(server)
    light = _ground(page)
    page.get_by_role("button", name="Dark").click()
    dark = _ground(page)
    assert dark != light
    page.goto(f"{server}/methods")
    assert _ground(page) == dark
    assert page.get_by_role("button", name="Dark").get_attribute("aria-pressed") == "true"
    context.close()


def test_copying(server: str, browser: Browser) -> None:
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(server + PAPER)
    page.locator("button[data-copy=command]").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "cenote run order-theory"
    context.close()


def test_without_javascript_all_of_it_works(server: str, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(server)
    assert not page.locator("button.theme").is_visible()
    page.get_by_role("searchbox").fill("order theory")
    page.get_by_role("searchbox").press("Enter")
    page.get_by_role("link", name="Order Theory in the Context of Machine Learning").click()
    assert page.url == server + PAPER
    assert not page.locator("button.copy").first.is_visible()
    page.goto(f"{server}/methods")
    page.get_by_label("Shelf").select_option("tracking")
    page.get_by_role("button", name="Show").click()
    assert page.locator(".lines li").count() == 1
    context.close()


def test_the_keyboard_reaches_the_papers(server: str, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(server)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the papers"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "main"
    page.close()


@pytest.mark.skipif("CENOTE_SCREENSHOTS" not in os.environ, reason="CENOTE_SCREENSHOTS names no folder for pictures")
@pytest.mark.parametrize("look", LOOKS)
def test_pictures_of_the_pages(server: str, browser: Browser, look: str) -> None:
    width, height, pixels = LOOKS[look]
    scheme = "dark" if look == "dark" else "light"
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,  # type: ignore[arg-type]
        device_scale_factor=pixels,
    )
    page = context.new_page()
    for name, address in PICTURES.items():
        page.goto(server + address, wait_until="networkidle")
        path = Path(os.environ["CENOTE_SCREENSHOTS"]) / f"{name}-{look}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=path)
        assert path.stat().st_size > 10_000  # more than an empty page
    context.close()


def _ground(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.body).backgroundColor")
    return colour
