from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from cenote.catalog import load_cards, search
from cenote.catalog.card import Card

FACTS = {
    "slug": "plain",
    "title": "Nothing to See",
    "shelf": "filters",
    "status": "listed",
    "arxiv": "2001.00001",
    "published": "2020-01-01",
    "authors": 1,
    "summary": "An account of nothing in particular, told at length. " * 4,
    "topics": ("nought", "void"),
    "claims": (
        {
            "id": "c",
            "sentence": "It exceeds everything else.",
            "kind": "trend",
            "metric": "recall",
            "subject": "s",
            "figure": 1.0,
        },
    ),
}


def make_card(slug: str, **facts: object) -> Card:
    return Card.model_validate(FACTS | {"slug": slug} | facts)


def slugs(cards: list[Card]) -> list[str]:
    return [card.slug for card in cards]


# --- the package's own cards --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("order theory machine learning", "order-theory"),
        ("ORDER Theory", "order-theory"),
        ("order_theory", "order-theory"),
        ("2412.06097", "order-theory"),
        ("poolf", "poolformer"),
        ("ponet", "ponet"),
    ],
)
def test_names_titles_and_numbers_find_the_paper(query: str, first: str) -> None:
    assert search(load_cards(), query)[0].slug == first


@pytest.mark.parametrize("shelf", sorted({card.shelf for card in load_cards()}))
def test_a_shelf_finds_all_its_papers(shelf: str) -> None:
    expected = {card.slug for card in load_cards() if card.shelf == shelf}
    assert expected <= set(slugs(search(load_cards(), shelf)))
    assert expected <= set(slugs(search(load_cards(), shelf.replace("_", " "))))


def test_the_word_pooling_finds_the_shelf_before_papers_that_only_mention_it() -> None:
    cards = load_cards()
    found = search(cards, "pooling")
    about = {card.slug for card in cards if card.shelf == "pooling" or "pooling" in card.title.casefold().split()}
    assert {card.slug for card in found[: len(about)]} == about
    assert len(found) > len(about)
    running = [card.slug for card in cards if card.slug in about and card.runs]
    assert slugs(found)[: len(running)] == running


@pytest.mark.parametrize("query", ["", " ", "\n\t "])
def test_an_empty_query_returns_all_in_their_order(query: str) -> None:
    assert search(load_cards(), query) == list(load_cards())


@given(st.text())
@settings(deadline=None)
def test_no_input_is_an_error(query: str) -> None:
    found = search(load_cards(), query)
    assert len({card.slug for card in found}) == len(found) <= len(load_cards())


@given(st.sampled_from(load_cards()), st.data())
@settings(deadline=None)
def test_any_words_of_a_title_find_the_paper(card: Card, data: st.DataObject) -> None:
    words = data.draw(st.lists(st.sampled_from(card.title.split()), min_size=1))
    cut = data.draw(st.integers(1, 30))
    query = " ".join(word[:cut] for word in words if word[:cut].isalnum())
    assert card in search(load_cards(), query)


LETTERS = st.text("abcdefghilmnoprst", min_size=1, max_size=8)


@given(LETTERS, LETTERS)
@settings(deadline=None)
def test_a_further_word_finds_no_further_paper(first: str, second: str) -> None:
    both = slugs(search(load_cards(), f"{first} {second}"))
    assert set(both) <= set(slugs(search(load_cards(), first)))


@pytest.mark.parametrize("query", ["!!!", "池", "-_-", "🏊", "…"])
def test_what_occurs_nowhere_finds_nothing(query: str) -> None:
    assert search(load_cards(), query) == []


# --- words and weights --------------------------------------------------------------------------------------------


def test_every_word_must_occur_but_not_in_one_field() -> None:
    cards = [
        make_card("both", title="Gather the Few", topics=("sparse", "void")),
        make_card("one", topics=("gather", "x")),
    ]
    assert slugs(search(cards, "gather")) == ["both", "one"]
    assert slugs(search(cards, "gather sparse")) == ["both"]
    assert slugs(search(cards, "sparse gather")) == ["both"]
    assert search(cards, "gather sparse absent") == []


def test_a_word_matches_from_its_beginning_only() -> None:
    cards = [make_card("a", title="Unpooling Revisited")]
    assert slugs(search(cards, "unpool")) == ["a"]
    assert search(cards, "pooling") == []


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ({"title": "About Kernels"}, {"topics": ("kernels", "void")}),
        ({"topics": ("kernels", "void")}, {"claims": ({**FACTS["claims"][0], "sentence": "About kernels only."},)}),  # type: ignore[index]
        (
            {"claims": ({**FACTS["claims"][0], "sentence": "About kernels only."},)},  # type: ignore[index]
            {"summary": f"{FACTS['summary']} Kernels."},
        ),
        ({"title": "About Kernels"}, {"summary": f"{FACTS['summary']} Kernels."}),
        ({"summary": f"{FACTS['summary']} Kernels."}, {"summary": f"{FACTS['summary']} Kernelsmith."}),  # word, prefix
    ],
)
def test_a_hit_in_a_weightier_field_comes_first(better: dict[str, object], worse: dict[str, object]) -> None:
    cards = make_card("worse", **worse), make_card("better", **better)
    assert slugs(search(cards, "kernels")) == ["better", "worse"]
    assert slugs(search(cards[::-1], "kernels")) == ["better", "worse"]


def test_equal_hits_keep_their_order() -> None:
    cards = [make_card(slug, title="About Kernels") for slug in ("c", "a", "b")]
    assert slugs(search(cards, "kernels")) == ["c", "a", "b"]


def test_of_equal_hits_the_one_that_runs_comes_first() -> None:
    claim = FACTS["claims"][0] | {"units": 5, "data": ("d",)}  # type: ignore[index]
    running = {"status": "runs", "example": "x = 1", "claims": (claim,)}
    cards = [
        make_card("a", title="About Kernels"),
        make_card("b", title="About Kernels", **running),
        make_card("c", topics=("kernels", "void"), **running),
    ]
    assert slugs(search(cards, "kernels")) == ["b", "a", "c"]
    assert slugs(search(cards, "")) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("title", "query"),
    [
        ("Hölder Pooling", "holder"),
        ("Holder Pooling", "Hölder"),
        ("Max Straße", "STRASSE"),
        ("β-Rank", "β"),
        ("ﬁnite banks", "finite"),
        ("池化 of Maps", "池"),
        ("Ｐｏｏｌ", "pool"),
        ("H\N{COMBINING DIAERESIS}older", "holder"),
    ],
)
def test_accents_ligatures_and_other_scripts(title: str, query: str) -> None:
    assert slugs(search([make_card("a", title=title), make_card("b")], query)) == ["a"]
