"""What is kept of a reader can be taken along, and goes when the account does."""

from __future__ import annotations

import datetime as dt
import json
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
from fastapi.encoders import jsonable_encoder
from sqlalchemy import Connection, func, insert, select

from cenote.errors import ArgumentError
from cenote.site.mail.outbox import MailKind, put_mail
from cenote.site.readers import sign_in
from cenote.site.readers.accounts import delete_reader, hold_reader, rename
from cenote.site.readers.comments import add_comment
from cenote.site.readers.data import data_of, votes_by
from cenote.site.readers.sessions import Reader
from cenote.site.readers.sign_in import new_link
from cenote.site.readers.voting import vote
from cenote.site.runs import queue
from cenote.site.store.mail_tables import bounces, confirmations, subscriptions
from cenote.site.store.tables import metadata

from .conftest import NOW, Store

ADA, BOB = "ada@example.org", "bob@example.org"


def fill(store: Store, address: str) -> Reader:
    """A reader who did all that one can do."""
    reader = store.reader(address)
    with store.database.write() as connection:
        for number in (1, 2):
            vote(connection, store.paper(number).number, reader.id, want=True, now=NOW)
            for _ in range(number):
                add_comment(connection, store.paper(number).number, reader.id, f"By {address}", NOW)
        new_link(connection, address, NOW)
        confirmation = {"token_hash": address, "address": address, "expires": NOW}
        connection.execute(insert(confirmations).values(confirmation))
        row = {"key": address, "address": address, "frequency": "daily", "scope": "all", "state": "confirmed"}
        subscription = connection.scalar(
            insert(subscriptions).values(row | {"created": NOW}).returning(subscriptions.c.id)
        )
        put_mail(connection, MailKind.SIGN_IN, address, NOW)
        put_mail(connection, MailKind.DIGEST, address, NOW, subscription=subscription, issue=NOW.date(), content={})
        connection.execute(insert(bounces).values(address=address, failures=1, last=NOW, reason="full"))
    return reader


def everything(connection: Connection) -> str:
    """All rows of all tables but those of papers, as text."""
    tables = [table for table in metadata.sorted_tables if table.name not in ("papers", "vectors", "imports")]
    return "\n".join(f"{table.name}: {tuple(row)}" for table in tables for row in connection.execute(select(table)))


def test_nothing_of_a_deleted_reader_is_left_and_nothing_of_others_goes(store: Store) -> None:
    bob = fill(store, BOB)
    with store.database.read() as connection:
        before = everything(connection)
    ada = fill(store, ADA)
    assert (store.paper(1).reader_votes, store.paper(1).reader_comments) == (2, 2)
    assert (store.paper(2).reader_votes, store.paper(2).reader_comments) == (2, 4)
    with store.database.write() as connection:
        assert delete_reader(connection, ada.id)
        assert not delete_reader(connection, ada.id)
        assert not hold_reader(connection, ada.id)
        assert hold_reader(connection, bob.id)
        after = everything(connection)
    assert ADA not in after
    assert after == before
    assert (store.paper(1).reader_votes, store.paper(1).reader_comments) == (1, 1)
    assert (store.paper(2).reader_votes, store.paper(2).reader_comments) == (1, 2)


def test_a_run_is_nobodys_once_its_reader_is_gone(store: Store) -> None:
    ada, bob = store.reader(ADA), store.reader(BOB)
    with store.database.write() as connection:
        for reader, preset in ((ada, "smoke"), (bob, "laptop")):
            queue.ask(connection, "order-theory", preset, queue.reader_owner(reader.id), NOW)
        delete_reader(connection, ada.id)
        owners = {run.preset: run.owner for run in queue.recent_runs(connection, 5)}
    assert owners == {"smoke": "", "laptop": queue.reader_owner(bob.id)}


def test_that_a_mailbox_refuses_mail_is_kept(store: Store) -> None:
    ada = store.reader(ADA)
    with store.database.write() as connection:
        connection.execute(insert(bounces).values(address=ADA, failures=3, last=NOW, suppressed=NOW))
        delete_reader(connection, ada.id)
        assert connection.scalar(select(func.count()).select_from(bounces)) == 1


def test_who_comes_back_is_somebody_new(store: Store) -> None:
    first = store.reader()
    with store.database.write() as connection:
        delete_reader(connection, first.id)
    assert store.reader().id > first.id


def test_no_two_readers_have_one_name(store: Store) -> None:
    ada, bob = store.reader(ADA), store.reader(BOB)
    with store.database.write() as connection:
        rename(connection, ada.id, "Ada")
        rename(connection, ada.id, "ADA")  # written another way by the same reader
        with pytest.raises(ArgumentError, match="that no other reader has, got 'ada'"):
            rename(connection, bob.id, "ada")
        rename(connection, bob.id, "Bob")  # the transaction goes on
    assert [store.reader(address).name for address in (ADA, BOB)] == ["ADA", "Bob"]


def test_of_two_who_choose_a_name_at_once_one_gets_it(store: Store) -> None:
    chosen = [store.reader(f"r{number}@example.org").id for number in range(6)]
    together = Barrier(len(chosen))

    def choose(reader: int) -> bool:
        together.wait()
        try:
            with store.database.write() as connection:
                rename(connection, reader, "Ada")
        except ArgumentError:
            return False
        return True

    with ThreadPoolExecutor(len(chosen)) as pool:
        assert sum(pool.map(choose, chosen)) == 1


def test_a_name_that_is_given_is_drawn_until_nobody_has_it(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter(["reader-1", "reader-1", "reader-1", "reader-2"])
    monkeypatch.setattr(sign_in, "neutral_name", lambda: next(drawn))
    assert [store.reader(address).name for address in (ADA, BOB, ADA)] == ["reader-1", "reader-2", "reader-1"]


def test_the_data_is_all_there_is_but_hashes(store: Store) -> None:
    fill(store, BOB)
    ada = fill(store, ADA)
    with store.database.write() as connection:
        rename(connection, ada.id, "Ada")
        queue.ask(connection, "order-theory", "smoke", queue.reader_owner(ada.id), NOW)
    with store.database.read() as connection:
        data: dict[str, Any] = json.loads(json.dumps(jsonable_encoder(data_of(connection, ada))))
        assert votes_by(connection, ada.id, limit=1) == [("2611.00001", "One")]
    assert data["reader"] == {
        "address": ADA,
        "name": "Ada",
        "created": "2026-11-28T12:00:00+00:00",
        "seen": "2026-11-28T12:00:00+00:00",
    }
    assert {name: len(rows) for name, rows in data.items() if name != "reader"} == {
        "sessions": 1,
        "votes": 2,
        "comments": 3,
        "subscriptions": 1,
        "mails": 2,
        "bounces": 1,
        "runs": 1,
    }
    assert [(each["slug"], each["state"]) for each in data["runs"]] == [("order-theory", "queued")]
    assert data["votes"][0] == {"paper": "2611.00001", "created": "2026-11-28T12:00:00+00:00"}
    assert [each["text"] for each in data["comments"]] == [f"By {ADA}"] * 3
    assert data["sessions"][0]["expires"] == (NOW + dt.timedelta(days=30)).isoformat()
    assert BOB not in json.dumps(data)
