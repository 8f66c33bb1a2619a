"""The feeds, read by feedparser and against the rules of JSON Feed 1.1."""

from __future__ import annotations

import datetime as dt
import json
import re
from typing import Any
from xml.etree import ElementTree as ET

import feedparser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from cenote.site.api.feed import EMPTY, Entry, Feed
from cenote.site.api.writing import write_atom, write_json_feed
from cenote.site.papers import one_line
from cenote.site.search import Filters, Mode
from cenote.site.state import Site
from tests.site.api.conftest import BASE, CARD, COUNTED, FULL, HOSTILE, OLD, UNDATED, XSS

NEWEST = [XSS.id, COUNTED.id, FULL.id, CARD, OLD.id]
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
SPACE = "{http://www.w3.org/2005/Atom}"


def atom(client: TestClient, path: str, **parameters: str) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/atom+xml"
    check_atom(ET.fromstring(answer.content))
    parsed = feedparser.parse(answer.content, sanitize_html=False)
    assert not parsed.bozo
    assert parsed.version == "atom10"
    return parsed


def json_feed(client: TestClient, path: str, **parameters: str) -> Any:
    answer = client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/feed+json"
    feed = answer.json()
    check_json_feed(feed)
    return feed


def check_atom(feed: ET.Element) -> None:
    """RFC 4287, 4.1: what a feed and its entries must have exactly once, and no id twice."""
    assert feed.tag == f"{SPACE}feed"
    entries = feed.findall(f"{SPACE}entry")
    for element in (feed, *entries):
        for name in ("id", "title", "updated"):
            [child] = element.findall(SPACE + name)
            assert child.text
        assert RFC_3339.fullmatch(element.findtext(f"{SPACE}updated", ""))
        assert len([each for each in element.findall(f"{SPACE}link") if each.get("rel") == "alternate"]) == 1
    assert len({entry.findtext(f"{SPACE}id") for entry in entries}) == len(entries)
    assert feed.find(f"{SPACE}author/{SPACE}name") is not None


def check_json_feed(feed: dict[str, Any]) -> None:
    """The specification's required fields and types."""
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert set(feed) <= {"version", "title", "home_page_url", "feed_url", "items"}
    assert all(isinstance(feed[name], str) and feed[name] for name in ("title", "home_page_url", "feed_url"))
    for item in feed["items"]:
        assert isinstance(item["id"], str)
        assert isinstance(item["content_html"], str)  # this or content_text is a must
        assert RFC_3339.fullmatch(item["date_published"])
        assert RFC_3339.fullmatch(item["date_modified"])
        assert all(author["name"] for author in item.get("authors", ()))
        assert all(isinstance(tag, str) for tag in item.get("tags", ()))
        assert None not in item.values()
    assert len({item["id"] for item in feed["items"]}) == len(feed["items"])


# --- papers -------------------------------------------------------------------------------------------------------


def test_the_newest_papers(client: TestClient) -> None:
    parsed, other = atom(client, "/feed.atom"), json_feed(client, "/feed.json")
    expected = [f"tag:feed.example,2026:papers/{each}" for each in NEWEST]
    assert [entry.id for entry in parsed.entries] == [item["id"] for item in other["items"]] == expected
    assert [entry.link for entry in parsed.entries] == [f"{BASE}/papers/{each}" for each in NEWEST]
    links = {link.rel: link.href for link in parsed.feed.links}
    assert links == {"self": f"{BASE}/feed.atom", "alternate": f"{BASE}/"}
    assert (other["feed_url"], other["home_page_url"]) == (f"{BASE}/feed.json", f"{BASE}/")
    assert parsed.feed.id == "tag:feed.example,2026:feed/papers"


def test_an_entry_says_what_the_paper_says(client: TestClient) -> None:
    [entry] = atom(client, "/feed.atom", date="2026-02-11").entries
    assert entry.title == FULL.title
    assert entry.summary == FULL.summary
    assert [author.name for author in entry.authors] == list(FULL.authors or ())
    assert [tag.term for tag in entry.tags] == list(FULL.categories)
    assert (entry.published, entry.updated) == ("2026-02-11T00:00:00Z", "2026-02-20T01:02:03Z")
    [item] = json_feed(client, "/feed.json", date="2026-02-11")["items"]
    assert item == {
        "id": entry.id,
        "url": entry.link,
        "title": FULL.title,
        "summary": FULL.summary,
        "content_html": "<p>We pool ponds, fast.</p>",
        "date_published": entry.published,
        "date_modified": entry.updated,
        "authors": [{"name": name} for name in FULL.authors or ()],
        "tags": list(FULL.categories),
    }


