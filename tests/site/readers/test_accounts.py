"""What is kept of a reader can be taken along, and goes when the account does."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from fastapi.encoders import jsonable_encoder
from sqlalchemy import Connection, func, insert, select

from cenote.site.mail.outbox import MailKind, put_mail
from cenote.site.readers.accounts import delete_reader, hold_reader, rename
from cenote.site.readers.comments import add_comment
from cenote.site.readers.data import data_of, votes_by
from cenote.site.readers.sessions import Reader
from cenote.site.readers.sign_in import new_link
from cenote.site.readers.voting import vote
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


def test_the_data_is_all_there_is_but_hashes(store: Store) -> None:
    fill(store, BOB)
    ada = fill(store, ADA)
    with store.database.write() as connection:
        rename(connection, ada.id, "Ada")
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
    }
    assert data["votes"][0] == {"paper": "2611.00001", "created": "2026-11-28T12:00:00+00:00"}
    assert [each["text"] for each in data["comments"]] == [f"By {ADA}"] * 3
    assert data["sessions"][0]["expires"] == (NOW + dt.timedelta(days=30)).isoformat()
    assert BOB not in json.dumps(data)
