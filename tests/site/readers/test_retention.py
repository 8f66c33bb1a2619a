"""Nothing of readers is kept longer than the page on privacy says: its times are the ones that are tested here."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, Table, func, insert, select

from cenote.site.guarding.limits import Limit, take
from cenote.site.readers import retention
from cenote.site.readers.retention import Cleaned, Cleaning, clean
from cenote.site.readers.sessions import open_session
from cenote.site.readers.sign_in import new_link
from cenote.site.readers.voting import vote
from cenote.site.runs import queue
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import bounces, confirmations, mails, subscriptions
from cenote.site.store.reader_tables import limits, operator_actions, readers, sessions, sign_in_links
from cenote.site.web.privacy import TIMES

from .conftest import NOW, Store

Made = Callable[[Connection, dt.datetime], object]
SECOND = dt.timedelta(seconds=1)
ADA = "ada@example.org"


def _subscription(state: str) -> Made:
    row = {"key": state, "address": ADA, "frequency": "daily", "scope": "all", "state": state}

    def made(connection: Connection, at: dt.datetime) -> None:
        ended = at if state == "ended" else None
        connection.execute(insert(subscriptions).values(row | {"created": at, "ended": ended}))

    return made


def _mail(state: str) -> Made:
    row = {"kind": "sign-in", "address": ADA, "message_id": "1", "state": state}

    def made(connection: Connection, at: dt.datetime) -> None:
        ended = None if state == "queued" else at
        connection.execute(insert(mails).values(row | {"created": at, "due": at, "ended": ended}))

    return made


def _bounce(connection: Connection, at: dt.datetime, suppressed: dt.datetime | None = None) -> None:
    connection.execute(insert(bounces).values(address=ADA, failures=1, last=at, suppressed=suppressed))


def _action(connection: Connection, at: dt.datetime) -> None:
    connection.execute(insert(operator_actions).values(created=at, operator=ADA, kind="hide", object="comment 1"))


def _reader(connection: Connection, at: dt.datetime) -> None:
    connection.execute(insert(readers).values(address=ADA, name="Ada", name_key="ada", created=at, seen=at))


@pytest.mark.parametrize(
    ("table", "made", "time"),
    [
        (sign_in_links, lambda connection, at: new_link(connection, ADA, at), "link"),
        (operator_actions, _action, "action"),
        (bounces, _bounce, "bounce"),
        (readers, _reader, "reader"),
        (mails, _mail("sent"), "mail"),
        (mails, _mail("dropped"), "mail"),
        (subscriptions, _subscription("pending"), "pending"),
        (subscriptions, _subscription("ended"), "subscription"),
    ],
)
def test_what_the_page_says_is_what_is_done(database: Database, table: Table, made: Made, time: str) -> None:
    lasts = TIMES[time]
    with database.write() as connection:
        made(connection, NOW)
        clean(connection, NOW + lasts - SECOND)
        assert connection.scalar(select(func.count()).select_from(table)) == 1
        clean(connection, NOW + lasts + SECOND)
        assert connection.scalar(select(func.count()).select_from(table)) == 0


@pytest.mark.parametrize("owner", ["reader:1", "0" * 64])
def test_whose_a_run_was_goes_after_it_ended(database: Database, owner: str) -> None:
    lasts = TIMES["owner"]
    with database.write() as connection:
        ended, waiting = (queue.ask(connection, "order-theory", preset, owner, NOW).id for preset in queue.PRESETS)
        queue.cancel(connection, ended, NOW)
        clean(connection, NOW + lasts - SECOND)
        assert [run.owner for run in queue.recent_runs(connection, 5)] == [owner] * 2
        clean(connection, NOW + lasts + SECOND)
        assert {run.id: run.owner for run in queue.recent_runs(connection, 5)} == {ended: "", waiting: owner}


def test_sessions_go_and_their_readers_stay(store: Store) -> None:
    reader = store.reader()
    with store.database.write() as connection:
        open_session(connection, reader.id, NOW + SECOND)
        assert clean(connection, NOW + TIMES["session"]) == Cleaned(readers=0, rows=1)
        assert clean(connection, NOW + TIMES["session"] + SECOND) == Cleaned(readers=0, rows=1)
        assert connection.scalar(select(func.count()).select_from(sessions)) == 0
        assert connection.scalar(select(func.count()).select_from(readers)) == 1


@pytest.mark.parametrize(
    "made", [_subscription("confirmed"), _mail("queued"), lambda connection, at: _bounce(connection, at, at)]
)
def test_what_is_still_wanted_stays(database: Database, made: Made) -> None:
    with database.write() as connection:
        made(connection, NOW)
        assert clean(connection, NOW + dt.timedelta(days=5_000)) == Cleaned(readers=0, rows=0)


def test_confirmations_end_with_their_tokens(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(confirmations).values(token_hash="x", address=ADA, expires=NOW))
        assert clean(connection, NOW - SECOND).rows == 0
        assert clean(connection, NOW).rows == 1


def test_limits_go_when_they_no_longer_limit(database: Database) -> None:
    limit = Limit(2, dt.timedelta(minutes=10))
    with database.write() as connection:
        take(connection, "key", limit, NOW)
        assert clean(connection, NOW + dt.timedelta(minutes=4)).rows == 0
        assert clean(connection, NOW + dt.timedelta(minutes=6)).rows == 1
        assert connection.scalar(select(func.count()).select_from(limits)) == 0


def test_votes_of_who_is_deleted_are_not_counted_any_more(store: Store) -> None:
    reader = store.reader()
    with store.database.write() as connection:
        vote(connection, store.paper(1).number, reader.id, want=True, now=NOW)
        assert clean(connection, NOW + TIMES["reader"] + SECOND).readers == 1
    assert store.paper(1).reader_votes == 0


def test_the_server_cleans_by_itself(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "EVERY", dt.timedelta(milliseconds=20))
    old = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    with Cleaning(store.database):
        for _ in range(2):  # at the start, and again
            with store.database.write() as connection:
                new_link(connection, ADA, old)
            ends = time.monotonic() + 20
            while _links(store) and time.monotonic() < ends:
                time.sleep(0.01)
            assert _links(store) == 0


def _links(store: Store) -> int:
    with store.database.read() as connection:
        return connection.scalar(select(func.count()).select_from(sign_in_links)) or 0
