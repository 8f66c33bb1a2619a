"""What lists and cards say, and what they leave out: reasons, unknown counts, many authors, filters, the API."""

from __future__ import annotations

import datetime as dt
from collections import Counter

import pytest
from fastapi.testclient import TestClient

from cenote.catalog import load_cards
from cenote.catalog.results import RESULTS
from cenote.site.papers import Paper
from cenote.site.search import Found, Hit, Mode, Reason
from cenote.site.store.reading import StoredPaper

from .conftest import FakeSearch, Opening
from .pages import check_page, links, text_of

CARDS = load_cards()
MEASURED = [card for card in CARDS if (RESULTS / card.slug).is_dir()]
DAY = dt.datetime(2025, 1, 3, tzinfo=dt.UTC)
PAPER = Paper(
    id="2501.00001", title=r"A \emph{fast} $O(n^2)$ method", summary=r"It is $\leq$ --- ``good''.", published=DAY
)


def found(*reasons: Reason, total: int = 1, **more: object) -> FakeSearch:
    hits = (Hit(StoredPaper(1, DAY.date(), PAPER), 1.0, reasons),)
    return FakeSearch(Found(hits, total, more.pop("mode", Mode.HYBRID), **more), hits)  # type: ignore[arg-type]


# --- cards --------------------------------------------------------------------------------------------------------


def test_a_card_says_nothing_of_votes_that_nobody_counted(open_with: Opening) -> None:
    page = check_page(open_with(PAPER).get("/papers/trending").text)
    assert [each.get("class") for each in page.iter("li") if each.get("class")] == []
    assert "vote" not in text_of(page.find(".//article"))


def test_a_card_counts_votes_and_comments(open_with: Opening) -> None:
    page = check_page(open_with(PAPER.model_copy(update={"upvotes": 0, "comments": 1})).get("/papers/trending").text)
    assert [text_of(each) for each in page.findall(".//article//li")][:2] == ["0 votes", "1 comment"]


def test_a_hit_of_meaning_alone_shows_the_summary(open_with: Opening) -> None:
    html = open_with(PAPER, search=found(Reason("meaning", "Close in meaning: 0.71"))).get("/search?q=x").text
    text = text_of(check_page(html).find(".//article"))
    assert "It is ≤ — “good”." in text
    assert "Close in meaning: 0.71" in text


def test_what_matched_is_marked_where_it_stands(open_with: Opening) -> None:
    title, summary = Reason("title", "A fast O(n²) method", ((2, 6),)), Reason("summary", "… is good.", ((5, 9),))
    page = check_page(open_with(PAPER, search=found(title, summary)).get("/search?q=x").text)
    article = page.find(".//article")
    assert [each.text for each in article.findall("h2/a/mark")] == ["fast"]
    assert [each.text for each in article.findall("p/mark")] == ["good"]
    assert text_of(article).count("A fast O(n²) method") == 1
    assert article.find("ul[@class='reasons']") is None


@pytest.mark.parametrize(
    ("search", "sentence"),
    [
        (found(total=12), "12 papers found by words and meaning."),
        (found(total=200, mode=Mode.KEYWORD, matched=636), "The best 200 of 636 papers found by words."),
        (
            found(total=243, matched=1_043, more=True),
            "The best 243 of more than 1,000 papers found by words and meaning.",
        ),
        (found(total=100, mode=Mode.SEMANTIC, matched=100, more=True), "The 100 papers closest in meaning."),
    ],
)
def test_a_search_says_how_many_there_are(open_with: Opening, search: FakeSearch, sentence: str) -> None:
    page = check_page(open_with(search=search).get("/search?q=x").text)
    assert sentence in [text_of(each) for each in page.iter("p")]


def test_a_page_behind_the_last_of_a_search_leads_to_the_first(open_with: Opening) -> None:
    search = FakeSearch(Found((), 31, Mode.KEYWORD, matched=31))
    page = check_page(open_with(search=search).get("/search?q=pooling&shelf=pooling&mode=keyword&page=40").text)
    [link] = [each for each in page.iter("a") if text_of(each) == "first page"]
    assert link.get("href") == "/search?shelf=pooling&q=pooling&mode=keyword"
    assert [each for each in page.iter("nav") if each.get("class") == "pager"] == []
    assert "of 2" not in text_of(page)


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ("q=+a+%26+b&shelf=pooling&first=soon&mode=semantic", "?q=a+%26+b&mode=semantic"),
        ("q=&author=Ada&mode=hybrid", ""),
    ],
)
def test_filters_are_taken_away(open_with: Opening, asked: str, left: str) -> None:
    answer = open_with().get(f"/search?{asked}&without=filters")
    assert (answer.status_code, answer.headers["location"]) == (303, f"/search{left}")


