"""What readers and sources may send: nothing is executed, nothing is an error of the server."""

from __future__ import annotations

import datetime as dt

import pytest
from fastapi.testclient import TestClient

from cenote.catalog import load_cards
from cenote.catalog.results import RESULTS, latest
from cenote.site.methods import Method
from cenote.site.papers import Paper
from cenote.site.search import Filters, Found, Hit, Mode, Reason
from cenote.site.store.reading import StoredPaper

from .conftest import FakeSearch, Opening
from .pages import check_page, text_of

EVIL = "\"'></title><script>alert(1)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>{{7*7}}"
DAY = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)
PAPER = Paper(
    id="hep-th/9901001",
    title=f"Title {EVIL}",
    summary=f"Summary {EVIL}",
    authors=(f"Author {EVIL}", "B"),
    published=DAY,
    categories=(f"Category {EVIL}",),
    keywords=(f"Keyword {EVIL}",),
    organization=f"Organisation {EVIL}",
    journal_reference=f"Journal {EVIL}",
    doi=EVIL,
    submitted_by=EVIL,
    code_url="https://example.org/?a=1&b=%22",
    upvotes=3,
    comments=1,
)


def hits() -> tuple[Hit, ...]:
    reason = Reason(f"field {EVIL}", f"Because {EVIL}", ((0, 7), (8, 30)))
    return (Hit(StoredPaper(1, DAY.date(), PAPER), 1.0, (reason,)),)


def test_imported_text_stays_text(open_with: Opening) -> None:
    search = FakeSearch(Found(hits(), 1, Mode.KEYWORD, f"Note {EVIL}"), hits())
    client = open_with(PAPER, search=search)
    for address in ("/", "/papers/trending", "/papers/hep-th/9901001", "/search?q=x"):
        answer = client.get(address)
        assert answer.status_code == 200
        page = check_page(answer.text)  # no script but our own, no handler, no address but http(s)
        assert f"Title {EVIL}" in text_of(page)
        assert [each.tag for each in page.iter("img")] == []
    text = text_of(check_page(client.get("/papers/hep-th/9901001").text))
    for name in ("Summary", "Author", "Category", "Keyword", "Organisation", "Journal"):
        assert f"{name} {EVIL}" in text


def test_text_of_cards_and_results_stays_text(open_with: Opening) -> None:
    card = next(card for card in load_cards() if (RESULTS / card.slug).is_dir())
    result = latest(card.slug)
    assert result is not None
    claims = tuple(
        claim.model_copy(update={"sentence": f"Sentence {EVIL}", "note": f"Note {EVIL}", "where": EVIL})
        for claim in card.claims
    )
    verdicts = tuple(verdict.model_copy(update={"reason": f"Reason {EVIL}"}) for verdict in result.verdicts)
    hostile = card.model_copy(update={"claims": claims, "example": f"import x  # {EVIL}"})
    measured = result.model_copy(update={"verdicts": verdicts, "differs": (f"Differs {EVIL}",), "figures": ()})
    paper = Paper(id=card.arxiv, title=card.title, published=DAY)
    client = open_with(paper, methods=[Method(hostile, (measured,), stale=True)])
    for address in (f"/papers/{card.arxiv}", f"/papers/{card.arxiv}/history", "/claims", "/methods"):
        page = check_page(client.get(address).text)
        assert address == "/methods" or f"Sentence {EVIL}" in text_of(page)
        assert "stale" in text_of(page)


def test_markdown_of_hostile_text_holds_no_markup(open_with: Opening) -> None:
    text = open_with(PAPER).get("/papers/hep-th/9901001.md").text
    before, _, _ = text.partition("```bibtex")
    assert "<script" not in before
    assert "<img" not in before


def test_a_link_is_http_or_none(open_with: Opening) -> None:
    """Addresses are checked when papers are read; a store that was written otherwise is not believed either."""
    evil = PAPER.model_copy(update={"code_url": "javascript:alert(1)", "project_url": "data:text/html,x"})
    client = open_with(evil)
    for address in ("/", "/papers/hep-th/9901001"):
        check_page(client.get(address).text)
        assert "javascript:" not in client.get(address).text


