"""Every page of readers, mail and runs on a phone, full of long words: nothing is wider than the phone, nor hidden."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from fastapi.routing import APIRoute
from sqlalchemy import insert, update

from cenote.catalog import get_card
from cenote.site.mail.scopes import Scope, ScopeKind
from cenote.site.mail.subscriptions import Frequency, leave_token, new_confirmation, subscribe
from cenote.site.methods import Method
from cenote.site.papers import Paper
from cenote.site.readers.comments import add_comment
from cenote.site.runs.keeper import RunKeeper
from cenote.site.runs.queue import State
from cenote.site.settings import SiteSettings
from cenote.site.state import Site
from cenote.site.store.database import Database
from cenote.site.store.locks import exclusive
from cenote.site.store.mail_tables import subscriptions
from cenote.site.store.reader_tables import readers
from cenote.site.store.run_tables import runs
from cenote.site.store.saving import save_papers
from cenote.site.web import accounts, operating, privacy, running, signing_in, subscribing, talk

from ..visiting import OPERATOR, Browser, Post, Visited
from .chromium import NEEDS_CHROMIUM, OPEN_ALL, ROWS, SITE, answer_from
from .conftest import FakeSearch, SomeMethods

if TYPE_CHECKING:
    from playwright.sync_api import Browser as Chromium
    from playwright.sync_api import Page

pytestmark = NEEDS_CHROMIUM

NOW = dt.datetime.now(dt.UTC)
WORD = "pneumonoultramicroscopicsilicovolcanoconiosis" * 7
CARD = get_card("order-theory").model_copy(update={"title": f"Method {WORD[:300]}"})
PAPER = f"/papers/{CARD.arxiv}"
SPAM = f"{WORD[:64]}@{'.'.join([WORD[:60]] * 3)}.org"
TOKEN, KEY = "t" * 43, "k" * 43
RUNS = {state: f"{number:016x}" for number, state in enumerate(State)}
STARTING = "f" * 16

ADDRESSES = {
    "/account": [""],
    "/account/delete": [""],
    "/account/deleted": [""],
    "/confirm/{token}": ["token", TOKEN],
    "/operate": ["", "?page=2"],
    "/privacy": [""],
    "/runs": [""],
    "/runs/{run_id}": [*RUNS.values(), STARTING, "x" * 300],
    "/runs/{run_id}/log": [RUNS[State.QUEUED]],
    "/sign-in": ["", f"?next=/{WORD}"],
    "/sign-in/sent": [""],
    "/sign-in/{token}": ["token", TOKEN],
    "/subscribe": ["", f"?scope=search&search=q={WORD}"],
    "/subscribe/confirmed": [""],
    "/subscribe/sent": [""],
    "/u/{token}": ["token", TOKEN],
}
"""Addresses by their routes: what stands for the token or the run, or comes behind."""

ELSEWHERE = {"/account/data.json", "/comments/{number}", "/runs/{run_id}/report", "/runs/{run_id}/report/{file:path}"}
"""No pages of the site's own."""


def fill(site: Site) -> None:
    """Put long words wherever a reader, or a run, may write something."""
    browser = Visited(site).reader(SPAM)
    text = f"{WORD} `{WORD}` <https://example.org/{WORD}>\n\n> {WORD}\n\n- {WORD}\n\n```\n{WORD}\n```"
    with site.database.write() as connection:
        connection.execute(update(readers).values(name=WORD[:60], name_key=WORD[:60]))
        add_comment(connection, 1, 1, text, NOW)
        rows = [{"id": run_id, "state": state, "preset": f"p{run_id[-1]}"} for state, run_id in RUNS.items()]
        for row in [*rows, {"id": STARTING, "preset": "smoke", "slug": WORD, "state": State.RUNNING}]:
            told = {"trial": f"{WORD}/{WORD}", "done": 3, "total": 7} if row["id"] != STARTING else {}
            common = {
                "slug": CARD.slug,
                "preset": "smoke",
                "owner": "",
                "requested": NOW,
                "message": WORD,
                "host": WORD,
            }
            times = {"started": NOW, "finished": NOW if row["state"].ended else None}
            connection.execute(insert(runs).values(common | told | times | row))
    assert site.runs is not None
    for run_id in RUNS.values():
        path = site.runs.files.log(run_id)
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"{WORD * 3}\n" * 40)
    olga = Visited(site).reader(OPERATOR)
    olga.post("/operate/block", address=SPAM)
    olga.post("/operate/feature", paper=CARD.arxiv, day=NOW.date().isoformat())
    with site.database.write() as connection:
        scope = Scope(ScopeKind.SEARCH, f"q={WORD}")
        subscribe(connection, site.secret, OPERATOR, Frequency.DAILY, scope, NOW)
        connection.execute(update(subscriptions).values(key=KEY))
        for _ in range(talk.PAGE + 1):  # two pages
            add_comment(connection, 1, 2, text, NOW)
    assert browser.get("/account").status_code == 303  # the block has ended it


