"""Search by words, alike in both databases."""

from __future__ import annotations

import datetime as dt
import threading
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cenote.catalog import load_cards
from cenote.site.papers import Paper
from cenote.site.search import Filters, Found, Mode, Search, Tags
from cenote.site.search.asking import LONGEST, MOST_WORDS, Query, fold
from cenote.site.search.reasons import EXCERPT, because_of_words, stem
from cenote.site.search.searching import DEPTH
from cenote.site.search.words import MOST_RANKED
from cenote.site.seeding import seed
from cenote.site.store.database import Database
from cenote.site.store.reading import StoredPaper
from cenote.site.store.saving import save_papers

from .conftest import PAPERS, TAGS

POOLING, FILTERING, POOL, EPIDEMICS = (paper.id for paper in PAPERS)


def ids(found: Found) -> list[str]:
    return [hit.stored.paper.id for hit in found.hits]


# --- which papers, in which order ---------------------------------------------------------------------------------


def test_a_word_in_the_title_counts_more_than_one_in_the_summary(search: Search) -> None:
    found = search.find("layers pooling")
    assert ids(found)[0] == POOLING
    assert ids(search.find("noise"))[0] == FILTERING
    assert set(ids(search.find("survey"))) == {POOL, EPIDEMICS}
    assert ids(search.find("survey"))[0] == EPIDEMICS  # the other has it in its summary


def test_papers_with_all_words_come_before_those_with_some(search: Search) -> None:
    assert ids(search.find("noise pooling")) == [FILTERING, *ids(search.find("noise pooling"))[1:]]
    assert set(ids(search.find("noise pooling"))) == {FILTERING, POOL, POOLING}


def test_of_papers_with_some_words_those_with_the_rarest_come_first(database: Database, tmp_path: Path) -> None:
    common = [Paper(id=f"2001.{number:05}", title="Deep deep networks", summary="Networks.") for number in range(40)]
    rare = Paper(id="1901.00001", title="Sieves", summary="Of zeolites, and of what they let through.")
    both = Paper(id="1901.00002", title="Stones", summary="Of zeolites and feldspars.")
    with database.write() as connection:
        save_papers(connection, [*common, rare, both])
    search = Search(database, home=tmp_path, tags={})
    found = search.find("deep networks that simulate zeolites, feldspars ")
    assert ids(found)[:2] == [both.id, rare.id]
    assert len(found.hits) == 20


def test_words_are_found_by_stem_case_and_without_accents(search: Search) -> None:
    assert ids(search.find("FILTERED")) == [FILTERING]
    for name in ("guzman", "Guzmán", "GUZMÁN", "Guzma\u0301n"):
        assert ids(search.find(name)) == [POOLING]
    assert ids(search.find("renyi erdos")) == ids(search.find("Rényi Erdős")) == [EPIDEMICS]
    assert ids(search.find("muller")) == [EPIDEMICS]


def test_names_are_found_beside_words_of_the_title(search: Search) -> None:
    assert ids(search.find("jones filtering"))[0] == FILTERING
    assert ids(search.find("Kalman")) == [FILTERING]


@pytest.mark.parametrize(
    "word", ["pooling", "epidemics", "filtering", "networks", "theory", "signals", "diseases", "guzman", "random"]
)
def test_every_beginning_of_a_word_finds_what_the_word_finds(search: Search, word: str) -> None:
    whole = set(ids(search.find(word)))
    assert whole
    for length in range(3, len(word)):
        assert whole <= set(ids(search.find(word[:length]))), word[:length]


def test_only_the_last_word_is_unfinished(search: Search) -> None:
    assert set(ids(search.find("survey epid"))) == {EPIDEMICS, POOL}
    assert ids(search.find("epid zzz")) == []
    assert ids(search.find("epid. ")) == []


