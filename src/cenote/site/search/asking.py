"""Reading what a person typed: words without accents, arXiv identifiers, the word that is not finished yet."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cached_property

from cenote.errors import ArgumentError
from cenote.site.papers import one_line, paper_id

LONGEST = 1_000
"""Characters of a query that are read; the longest title has as many."""
MOST_WORDS = 32
LONGEST_WORD = 40
SHORTEST_PREFIX = 3

_WORD = re.compile(r"[^\W_](?:[^\W_]|[\u0300-\u036f])*")
_MARKS = re.compile("[\u0300-\u036f]+")
_AROUND_IDENTIFIER = "()[]{}<>,;.!?\"'"
_MOST_IDENTIFIERS = 8

# They say next to nothing, and the text index would read a long list for each.
_STOP_WORDS = """
a about after all also although am an and any are as at be because been before being between both but by can could did
do does during each for from further had has have having here how however i if in into is it its itself may more most
no nor not of on only onto or other our ours over own paper propose proposed same she should show shown shows so some
such than that the their them then there these they this those through to too under until up upon use used uses using
very via was we were what when where whether which while who whom why will with within without would you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

# Beginnings of the endings a stemmer takes off: "pooli" on the way to "pooling" must find what is indexed as "pool".
_ENDINGS = """
ing ings ed er ers es ies s ly ation ations ational ion ions ive ively ity ities ment ments ness able ably ible al ally
ical ically ance ence ous ously ful fully ism ist ists ize izes ized izing izer izers ization izations y
"""
_UNFINISHED = frozenset(ending[:length] for ending in _ENDINGS.split() for length in range(1, len(ending) + 1))


@dataclass(frozen=True)
class Term:
    """A word of a query."""

    word: str
    """Lower case, without accents."""
    unfinished: bool = False
    """Whether it may be the beginning of a longer word."""

    @property
    def stems(self) -> tuple[str, ...]:
        """What else an unfinished word may be indexed as, because the stemmer takes its ending off."""
        if not self.unfinished:
            return ()
        lengths = range(SHORTEST_PREFIX, len(self.word))
        return tuple(self.word[:length] for length in lengths if self.word[length:] in _UNFINISHED)


@dataclass(frozen=True)
class Query:
    """What a person typed, on one line and no longer than is read."""

    text: str

    @classmethod
    def read(cls, text: str) -> Query:
        """Clean a text; any text will do.

        Example:
            >>> [(term.word, term.unfinished) for term in Query.read("  Erdős and   GRAPH pooli").terms]
            [('erdos', False), ('graph', False), ('pooli', True)]
        """
        # What is cut off first is longer, so that much white space does not hide the words behind it.
        return cls(one_line(text[: 20 * LONGEST])[:LONGEST].strip())

    @cached_property
    def words(self) -> tuple[str, ...]:
        """All words in their order, each once."""
        return tuple(dict.fromkeys(word[:LONGEST_WORD] for word in words_of(self.text)))[:MOST_WORDS]

    @cached_property
    def terms(self) -> tuple[Term, ...]:
        """The words to look for: without stop words, unless there are no others."""
        words = [word for word in self.words if word not in STOP_WORDS] or list(self.words)
        ends_in_word = bool(self.words) and self.text[-1:].isalnum() and words_of(self.text)[-1][:LONGEST_WORD] in words
        last = words_of(self.text)[-1][:LONGEST_WORD] if ends_in_word else None
        return tuple(Term(word, word == last and len(word) >= SHORTEST_PREFIX) for word in words)

    @cached_property
    def identifiers(self) -> tuple[str, ...]:
        """The arXiv identifiers in it, addresses of papers included."""
        found = []
        for part in self.text.split()[:MOST_WORDS]:
            try:
                found.append(paper_id(part.strip(_AROUND_IDENTIFIER)))
            except ArgumentError:
                continue
        return tuple(dict.fromkeys(found))[:_MOST_IDENTIFIERS]


def fold(text: str) -> str:
    """Return the text in lower case without accents.

    Example:
        >>> fold("Erdős–Rényi")
        'erdos–renyi'
    """
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", _MARKS.sub("", unicodedata.normalize("NFD", text))).lower()


def words_of(text: str) -> list[str]:
    """Return the words of a text, folded.

    Example:
        >>> words_of("Müller's x-ray_net")
        ['muller', 's', 'x', 'ray', 'net']
    """
    return _WORD.findall(fold(text))


def word_spans(text: str) -> list[tuple[str, int, int]]:
    """Return the words of a text, folded, with where they stand in it."""
    if text.isascii():  # as almost all are
        return [(match[0], match.start(), match.end()) for match in _WORD.finditer(text.lower())]
    return [(fold(match[0]), match.start(), match.end()) for match in _WORD.finditer(text)]
