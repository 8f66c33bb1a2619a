"""The outbox: mails that are to be sent, and what became of those that were.

A mail is *queued* in the transaction that wants it sent, so there is one exactly if the rest was kept too. It becomes
*sent* when a server took it, *refused* when one said that it never will, *dropped* when there was no more use in it.
"""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, exists, func, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cenote.site.mail.bounces import takes_mail
from cenote.site.store.locks import in_turn
from cenote.site.store.mail_tables import mails


class MailKind(StrEnum):
    """What a mail is for."""

    SIGN_IN = "sign-in"
    CONFIRM = "confirm"
    DIGEST = "digest"


WAITS = {
    MailKind.SIGN_IN: dt.timedelta(minutes=30),
    MailKind.CONFIRM: dt.timedelta(hours=48),
    MailKind.DIGEST: dt.timedelta(days=3),
}
"""How long a mail is tried; whoever asked for a link has asked again by then, and a digest is old."""

KEPT = dt.timedelta(days=60)
"""How long it is known what became of a mail, so that one that comes back is recognised."""

_FIRST_PAUSE = dt.timedelta(minutes=1)
_LONGEST_PAUSE = dt.timedelta(hours=4)


@dataclass(frozen=True)
class Mail:
    """One that is to be sent."""

    id: int
    kind: MailKind
    address: str
    subscription: int | None
    issue: dt.date | None
    content: Mapping[str, Any]
    message_id: str
    """What stands before the domain: the same each time the mail is tried."""
    attempts: int
    created: dt.datetime


def put_mail(
    connection: Connection,
    kind: MailKind,
    address: str,
    now: dt.datetime,
    *,
    subscription: int | None = None,
    issue: dt.date | None = None,
    content: Mapping[str, object] | None = None,
) -> bool:
    """Queue a mail; call ``PostOffice.wake`` once the transaction is kept.

    Args:
        connection: One that may write.
        kind: What it is for.
        address: As ``read_address`` writes it.
        now: The present moment, with its zone.
        subscription: Whose digest it is.
        issue: The digest's day.
        content: What the digest is made from.

    Returns:
        False if there is one for this subscription and issue, if one of another kind still waits for this address, or
        the address takes no mail.
    """
    if not takes_mail(connection, address) or is_waiting(connection, kind, address, now):
        return False
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    row = {
        "kind": kind.value,
        "address": address,
        "subscription": subscription,
        "issue": issue,
        "content": None if content is None else json.dumps(content, ensure_ascii=False),
        "message_id": f"{now:%Y%m%d%H%M%S}.{secrets.token_hex(12)}",
        "state": "queued",
        "created": now,
        "due": now,
    }
    queued = connection.execute(insert(mails).values(row).on_conflict_do_nothing().returning(mails.c.id))
    return queued.first() is not None


def is_waiting(connection: Connection, kind: MailKind, address: str, now: dt.datetime) -> bool:
    """Return whether a mail that says all that another one would is still to be sent; no two digests say the same.

    Until the transaction ends no other one puts such a mail in between.
    """
    if kind is MailKind.DIGEST:
        return False
    in_turn(connection, f"{kind} mails to {address}")
    of_use = (mails.c.state == "queued", mails.c.created >= now - WAITS[kind])
    waiting = exists().where(mails.c.address == address, mails.c.kind == kind.value, *of_use)
    return bool(connection.scalar(select(waiting)))


def next_mail(connection: Connection, now: dt.datetime) -> Mail | None:
    """Return the mail to be sent next: what somebody waits for comes before all digests."""
    for kinds in ((MailKind.SIGN_IN, MailKind.CONFIRM), (MailKind.DIGEST,)):
        due = select(mails).where(mails.c.state == "queued", mails.c.kind.in_(kinds), mails.c.due <= now)
        row = connection.execute(due.order_by(mails.c.kind.desc(), mails.c.id).limit(1)).one_or_none()
        if row is not None:
            return _mail(row)
    return None


def count_queued(connection: Connection) -> int:
    """Return how many mails are still to be sent, now or later."""
    return connection.scalar(select(func.count()).where(mails.c.state == "queued")) or 0


def note_sent(connection: Connection, mail: Mail, now: dt.datetime) -> None:
    """Keep that a server took a mail. What it was made from is not needed any more."""
    _end(connection, mails.c.id == mail.id, "sent", now, None)


def note_refused(connection: Connection, mail: Mail, now: dt.datetime, problem: str) -> None:
    """Keep that a mail will never be taken."""
    _end(connection, mails.c.id == mail.id, "refused", now, problem)


def note_dropped(connection: Connection, mail: Mail, now: dt.datetime, problem: str) -> None:
    """Keep that there was no more use in sending a mail."""
    _end(connection, mails.c.id == mail.id, "dropped", now, problem)


def note_deferred(connection: Connection, mail: Mail, now: dt.datetime, problem: str) -> None:
    """Try a mail again later: after a minute, then after twice as long each time, up to four hours."""
    pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2 ** min(mail.attempts, 20))
    values = {"attempts": mails.c.attempts + 1, "due": now + pause, "problem": problem[:500]}
    connection.execute(update(mails).where(mails.c.id == mail.id, mails.c.state == "queued").values(values))


def drop_mails(connection: Connection, now: dt.datetime, problem: str, *which: ColumnElement[bool]) -> int:
    """Drop queued mails, such as those of an address; return how many there were."""
    queued = (mails.c.state == "queued", *which)
    return connection.execute(
        update(mails).where(*queued).values(state="dropped", ended=now, problem=problem, content=None)
    ).rowcount


def forget_mails(connection: Connection, now: dt.datetime) -> int:
    """Take out mails that ended long ago; return how many there were."""
    return connection.execute(delete(mails).where(mails.c.state != "queued", mails.c.ended < now - KEPT)).rowcount


def _end(connection: Connection, which: ColumnElement[bool], state: str, now: dt.datetime, problem: str | None) -> None:
    values = {"state": state, "ended": now, "problem": problem and problem[:500], "content": None}
    connection.execute(update(mails).where(which, mails.c.state == "queued").values(values))


def _mail(row: Row[Any]) -> Mail:
    return Mail(
        id=row.id,
        kind=MailKind(row.kind),
        address=row.address,
        subscription=row.subscription,
        issue=row.issue,
        content=json.loads(row.content) if row.content else {},
        message_id=row.message_id,
        attempts=row.attempts,
        created=row.created,
    )
