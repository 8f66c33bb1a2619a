"""Two rankings made one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

K = 60
"""Keeps the first places of one ranking from outweighing everything in the other (Cormack et al., SIGIR 2009)."""


def fuse(rankings: Sequence[Sequence[int]]) -> dict[int, float]:
    """Return each number's reciprocal rank fusion: the sum of 1 / (60 + rank) over the rankings it is in.

    Example:
        >>> fuse([[7, 8], [8]]) == {7: 1 / 61, 8: 1 / 62 + 1 / 61}
        True
    """
    scores = defaultdict[int, float](float)
    for ranking in rankings:
        for rank, number in enumerate(ranking, start=1):
            scores[number] += 1 / (K + rank)
    return dict(scores)


def best_first(scores: Mapping[int, float], ids: Mapping[int, str]) -> list[int]:
    """Return the numbers that have an identifier, highest score first, ties by identifier."""
    return sorted((number for number in scores if number in ids), key=lambda number: (-scores[number], ids[number]))
