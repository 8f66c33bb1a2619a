"""Long words, many authors and live search in Chromium, which asks the application itself and no server."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from fastapi.testclient import TestClient

from cenote.catalog import load_cards
from cenote.catalog.results import RESULTS
from cenote.site.app import create_app
from cenote.site.methods import Method, Methods
from cenote.site.papers import Paper
from cenote.site.search import Found, Hit, Mode, Reason
from cenote.site.settings import SiteSettings
from cenote.site.state import Site
from cenote.site.store.database import Database
from cenote.site.store.reading import StoredPaper
from cenote.site.store.saving import save_papers

from .chromium import NEEDS_CHROMIUM, OPEN_ALL, ROWS, SITE, answer_from
from .conftest import FakeSearch, SomeMethods

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = NEEDS_CHROMIUM

WORD = ("pneumonoultramicroscopicsilicovolcanoconiosis" * 7)[:300]
LONG = Paper(
    id="2501.00001",
    title=f"Title {WORD}",
    summary=f"Summary {WORD}",
    authors=tuple(f"Author {WORD} {number}" for number in range(25)),
    published=dt.datetime(2025, 1, 3, tzinfo=dt.UTC),
    categories=(WORD,),
    keywords=(WORD,),
    organization=WORD[:200],
    journal_reference=WORD,
    upvotes=3,
    code_url=f"https://example.org/{WORD}",
)
MEASURED = next(card for card in load_cards() if (RESULTS / card.slug).is_dir())


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """A site whose papers and whose published results are full of long words."""
    folder = tmp_path_factory.mktemp("home")
    reasons = (Reason("title", LONG.title, ((6, 306),)), Reason("authors", WORD, ((0, 300),)))
    found = Found((Hit(StoredPaper(1, LONG.day, LONG), 1.0, reasons),), 1, Mode.HYBRID, f"Off: `{WORD}` makes it.")
    card = MEASURED.model_copy(update={"title": f"Method {WORD}"})
    methods = [Method(card, each.results, each.stale) for each in Methods() if each.card.slug == card.slug]
    with Database(f"sqlite:///{folder}/store.sqlite3") as database:
        with database.write() as connection:
            save_papers(connection, [LONG, Paper(id=card.arxiv, title=card.title, published=LONG.published)])
        search = FakeSearch(found, found.hits)
        opened = Site(SiteSettings(home=folder), database, SomeMethods(methods, folder), search)  # type: ignore[arg-type]
        with TestClient(create_app(site=opened)) as client:
            yield client


@pytest.fixture
def page(browser: Browser, site: TestClient) -> Iterator[Page]:
    """A phone's page."""
    context = browser.new_context(viewport={"width": 360, "height": 800})
    opened = context.new_page()
    answer_from(site, opened)
    yield opened
    context.close()


@pytest.mark.parametrize(
    "address",
    [
        "/",
        "/papers/trending",
        "/papers/2501.00001",
        f"/papers/{MEASURED.arxiv}",
        f"/papers/{MEASURED.arxiv}/history",
        f"/search?q={WORD}&author={WORD}",
        f"/search?q=x&first={WORD}",
        "/methods",
        "/claims",
        "/api",
        f"/papers/{WORD}",
    ],
)
def test_a_word_of_three_hundred_letters_makes_no_page_wider(page: Page, address: str) -> None:
    page.goto(SITE + address)
    assert page.locator("h1").count() == 1
    page.evaluate(OPEN_ALL)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("address", ["/claims", f"/papers/{MEASURED.arxiv}/history"])
def test_no_column_of_a_table_is_hidden_on_a_phone(page: Page, address: str) -> None:
    page.goto(SITE + address)
    for table in page.locator("table").all():
        assert table.evaluate("each => each.scrollWidth <= each.parentElement.clientWidth")
        assert table.evaluate("each => each.getBoundingClientRect().right <= 360")


@pytest.mark.parametrize("width", [320, 360, 390])
def test_the_navigation_is_one_row_on_a_phone(page: Page, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(SITE)
    [row] = page.evaluate(ROWS)
    assert len(row) == 4
    assert all(each >= 24 for size in row for each in size)  # WCAG 2.5.8
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_copy_button_covers_no_code(page: Page) -> None:
    page.goto(f"{SITE}/papers/{MEASURED.arxiv}")
    for block in page.locator("div.code").all():
        code, button = block.locator("pre").bounding_box(), block.locator("button").bounding_box()
        assert code is not None
        assert button is not None
        beside = button["x"] >= code["x"] + code["width"] or button["x"] + button["width"] <= code["x"]
        above = button["y"] + button["height"] <= code["y"] + 12  # the code's own padding
        assert beside or above


def test_the_title_of_the_tab_follows_the_search(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto(f"{SITE}/search")
    assert page.title() == "Search · cenote"
    page.get_by_role("searchbox").press_sequentially("order theory")
    expect(page).to_have_title("order theory · Search · cenote")
    page.goto(f"{SITE}/search?q=order+theory")
    assert page.title() == "order theory · Search · cenote"


def test_the_feeds_in_the_head_follow_the_search(page: Page) -> None:
    from playwright.sync_api import expect

    page.goto(f"{SITE}/search")
    named = page.locator("head link[rel=alternate]")
    assert named.count() == 2
    page.get_by_role("searchbox").fill("a & b")
    expect(named).to_have_count(4)
    addresses = [each.get_attribute("href") for each in named.all()]
    own = [f"{SITE}/feed.atom?q=a+%26+b", f"{SITE}/feed.json?q=a+%26+b"]
    assert addresses == [*own, "/feed.atom", "/feed.json"]
    assert named.first.get_attribute("title") == page.title()
    page.get_by_role("searchbox").fill("")
    expect(named).to_have_count(2)