NAMES = [
    "nothing",
    "2412.99999",
    "hep-th/0000000",
    "../../etc/passwd",
    "..%2f..%2fetc%2fpasswd",
    "%00",
    "%ff%fe",
    "1" * 3000,
    "2412.06097v",
    "<script>",
    "%3Cscript%3Ealert(1)%3C/script%3E",
    "'; DROP TABLE papers; --",
    "date/2026-99-99",
    "week/2026-W99",
    "month/2026-13",
    "date/%F0%9F%92%A9",
    "过滤",
    "results/x/y.png",
    "x/history",
    "x.md",
    "x.bib",
    ".md",
    "",
]


@pytest.mark.parametrize("name", NAMES)
def test_a_paper_that_is_not_there_is_not_found(client: TestClient, name: str) -> None:
    answer = client.get(f"/papers/{name}")
    assert answer.status_code == 404
    page = check_page(answer.text)
    assert "Not Found" in text_of(page)


QUERIES = [
    "",
    '"',
    "AND",
    "NEAR(",
    "title:*",
    "💩",
    "\x00",
    "\ud800",
    "%",
    "a" * 20_000,
    "' OR 1=1",
    "<b>",
    "+-&|!(){}[]^~*?:\\",
]


@pytest.mark.parametrize("query", QUERIES)
def test_any_query_is_answered(client: TestClient, query: str) -> None:
    params = {"q": query.encode("utf-8", "surrogatepass"), "author": query.encode("utf-8", "surrogatepass")[:300]}
    for address in ("/search", "/search/results"):
        assert client.get(address, params=params).status_code == 200
    check_page(client.get("/search", params=params).text)


@pytest.mark.parametrize("number", ["0", "-1", "x", "1e9", "9" * 400, "٣", "²", ""])
def test_any_page_number_is_answered(client: TestClient, number: str) -> None:
    for address in ("/", "/search?q=pooling", "/papers/month/2026-11"):
        assert client.get(address, params={"page": number}).status_code == 200


def test_the_form_is_read_into_the_search(open_with: Opening) -> None:
    search = FakeSearch()
    client = open_with(search=search)
    client.get(
        "/search?q=++token%20pooling+&mode=semantic&first=2024-01-02&last=2025-03-04&author=Ada&category=cs.CV"
        "&organization=ETH&shelf=pooling&verdict=stale&has_code=1&page=3"
    )
    filters = Filters(
        dt.date(2024, 1, 2), dt.date(2025, 3, 4), "Ada", "cs.CV", "ETH", "pooling", "stale", has_code=True
    )
    assert search.asked == [("token pooling", filters, Mode.SEMANTIC, 20, 40)]


def test_a_filter_that_cannot_be_is_left_out_and_said(open_with: Opening) -> None:
    search = FakeSearch()
    page = check_page(open_with(search=search).get("/search?q=x&first=soon&shelf=cellar&mode=magic").text)
    assert search.asked == [("x", Filters(), Mode.HYBRID, 20, 0)]
    assert "“soon” is no day such as 2026-11-23, so it was left out." in text_of(page)
    assert "“cellar” is no shelf, so it was left out." in text_of(page)


def test_an_empty_store_says_what_to_do(open_with: Opening) -> None:
    client = open_with()
    for address in ("/", "/papers/trending", "/papers/month/2026-11"):
        assert "cenote import daily" in text_of(check_page(client.get(address).text))
    assert "Nothing was measured yet" in text_of(check_page(client.get("/claims").text))


def test_an_error_of_ours_is_a_page_without_its_reason(open_with: Opening) -> None:
    class Broken(FakeSearch):
        def find(self, *args: object, **more: object) -> Found:
            raise RuntimeError("the secret is 42")

    answer = open_with(search=Broken()).get("/search?q=x")
    assert answer.status_code == 500
    assert "the secret is" not in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    check_page(answer.text)


def test_methods_that_are_not_allowed(open_with: Opening) -> None:
    answer = open_with().post("/papers/trending")
    assert answer.status_code == 405
    check_page(answer.text)