def test_an_exact_title_comes_first(search: Search) -> None:
    for paper in PAPERS:
        assert ids(search.find(paper.title))[0] == paper.id
        assert ids(search.find(f"  {paper.title.upper()}. "))[0] == paper.id


@pytest.mark.parametrize(
    "text",
    [
        "2001.00002",
        "arXiv:2001.00002v3",
        "https://arxiv.org/abs/2001.00002",
        "https://arxiv.org/pdf/2001.00002v1.pdf",
        "see (2001.00002), pooling",
    ],
)
def test_an_identifier_comes_first(search: Search, text: str) -> None:
    found = search.find(text)
    assert ids(found)[0] == FILTERING
    assert found.hits[0].reasons[0].text == FILTERING


def test_an_old_identifier_comes_first(search: Search) -> None:
    assert ids(search.find("hep-th/9901001"))[0] == EPIDEMICS


def test_stop_words_alone_are_words(search: Search, stocked: Database) -> None:
    # PostgreSQL's English index has none of them, only beginnings of others, such as "theory".
    expected = EPIDEMICS if stocked.dialect == "sqlite" else POOLING
    assert ids(search.find("of the"))[0] == expected


def test_of_too_many_papers_those_with_the_words_in_the_title_are_kept(database: Database) -> None:
    old = Paper(id="1901.00001", title="Common words", summary="Of old.")
    new = [
        Paper(id=f"2001.{number:05}", title=f"Paper {number}", summary="words that are common")
        for number in range(MOST_RANKED + 5)
    ]
    with database.write() as connection:
        save_papers(connection, [old])
        save_papers(connection, new)
    found = Search(database, home=Path("no-home"), tags={}).find("common words ", limit=5)
    assert ids(found)[0] == old.id


# --- filters ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (Filters(first=dt.date(2020, 2, 1)), {FILTERING, POOL}),
        (Filters(last=dt.date(2020, 2, 1)), {POOLING, FILTERING, EPIDEMICS}),
        (Filters(first=dt.date(1999, 1, 1), last=dt.date(1999, 1, 1)), {EPIDEMICS}),
        (Filters(first=dt.date(2020, 4, 1), last=dt.date(2020, 4, 1)), set()),  # when one was featured
        (Filters(first=dt.date.min, last=dt.date.max), {POOLING, FILTERING, POOL, EPIDEMICS}),
        (Filters(author="aldo guzman"), {POOLING}),
        (Filters(author="Guzmán"), {POOLING}),
        (Filters(author="Bo Lee"), {FILTERING}),
        (Filters(author="lee"), {FILTERING, POOL}),
        (Filters(author="Jones"), {FILTERING}),
        (Filters(category="cs.CV"), {POOLING}),
        (Filters(category="cs"), {POOLING, POOL}),
        (Filters(category="CS.cv"), {POOLING}),
        (Filters(category="CS"), {POOLING, POOL}),
        (Filters(category="hep-th"), {EPIDEMICS}),
        (Filters(category="c%"), set()),
        (Filters(organization="michigan state"), {POOLING}),
        (Filters(organization="STATE"), {POOLING}),
        (Filters(organization="state michigan"), set()),
        (Filters(organization="michi"), set()),
        (Filters(shelf="pooling"), {POOLING}),
        (Filters(verdict="fails"), {FILTERING}),
        (Filters(verdict="stale"), {POOLING}),
        (Filters(has_code=True), {POOLING, FILTERING}),
        (Filters(has_code=True, verdict="fails"), {FILTERING}),
        (Filters(shelf="no such"), set()),
    ],
)
def test_filters(search: Search, filters: Filters, expected: set[str]) -> None:
    browsed = search.find("", filters=filters)
    assert set(ids(browsed)) == expected
    assert browsed.total == len(expected)
    everything = search.find("pooling epidemics", filters=Filters())
    assert len(ids(everything)) == 4
    assert set(ids(search.find("pooling epidemics", filters=filters))) == expected
    for paper in PAPERS:  # also for what is named
        assert set(ids(search.find(paper.id, filters=filters))) <= expected


