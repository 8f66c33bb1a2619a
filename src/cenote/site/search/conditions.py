"""Filters as conditions on the table of papers."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, Connection, Text, and_, or_, select, type_coerce

from cenote.site.papers import one_line
from cenote.site.search.asking import Query, words_of
from cenote.site.search.found import Filters, Tags
from cenote.site.store.tables import papers

ByAuthor = Callable[[list[str]], ColumnElement[bool]]
"""Makes the condition that these words stand side by side among the authors."""


def conditions(
    connection: Connection, filters: Filters, tags: Mapping[str, Tags], by_author: ByAuthor
) -> list[ColumnElement[bool]]:
    """Return what must hold of a row of ``papers``; nothing if no filter is set."""
    found: list[ColumnElement[bool]] = []
    if filters.first is not None:
        began = dt.datetime.combine(filters.first, dt.time.min, dt.UTC)
        found.append(_dated(papers.c.published >= began, papers.c.day >= filters.first))
    if filters.last is not None:
        ended = dt.datetime.combine(filters.last, dt.time.max, dt.UTC)
        found.append(_dated(papers.c.published <= ended, papers.c.day <= filters.last))
    if filters.within is not None:
        found.append(papers.c.day.between(*filters.within))
    if filters.author is not None and (name := words_of(Query.read(filters.author).text)):
        found.append(by_author(name))
    if filters.category is not None:
        found.append(_in_category(one_line(filters.category)))
    if filters.organization is not None and (name := words_of(Query.read(filters.organization).text)):
        found.append(papers.c.organization.in_(_organizations(connection, name)))
    if filters.shelf is not None:
        found.append(_tagged(tags, lambda tag: tag.shelf == filters.shelf))
    if filters.verdict is not None:
        found.append(_tagged(tags, lambda tag: filters.verdict in tag.verdicts))
    if filters.has_code:
        found.append(or_(papers.c.code_url.is_not(None), _tagged(tags, lambda tag: tag.has_code)))
    return found


def _dated(by_publication: ColumnElement[bool], by_day: ColumnElement[bool]) -> ColumnElement[bool]:
    """Ask for the date that cards show: when the paper was published, else the feed's day."""
    return or_(by_publication, and_(papers.c.published.is_(None), by_day))


def _organizations(connection: Connection, name: list[str]) -> list[str]:
    """Return the organisations in whose names these words stand side by side; accents and case do not count."""
    # Both databases fold differently, and neither all letters; there are far fewer organisations than papers.
    every = connection.scalars(select(papers.c.organization).where(papers.c.organization.is_not(None)).distinct())
    return [each for each in every if f" {' '.join(name)} " in f" {' '.join(words_of(each))} "]


def _tagged(tags: Mapping[str, Tags], wanted: Callable[[Tags], bool]) -> ColumnElement[bool]:
    return papers.c.id.in_(sorted(paper for paper, tag in tags.items() if wanted(tag)))


def _in_category(category: str) -> ColumnElement[bool]:
    """Whether the JSON list of categories has this one, or one of this archive."""
    stored = type_coerce(papers.c.categories, Text)
    quoted = json.dumps(category, ensure_ascii=False)
    exactly = stored.icontains(quoted, autoescape=True)
    if "." in category:
        return exactly
    return or_(exactly, stored.icontains(f"{quoted[:-1]}.", autoescape=True))
