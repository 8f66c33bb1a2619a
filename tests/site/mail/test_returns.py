"""Mails that come back: whom they are believed, and what they count, in both databases."""

from __future__ import annotations

import datetime as dt
from email.message import EmailMessage

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import update

from cenote.site.mail.bounces import FAILURES, takes_mail
from cenote.site.mail.outbox import MailKind, put_mail
from cenote.site.mail.returns import Return, read_return, take_return
from cenote.site.mail.subscriptions import leave_token, subscriptions_of
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import bounces, mails

from .stories import ADA, NOW, SECRET, count, rows, states, subscribed


def sent(database: Database, address: str = ADA, now: dt.datetime = NOW) -> str:
    """Send a mail; return its Message-ID."""
    with database.write() as connection:
        assert put_mail(connection, MailKind.SIGN_IN, address, now)
        connection.execute(update(mails).where(mails.c.state == "queued").values(state="sent", ended=now))
    return f"<{rows(database, mails)[-1].message_id}@example.org>"


def notification(
    message_id: str,
    recipient: str = f"rfc822; {ADA}",
    *,
    status: str = "5.1.1",
    action: str = "failed",
    original: str = "",
    headers_only: bool = True,
) -> bytes:
    """A delivery status notification, as Postfix writes it."""
    first = f"Original-Recipient: {original}\r\n" if original else ""
    returned = f"From: feed@example.org\r\nTo: somebody\r\nMessage-ID: {message_id}\r\nSubject: A mail\r\n"
    kind = "text/rfc822-headers" if headers_only else "message/rfc822"
    return (
        "From: MAILER-DAEMON@mx.example.net (Mail Delivery System)\r\n"
        "To: feed@example.org\r\n"
        "Subject: Undelivered Mail Returned to Sender\r\n"
        "Auto-Submitted: auto-replied\r\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="B"\r\n'
        "MIME-Version: 1.0\r\n\r\n"
        "--B\r\nContent-Type: text/plain\r\n\r\nIt could not be delivered.\r\n\r\n"
        "--B\r\nContent-Type: message/delivery-status\r\n\r\n"
        "Reporting-MTA: dns; mx.example.net\r\nArrival-Date: Thu, 26 Nov 2026 09:00:00 +0000\r\n\r\n"
        f"{first}Final-Recipient: {recipient}\r\nAction: {action}\r\nStatus: {status}\r\n"
        "Diagnostic-Code: smtp; 550 5.1.1 <ada@example.org>: Recipient address rejected:\r\n    User unknown\r\n\r\n"
        f"--B\r\nContent-Type: {kind}\r\n\r\n{returned}\r\n" + ("" if headers_only else "The text.\r\n") + "--B--\r\n"
    ).encode()


def take(database: Database, content: bytes, now: dt.datetime = NOW) -> str:
    with database.write() as connection:
        return take_return(connection, SECRET, read_return(content), now)


@pytest.mark.parametrize("headers_only", [True, False])
def test_three_that_came_back_suppress_an_address(database: Database, headers_only: bool) -> None:
    said = []
    for day in range(FAILURES):
        message_id = sent(database, now=NOW + dt.timedelta(days=day))
        content = notification(message_id, headers_only=headers_only)
        said.append(take(database, content, NOW + dt.timedelta(days=day, hours=1)))
        assert "is known; nothing was counted" in take(database, content)  # the same once more
    assert [text.partition(", ")[2] for text in said] == [
        "1 in a row; after 3 it gets no more mail",
        "2 in a row; after 3 it gets no more mail",
        "3 in a row; it gets no more mail",
    ]
    assert "550 5.1.1 <ada@example.org>: Recipient address rejected: User unknown" in said[0]
    assert states(database) == ["refused"] * FAILURES
    with database.read() as connection:
        assert not takes_mail(connection, ADA)
        assert takes_mail(connection, "bob@example.org")


def test_nobody_keeps_mail_from_another(database: Database) -> None:
    """Who got a mail knows its Message-ID, and no other; what a forger makes up names none of ours."""
    sent(database)
    his = sent(database, "eve@example.org")
    for forged in (
        notification("<20261126090000.0123456789abcdef01234567@example.org>"),
        notification(his),
        notification("<>"),
        notification(""),
        notification(his, recipient="rfc822; ada@example.org, eve@example.org"),
    ):
        assert take(database, forged) == "it returns no mail of this site to that address; nothing was done"
    assert count(database, bounces) == 0
    assert states(database) == ["sent", "sent"]


def test_the_address_may_have_been_another_on_the_way(database: Database) -> None:
    message_id = sent(database)
    content = notification(message_id, "rfc822; ada@mailbox.example.net", original="rfc822;Ada@Example.org")
    assert "1 in a row" in take(database, content)


@pytest.mark.parametrize(
    ("status", "action"),
    [("4.4.7", "failed"), ("5.7.1", "failed"), ("4.0.0", "delayed"), ("2.0.0", "delivered"), ("", "failed")],
)
def test_what_may_pass_or_is_no_fault_of_the_address_does_not_count(
    database: Database, status: str, action: str
) -> None:
    message_id = sent(database)
    assert "nothing was" in take(database, notification(message_id, status=status, action=action))
    assert count(database, bounces) == 0
    assert states(database) == ["sent"]


def test_a_mail_that_unsubscribes(database: Database) -> None:
    subscribed(database)
    with database.read() as connection:
        (theirs,) = subscriptions_of(connection, ADA)
    message = EmailMessage()
    message["From"], message["Subject"] = "somebody@example.com", f"unsubscribe {leave_token(SECRET, theirs.key)}"
    message.set_content("")
    assert take(database, message.as_bytes()) == "unsubscribed"
    assert take(database, message.as_bytes()) == "it was unsubscribed before"
    message.replace_header("Subject", f"unsubscribe {leave_token('other' * 8, theirs.key)}")
    assert "did not give out" in take(database, message.as_bytes())


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\x00" * 50, b"Subject: Out of office\r\n\r\nI am away.", b"Content-Type: multipart/report\r\n\r\n",
     b'Content-Type: multipart/report; boundary="B"\r\n\r\n--B\r\nContent-Type: message/delivery-status\r\n\r\n--B--',
     b"Subject: unsubscribe me\r\n\r\n", b"Content-Type: multipart/report; boundary=\xff\r\n\r\n--\xff\r\n"],
)  # fmt: skip
def test_what_is_none_of_these_does_nothing(database: Database, content: bytes) -> None:
    assert (
        take(database, content) == "it is no delivery status notification, and does not unsubscribe; nothing was done"
    )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_any_bytes_may_come(data: st.DataObject) -> None:
    whole = notification("<20261126090000.0123456789abcdef01234567@example.org>", headers_only=data.draw(st.booleans()))
    cut = data.draw(st.integers(0, len(whole)))
    put = data.draw(st.binary(max_size=40))
    read = read_return(whole[:cut] + put + whole[cut + data.draw(st.integers(0, 60)) :])
    assert isinstance(read, Return)