def test_dates_are_those_that_cards_show(search: Search, stocked: Database) -> None:
    day = dt.date(2021, 5, 6)
    late = dt.datetime(2021, 5, 6, 23, 59, 59, 999_999, dt.UTC)
    with stocked.write() as connection:
        save_papers(
            connection,
            [
                Paper(id="2105.00001", title="Only featured", featured=day),
                Paper(id="2105.00002", title="Late in the evening", published=late, featured=dt.date(2022, 1, 1)),
                Paper(id="2105.00003", title="A minute later", published=late + dt.timedelta(minutes=1)),
            ],
        )
    for query in ("", "featured evening later"):
        found = search.find(query, filters=Filters(first=day, last=day))
        assert set(ids(found)) == {"2105.00001", "2105.00002"}


@pytest.mark.parametrize("asked", ["École Polytechnique", "école polytechnique", "Ecole", "POLYTECHNIQUE"])
def test_organisations_are_found_without_accents_and_case(search: Search, stocked: Database, asked: str) -> None:
    with stocked.write() as connection:
        save_papers(connection, [Paper(id="2105.00001", title="Abroad", organization="École Polytechnique")])
    assert ids(search.find("", filters=Filters(organization=asked))) == ["2105.00001"]


def test_a_title_as_pages_show_it_finds_its_paper_first(search: Search, stocked: Database) -> None:
    titles = (r"On $\alpha$-divergence and $\beta$-VAE", "Divergence and VAE", r"A \emph{divergence} of $\alpha$ VAE")
    with stocked.write() as connection:
        save_papers(connection, [Paper(id=f"2105.0000{n}", title=title) for n, title in enumerate(titles)])
    shown = "On α-divergence and β-VAE"
    assert ids(search.find(shown))[0] == "2105.00000"
    assert [ids(search.find(shown, limit=1, offset=place))[0] for place in range(3)] == ids(search.find(shown))[:3]
    assert ids(search.find("A divergence of α VAE"))[0] == "2105.00002"
    assert ids(search.find(titles[0]))[0] == "2105.00000"


def test_without_an_encoder_a_search_by_filters_alone_says_so(search: Search) -> None:
    for mode in (Mode.HYBRID, Mode.SEMANTIC):
        found = search.find("", filters=Filters(shelf="pooling"), mode=mode)
        assert (found.mode, found.total) == (Mode.KEYWORD, 1)
        assert "there is no encoder" in found.note
    assert search.find("", mode=Mode.KEYWORD).note == ""
    assert "there is no encoder" in search.without_meaning()


def test_filters_know_whether_any_is_set() -> None:
    assert not Filters()
    assert Filters(has_code=True)
    assert Filters(author="")


def test_without_words_the_newest_come_first(search: Search) -> None:
    assert ids(search.find("")) == [EPIDEMICS, POOL, FILTERING, POOLING]
    assert ids(search.find("  ", limit=2, offset=1)) == [POOL, FILTERING]


def test_pages_follow_each_other(search: Search) -> None:
    whole = ids(search.find("pooling survey noise"))
    pages = [ids(search.find("pooling survey noise", limit=1, offset=offset)) for offset in range(5)]
    assert [each for page in pages for each in page] == whole
    assert search.find("pooling survey noise", limit=1).total == len(whole)


# --- any text -----------------------------------------------------------------------------------------------------

ODD = st.one_of(
    st.text(st.characters(), max_size=200),  # lone surrogates and NUL among them
    st.text(alphabet="\"*^():+-{}'\\&|!<>:AND OR NOT NEAR title poolin,%_\x00\ud800é過", max_size=60),
    st.lists(st.sampled_from(["pooling", "AND", "NEAR(", "title:", "*", '"', "the", "2001.00001", "a" * 300])).map(
        " ".join
    ),
)