def test_a_command_in_a_note_is_code(open_with: Opening) -> None:
    page = check_page(open_with(search=found(note="Off: `cenote embed` makes it.")).get("/search?q=x").text)
    [note] = [each for each in page.iter("p") if each.get("class") == "note"]
    assert (text_of(note), [each.text for each in note.iter("code")]) == (
        "Off: cenote embed makes it.",
        ["cenote embed"],
    )


# --- a paper ------------------------------------------------------------------------------------------------------


def test_pages_have_no_tex_and_bibtex_keeps_it(open_with: Opening) -> None:
    client = open_with(PAPER)
    title = "A fast O(n²) method"
    page = check_page(client.get("/papers/2501.00001").text)
    assert text_of(page.find(".//h1")) == title
    assert "It is ≤ — “good”." in text_of(page)
    assert client.get("/papers/2501.00001.md").text.startswith(f"# {title}\n")
    assert client.get("/feed.json").json()["items"][0]["title"] == title
    assert r"\emph{fast} $O(n^2)$" in client.get("/papers/2501.00001.bib").text


@pytest.mark.parametrize("number", [20, 21, 900])
def test_many_authors_are_folded(open_with: Opening, number: int) -> None:
    names = [f"Author {index}" for index in range(number)]
    page = check_page(open_with(PAPER.model_copy(update={"authors": names})).get("/papers/2501.00001").text)
    folded = page.find(".//details[@class='authors']")
    shown = page.find(".//p[@class='authors']")
    assert [each.text for each in shown.iter("a")] == names[:20]
    assert (folded is not None) == (number > 20)
    if folded is not None:
        assert text_of(folded.find("summary")) == f"and {number - 20} more author{'s' * (number > 21)}"
        assert [each.text for each in folded.iter("a")] == names[20:]


@pytest.mark.parametrize("card", MEASURED, ids=lambda card: card.slug)
def test_regions_of_a_paper_have_names_of_their_own(client: TestClient, card: object) -> None:
    page = check_page(client.get(f"/papers/{card.arxiv}").text)  # type: ignore[attr-defined]
    names = Counter(each.get("aria-label") for each in page.iter() if each.get("role") == "region")
    assert len(names) > 1
    assert set(names.values()) == {1}


# --- lists --------------------------------------------------------------------------------------------------------


def test_claims_pass_the_filters(client: TestClient) -> None:
    def rows(query: str) -> list[str]:
        page = check_page(client.get(f"/claims{query}").text)
        return [text_of(each) for each in page.findall(".//tbody/tr")]

    everything = rows("")
    on_data = rows("?data=cifar10")
    assert 0 < len(on_data) < len(everything)
    assert all("cifar10" in each for each in on_data)
    assert rows("?shelf=pooling") == everything  # all that were measured are of that shelf
    assert rows("?shelf=tracking") == []
    assert set(rows("?verdict=fails&data=cifar10")) == set(rows("?verdict=fails")) & set(on_data)
    assert rows("?shelf=x&verdict=<script>&data=y") == everything
    assert "No claim passes these filters" in client.get("/claims?shelf=tracking").text


def test_methods_and_claims_lead_to_each_other_and_to_the_results(client: TestClient) -> None:
    query = "shelf=pooling&verdict=fails&data=cifar10"
    methods, claims = (check_page(client.get(f"{path}?{query}").text) for path in ("/methods", "/claims"))
    assert f"/claims?{query}" in links(methods)
    assert f"/methods?{query}" in links(claims)
    assert "/methods?shelf=pooling" in links(check_page(client.get("/claims?shelf=pooling&verdict=designed").text))
    histories = {f"/papers/{card.arxiv}/history" for card in MEASURED}
    assert histories & set(links(methods)) == histories & set(links(claims)) != set()


def test_the_newest_result_says_that_it_counts(client: TestClient) -> None:
    page = check_page(client.get(f"/papers/{MEASURED[0].arxiv}/history").text)
    heads = [text_of(each) for each in page.findall(".//section/h2")]
    assert ["newest: counts" in each for each in heads] == [True] + [False] * (len(heads) - 1)


def test_the_api_has_a_page_with_every_route_and_parameter(client: TestClient) -> None:
    assert "/api" in links(check_page(client.get("/").text).find(".//footer"))
    page = check_page(client.get("/api").text)
    described = client.get("/openapi.json").json()["paths"]
    articles = {text_of(each.find("h3")): each for each in page.iter("article")}
    assert set(articles) == set(described)
    for path, operations in described.items():
        shown = [text_of(each) for each in articles[path].iter("dt")]
        assert shown == [each["name"] for each in operations["get"].get("parameters", [])]
    text = text_of(articles["/api/papers/search"])
    assert "By words, by meaning, or both. hybrid, keyword, semantic; hybrid by default" in text
    assert "Number of papers at most. 1 to 100; 20 by default" in text
    assert "`" not in text_of(page)
    assert "/openapi.json" in links(page)