def test_a_result_updates_its_papers_entry(client: TestClient, site: Site) -> None:
    method = site.methods.by_paper(CARD)
    assert method is not None
    assert method.result is not None
    [entry] = atom(client, "/feed.atom", date="2026-02-09").entries
    assert dt.datetime(*entry.updated_parsed[:6], tzinfo=dt.UTC) == method.result.finished.replace(microsecond=0)
    assert entry.content[0].value.count("<li>") == len(method.verdicts)


def test_a_day_without_papers_is_a_feed_without_entries(client: TestClient) -> None:
    parsed, other = atom(client, "/feed.atom", date="2020-01-01"), json_feed(client, "/feed.json", date="2020-01-01")
    assert (parsed.entries, other["items"]) == ([], [])
    assert parsed.feed.updated == "1970-01-01T00:00:00Z"
    assert parsed.feed.title == "cenote: papers of 2020-01-01"
    assert other["home_page_url"] == f"{BASE}/papers/date/2020-01-01"


def test_a_search_is_a_feed(client: TestClient, asked: list[tuple[str, Filters, Mode, int, int]]) -> None:
    parsed = atom(client, "/feed.atom", q="posets", shelf="pooling", has_code="1", author="", limit="9")
    assert [entry.link for entry in parsed.entries] == [f"{BASE}/papers/{CARD}"]
    assert parsed.feed.title == "cenote: “posets”, shelf pooling, has_code true"
    links = {link.rel: link.href for link in parsed.feed.links}
    assert links["alternate"] == f"{BASE}/search?q=posets&shelf=pooling&has_code=true"
    assert links["self"] == f"{BASE}/feed.atom?q=posets&shelf=pooling&has_code=true&limit=9"
    again = atom(client, "/feed.atom", has_code="true", limit="50", shelf="pooling", q=" posets ")
    assert again.feed.id == parsed.feed.id
    day = dt.date(2026, 2, 11)
    json_feed(client, "/feed.json", verdict="holds", date="2026-02-11")
    pooling = Filters(shelf="pooling", has_code=True)
    assert asked == [
        ("posets", pooling, Mode.HYBRID, 9, 0),
        ("posets", pooling, Mode.HYBRID, 50, 0),
        ("", Filters(within=(day, day), verdict="holds"), Mode.HYBRID, 50, 0),
    ]


def test_a_search_is_a_feed_in_its_own_mode(
    client: TestClient, asked: list[tuple[str, Filters, Mode, int, int]]
) -> None:
    parsed = atom(client, "/feed.atom", q="posets", mode="keyword")
    links = {link.rel: link.href for link in parsed.feed.links}
    assert links["alternate"] == f"{BASE}/search?q=posets&mode=keyword"
    assert links["self"] == f"{BASE}/feed.atom?q=posets&mode=keyword"
    assert parsed.feed.id != atom(client, "/feed.atom", q="posets", mode="hybrid").feed.id
    assert asked == [("posets", Filters(), Mode.KEYWORD, 50, 0), ("posets", Filters(), Mode.HYBRID, 50, 0)]
    newest = atom(client, "/feed.atom", mode="semantic").feed  # there is nothing to look for
    assert (newest.id, newest.title) == ("tag:feed.example,2026:feed/papers", "cenote: newest papers")
    assert client.get("/feed.atom", params={"mode": "magic"}).status_code == 422


@pytest.mark.parametrize(
    ("name", "period", "found"),
    [
        ("week", "2026-W07", (COUNTED.id, FULL.id, CARD)),
        ("month", "2026-02", (COUNTED.id, FULL.id, CARD)),
        ("month", "2020-01", ()),
    ],
)
def test_a_week_and_a_month_are_feeds(client: TestClient, name: str, period: str, found: tuple[str, ...]) -> None:
    parsed = atom(client, "/feed.atom", **{name: period})
    assert parsed.feed.title == f"cenote: papers of {name} {period}"
    assert [entry.link for entry in parsed.entries] == [f"{BASE}/papers/{each}" for each in found]
    links = {link.rel: link.href for link in parsed.feed.links}
    assert links["alternate"] == f"{BASE}/papers/{name}/{period}"