@given(text=ODD, limit=st.integers(-1, 5), name=ODD, mode=st.sampled_from(Mode))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_any_text_has_an_answer(search: Search, text: str, limit: int, name: str, mode: Mode) -> None:
    found = search.find(text, limit=limit, mode=mode)
    assert len(found.hits) <= max(0, limit)
    assert len(found.hits) <= found.total <= 4
    search.find(text, filters=Filters(author=name, category=name, organization=name, shelf=name, verdict=name))


LONG = ["x" * 100_000, "pooling " * 20_000, "ab " * 333, " ".join(f"pool{n}ing" for n in range(90)), "\ud800" * 1000]


@pytest.mark.parametrize("text", [*LONG, "\x00", "😀", "NEAR(a b)"])
def test_hostile_texts(search: Search, text: str) -> None:
    assert search.find(text).total <= 4


def test_what_is_read_of_a_query_is_bounded() -> None:
    query = Query.read(" ".join(f"word{number}" for number in range(10_000)))
    assert len(query.text) <= LONGEST
    assert len(query.terms) <= MOST_WORDS


# --- reasons ------------------------------------------------------------------------------------------------------


def test_reasons_name_fields_and_words(search: Search) -> None:
    [hit] = search.find("guzman").hits
    [reason] = hit.reasons
    assert (reason.field, reason.text, reason.marks) == ("authors", "Aldo Guzmán", ((5, 11),))
    first = search.find("pooling layers").hits[0]
    assert [(each.field, each.text[a:b]) for each in first.reasons for a, b in each.marks] == [
        ("title", "pooling"),
        ("title", "layers"),
        ("summary", "layers"),
    ]


WORDS = st.sampled_from(
    ["pooling", "pools", "net", "networks", "Erdős", "a", "過濾", "x-ray", "<b>", "Studies", "study"]
)


@given(title=st.lists(WORDS, min_size=1), summary=st.lists(WORDS, max_size=150), query=st.lists(WORDS, min_size=1))
@settings(max_examples=100, deadline=None)
def test_marks_are_words_of_the_query(title: list[str], summary: list[str], query: list[str]) -> None:
    paper = Paper(id="2001.00001", title=" ".join(title), summary=" ".join(summary))
    terms = Query.read(" ".join(query)).terms
    stems = {stem(term.word) for term in terms}
    last = tuple(term.word for term in terms if term.unfinished)
    for reason in because_of_words(paper, terms):
        end = 0
        assert reason.marks
        assert len(reason.text) <= EXCERPT + 4 or reason.field == "title"
        for first, behind in reason.marks:
            assert end <= first < behind <= len(reason.text)
            marked = fold(reason.text[first:behind])
            assert stem(marked) in stems or marked.startswith(last)
            end = behind
    if set(title) & set(query) - {"a", "<b>"}:
        assert any(reason.field == "title" for reason in because_of_words(paper, terms))


def test_the_excerpt_shows_where_most_words_stand() -> None:
    filler = "nothing of note is said in this part of it. " * 20
    paper = Paper(id="2001.00001", title="Untitled", summary=f"A pool. {filler}Pools of graphs are filtered. {filler}")
    [reason] = because_of_words(paper, Query.read("graph pooling filters").terms)
    assert [reason.text[a:b] for a, b in reason.marks] == ["Pools", "graphs", "filtered"]
    assert reason.text.startswith("… ")
    assert reason.text.endswith(" …")


# --- similar papers, threads --------------------------------------------------------------------------------------


