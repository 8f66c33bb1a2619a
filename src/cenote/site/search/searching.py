"""The search: by words, by meaning, or both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, func, or_, select
from threadpoolctl import threadpool_limits

from cenote.site.search.asking import Query, words_of
from cenote.site.search.conditions import conditions
from cenote.site.search.found import Filters, Found, Hit, Mode, Reason, Tags
from cenote.site.search.fts5 import Fts5
from cenote.site.search.fusing import best_first, fuse
from cenote.site.search.meaning import MOST_CLOSE, NO_VECTORS, Meaning, closest
from cenote.site.search.reasons import because_of_identifier, because_of_meaning, because_of_words
from cenote.site.search.similar import alike
from cenote.site.search.turns import Turns, available_cores
from cenote.site.search.words import MOST_RANKED, TextIndex
from cenote.site.store.database import Database
from cenote.site.store.gathering import among
from cenote.site.store.reading import StoredPaper, find_papers, fitting
from cenote.site.store.tables import papers
from cenote.site.tex import plain

if TYPE_CHECKING:
    from cenote.site.search.encoder import Encoder
    from cenote.site.search.vectors import Snapshot

DEPTH = 200
"""Places of a ranking; nobody pages on behind them, and the last of them have little to do with the query."""
_SIMILAR_FLOOR = 0.3
_TITLES = 20
"""Best papers among which one is looked for whose shown title is the query."""
_WAITING = 4
"""Searches a core at once where the store is a server, on which they wait; SQLite works on this process's own cores."""

Where = Sequence[ColumnElement[bool]]

_WITH_TEX = select(papers.c.number, papers.c.title).where(
    among(papers.c.number, "numbers"), or_(papers.c.title.contains("$"), papers.c.title.contains("\\", autoescape=True))
)


class Search:
    """Searches the store. Threads may call it at the same time; they take turns at the cores, on one core each.

    Args:
        database: The store.
        home: The site's folder, where the encoder is put.
        tags: What cards add to papers, by arXiv identifier.
    """

    def __init__(self, database: Database, *, home: Path, tags: Mapping[str, Tags]) -> None:
        threadpool_limits(1, user_api="blas")  # requests run side by side, so that one must not take all cores
        self._database = database
        self._tags = tags
        self._meaning = Meaning(home)
        self._index = _text_index(database.dialect)
        self._turns = Turns(available_cores() * (1 if database.dialect == "sqlite" else _WAITING))

    def find(
        self,
        query: str,
        *,
        filters: Filters | None = None,
        mode: Mode = Mode.HYBRID,
        limit: int = 20,
        offset: int = 0,
        explained: bool = True,
    ) -> Found:
        """Return the papers that match best; any text may be asked for.

        A paper that the query names by its identifier, or by its whole title, comes first. Without a word in the query,
        papers come newest first.

        Args:
            query: What a person typed; the last word may be unfinished.
            filters: What papers must be.
            mode: How to look for them.
            limit: How many to return.
            offset: How many to leave out before.
            explained: Whether to say why each was found, which takes a sixth of the time.
        """
        asked = Query.read(query)
        page = slice(max(0, offset), max(0, offset) + max(0, limit))
        with self._turns, self._database.read() as connection:
            where = conditions(connection, filters or Filters(), self._tags, self._index.by_author)
            if not asked.words and not asked.text:
                return _newest(connection, where, *self._available(connection, mode)[:2], page)
            return self._best(connection, asked, where, mode, page, explained)

    def similar(self, stored: StoredPaper, limit: int = 6) -> tuple[Hit, ...]:
        """Return the papers most like this one: closest in meaning, or without vectors in their words or shelf."""
        with self._turns, self._database.read() as connection:
            close = self._close_to(connection, stored, limit)
            if not close:
                return tuple(alike(connection, self._index, self._tags, stored, limit))
            found = find_papers(connection, close)
        hits = (Hit(found[n], near, (because_of_meaning(near),)) for n, near in close.items() if n in found)
        return tuple(hits)[:limit]

    def without_meaning(self) -> str:
        """Return a sentence that says why papers are looked for by words alone, if that is already known."""
        return self._meaning.missing()

    def close(self) -> None:
        """Let go of encoder and vectors; the database stays open."""
        self._meaning.forget()

    def _best(
        self, connection: Connection, query: Query, where: Where, mode: Mode, page: slice, explained: bool
    ) -> Found:
        close, mode, note = self._by_meaning(connection, query, where, mode)
        by_words = [] if mode is Mode.SEMANTIC else self._index.search(connection, query.terms, where)
        fused = fuse([by_words[:DEPTH], list(close)])
        named = self._named(connection, query, where) or _titled_as_shown(connection, query, fused)
        scores = _named_first(fused, named)
        shown = _on_page(connection, scores, page)
        if shown is None:  # seldom, so that it is not asked before
            there = set(fitting(connection, list(close)))
            close = {number: near for number, near in close.items() if number in there}
            scores = _named_first(fuse([by_words[:DEPTH], list(close)]), named)
            shown = _on_page(connection, scores, page) or []
        hits = [
            Hit(stored, scores[number], _reasons(stored, query, close.get(number)) if explained else ())
            for number, stored in shown
        ]
        more = len(by_words) >= MOST_RANKED or (mode is Mode.SEMANTIC and len(close) >= MOST_CLOSE)
        matched = len({*by_words, *scores})
        return Found(tuple(hits), len(scores), mode, note, matched, more)

    def _by_meaning(
        self, connection: Connection, query: Query, where: Where, mode: Mode
    ) -> tuple[dict[int, float], Mode, str]:
        """Return what is close to the query, and how papers are looked for if there is no search by meaning.

        Vectors outlive their papers, so a number may lead nowhere.
        """
        mode, note, ready = self._available(connection, mode)
        if ready is None:
            return {}, mode, note
        encoder, snapshot = ready
        return closest(connection, snapshot, encoder.encode([query.text])[0], where), mode, ""

    def _available(self, connection: Connection, mode: Mode) -> tuple[Mode, str, tuple[Encoder, Snapshot] | None]:
        """Return how papers can be looked for, why not otherwise, and what a search by meaning needs."""
        if mode is Mode.KEYWORD:
            return mode, "", None
        ready = self._meaning.ready()
        if isinstance(ready, str):
            return Mode.KEYWORD, ready, None
        snapshot = ready.vectors.current(connection)
        if not len(snapshot.numbers):
            return Mode.KEYWORD, NO_VECTORS, None
        return mode, "", (ready.encoder, snapshot)

    def _close_to(self, connection: Connection, stored: StoredPaper, limit: int) -> dict[int, float]:
        """Return the papers closest in meaning with their similarities, closest first; none without vectors."""
        ready = self._meaning.ready()
        if isinstance(ready, str):
            return {}
        snapshot = ready.vectors.current(connection)
        vector = snapshot.row(stored.number)
        if vector is None:
            return {}
        close = closest(connection, snapshot, vector, most=limit + 1, floor=_SIMILAR_FLOOR)
        close.pop(stored.number, None)
        return close

    def _named(self, connection: Connection, query: Query, where: Where) -> list[int]:
        """Return the papers whose identifier, or whose whole title, the query is."""
        named = []
        if query.identifiers:
            by_id = select(papers.c.number).where(papers.c.id.in_(query.identifiers), *where)
            named += sorted(connection.scalars(by_id))
        if query.words:
            words = words_of(query.text)
            same = [n for n, title in self._index.titles(connection, words) if words_of(title) == words]
            if same and where:
                same = fitting(connection, same, where)
            named += sorted(same)
        return list(dict.fromkeys(named))


