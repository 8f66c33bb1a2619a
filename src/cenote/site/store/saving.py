"""Writing papers into the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, delete, func, literal_column, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert

from cenote.site.papers import Paper
from cenote.site.store.tables import papers

_LISTS = frozenset({"categories", "keywords"})
_EMPTY: ColumnElement[str] = literal_column("'[]'")
_TEXT = ("title", "summary")
_SAID = tuple(column.name for column in papers.columns if column.name in Paper.model_fields and column.name != "id")


@dataclass(frozen=True)
class Saved:
    """What became of a batch."""

    new: int
    changed: int
    same: int


def save_papers(connection: Connection, batch: Sequence[Paper], *, fill: bool = False) -> Saved:
    """Put papers in, or bring those that are there up to date; saving the same again changes nothing.

    What a source does not say stays as it was, and what an older version of a record says only fills in what is not
    known. A paper keeps the first day on which it was featured.

    Args:
        connection: One that may write.
        batch: The papers, at most a few thousand; of several with one id the last counts.
        fill: Only fill in what the store does not know yet.
    """
    rows = {paper.id: _row(paper) for paper in sorted(batch, key=lambda paper: paper.id)}
    if not rows:
        return Saved(0, 0, 0)
    known = len(hold_papers(connection, papers.c.id.in_(rows)))
    written = len(connection.execute(_upsert(connection.dialect.name, fill), list(rows.values())).all())
    new = len(rows) - known
    return Saved(new=new, changed=written - new, same=known - (written - new))


def hold_papers(connection: Connection, which: ColumnElement[bool]) -> list[int]:
    """Return the numbers of some papers, which nobody else changes until the transaction ends.

    Who changes papers, or what hangs on them, asks first. So none of two waits for the other while the other waits for
    it: all go by one order, first mail of an address, then its reader, then papers by their numbers, then votes and
    comments. SQLite's writers take turns, and it has no such lock.
    """
    held = select(papers.c.number).where(which).order_by(papers.c.number).with_for_update(key_share=True)
    return list(connection.scalars(held))


def delete_papers(connection: Connection, ids: Iterable[str]) -> int:
    """Take papers out, with all that belongs to them; return how many there were."""
    gone = hold_papers(connection, papers.c.id.in_(list(ids)))
    return connection.execute(delete(papers).where(papers.c.number.in_(gone))).rowcount if gone else 0


def _row(paper: Paper) -> dict[str, Any]:
    row = {name: getattr(paper, name) for name in ("id", *_SAID)}
    row["day"] = paper.day
    if paper.authors is not None:
        row["author_count"] = len(paper.authors)
    return row


@cache
def _upsert(dialect: str, fill: bool) -> ReturningInsert[int]:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    statement = insert(papers)
    there, said = papers.c, statement.excluded
    older = said.updated < there.updated
    merged: dict[str, ColumnElement[Any]] = {name: _merge(name, there[name], said[name], fill, older) for name in _SAID}
    merged["featured"] = func.coalesce(there.featured, said.featured)
    merged["day"] = func.coalesce(merged["featured"], _merge("day", there.day, said.day, fill, older))
    changed = [there[name].is_distinct_from(value) for name, value in merged.items()]
    text_changed = or_(*(there[name].is_distinct_from(merged[name]) for name in _TEXT))
    merged["text_version"] = case((text_changed, there.text_version + 1), else_=there.text_version)
    upsert = statement.on_conflict_do_update(index_elements=[there.id], set_=merged, where=or_(*changed))
    return upsert.returning(there.number)  # of the rows that were written; one that stays as it was gives none


def _merge(
    name: str, there: ColumnElement[Any], said: ColumnElement[Any], fill: bool, older: ColumnElement[bool]
) -> ColumnElement[Any]:
    filled_in = _first_known(name, there, said)
    return filled_in if fill else case((older, filled_in), else_=_first_known(name, said, there))


def _first_known(name: str, first: ColumnElement[Any], second: ColumnElement[Any]) -> ColumnElement[Any]:
    return case((first == _EMPTY, second), else_=first) if name in _LISTS else func.coalesce(first, second)
