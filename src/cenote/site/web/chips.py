"""Verdicts in a few words, each with its sign, so that colour is never needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from cenote.catalog.results import ICONS, Verdict
from cenote.site.methods import Method

_ORDER = ("fails", "holds", "unclear", "designed")
_PLURALS = {"fails": "fail", "holds": "hold"}


@dataclass(frozen=True)
class Chip:
    """A sign, a text, and the word that gives them their colour."""

    word: str
    icon: str
    text: str


STALE = Chip("stale", "↻", "stale")
LISTED = Chip("listed", "○", "listed")


def count_chips(verdicts: Iterable[Verdict]) -> tuple[Chip, ...]:
    """Count verdicts by word: '✗ 1 fails', '✓ 3 hold'."""
    counts: Counter[str] = Counter(verdict.word for verdict in verdicts)
    return tuple(
        Chip(word, ICONS[word], f"{counts[word]} {word if counts[word] == 1 else _PLURALS.get(word, word)}")
        for word in _ORDER
        if counts[word]
    )


def method_chips(method: Method) -> tuple[Chip, ...]:
    """What is known of a paper with a card: its verdicts, that they are stale, or how far it is."""
    if method.result is not None:
        return count_chips(method.verdicts) + ((STALE,) if method.stale else ())
    return (Chip("runs", "▸", "runs, not measured yet"),) if method.card.runs else (LISTED,)
