"""Digests: who is due, what is new for them, and one queued mail for each."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, func, or_, select, update

from cenote.site.mail.news import VerdictNews, verdict_news
from cenote.site.mail.outbox import MailKind, put_mail
from cenote.site.mail.scopes import Scope, ScopeKind
from cenote.site.mail.subscriptions import Frequency, Subscription, subscription_of
from cenote.site.methods import Methods
from cenote.site.search import Search
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import subscriptions
from cenote.site.store.reading import StoredPaper
from cenote.site.store.tables import papers
from cenote.site.tex import plain
from cenote.site.trending import WINDOW, trending
from cenote.site.web.cards import excerpt

PAPERS = 10
"""Of one digest, at most."""

VERDICTS = 30
"""Of one digest, at most: about two results with all their claims."""

_DAY = dt.timedelta(days=1)
_LATE = 7 * _DAY
"""How old a paper may be that came into the store only after the last digest: sources give their papers late."""

_EXCERPT = 320
_DEEP = 500
"""Papers of a ranking that are looked at."""

_SEARCHED = 200
_BATCH = 50


@dataclass(frozen=True)
class Span:
    """What an issue covers."""

    issue: dt.date
    after: dt.date
    """The issue before: its own day's papers had not all come yet, so they belong to this one."""
    first: dt.date
    """The first day whose papers it has; the last is the day before the issue."""
    seen: int
    """Papers of a higher number came into the store since the issue before."""

    @property
    def last(self) -> dt.date:
        """The last day whose papers it has."""
        return self.issue - _DAY

    def has(self, stored: StoredPaper) -> bool:
        """Whether a paper belongs to it: it is of these days, or came too late for the issue before."""
        if stored.day is None or stored.day > self.last:
            return False
        return stored.day >= self.first or stored.number > self.seen


@dataclass(frozen=True)
class Content:
    """What a digest tells."""

    scope: Scope
    frequency: Frequency
    papers: tuple[StoredPaper, ...]
    verdicts: tuple[VerdictNews, ...]

    def __bool__(self) -> bool:
        return bool(self.papers or self.verdicts)

    def as_json(self) -> dict[str, object]:
        """Return what the mail is written from."""
        return {
            "scope": self.scope.name,
            "about": self.scope.words,
            "frequency": self.frequency.value,
            "papers": [_paper(each) for each in self.papers],
            "verdicts": [each.as_content() for each in self.verdicts[:VERDICTS]],
            "more_verdicts": max(0, len(self.verdicts) - VERDICTS),
        }


@dataclass(frozen=True)
class Issue:
    """A digest that is due and has something to tell."""

    subscription: Subscription
    span: Span
    content: Content
    newest: int
    """The number of the newest paper when the content was looked for."""


