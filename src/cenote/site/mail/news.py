"""New and changed verdicts: which results this site has that it did not have before."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects import postgresql, sqlite

from cenote.catalog.results import Result
from cenote.site.methods import Method, Methods
from cenote.site.store.mail_tables import announced, mails


@dataclass(frozen=True)
class VerdictNews:
    """A verdict that is new, or another than before."""

    paper: str
    """The arXiv identifier."""
    title: str
    shelf: str
    claim: str
    sentence: str
    data: str
    before: str | None
    """The word it had; None if there was none."""
    word: str
    note: str

    def as_content(self) -> dict[str, object]:
        """Return it as a digest keeps it."""
        return asdict(self)


def result_days(connection: Connection, methods: Methods, today: dt.date) -> dict[str, dt.date]:
    """Return since when this site has each of its results, by the run's identifier.

    When a store is asked for the first time, its results are no news: they are there since their run ended. Afterwards
    a new one is there since the day whose digest can still tell of it: today, or tomorrow if today's are under way.

    Args:
        connection: One that reads.
        methods: Those of the site.
        today: The present day.
    """
    known: dict[str, dt.date] = {
        row.run_id: row.day for row in connection.execute(select(announced.c.run_id, announced.c.day))
    }
    last = connection.scalar(select(func.max(mails.c.issue)))
    day = max(today, last + dt.timedelta(days=1)) if last else today
    days = dict(known)
    for result in (result for method in methods for result in method.results if result.run_id not in known):
        days[result.run_id] = day if known else min(today, result.finished.astimezone(dt.UTC).date())
    return days


def announce(connection: Connection, methods: Methods, today: dt.date) -> dict[str, dt.date]:
    """Note since when this site has its results, as ``result_days`` says, and return it.

    Args:
        connection: One that may write.
        methods: Those of the site.
        today: The present day.
    """
    days = result_days(connection, methods, today)
    slugs = {result.run_id: method.card.slug for method in methods for result in method.results}
    rows = [{"run_id": run_id, "slug": slug, "day": days[run_id]} for run_id, slug in slugs.items()]
    if rows:
        insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(insert(announced).on_conflict_do_nothing(), rows)
    return days


def verdict_news(
    methods: Methods, days: Mapping[str, dt.date], after: dt.date, until: dt.date
) -> Iterator[VerdictNews]:
    """Yield the verdicts that came or changed in some days, in the order of the catalog.

    Only the newest result of a paper counts; it is compared with the newest one that was there before these days.

    Args:
        methods: Those of the site.
        days: Since when the site has each result.
        after: The day before the first of these days.
        until: The last of them.
    """
    for method in methods:
        newest = method.result
        if newest is None or not after < days.get(newest.run_id, dt.date.max) <= until:
            continue
        before = next((each for each in method.results if days.get(each.run_id, dt.date.max) <= after), None)
        yield from _differences(method, newest, before)


def _differences(method: Method, newest: Result, before: Result | None) -> Iterator[VerdictNews]:
    sentences = {claim.id: claim.sentence for claim in method.card.claims}
    words = {(each.claim, each.data): each.word for each in before.verdicts} if before else {}
    for verdict in newest.verdicts:
        word = words.get((verdict.claim, verdict.data))
        if word == verdict.word:
            continue
        yield VerdictNews(
            paper=method.card.arxiv,
            title=method.card.title,
            shelf=method.card.shelf.value,
            claim=verdict.claim,
            sentence=sentences.get(verdict.claim, verdict.claim),
            data=verdict.data,
            before=word,
            word=verdict.word,
            note=verdict.note,
        )