@pytest.fixture(scope="module")
def olga(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """An operator's browser at a site where mail is set up and runs are allowed, though none is started."""
    home = tmp_path_factory.mktemp("home").resolve()
    settings = SiteSettings(home=home, operators=OPERATOR)
    methods = SomeMethods([Method(CARD, (), stale=False)], home)
    with Database(f"sqlite:///{home}/store.sqlite3") as database, ExitStack() as stack:
        assert stack.enter_context(exclusive(database, home, "runs"))
        keeper = RunKeeper(settings, database, methods)
        stack.callback(keeper.close)
        with database.write() as connection:
            save_papers(connection, [Paper(id=CARD.arxiv, title=CARD.title, published=NOW)])
        search: Any = FakeSearch()
        site = Site(settings, database, methods, search, Post(), keeper)  # type: ignore[arg-type]
        fill(site)
        yield Visited(site).reader(OPERATOR)


@pytest.fixture
def page(olga: Browser, browser: Chromium) -> Iterator[Page]:
    """A phone's page."""
    context = browser.new_context(viewport={"width": 360, "height": 800})
    opened = context.new_page()
    answer_from(olga.client, opened)
    opened.route("**/events", lambda route: route.fulfill(status=503))  # a stream that does not end
    yield opened
    context.close()


def check(page: Page) -> None:
    """Nothing reaches over the right edge but what can be scrolled there by itself."""
    assert page.locator("h1").count() == 1
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    cut = """() => [...document.querySelectorAll('main *')].filter(each => {
        const place = each.getBoundingClientRect();
        return place.width && place.right > 361 && !each.closest('pre, .scroll, .unseen, thead');
    }).map(each => each.outerHTML.slice(0, 200))"""
    assert page.evaluate(cut) == []
    for table in page.locator("table").all():
        assert table.evaluate("each => each.scrollWidth <= each.parentElement.clientWidth")


def token_for(olga: Browser, route: str) -> str:
    """A token with which a route has something to show."""
    site = olga.visited.site
    if route.startswith("/sign-in"):
        return olga.visited.link("a" + SPAM)  # one that is not blocked
    if route.startswith("/u"):
        return leave_token(site.secret, KEY)
    with site.database.write() as connection:
        return new_confirmation(connection, OPERATOR, NOW)


@pytest.mark.parametrize(("route", "last"), [(route, last) for route, all_ in ADDRESSES.items() for last in all_])
def test_no_page_is_wider_than_a_phone(olga: Browser, page: Page, route: str, last: str) -> None:
    last = token_for(olga, route) if last == "token" else last
    if route == "/sign-in":  # who is signed in is led on
        answer_from(olga.visited.browser().client, page)
    answer = page.goto(SITE + route.partition("{")[0] + last + route.partition("}")[2])
    assert answer is not None
    if route.endswith("/log"):
        assert answer.status == 200  # text alone, which the browser itself shows
        return
    check(page)


@pytest.mark.parametrize("width", [320, 360, 390, 440, 480, 520, 640])
def test_no_entry_of_the_navigation_stands_alone(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(SITE)
    rows = page.evaluate(ROWS)
    assert sum(map(len, rows)) == 6
    assert all(len(row) > 1 for row in rows)
    assert all(each >= 24 for row in rows for size in row for each in size)  # WCAG 2.5.8
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_there_is_no_other_page() -> None:
    modules = (accounts, operating, privacy, running, signing_in, subscribing, talk)
    routes = [route for module in modules for route in module.router.routes if isinstance(route, APIRoute)]
    there = {route.path for route in routes if "GET" in route.methods and not route.path.endswith("/events")}
    assert there == ADDRESSES.keys() | ELSEWHERE


def test_the_page_of_a_paper_with_comments_and_runs(page: Page) -> None:
    page.goto(SITE + PAPER)
    assert page.get_by_role("button", name="Run smoke").is_visible()
    assert page.locator(".comment").count() == talk.PAGE
    check(page)


SENT = {
    "an address that is none": ("/operate/block", {"address": WORD}, 422),
    "a paper that is none": ("/operate/feature", {"paper": WORD, "day": WORD}, 422),
    "a name that is none": ("/account/name", {"name": WORD}, 422),
    "a comment that is too long": (f"{PAPER}/comments", {"text": WORD * 20}, 422),
    "a comment in an old form": (f"{PAPER}/comments", {"text": WORD, "csrf": "old"}, 403),
    "a preset that is none": (f"{PAPER}/runs", {"preset": WORD}, 400),
    "a subscription that is none": ("/subscribe", {"address": WORD, "frequency": "daily", "scope": "all"}, 422),
}


@pytest.mark.parametrize("what", SENT)
def test_what_is_refused_fits_a_phone(olga: Browser, page: Page, what: str) -> None:
    address, fields, status = SENT[what]
    answer: httpx.Response = olga.client.post(address, data={"csrf": olga.token("/account"), **fields})
    assert answer.status_code == status
    page.route(f"{SITE}/refused", lambda route: route.fulfill(body=answer.content, content_type="text/html"))
    page.goto(f"{SITE}/refused")
    check(page)


def test_what_is_not_there_yet_is_not_shown(page: Page) -> None:
    page.goto(f"{SITE}/runs/{STARTING}")
    assert not page.locator("progress").is_visible()
    assert not page.locator(".log").is_visible()
    assert page.get_by_text("It has printed nothing yet.").is_visible()
    page.goto(f"{SITE}/runs/{RUNS[State.RUNNING]}")
    assert page.locator("progress").is_visible()
    assert page.locator(".log").is_visible()
    assert not page.get_by_text("It has printed nothing yet.").is_visible()
