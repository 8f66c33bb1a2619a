"""PostgreSQL's text index: tsvector, ranked by cover density, or by rare words where not all are there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, cast, func, literal, literal_column, select
from sqlalchemy.dialects.postgresql import ARRAY, REAL, TSQUERY, TSVECTOR

from cenote.site.search.asking import Term
from cenote.site.search.words import TextIndex, longest_title
from cenote.site.store.reading import count_papers
from cenote.site.store.tables import papers

WEIGHTS = {"authors": 2.0, "summary": 3.0, "keywords": 5.0, "title": 10.0}
"""Of a word in each column, in the order of the index's weights D, C, B, A."""
_BY_LENGTH = 1 | 32  # divided by 1 + log(length), then scaled into 0…1

_ENOUGH_OF_A_WORD = 0.05
"""Rank by one word at which it counts half: a paper with several words comes before one that repeats a word, whatever
field it stands in. Found on the tuning half of the paraphrases, where 0.015 to 0.1 do equally well."""

_vector: ColumnElement[Any] = literal_column("papers.papers_text")
_weights = cast(literal([weight / 10 for weight in WEIGHTS.values()], ARRAY(REAL)), ARRAY(REAL))

Match = ColumnElement[Any]


class TsVector(TextIndex[Match]):
    """Matches are expressions of type tsquery; words of a user are bound and quoted in them.

    Text is indexed by its English stems, names of authors as they are, so each word is asked for in both ways.
    """

    def all_of(self, terms: Sequence[Term], *, in_title: bool = False) -> Match:
        """Join the words with AND."""
        return _joined([_match(term, in_title=in_title) for term in terms], "&&")

    def any_of(self, terms: Sequence[Term]) -> Match:
        """Join the words with OR."""
        return _joined([_match(term) for term in terms], "||")

    def by_author(self, name: list[str]) -> ColumnElement[bool]:
        """Match a phrase in the column of authors."""
        phrase = func.to_tsquery("simple", " <-> ".join(f"{_quoted(word)}:D" for word in name))
        return _vector.op("@@", is_comparison=True)(phrase)

    def ranked(
        self, connection: Connection, match: Match, where: Sequence[ColumnElement[bool]], limit: int
    ) -> list[int]:
        """Score the newest matches."""
        newest = _newest(_vector, match, where, limit).subquery()
        score = func.ts_rank_cd(_weights, newest.c.vector, match, _BY_LENGTH)
        best_first = select(newest.c.number).order_by(score.desc(), newest.c.number)
        return list(connection.scalars(best_first))

    def ranked_by_some(
        self,
        connection: Connection,
        counted: Sequence[tuple[Term, int]],
        where: Sequence[ColumnElement[bool]],
        limit: int,
    ) -> list[int]:
        """Score by the sum over the words of rank / (rank + a constant), weighted as BM25 weights rare words."""
        total = count_papers(connection)
        unpacked = _vector.op("||")(cast("", TSVECTOR))  # once for each paper, not once for each of its words
        newest = _newest(unpacked, self.any_of([term for term, _ in counted]), where, limit).cte("newest")
        score: ColumnElement[float] = literal(0.0)
        for term, count in counted:
            rank = func.ts_rank(_weights, newest.c.vector, _match(term))
            score = score + _rarity(count, total) * rank / (rank + _ENOUGH_OF_A_WORD)
        best_first = select(newest.c.number).order_by(score.desc(), newest.c.number)
        return list(connection.scalars(best_first))

    def counts(self, connection: Connection, matches: Sequence[Match], limit: int) -> list[int]:
        """Count no further than the limit."""
        return list(connection.execute(select(*(_count(match, limit).scalar_subquery() for match in matches))).one())

    def titles(self, connection: Connection, words: Sequence[str]) -> list[tuple[int, str]]:
        """Match short enough titles that have all of the words."""
        in_title = _joined([_words("english", word, "A") for word in words], "&&")
        query = select(papers.c.number, papers.c.title).where(
            _vector.op("@@", is_comparison=True)(in_title), func.length(papers.c.title) <= longest_title(words)
        )
        return [(number, title) for number, title in connection.execute(query)]


def _newest(
    vector: ColumnElement[Any], match: Match, where: Sequence[ColumnElement[bool]], limit: int
) -> Select[tuple[int, Any]]:
    matching = select(papers.c.number, vector.label("vector")).where(
        _vector.op("@@", is_comparison=True)(match), *where
    )
    return matching.order_by(papers.c.number.desc()).limit(limit)


def _rarity(count: int, total: int) -> float:
    """Return the inverse document frequency of BM25; never below 0."""
    return math.log1p((max(total - count, 0) + 0.5) / (count + 0.5))


def _count(match: Match, limit: int) -> Select[int]:
    some = select(papers.c.number).where(_vector.op("@@", is_comparison=True)(match)).limit(limit).subquery()
    return select(func.count()).select_from(some)


def _match(term: Term, *, in_title: bool = False) -> Match:
    where = "A" if in_title else ""
    forms = [_words("english", term.word, where), *(_words("english", stem, where) for stem in term.stems)]
    if term.unfinished:  # as it is: the beginning of a word may be a stop word
        forms.append(_words("simple", term.word, f"*{where}"))
    elif not in_title:
        forms.append(_words("simple", term.word, "D"))
    return _joined(forms, "||")


def _words(configuration: str, word: str, label: str) -> Match:
    return func.to_tsquery(configuration, _quoted(word) + (f":{label}" if label else ""))


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"


def _joined(matches: Sequence[Match], operator: str) -> Match:
    """Join in halves: one behind the other, hundreds of words would nest deeper than Python can follow."""
    if len(matches) == 1:
        return matches[0]
    middle = len(matches) // 2
    left, right = _joined(matches[:middle], operator), _joined(matches[middle:], operator)
    return left.op(operator, return_type=TSQUERY())(right)
