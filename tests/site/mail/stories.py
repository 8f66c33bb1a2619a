"""What mail tests begin with: subscriptions that are confirmed, papers, results."""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

from sqlalchemy import func, select

from cenote.catalog.results import Result
from cenote.site.mail.scopes import Scope, ScopeKind
from cenote.site.mail.subscriptions import Frequency, confirm, new_confirmation, pending, subscribe, subscriptions_of
from cenote.site.methods import Methods
from cenote.site.papers import Paper
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import mails, subscriptions
from cenote.site.store.reader_tables import limits
from cenote.site.store.saving import save_papers

NOW = dt.datetime(2026, 11, 26, 9, tzinfo=dt.UTC)
"""A Thursday."""

TODAY = NOW.date()
DAY = dt.timedelta(days=1)
ALL = Scope(ScopeKind.ALL)
ADA = "ada@example.org"
SECRET = "s" * 40


class _MeasuredLongAgo(Methods):
    """Those of the catalog, whose results are no news, though the newest may have been published today."""

    def __init__(self) -> None:
        super().__init__()
        self._all = tuple(
            replace(method, results=tuple(_aged(result, age) for age, result in enumerate(method.results)))
            for method in self._all
        )


def _aged(result: Result, age: int) -> Result:
    return result.model_copy(update={"finished": dt.datetime(2026, 1, 31, tzinfo=dt.UTC) - age * DAY})


METHODS = _MeasuredLongAgo()
"""Read once."""


def subscribed(
    database: Database,
    address: str = ADA,
    frequency: Frequency = Frequency.DAILY,
    scope: Scope = ALL,
    now: dt.datetime = NOW,
) -> int:
    """Subscribe and confirm; return the subscription's number. The mail that asks is taken out."""
    with database.write() as connection:
        subscribe(connection, SECRET, address, frequency, scope, now)
        (wanted,) = pending(connection, address)
        assert confirm(connection, new_confirmation(connection, address, now), [wanted.id], now)
        connection.execute(mails.delete().where(mails.c.kind == "confirm", mails.c.address == address))
        connection.execute(limits.delete())
        return subscriptions_of(connection, address)[-1].id


def save(database: Database, *days: dt.date, votes: int | None = None, start: int = 1) -> list[str]:
    """Save a paper a day, numbered from ``start``; return their identifiers."""
    some = [
        Paper(id=f"2611.{n:05}", title=f"Paper {n}", summary=f"About {n}.", featured=day, upvotes=votes)
        for n, day in enumerate(days, start=start)
    ]
    with database.write() as connection:
        save_papers(connection, some)
    return [each.id for each in some]


def rows(database: Database, table: Any, *which: Any) -> list[Any]:
    with database.read() as connection:
        return connection.execute(select(table).where(*which).order_by(*table.primary_key.columns)).all()


def states(database: Database) -> list[str]:
    return [row.state for row in rows(database, mails)]


def count(database: Database, table: Any = mails, *which: Any) -> int:
    with database.read() as connection:
        return connection.scalar(select(func.count()).select_from(table).where(*which)) or 0


def subscription_states(database: Database) -> list[tuple[str, str]]:
    return [(row.frequency, row.state) for row in rows(database, subscriptions)]