def test_days_of_the_feed_and_of_publication_are_told_apart(client: TestClient) -> None:
    published = FULL.published.date().isoformat()
    asked = {"first": published, "last": published}
    assert [each.link for each in atom(client, "/feed.atom", **asked).entries] == [f"{BASE}/papers/{FULL.id}"]
    both = atom(client, "/feed.atom", date="2026-02-11", **asked)
    assert [each.link for each in both.entries] == [f"{BASE}/papers/{FULL.id}"]
    assert both.feed.title == f"cenote: papers of 2026-02-11, first {published}, last {published}"
    assert atom(client, "/feed.atom", date="2026-02-12", **asked).entries == []
    for wrong in ({"date": "2026-02-11", "week": "2026-W07"}, {"month": "2026-13"}):
        assert client.get("/feed.atom", params=wrong).status_code in (400, 422)


def test_a_paper_without_a_date_is_in_no_feed(client: TestClient) -> None:
    titles = [entry.title for entry in atom(client, "/feed.atom", q="ponds").entries]
    assert FULL.title in titles
    assert UNDATED.title not in titles  # there is nothing to stand under


# --- results ------------------------------------------------------------------------------------------------------


def test_every_published_result_is_an_entry(client: TestClient, site: Site) -> None:
    results = sorted(
        ((result.finished, method.card.slug, result.run_id) for method in site.methods for result in method.results),
        reverse=True,
    )
    parsed, other = atom(client, "/feed/results.atom"), json_feed(client, "/feed/results.json")
    expected = [f"tag:feed.example,2026:results/{slug}/{run_id}" for _, slug, run_id in results[:50]]
    assert [entry.id for entry in parsed.entries] == [item["id"] for item in other["items"]] == expected
    assert [entry.id for entry in atom(client, "/feed/results.atom", limit="1").entries] == expected[:1]
    newest = next(method for method in site.methods if method.card.slug == results[0][1])
    counts = {word: sum(verdict.word == word for verdict in newest.verdicts) for word in ("holds", "fails")}
    for word, count in counts.items():
        assert (f"{count} {word}" in parsed.entries[0].title) == bool(count)
    for verdict in newest.verdicts:
        assert f"#claim-{verdict.claim}-{verdict.data}" in parsed.entries[0].content[0].value


# --- text stays text ----------------------------------------------------------------------------------------------


def test_what_looks_like_markup_is_text(client: TestClient) -> None:
    [entry] = atom(client, "/feed.atom", date="2026-03-01").entries
    assert entry.title == XSS.title
    assert entry.title_detail.type == "text/plain"
    assert [author.name for author in entry.authors] == list(XSS.authors or ())
    [item] = json_feed(client, "/feed.json", date="2026-03-01")["items"]
    for text in (entry.content[0].value, item["content_html"]):
        assert "<script" not in text
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text


def test_a_query_that_looks_like_markup_is_text(client: TestClient) -> None:
    query = HOSTILE + "\x00\x0b\ufffe\u2028 end"
    parsed = atom(client, "/feed.atom", q=query, author=query)
    shown = one_line(query)
    assert parsed.feed.title == f"cenote: “{shown}”, author {shown}"
    assert "<" not in parsed.feed.links[0].href
    assert json_feed(client, "/feed.json", q=query)["title"] == f"cenote: “{shown}”"


@given(st.text().map(one_line))
def test_any_text_comes_back_from_both_forms(text: str) -> None:
    now = dt.datetime(2026, 1, 2, 3, 4, 5, 678, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    entry = Entry("tag:x,2026:1", text, "https://x.example/1", now, now, text, f"<p>{len(text)}</p>", (text,), (text,))
    feed = Feed("tag:x,2026:feed", text, "https://x.example/", "https://x.example/feed", [entry])
    root = ET.fromstring(write_atom(feed))
    found = root.find(f"{SPACE}entry")
    assert found is not None
    paths = (f"{SPACE}title", f"{SPACE}summary", f"{SPACE}author/{SPACE}name")
    assert [found.findtext(path) for path in paths] == [text] * 3
    assert found.findtext(f"{SPACE}updated") == "2026-01-02T01:04:05Z"
    parsed = json.loads(write_json_feed(feed))
    assert parsed["title"] == text
    assert parsed["items"][0].get("title", "") == text


def test_a_feed_without_entries_changed_at_no_time() -> None:
    assert Feed("tag:x,2026:feed", "Title", "https://x.example/", "https://x.example/feed", []).updated == EMPTY


@pytest.mark.parametrize("path", ["/feed.atom", "/feed/results.atom"])
def test_addresses_are_those_that_readers_write(client: TestClient, path: str) -> None:
    content = client.get(path).text
    addresses = re.findall(r'href="([^"]*)"', content)
    assert addresses
    assert all(address.startswith(f"{BASE}/") for address in addresses)
