"""The papers with cards stand in the store from the beginning, and what others say of them is kept."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path

from cenote.catalog import load_cards
from cenote.site.methods import Methods
from cenote.site.papers import Paper
from cenote.site.seeding import FIRST_RELEASE, seed
from cenote.site.store.database import Database
from cenote.site.store.reading import count_papers, find_paper, newest_day, papers_between
from cenote.site.store.saving import Saved, save_papers

ROOT = Path(__file__).resolve().parents[2]


def test_every_card_is_a_paper_of_the_first_day(database: Database) -> None:
    assert seed(database, (method.card for method in Methods())) == Saved(new=38, changed=0, same=0)
    with database.read() as connection:
        assert newest_day(connection, FIRST_RELEASE) == FIRST_RELEASE
        stored = {each.paper.id: each for each in papers_between(connection, FIRST_RELEASE, FIRST_RELEASE)}
    for card in load_cards():
        paper = stored[card.arxiv].paper
        assert (paper.title, paper.summary, paper.keywords) == (card.title, card.summary, card.topics)
        assert paper.published is not None
        assert (paper.published.date(), paper.author_count) == (card.published, card.authors)
        assert (paper.authors, paper.upvotes, paper.categories) == (None, None, ())
        assert (paper.organization or "") == card.organization
        assert paper.code_url == (str(card.links.code) if card.links.code else None)
        assert paper.project_url == (str(card.links.project) if card.links.project else None)


def test_seeding_again_changes_nothing(database: Database) -> None:
    cards = load_cards()
    seed(database, cards)
    assert seed(database, cards) == Saved(new=0, changed=0, same=38)


def test_what_an_import_says_stays_whether_it_comes_before_or_after(database: Database) -> None:
    after, before, *_ = cards = load_cards()
    abroad = dt.date(2024, 12, 10)

    def imported(paper_id: str) -> Paper:
        return Paper(id=paper_id, title="Its title", summary="Its abstract.", authors=("A", "B"), featured=abroad)

    with database.write() as connection:
        save_papers(connection, [imported(before.arxiv)])
    seed(database, cards)
    with database.write() as connection:
        save_papers(connection, [imported(after.arxiv)])
    seed(database, cards)
    with database.read() as connection:
        first, second = find_paper(connection, before.arxiv), find_paper(connection, after.arxiv)
        assert count_papers(connection) == 38
    assert first is not None
    assert second is not None
    for stored, card in ((first, before), (second, after)):
        assert (stored.paper.title, stored.paper.summary) == ("Its title", "Its abstract.")
        assert (stored.paper.authors, stored.author_count) == (("A", "B"), 2)
        assert stored.paper.keywords == card.topics  # of which the import knew nothing
    assert (first.day, second.day) == (abroad, FIRST_RELEASE)


def test_the_day_is_that_of_the_first_release() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.findall(r"^## \[[^]]+\] - (\d{4}-\d{2}-\d{2})$", changelog, re.MULTILINE)
    assert min(released) == FIRST_RELEASE.isoformat()
    assert f"\ndate-released: {FIRST_RELEASE}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