def test_similar_papers_share_telling_words_or_the_shelf(database: Database, tmp_path: Path) -> None:
    titles = {
        "2001.00001": "Deep learning of epidemics on random graphs",
        "2001.00002": "Random graphs that grow",  # one telling word of the first: "random" is anybody's
        "2001.00003": "Graphs of an epidemic",  # both, by their stems
        "2001.00004": "Deep learning with random networks",  # what all papers are about
        "2001.00005": "Nothing alike",  # but on the same shelf
        "2001.00006": "On the shelf beside it",
    }
    with database.write() as connection:
        save_papers(connection, [Paper(id=name, title=title) for name, title in titles.items()])
    tags = {name: Tags("pooling", frozenset(), False) for name in ("2001.00001", "2001.00005")}
    search = Search(database, home=tmp_path, tags=tags | {"2001.00006": Tags("filters", frozenset(), False)})
    said = {
        hit.stored.paper.id: [each.text for each in hit.reasons]
        for hit in search.similar(_stored(search, "2001.00001"))
    }
    assert said == {"2001.00003": ["Shares: graphs, epidemic"], "2001.00005": ["Same shelf: pooling"]}
    assert search.similar(_stored(search, "2001.00004")) == ()


def test_similar_papers_of_the_cards_are_of_their_kind(database: Database, tmp_path: Path) -> None:
    cards = load_cards()
    seed(database, cards)
    shelves = {card.arxiv: card.shelf.value for card in cards}
    search = Search(
        database, home=tmp_path, tags={name: Tags(shelf, frozenset(), False) for name, shelf in shelves.items()}
    )
    pooling = search.similar(_stored(search, "2412.06097"))
    assert len(pooling) == 6
    assert {shelves[hit.stored.paper.id] for hit in pooling} == {"pooling"}
    for card in cards:
        for hit in search.similar(_stored(search, card.arxiv)):
            [reason] = hit.reasons
            same = shelves[hit.stored.paper.id] == card.shelf.value
            assert reason.field == "words" or (
                same and reason.text == f"Same shelf: {card.shelf.value.replace('_', ' ')}"
            )


def _stored(search: Search, paper: str) -> StoredPaper:
    return search.find(paper).hits[0].stored


# --- how many -----------------------------------------------------------------------------------------------------


def test_what_the_ranking_leaves_out_is_counted(database: Database, tmp_path: Path) -> None:
    many = [Paper(id=f"2001.{number:05}", title=f"Pooling {number}") for number in range(1, 301)]
    with database.write() as connection:
        save_papers(connection, many)
    search = Search(database, home=tmp_path, tags={})
    found = search.find("pooling", limit=5, offset=DEPTH - 5)
    assert (len(found.hits), found.total, found.matched, found.more) == (5, DEPTH, 300, False)
    assert search.find("").matched == 300


def test_reasons_are_of_the_text_without_tex() -> None:
    paper = Paper(id="2001.00001", title=r"An \emph{$O(n)$} algorithm", summary=r"Erd\H{o}s \textbf{pooling} in $n^2$")
    title, summary = because_of_words(paper, Query.read("algorithm erdos pooling").terms)
    assert [title.text[a:b] for a, b in title.marks] == ["algorithm"]
    assert title.text == "An O(n) algorithm"
    assert summary.text == "Erdős pooling in n²"
    assert [summary.text[a:b] for a, b in summary.marks] == ["Erdős", "pooling"]


def test_many_threads_may_search(search: Search) -> None:
    expected = {text: ids(search.find(text)) for text in ("pooling", "survey", "noise filter", "guzman")}
    wrong: list[object] = []

    def ask(text: str) -> None:
        wrong.extend(found for _ in range(5) if (found := ids(search.find(text))) != expected[text])

    threads = [threading.Thread(target=ask, args=(text,)) for text in expected for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_search_by_meaning_is_off_without_an_encoder(search: Search) -> None:
    for mode in (Mode.HYBRID, Mode.SEMANTIC):
        found = search.find("pooling", mode=mode)
        assert found.mode is Mode.KEYWORD
        assert "cenote embed" in found.note
        assert found.note.count(". ") == 0
    assert search.find("pooling", mode=Mode.KEYWORD).note == ""


def test_tags_are_of_papers_that_exist() -> None:
    assert set(TAGS) <= {paper.id for paper in PAPERS}