class Planner:
    """Finds out what is due on a day.

    Args:
        database: The store.
        methods: Whose verdicts are told.
        search: What finds the papers of a saved search.
        day: The day; digests tell of what was until then.
        result_days: Since when the site has each result, as ``cenote.site.mail.news`` says.
    """

    def __init__(
        self, database: Database, methods: Methods, search: Search, day: dt.date, result_days: Mapping[str, dt.date]
    ) -> None:
        self._database, self._methods, self._search, self._day = database, methods, search, day
        self._result_days = result_days
        self._known: dict[tuple[Frequency, Scope, Span], Content] = {}
        with database.read() as connection:
            self._newest = connection.scalar(select(func.max(papers.c.number))) or 0

    def issues(self, frequency: Frequency | None = None) -> Iterator[Issue]:
        """Yield the digests that are due, in the order in which people subscribed; empty ones are left out."""
        last = 0
        while batch := self._batch(last, frequency):
            for subscription in batch:
                span = span_of(subscription, self._day)
                if span is not None and (content := self.content(subscription.frequency, subscription.scope, span)):
                    yield Issue(subscription, span, content, self._newest)
            last = batch[-1].id

    def content(self, frequency: Frequency, scope: Scope, span: Span) -> Content:
        """Return what is new; found once for all who get the same."""
        key = (frequency, scope, span)
        if key not in self._known:
            self._known[key] = Content(scope, frequency, tuple(self._papers(scope, span)), self._verdicts(scope, span))
        return self._known[key]

    def _batch(self, last: int, frequency: Frequency | None) -> list[Subscription]:
        columns = subscriptions.c
        due = [columns.state == "confirmed", columns.id > last, or_(columns.issue.is_(None), columns.issue < self._day)]
        if frequency is not None:
            due.append(columns.frequency == frequency.value)
        with self._database.read() as connection:
            rows = connection.execute(select(subscriptions).where(*due).order_by(columns.id).limit(_BATCH)).all()
        return [subscription_of(row) for row in rows]

    def _papers(self, scope: Scope, span: Span) -> Sequence[StoredPaper]:
        first = max(min(span.first, span.after - _LATE), span.issue - WINDOW * _DAY)
        if scope.kind is ScopeKind.ALL:
            now = dt.datetime.combine(span.issue, dt.time(), dt.UTC)
            with self._database.read() as connection:
                found = trending(connection, self._methods, now, days=(first, span.last), limit=_DEEP).papers
        else:
            found = self._searched(scope, first, span.last)
        return [each for each in found if span.has(each)][:PAPERS]

    def _searched(self, scope: Scope, first: dt.date, last: dt.date) -> list[StoredPaper]:
        form = scope.form
        filters = replace(
            form.filters, first=max(first, form.filters.first or first), last=min(last, form.filters.last or last)
        )
        hits = self._search.find(form.query, filters=filters, mode=form.mode, limit=_SEARCHED, explained=False).hits
        found = [hit.stored for hit in hits]
        # Without words the search knows no order but the days.
        return found if form.query else sorted(found, key=lambda each: -(each.votes or 0))

    def _verdicts(self, scope: Scope, span: Span) -> tuple[VerdictNews, ...]:
        news = list(verdict_news(self._methods, self._result_days, span.after, span.issue))
        if not news or scope.kind is ScopeKind.ALL:
            return tuple(news)
        form = scope.form
        hits = self._search.find(
            form.query, filters=form.filters, mode=form.mode, limit=_SEARCHED, explained=False
        ).hits
        found = {hit.stored.paper.id for hit in hits}
        return tuple(each for each in news if each.paper in found)


def span_of(subscription: Subscription, day: dt.date) -> Span | None:
    """Return what the issue that is due on a day covers; None if there is none.

    A daily one tells of the days since the last, a weekly one comes on Mondays and tells of the seven days before. What
    was missed is caught up with in one mail: a weekly issue is sent on Tuesday if nothing ran on Monday.
    """
    issue = day if subscription.frequency is Frequency.DAILY else day - day.weekday() * _DAY
    after = subscription.issue or issue - (_DAY if subscription.frequency is Frequency.DAILY else 7 * _DAY)
    if after >= issue:
        return None
    usual = issue - (_DAY if subscription.frequency is Frequency.DAILY else 7 * _DAY)
    first = max(min(after, usual), issue - WINDOW * _DAY)
    return Span(issue, after, first, subscription.seen or 0)


def queue_issue(connection: Connection, issue: Issue, now: dt.datetime) -> bool:
    """Queue a digest; False if it was queued before, perhaps by another process, or is not wanted any more.

    Args:
        connection: One that may write.
        issue: What ``Planner.issues`` gave.
        now: The present moment, with its zone.
    """
    columns, subscription = subscriptions.c, issue.subscription
    told = (
        update(subscriptions)
        .where(columns.id == subscription.id, columns.state == "confirmed")
        .where(or_(columns.issue.is_(None), columns.issue < issue.span.issue))
        .values(issue=issue.span.issue, seen=issue.newest)
    )
    if connection.execute(told).rowcount == 0:
        return False
    return put_mail(
        connection,
        MailKind.DIGEST,
        subscription.address,
        now,
        subscription=subscription.id,
        issue=issue.span.issue,
        content=issue.content.as_json(),
    )


def _paper(stored: StoredPaper) -> Mapping[str, Any]:
    paper = stored.paper
    return {
        "id": paper.id,
        "title": plain(paper.title),
        "excerpt": excerpt(plain(paper.summary or ""), _EXCERPT),
        "authors": stored.author_count,
        "votes": stored.votes,
        "organization": paper.organization,
    }
