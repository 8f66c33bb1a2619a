"""SQLite's text index: FTS5 with BM25."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    bindparam,
    column,
    func,
    literal,
    literal_column,
    select,
    table,
)

from cenote.site.search.asking import STOP_WORDS, Term
from cenote.site.search.words import TextIndex, longest_title
from cenote.site.store.gathering import gathered
from cenote.site.store.tables import papers

WEIGHTS = {"title": 10.0, "summary": 3.0, "authors": 2.0, "keywords": 5.0}
"""Of a word in each column, in the index's order."""

_PHRASE = 4
"""Words of a title that are looked for as they follow each other."""
_TELLING = 4
"""Words by which a longer title is looked for."""

_index = table("papers_text", column("rowid"), column("title"))
_score = -func.bm25(literal_column("papers_text"), *(literal_column(str(weight)) for weight in WEIGHTS.values()))


class Fts5(TextIndex[str]):
    """Matches are FTS5 expressions in which every word of a user is quoted."""

    def all_of(self, terms: Sequence[Term], *, in_title: bool = False) -> str:
        """Join the words with AND."""
        joined = f"({' AND '.join(map(_match, terms))})"
        return f"({{title}} : {joined}) AND {joined}" if in_title else joined

    def any_of(self, terms: Sequence[Term]) -> str:
        """Join the words with OR."""
        return f"({' OR '.join(map(_match, terms))})"

    def by_author(self, name: list[str]) -> ColumnElement[bool]:
        """Match a phrase in the column of authors."""
        phrase = f"{{authors}} : {_quoted(' '.join(name))}"
        named = select(_index.c.rowid).where(_matches(literal(phrase)))
        return papers.c.number.in_(named)

    def ranked(self, connection: Connection, match: str, where: Sequence[ColumnElement[bool]], limit: int) -> list[int]:
        """Score the newest matches."""
        ranking = _ranking(where) if where else _RANKING
        ranked: list[int] | None = connection.scalar(ranking, {"match": match, "most": limit})
        return ranked or []

    def ranked_by_some(
        self,
        connection: Connection,
        counted: Sequence[tuple[Term, int]],
        where: Sequence[ColumnElement[bool]],
        limit: int,
    ) -> list[int]:
        """Score by BM25, which knows how rare each word is."""
        return self.ranked(connection, self.any_of([term for term, _ in counted]), where, limit)

    def counts(self, connection: Connection, matches: Sequence[str], limit: int) -> list[int]:
        """Count no further than the limit."""
        given = {f"match{place}": match for place, match in enumerate(matches)}
        return list(connection.execute(_counting(len(matches)), given | {"most": limit}).one())

    def titles(self, connection: Connection, words: Sequence[str]) -> list[tuple[int, str]]:
        """Match a phrase at the beginning of a title that is short enough, or a long title by the longest words."""
        # A phrase is matched by reading the lists of all its words, "of" and "the" included.
        telling = sorted({word for word in words if word not in STOP_WORDS}, key=len, reverse=True)[:_TELLING]
        long = len(words) > _PHRASE and len(telling) == _TELLING
        match = f"({' AND '.join(map(_quoted, telling))})" if long else f"^ {_quoted(' '.join(words))}"
        rows = connection.execute(_TITLES, {"match": f"{{title}} : {match}", "longest": longest_title(words)})
        return [(number, title) for number, title in rows]


def _matches(match: ColumnElement[str]) -> ColumnElement[bool]:
    return literal_column("papers_text").op("MATCH", is_comparison=True)(match)


def _ranking(where: Sequence[ColumnElement[bool]] = ()) -> Select[Any]:
    query = select(_index.c.rowid.label("number"), _score.label("score")).where(_matches(bindparam("match")))
    if where:
        query = query.where(select(1).where(papers.c.number == _index.c.rowid, *where).correlate(_index).exists())
    # In this order the index is read backwards and no further than needed, and nothing else is scored.
    newest = query.order_by(_index.c.rowid.desc()).limit(bindparam("most")).subquery()
    order = (newest.c.score.desc(), newest.c.number)
    return select(gathered(newest.c.number).over(order_by=order, rows=(None, None))).limit(1)


@cache
def _counting(size: int) -> Select[Any]:
    some: list[Select[Any]] = [
        select(literal_column("1")).select_from(_index).where(_matches(bindparam(f"match{place}")))
        for place in range(size)
    ]
    counts = (select(func.count()).select_from(each.limit(bindparam("most")).subquery()) for each in some)
    return select(*(count.scalar_subquery() for count in counts))


# Made once: making a statement takes as long as SQLite takes for a rare word.
_RANKING = _ranking()
_TITLES = select(_index.c.rowid, _index.c.title).where(
    _matches(bindparam("match")), func.length(_index.c.title) <= bindparam("longest")
)


def _match(term: Term) -> str:
    quoted = _quoted(term.word)
    if not term.unfinished:
        return quoted
    return f"({' OR '.join([quoted, f'{quoted} *', *map(_quoted, term.stems)])})"


def _quoted(words: str) -> str:
    return '"' + words.replace('"', '""') + '"'
