"""From a page to its feeds: in its head, where feed readers look, and where readers see it."""

from __future__ import annotations

import datetime as dt
from xml.etree.ElementTree import Element

import pytest
from fastapi.testclient import TestClient

from cenote.site.papers import Paper

from .conftest import Opening
from .pages import check_page, text_of

PAPER = Paper(id="2501.00001", title="Pooling of Ponds", published=dt.datetime(2025, 1, 3, tzinfo=dt.UTC))
ATOM, JSON_FEED = "application/atom+xml", "application/feed+json"

OWN = {
    "/papers/date/2025-01-03": "date=2025-01-03",
    "/papers/date/2020-01-01?page=2": "date=2020-01-01",
    "/papers/week/2025-W01": "week=2025-W01",
    "/papers/month/2025-01": "month=2025-01",
    "/search?q=pooling+%26+%22ponds%22": "q=pooling+%26+%22ponds%22",
    "/search?q=+ponds&mode=keyword&shelf=pooling&has_code=on&first=20250101&last=soon&page=9": (
        "q=ponds&first=2025-01-01&shelf=pooling&has_code=true&mode=keyword"
    ),
    "/search?author=Zo%C3%AB&mode=magic": "author=Zo%C3%AB",
}
"""What the feeds of a page are asked for."""
WHOLE = "<!doctype html><html><head><title>List</title></head><body><main><h1>List</h1>{}</main></body></html>"
"""A page around a list of results."""


def named(page: Element) -> list[tuple[str, str]]:
    """The feeds in a page's head: their forms and addresses, in their order."""
    found = [each for each in page.iter("link") if each.get("rel") == "alternate"]
    assert all(each.get("title") for each in found)
    return [(each.get("type", ""), each.get("href", "")) for each in found]


def linked(page: Element) -> list[tuple[str, str, str]]:
    """The feeds a page links to above its foot."""
    found = [each for each in page.findall(".//main//a") if each.get("rel") == "alternate"]
    return [(text_of(each), each.get("type", ""), each.get("href", "")) for each in found]


@pytest.mark.parametrize("address", OWN)
def test_a_page_names_its_own_feeds_before_those_of_the_site(client: TestClient, address: str) -> None:
    page = check_page(client.get(address).text)
    atom, json_feed = f"/feed.atom?{OWN[address]}", f"/feed.json?{OWN[address]}"
    assert named(page) == [(ATOM, atom), (JSON_FEED, json_feed), (ATOM, "/feed.atom"), (JSON_FEED, "/feed.json")]
    for media, feed in ((ATOM, atom), (JSON_FEED, json_feed)):
        assert client.head(feed).status_code == 200
        assert client.head(feed).headers["content-type"] == media


@pytest.mark.parametrize(
    "address", ["/", "/papers/trending", "/methods", "/search", "/search?mode=keyword", "/nothing"]
)
def test_other_pages_name_those_of_the_site(client: TestClient, address: str) -> None:
    page = check_page(client.get(address).text)
    assert named(page) == [(ATOM, "/feed.atom"), (JSON_FEED, "/feed.json")]


def test_the_links_are_seen_where_there_are_papers(open_with: Opening) -> None:
    client = open_with(PAPER)
    expected = {"/": "", "/papers/week/2025-W01": "?week=2025-W01", "/search?q=ponds": "?q=ponds"}
    for address, query in expected.items():
        page = check_page(client.get(address).text)
        assert linked(page) == [("Atom", ATOM, f"/feed.atom{query}"), ("JSON Feed", JSON_FEED, f"/feed.json{query}")]
    alone = WHOLE.format(client.get("/search/results?q=ponds").text)
    assert linked(check_page(alone)) == linked(page)
    [link] = [each for each in page.iter("link") if each.get("href") == "/feed.atom?q=ponds"]
    assert link.get("title") == "ponds · Search · cenote"
