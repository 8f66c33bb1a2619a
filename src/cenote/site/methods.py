"""The papers that have a card, with their published results: what the feed knows of them beyond their text."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cenote.catalog.card import Card
from cenote.catalog.fingerprint import fingerprint, kept_fingerprints
from cenote.catalog.loading import PACKAGE, read_cards
from cenote.catalog.results import RESULTS, Result, Verdict, published
from cenote.errors import ResultError

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Method:
    """A card and the results published for it."""

    card: Card
    results: tuple[Result, ...]
    """Newest first; the first is the one that counts."""
    stale: bool
    """Whether claims, method or experiment changed since the newest result."""

    @property
    def result(self) -> Result | None:
        """The newest published result."""
        return self.results[0] if self.results else None

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """The verdicts of the newest published result, one a claim and data set."""
        return self.results[0].verdicts if self.results else ()


class Methods:
    """All cards, by slug and by arXiv identifier, in the order of the catalog: the newest paper first.

    A damaged card is left out, and a paper with a damaged result has none: one of them is no reason to close the site.
    The log says which.

    Args:
        package: Where the cards are.
        results: Where the published results lie.
        kept: File that keeps the hashes which tell stale results; without one the package is parsed.
    """

    def __init__(self, package: Path = PACKAGE, results: Path = RESULTS, *, kept: Path | None = None) -> None:
        self.folder = results
        """Where the published results lie."""
        cards, damaged = read_cards(package)
        for each in damaged:
            _log.error("left out: %s", each.problem)
        with_results = [(card, _published(card, results)) for card in cards]
        judged = [card for card, found in with_results if found]
        now = kept_fingerprints(judged, kept, package) if kept else {c.slug: fingerprint(c, package) for c in judged}
        self._all = tuple(
            Method(card, found, stale=bool(found) and found[0].hashes != now[card.slug]) for card, found in with_results
        )

    def __iter__(self) -> Iterator[Method]:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def by_slug(self, slug: str) -> Method | None:
        """Return the method with this slug."""
        return self._slugs.get(slug)

    def by_paper(self, paper_id: str) -> Method | None:
        """Return the method of the paper with this arXiv identifier."""
        return self._papers.get(paper_id)

    @cached_property
    def _slugs(self) -> dict[str, Method]:
        return {method.card.slug: method for method in self._all}

    @cached_property
    def _papers(self) -> dict[str, Method]:
        return {method.card.arxiv: method for method in self._all}


def _published(card: Card, root: Path) -> tuple[Result, ...]:
    try:
        return tuple(published(card.slug, root))
    except ResultError as error:
        _log.error("shown without results: %s", error)
        return ()
