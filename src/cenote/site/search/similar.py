"""Papers like another where there are no vectors: those that share telling words with it, or its shelf."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from cenote.site.papers import Paper
from cenote.site.search.asking import STOP_WORDS, word_spans
from cenote.site.search.found import Hit, Reason, Tags
from cenote.site.search.reasons import stem
from cenote.site.search.words import TextIndex
from cenote.site.store.reading import StoredPaper, find_papers
from cenote.site.store.tables import papers
from cenote.site.tex import plain

FEWEST_SHARED = 2
"""Telling words that two papers without a common shelf must share: one alone is a coincidence."""
_MOST_COUNTED = 24
_MOST_COMPARED = 200
_MOST_NAMED = 4

# Words of any title in this field. Two papers that share "deep" and "learning" have nothing in common.
_OF_THE_FIELD = """
adaptive algorithm algorithms analysis application applications approach approaches architecture architectures
artificial aware based batch benchmark better beyond case challenges classification comparison concept context
convolutional data dataset datasets deep design detection different domain dynamic efficient empirical end evaluation
exploring fast feature features first framework free fully general generalized generation global good high human image
images improved improving inference information input intelligence joint knowledge language large layer layers learned
learning level local low machine making method methods model modeling modelling models multi need network networks
neural new next novel object one optimal optimization parameter parameters performance perspective pre prediction
problem problems process random rate real representation representations research results review robust scale scaling
scheme self set shot simple single space state strong structure study supervised survey system systems target targeted
task tasks technique techniques test theory time toward towards trained training transformer transformers two
understanding unified universal unsupervised video vision visual way weight weights work world zero
"""
_UNTELLING = STOP_WORDS | frozenset(_OF_THE_FIELD.split())


@dataclass(frozen=True)
class _Likeness:
    """What two papers have in common."""

    shared: tuple[str, ...]
    """Words as the other paper writes them, those of its title first."""
    shelf: str
    """The shelf of both, empty if they have none in common."""

    def __bool__(self) -> bool:
        return bool(self.shelf) or len(self.shared) >= FEWEST_SHARED

    @property
    def score(self) -> float:
        """Higher is more alike; a shelf counts as much as two words."""
        return len(self.shared) + (2 if self.shelf else 0)

    @property
    def reason(self) -> Reason:
        """What is said of it, in one line."""
        if len(self.shared) >= FEWEST_SHARED:
            return Reason("words", f"Shares: {', '.join(self.shared[:_MOST_NAMED])}")
        return Reason("shelf", f"Same shelf: {self.shelf.replace('_', ' ')}")


def alike(
    connection: Connection, index: TextIndex[Any], tags: Mapping[str, Tags], stored: StoredPaper, limit: int
) -> list[Hit]:
    """Return the papers most like one, best first, ties by number; fewer than asked for, or none, where none is.

    Args:
        connection: To the store.
        index: Its text index.
        tags: What cards add to papers.
        stored: The paper.
        limit: How many to return at most.
    """
    words = telling(stored.paper)
    tag = tags.get(stored.paper.id)
    found = find_papers(connection, _candidates(connection, index, list(words.values())[:_MOST_COUNTED], tags, tag))
    found.pop(stored.number, None)
    compared = {number: _likeness(words, each.paper, tag, tags.get(each.paper.id)) for number, each in found.items()}
    kept = sorted((n for n, likeness in compared.items() if likeness), key=lambda n: (-compared[n].score, n))[:limit]
    return [Hit(found[number], compared[number].score, (compared[number].reason,)) for number in kept]


def telling(paper: Paper) -> dict[str, str]:
    """Return the words that say what a paper is about, by their stems: of its title, then of its keywords.

    Example:
        >>> paper = Paper(id="2412.06097", title="Deep Pooling of Posets", keywords=("pools", "lattices"))
        >>> list(telling(paper).values())
        ['pooling', 'posets', 'lattices']
    """
    found: dict[str, str] = {}
    for text in (plain(paper.title), *paper.keywords):
        for word, _, _ in word_spans(text):
            if len(word) > 2 and not word.isdigit() and word not in _UNTELLING:
                found.setdefault(stem(word), word)
    return found


def _candidates(
    connection: Connection, index: TextIndex[Any], words: Sequence[str], tags: Mapping[str, Tags], tag: Tags | None
) -> list[int]:
    """Return the papers worth a comparison: those with the rarest of the words, and those on the same shelf."""
    best = index.like(connection, words)[:_MOST_COMPARED]
    if tag is None:
        return best
    beside = sorted(paper for paper, other in tags.items() if other.shelf == tag.shelf)
    on_shelf = connection.scalars(select(papers.c.number).where(papers.c.id.in_(beside)))
    return list(dict.fromkeys((*best, *on_shelf)))


def _likeness(words: Mapping[str, str], paper: Paper, mine: Tags | None, other: Tags | None) -> _Likeness:
    shared = tuple(word for stemmed, word in telling(paper).items() if stemmed in words)
    shelf = mine.shelf if mine and other and mine.shelf == other.shelf else ""
    return _Likeness(shared, shelf)
