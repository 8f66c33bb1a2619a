"""Search over cards: a handful of weighted fields, prefix matches, no index to build."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from cenote.catalog.card import Card

_WEIGHTS = {"name": 8.0, "shelf": 8.0, "topics": 4.0, "claims": 2.0, "summary": 1.0}
"""What a match in a field is worth; a whole word counts twice a prefix.

A paper on the shelf "pooling" is about pooling whether or not its title says so.
"""


def search(cards: Iterable[Card], query: str) -> list[Card]:
    """Return the cards in which every word of the query occurs (as a word's beginning), best match first.

    Of equal matches those that run come first; otherwise the cards' order stays. An empty query returns all cards in
    their order, one of signs alone returns none. No input is an error.

    Example:
        >>> from cenote.catalog import load_cards
        >>> [card.slug for card in search(load_cards(), "order polytope")]
        ['order-theory']
    """
    if not query.strip():
        return list(cards)
    words = _words(query)
    scores = [(_score(card, words), card) for card in cards]
    found = sorted(scores, key=lambda scored: (-scored[0], not scored[1].runs))
    return [card for score, card in found if score > 0]


def _score(card: Card, words: list[str]) -> float:
    fields = _fields(card)
    scores = [max(_WEIGHTS[name] * _match(word, text) for name, text in fields.items()) for word in words]
    return sum(scores) if all(scores) else 0.0


@lru_cache(maxsize=1024)
def _fields(card: Card) -> dict[str, list[str]]:
    return {
        "name": _words(f"{card.slug} {card.title} {card.arxiv}"),
        "topics": _words(" ".join(card.topics)),
        "shelf": _words(card.shelf),
        "claims": _words(" ".join(f"{claim.sentence} {claim.metric}" for claim in card.claims)),
        "summary": _words(card.summary),
    }


def _match(word: str, text: list[str]) -> float:
    if word in text:
        return 2.0
    return 1.0 if any(other.startswith(word) for other in text) else 0.0


def _words(text: str) -> list[str]:
    """Letters and digits of any script; accents are dropped, so that ``Holder`` finds ``Hölder``."""
    parts = unicodedata.normalize("NFKD", text)
    plain = "".join(character for character in parts if not unicodedata.combining(character))
    return re.findall(r"[^\W_]+", plain.casefold())
