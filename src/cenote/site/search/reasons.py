"""Why a paper was found: what it says where the query's words stand, or how close it is in meaning."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache, lru_cache
from typing import Any

from cenote.site.papers import Paper
from cenote.site.search.asking import Query, Term, fold, word_spans
from cenote.site.search.found import Reason
from cenote.site.tex import plain

EXCERPT = 240
"""Characters of a summary that are shown, at most."""
_LISTED = 5

Span = tuple[int, int]

_one_at_a_time = threading.Lock()  # a stemmer keeps the word it works on


def because_of_words(paper: Paper, terms: Sequence[Term]) -> tuple[Reason, ...]:
    """Say which fields have words of a query; nothing if none has. The texts are those that pages show, without TeX."""
    matches = _matcher(terms)
    found = [
        _whole("title", plain(paper.title), matches),
        _excerpt("summary", plain(paper.summary or ""), matches),
        _list("authors", paper.authors or (), matches),
        _list("keywords", paper.keywords, matches),
    ]
    return tuple(reason for reason in found if reason is not None)


def because_of_identifier(paper: Paper, query: Query) -> tuple[Reason, ...]:
    """Say that the query names the paper."""
    return (Reason("id", paper.id, ((0, len(paper.id)),)),) if paper.id in query.identifiers else ()


def because_of_meaning(similarity: float) -> Reason:
    """Say how close a paper is."""
    return Reason("meaning", f"Close in meaning: {similarity:.2f}")


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """Return the stem of a folded word, as the text indexes keep it."""
    with _one_at_a_time:
        stemmed: str = _porter().stemWord(word)
    return stemmed


@cache
def _porter() -> Any:
    from snowballstemmer import stemmer  # brings forty languages along, for which the site's start need not wait

    return stemmer("porter")


def _matcher(terms: Sequence[Term]) -> Callable[[str], bool]:
    exact = {term.word for term in terms}
    stems = {stem(term.word) for term in terms}
    heads = tuple({each[:2] for each in stems})  # stemming keeps the first letters; most words need not be stemmed
    unfinished = tuple(term.word for term in terms if term.unfinished)

    @cache
    def matches(word: str) -> bool:
        return word in exact or word.startswith(unfinished) or (word.startswith(heads) and stem(word) in stems)

    return matches


def _spans(text: str, matches: Callable[[str], bool]) -> list[Span]:
    return [(start, end) for word, start, end in word_spans(text) if matches(word)]


def _whole(field: str, text: str, matches: Callable[[str], bool]) -> Reason | None:
    spans = _spans(text, matches)
    return Reason(field, text, tuple(spans)) if spans else None


def _list(field: str, entries: Iterable[str], matches: Callable[[str], bool]) -> Reason | None:
    """Name the entries that match, not the hundred others."""
    matching = [entry for entry in entries if _spans(entry, matches)][:_LISTED]
    return _whole(field, ", ".join(matching), matches) if matching else None


def _excerpt(field: str, text: str, matches: Callable[[str], bool]) -> Reason | None:
    spans = _spans(text, matches)
    if not spans:
        return None
    start, end = _window(text, spans)
    before, after = "… " * (start > 0), " …" * (end < len(text))
    moved = len(before) - start
    marks = tuple((first + moved, last + moved) for first, last in spans if start <= first and last <= end)
    return Reason(field, f"{before}{text[start:end]}{after}", marks)


def _window(text: str, spans: Sequence[Span]) -> Span:
    """Return the part of the text, from word to word, that holds the most different words that match."""
    if len(text) <= EXCERPT:
        return 0, len(text)
    start = max(_starts(text, spans))[1]
    end = min(len(text), start + EXCERPT)
    if end < len(text):
        last = max((last for _, last in spans if last <= end), default=end)
        space = text.rfind(" ", start, end)
        end = space if space >= last else end
    return start, end


def _starts(text: str, spans: Sequence[Span]) -> Iterator[tuple[int, int]]:
    """For each match the words that a part beginning a little before it would show, and where it begins."""
    for first, _ in spans:
        begin = min(max(0, first - EXCERPT // 6), len(text) - EXCERPT)
        start = text.find(" ", begin, first) + 1 if begin > 0 else 0
        start = start or min(first, begin)
        shown = {stem(fold(text[a:b])) for a, b in spans if start <= a and b <= start + EXCERPT}
        yield len(shown), start
