"""Trending, neighbours, pages of long lists, BibTeX and pictures of differences, against answers known by hand."""

from __future__ import annotations

import datetime as dt
import math

import pytest

from cenote.catalog.card import Claim
from cenote.catalog.results import Comparison, Verdict
from cenote.site.papers import Paper
from cenote.site.web.citing import bibtex
from cenote.site.web.dotplot import MOST_DOTS, dot_plot

from .conftest import Opening
from .pages import check_page, links, text_of


def paper(number: int, day: dt.date, **more: object) -> Paper:
    published = dt.datetime.combine(day, dt.time(), dt.UTC)
    return Paper.model_validate({"id": f"2501.{number:05}", "title": f"Paper {number}", "published": published} | more)


def test_trending_weighs_votes_against_age(open_with: Opening) -> None:
    today = dt.datetime.now(dt.UTC).date()
    old, new = today - dt.timedelta(days=30), today - dt.timedelta(days=3)
    # After 3 days at least 72 + 2 hours, after 30 at most 744 + 2: a vote is worth over 20 times as much.
    client = open_with(paper(1, old, upvotes=20), paper(2, new, upvotes=2), paper(3, new), paper(4, old, upvotes=900))
    page = check_page(client.get("/papers/trending").text)
    shown = [each for each in links(page) if each.startswith("/papers/2501")]
    assert shown == [f"/papers/2501.0000{number}" for number in (4, 2, 1, 3)]  # the last has no votes


@pytest.mark.parametrize("address", ["/papers/date/9999-12-31", "/papers/month/9999-12", "/papers/date/0001-01-01"])
def test_the_ends_of_the_calendar_have_pages(open_with: Opening, address: str) -> None:
    client = open_with(paper(1, dt.date(9999, 12, 31)), paper(2, dt.date(2025, 1, 3)))
    check_page(client.get(address).text)
    (heading,) = check_page(client.get("/papers/trending").text).iter("h1")
    assert text_of(heading) == "Trending papers"
    headings = [text_of(each) for each in check_page(client.get("/").text).iter() if each.tag in ("h1", "h2")]
    assert "Friday 3 January 2025" in headings  # a date that cannot be is no front page
    assert client.get("/papers/week/9999-W51").status_code == 200


def test_a_page_behind_the_last_says_so(open_with: Opening) -> None:
    html = open_with(paper(1, dt.datetime.now(dt.UTC).date())).get("/papers/trending?page=9").text
    assert "There is no such page" in html
    assert "has no papers yet" not in html


def test_neighbours_are_the_nearest_with_papers(open_with: Opening) -> None:
    days = [dt.date(2025, 1, 3), dt.date(2025, 1, 31), dt.date(2025, 4, 1)]
    client = open_with(*(paper(number, day) for number, day in enumerate(days)))
    assert "/papers/2501.00002" in links(check_page(client.get("/").text))
    for address, expected in {
        "/papers/date/2025-01-31": {"/papers/date/2025-01-03", "/papers/date/2025-04-01"},
        "/papers/month/2025-02": {"/papers/month/2025-01", "/papers/month/2025-04"},
        "/papers/week/2025-W02": {"/papers/week/2025-W01", "/papers/week/2025-W05"},
    }.items():
        page = check_page(client.get(address).text)
        assert {each.get("href") for each in page.iter("a") if each.get("rel") in ("prev", "next")} == expected


def test_a_long_day_has_pages(open_with: Opening) -> None:
    day = dt.date(2025, 1, 3)
    summary = "Long words about pooling, filtering and much else. " * 20
    client = open_with(
        *(paper(n, day, summary=summary, authors=["A", "B"], organization="University") for n in range(120))
    )
    seen: list[str] = []
    for number in (1, 2, 3):
        answer = client.get(f"/papers/date/{day}?page={number}")
        assert len(answer.content) < 60_000
        seen += [each for each in links(check_page(answer.text)) if each.startswith("/papers/2501")]
    assert seen == [f"/papers/2501.{n:05}" for n in range(120)]
    behind = check_page(client.get(f"/papers/date/{day}?page=4").text)
    assert "There is nothing on this page" in text_of(behind)
    assert f"/papers/date/{day}" in links(behind)
    assert "Page 3 of 3" in text_of(check_page(client.get(f"/papers/date/{day}?page=3").text))
    assert "Page 4" not in text_of(behind)


@pytest.mark.parametrize(
    ("title", "written"),
    [
        ("A & B: 50% of #1", r"A \& B: 50\% of \#1"),
        (r"Already \& done", r"Already \& done"),
        ("Deep {N}ets", "Deep {N}ets"),
        ("Ends it} , note = {x", "Ends it , note = x"),
        ("Trailing \\", "Trailing "),
    ],
)
def test_titles_in_bibtex(title: str, written: str) -> None:
    entry = bibtex(Paper(id="hep-th/9901001", title=title))
    assert f"  title = {{{{{written}}}}},\n" in entry
    assert entry.startswith("@misc{arxiv-hep-th-9901001,\n")
    assert entry.count("{") == entry.count("}")


def test_authors_in_bibtex() -> None:
    entry = bibtex(Paper(id="2501.00001", title="T", authors=("Ada Lovelace", "Research and Development")))
    assert "author = {Ada Lovelace and {Research and Development}}" in entry


CLAIM = Claim.model_validate(
    {
        "id": "a",
        "sentence": "It is better than that.",
        "kind": "better",
        "metric": "accuracy",
        "metric_unit": "fraction",
        "subject": "it",
        "baselines": ["that"],
        "margin": 0.01,
        "figure": 0.02,
    }
)


def verdict(*differences: float, low: float = 0.0, high: float = 0.02) -> Verdict:
    units = tuple(str(index) for index in range(len(differences)))
    comparison = Comparison(
        baseline="that", estimate=0.01, low=low, high=high, test_low=low, test_high=high,
        units=units, differences=differences,
    )  # fmt: skip
    return Verdict(
        claim="a", data="x", word="unclear", reason="So.", units=len(units), seeds=1, comparisons=(comparison,)
    )


def test_a_picture_places_values_in_proportion() -> None:
    plot = dot_plot(CLAIM, verdict(-0.02, 0.0, 0.03))
    assert plot is not None
    (strip,) = plot.strips
    assert strip is not None
    # From −0.02 to 0.03 on 3 to 97 per cent: 18.8 per cent for each point.
    assert [x for x, _ in strip.dots] == [3.0, 40.6, 97.0]
    assert (strip.low, strip.estimate, strip.high) == (40.6, 59.4, 78.2)
    assert plot.reference.x == 40.6
    assert [each.x for each in plot.margins] == [59.4]
    assert plot.paper is not None
    assert plot.paper.x == 78.2
    assert [(tick.x, tick.text) for tick in plot.ticks] == [
        (3.0, "−2"), (21.8, "−1"), (40.6, "0"), (59.4, "+1"), (78.2, "+2"), (97.0, "+3"),
    ]  # fmt: skip


def test_a_picture_leaves_out_what_is_no_number_and_thins_out_many() -> None:
    plot = dot_plot(CLAIM, verdict(0.0, math.nan, 0.01))
    assert plot is not None
    assert plot.strips[0] is not None
    assert (len(plot.strips[0].dots), plot.strips[0].units) == (2, 3)
    plot = dot_plot(CLAIM, verdict(*(index / 1e5 for index in range(3000))))
    assert plot is not None
    assert plot.strips[0] is not None
    assert len(plot.strips[0].dots) == MOST_DOTS
    assert dot_plot(CLAIM, verdict(0.0, low=math.nan, high=math.nan)) is None
