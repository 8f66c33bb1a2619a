"""The list of papers and the page of one, as they are read in a terminal of 80 columns."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import Console, RenderableType

from cenote.catalog import Card, Claim, Result, Verdict, get_card, load_cards
from cenote.catalog.card import Shelf
from cenote.catalog.results import Environment, Hashes
from cenote.catalog.terminal import (
    Entry,
    count_verdicts,
    damage,
    find_papers,
    margin_text,
    paper_page,
    papers_table,
    status_of,
)


def printed(shown: RenderableType, width: int = 80) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(shown)
    return capture.get()


def verdict(word: str, note: str = "", data: str = "digits") -> Verdict:
    return Verdict(claim="accuracy", data=data, word=word, reason="It stands there.", note=note, units=8, seeds=8)  # type: ignore[arg-type]


def result_with(card: Card, *verdicts: Verdict) -> Result:
    return Result.model_validate(
        {
            "slug": card.slug,
            "run_id": "20260102-030405-laptop-0000",
            "preset": "laptop",
            "started": "2026-01-02T03:04:05Z",
            "finished": "2026-01-02T03:05:05Z",
            "seconds": 60.0,
            "commit": "c0ffee",
            "clean": True,
            "hashes": Hashes(claims="a", method="b", experiment="c"),
            "settings": {},
            "environment": Environment(
                python="3.12.1", platform="Linux", processor="A processor", cores=2, memory_gib=8.0, packages={}
            ),
            "data": (),
            "differs": (),
            "records": (),
            "verdicts": verdicts,
        }
    )


# --- the list -----------------------------------------------------------------------------------------------------


def test_slugs_and_titles_are_whole_in_80_columns() -> None:
    shown = printed(papers_table(find_papers()))
    assert max(map(len, shown.splitlines())) <= 80
    firsts = [line.split()[0] for line in shown.splitlines() if not line.startswith(" ")]
    assert firsts == ["paper", *(card.slug for card in load_cards())]
    words = shown.split()
    for card in load_cards():
        assert all(word in words for word in card.title.split())


def test_a_query_and_a_shelf_narrow_the_list() -> None:
    assert [entry.slug for entry in find_papers("order polytope")] == ["order-theory"]
    assert {entry.shelf for entry in find_papers(shelf=Shelf.TRACKING)} == {Shelf.TRACKING}
    assert find_papers("order polytope", Shelf.TRACKING) == []


def test_verdicts_smaller_than_claimed_are_counted_apart() -> None:
    small = "smaller than claimed"
    counts = count_verdicts([verdict("fails"), verdict("holds", small), verdict("holds"), verdict("holds", small)])
    assert list(counts.items()) == [("holds", 1), ("holds, smaller than claimed", 2), ("fails", 1)]
    card = get_card("order-theory")
    shown = " ".join(printed(papers_table([Entry(card.slug, card.shelf, card, counts)])).split())
    assert "✓ 1 holds · ✓ 2 holds, smaller than claimed · ✗ 1 fails" in shown


def test_the_status_counts_the_newest_result(monkeypatch: pytest.MonkeyPatch) -> None:
    card = get_card("order-theory")
    result = result_with(card, verdict("holds", "smaller than claimed"), verdict("unclear"))
    monkeypatch.setattr("cenote.catalog.terminal.latest", {card.slug: result}.get)
    assert status_of(card) == {"holds, smaller than claimed": 1, "unclear": 1}
    assert status_of(get_card("deeplab")) == {}


def test_damaged_papers_stay_in_the_list_and_are_named_in_one_sentence() -> None:
    card = get_card("deeplab")
    entries = [Entry(card.slug, card.shelf, card), Entry("odd-one", Shelf.TRACKING, None, problem="x: not known")]
    assert damage(entries[:1]) == ""
    assert damage(entries) == "odd-one is damaged; 'cenote doctor' says what is wrong"
    assert damage(2 * entries[1:]).startswith("odd-one, odd-one are damaged")
    assert "tracking · damaged" in printed(papers_table(entries))
    assert entries[1].facts() == {
        "slug": "odd-one",
        "title": None,
        "shelf": "tracking",
        "status": "damaged",
        "arxiv": None,
        "published": None,
        "verdicts": {},
        "problem": "x: not known",
    }
    assert "problem" not in entries[0].facts()


# --- the page -----------------------------------------------------------------------------------------------------


def test_show_prints_the_note_and_the_margin() -> None:
    card = get_card("order-theory")
    page = " ".join(printed(paper_page(card, result_with(card, verdict("holds", "smaller than claimed")))).split())
    assert "✓ holds on digits, smaller than claimed: It stands there." in page
    assert "margin: 1 point " in page
    assert "✓ holds on digits: It stands there." in " ".join(
        printed(paper_page(card, result_with(card, verdict("holds")))).split()
    )


@pytest.mark.parametrize(
    ("claim", "said"),
    [
        ({"margin": 0.005, "metric_unit": "fraction"}, "margin: 0.5 points"),
        ({"margin": 0.01, "metric_unit": "fraction"}, "margin: 1 point"),
        ({"margin": 2.0, "metric_unit": "ms"}, "margin: 2 ms"),
        ({"margin": 0.5, "metric_unit": ""}, "margin: 0.5"),
        ({"kind": "ratio", "margin": 2.0, "metric_unit": "ms"}, "ratio claimed: at least 2"),
        ({"kind": "ratio", "margin": 0.5, "lower_is_better": True}, "ratio claimed: at most 0.5"),
        ({"kind": "equal", "margin": 1e-6, "metric_unit": ""}, "tolerance: 1e-06"),
        ({"kind": "trend", "margin": None}, ""),
    ],
)
def test_a_margin_is_written_in_its_unit(claim: dict[str, Any], said: str) -> None:
    plain = get_card("order-theory").claims[0].model_dump() | {"margin_reason": "So."}
    assert margin_text(Claim.model_validate(plain | claim)) == said


def test_what_is_still_to_be_written_is_not_shown_as_a_claim() -> None:
    card = get_card("deeplab")
    claim = card.claims[0].model_copy(update={"sentence": "Write here one falsifiable sentence.", "figure": 0.123})
    page = printed(paper_page(card.model_copy(update={"claims": (claim,)}), None))
    assert "still to be written" in page
    assert "falsifiable" not in page
    assert "0.123" not in page
    assert "still to be written" not in printed(paper_page(card, None))