def _titled_as_shown(connection: Connection, query: Query, scores: Mapping[int, float]) -> list[int]:
    """Return the papers among the best whose title with its TeX set, as pages show it, is the query.

    The text index has the titles as they were written, but hardly anything else is as close to such a query.
    """
    if len(query.words) < 2:
        return []
    best = sorted(scores, key=lambda number: (-scores[number], number))[:_TITLES]
    rows = connection.execute(_WITH_TEX, {"numbers": best})
    words = words_of(query.text)
    return sorted(number for number, title in rows if words_of(plain(title)) == words)


def _text_index(dialect: str) -> TextIndex[Any]:
    if dialect == "sqlite":
        return Fts5()
    from cenote.site.search.tsvector import TsVector  # PostgreSQL's types are loaded where it is the store

    return TsVector()


def _named_first(fused: Mapping[int, float], named: Sequence[int]) -> dict[int, float]:
    """Return the scores with what the query names before everything else."""
    top = max(fused.values(), default=0.0)
    return dict(fused) | {number: top + 1 / (rank + 1) for rank, number in enumerate(named)}


def _on_page(connection: Connection, scores: Mapping[int, float], page: slice) -> list[tuple[int, StoredPaper]] | None:
    """Return the papers of a page, best first, or None if one of them is gone.

    Of papers with equal scores the identifiers decide.
    """
    shown = sorted(scores.values(), reverse=True)[page]
    if not shown:
        return []
    # Identifiers are read of no more papers than can be on the page.
    among_them = {number: score for number, score in scores.items() if shown[-1] <= score <= shown[0]}
    found = find_papers(connection, among_them)
    if len(found) < len(among_them):
        return None
    numbers = best_first(among_them, {number: stored.paper.id for number, stored in found.items()})
    before = sum(score > shown[0] for score in scores.values())
    return [(number, found[number]) for number in numbers[page.start - before : page.stop - before]]


def _newest(connection: Connection, where: Where, mode: Mode, note: str, page: slice) -> Found:
    total = connection.scalar(select(func.count()).select_from(papers).where(*where)) or 0
    newest = select(papers.c.number).where(*where).order_by(papers.c.day.desc().nulls_last(), papers.c.id)
    numbers = list(connection.scalars(newest.limit(page.stop - page.start).offset(page.start)))
    found = find_papers(connection, numbers)
    return Found(tuple(Hit(found[number], 0.0) for number in numbers), total, mode, note, matched=total)


def _reasons(stored: StoredPaper, query: Query, similarity: float | None) -> tuple[Reason, ...]:
    meaning = () if similarity is None else (because_of_meaning(similarity),)
    return (*because_of_identifier(stored.paper, query), *because_of_words(stored.paper, query.terms), *meaning)
