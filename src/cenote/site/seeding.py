"""The papers that have a card, put into the store, so that the feed is never empty."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from cenote.catalog.card import Card
from cenote.site.papers import Paper
from cenote.site.store.database import Database
from cenote.site.store.saving import Saved, save_papers

FIRST_RELEASE = dt.date(2026, 11, 22)
"""The day of cenote 0.1.0, under which the feed shows the papers it began with: on that day this feed featured them,
whatever another feed did before. CHANGELOG.md and CITATION.cff give the same day."""


def seed(database: Database, cards: Iterable[Card]) -> Saved:
    """Put the papers of the cards into the store. What is there already stays, so it may be done at every start.

    Only what the store does not know is filled in. An import may come before or after: what it says of title, abstract,
    authors or votes takes the place of the card's words and is never taken back. The day on which a paper was featured
    is the first that the store heard of: that of the release where the cards came first, as they do since every command
    that opens the store seeds it.

    Args:
        database: The store, migrated.
        cards: Such as those of ``Methods`` or ``load_cards``.
    """
    with database.write() as connection:
        return save_papers(connection, [paper_of(card) for card in cards], fill=True)


def paper_of(card: Card) -> Paper:
    """Return what a card says of its paper. It names no authors, so none are given: only how many there are."""
    links = card.links
    return Paper(
        id=card.arxiv,
        title=card.title,
        summary=card.summary,
        author_count=card.authors,
        published=dt.datetime.combine(card.published, dt.time(), dt.UTC),
        featured=FIRST_RELEASE,
        keywords=card.topics,
        organization=card.organization or None,
        code_url=str(links.code) if links.code else None,
        project_url=str(links.project) if links.project else None,
    )
