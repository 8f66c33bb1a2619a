"""What stands beside the feed: how much was measured, and the shelves."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from cenote.site.methods import Methods
from cenote.site.web.chips import Chip, count_chips
from cenote.site.web.shelves import SHELVES, ShelfView


@dataclass(frozen=True)
class Overview:
    """Numbers over all cards."""

    papers: int
    running: int
    measured: int
    verdicts: int
    chips: tuple[Chip, ...]
    shelves: tuple[tuple[ShelfView, int], ...]


def overview(methods: Methods) -> Overview:
    """Count papers, those that run, those with a published result, and verdicts."""
    verdicts = [verdict for method in methods for verdict in method.verdicts]
    counts = Counter(method.card.shelf.value for method in methods)
    return Overview(
        papers=len(methods),
        running=sum(method.card.runs for method in methods),
        measured=sum(method.result is not None for method in methods),
        verdicts=len(verdicts),
        chips=count_chips(verdicts),
        shelves=tuple((view, counts[name]) for name, view in SHELVES.items()),
    )
