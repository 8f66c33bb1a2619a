"""Search by words: what is common to both databases' text indexes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, Connection

from cenote.site.search.asking import Term

MOST_RANKED = 1_000
"""Papers that one pass ranks. Where more match, the newest are ranked: scoring is what a search by words spends its
time on, and of thousands of papers that have all the words it is not the score that tells the right one."""
MOST_SCANNED = 4_000
"""Papers that hold one of the rarest words, where hardly any paper holds all."""
ENOUGH = 5
"""Fewer papers than this with all the words, and those with some of them are looked at, too."""
_LONG_PREFIX = 5
_LIKE_WORDS = 8
_TITLE_SLACK = 40
"""Characters that a title may have besides its words and a space behind each."""

Match = TypeVar("Match")


class TextIndex(ABC, Generic[Match]):
    """A database's text index; ``Match`` is how it writes what must match."""

    @abstractmethod
    def all_of(self, terms: Sequence[Term], *, in_title: bool = False) -> Match:
        """Match papers that have all of these words: by their stems, and by words that an unfinished one begins."""

    @abstractmethod
    def any_of(self, terms: Sequence[Term]) -> Match:
        """Match papers that have one of these words."""

    @abstractmethod
    def by_author(self, name: list[str]) -> ColumnElement[bool]:
        """Return the condition that these words stand side by side among the authors."""

    @abstractmethod
    def ranked(
        self, connection: Connection, match: Match, where: Sequence[ColumnElement[bool]], limit: int
    ) -> list[int]:
        """Score the newest papers that match; return their numbers, best first, ties by number."""

    @abstractmethod
    def ranked_by_some(
        self,
        connection: Connection,
        counted: Sequence[tuple[Term, int]],
        where: Sequence[ColumnElement[bool]],
        limit: int,
    ) -> list[int]:
        """Score the newest papers that have one of these words; return their numbers, best first, ties by number.

        A word says the more, the fewer papers have it.

        Args:
            connection: To the store.
            counted: Words, each with the number of papers that have it.
            where: What must hold of a paper.
            limit: Papers to score, at most.
        """

    @abstractmethod
    def counts(self, connection: Connection, matches: Sequence[Match], limit: int) -> list[int]:
        """Count the papers of each match, to no more than the limit."""

    @abstractmethod
    def titles(self, connection: Connection, words: Sequence[str]) -> list[tuple[int, str]]:
        """Return number and title of the papers whose title is these words, and perhaps of a few more."""

    def search(self, connection: Connection, terms: Sequence[Term], where: Sequence[ColumnElement[bool]]) -> list[int]:
        """Return the numbers of the papers that match best, best first.

        Papers with all the words come first; where there are more than can be ranked, those with all the words in the
        title come before the newest. Where there are hardly any, papers with some of the words follow.
        """
        if not terms:
            return []
        terms = self._affordable(connection, terms)
        best = self.ranked(connection, self.all_of(terms), where, MOST_RANKED)
        if len(best) == MOST_RANKED:
            titled = self.ranked(connection, self.all_of(terms, in_title=True), where, MOST_RANKED)
            return _each_once(titled, best)
        if len(best) >= ENOUGH or len(terms) == 1:
            return best
        rarest = self._rarest(connection, terms)
        return _each_once(best, self.ranked_by_some(connection, rarest, where, MOST_SCANNED))

    def like(self, connection: Connection, words: Sequence[str]) -> list[int]:
        """Return the papers that have the rarest of these words that more than one has, best first."""
        counts = self._counts(connection, [Term(word) for word in words], MOST_SCANNED)
        counted = [(Term(word), count) for word, count in zip(words, counts, strict=True) if 1 < count < MOST_SCANNED]
        rarest = sorted(counted, key=lambda pair: (pair[1], pair[0].word))[:_LIKE_WORDS]
        return self.ranked_by_some(connection, rarest, (), MOST_RANKED) if rarest else []

    def _affordable(self, connection: Connection, terms: Sequence[Term]) -> list[Term]:
        """Take an unfinished word for finished if enough papers have it: thousands of words begin with "con"."""
        return [Term(term.word) if term.unfinished and self._is_a_word(connection, term) else term for term in terms]

    def _is_a_word(self, connection: Connection, term: Term) -> bool:
        enough = ENOUGH if len(term.word) < _LONG_PREFIX else MOST_RANKED
        return self._counts(connection, [Term(term.word)], enough) == [enough]

    def _rarest(self, connection: Connection, terms: Sequence[Term]) -> list[tuple[Term, int]]:
        """Return the rarest words, as many as the papers that hold them can be scored, and how many hold each."""
        counts = self._counts(connection, terms, MOST_SCANNED)
        rarest, total = list[tuple[Term, int]](), 0
        for count, position in sorted(zip(counts, range(len(terms)), strict=True)):
            total += count
            if rarest and total > MOST_SCANNED:
                break
            rarest.append((terms[position], count))
        return rarest

    def _counts(self, connection: Connection, terms: Sequence[Term], limit: int) -> list[int]:
        """Count the papers that have each word, to no more than the limit."""
        return self.counts(connection, [self.any_of([term]) for term in terms], limit) if terms else []


def longest_title(words: Sequence[str]) -> int:
    """Return how many characters a title has at most that is these words; what is longer need not be read."""
    return sum(map(len, words)) + len(words) + _TITLE_SLACK


def _each_once(first: list[int], then: list[int]) -> list[int]:
    """One list behind the other, each number once."""
    return list(dict.fromkeys(first + then))
