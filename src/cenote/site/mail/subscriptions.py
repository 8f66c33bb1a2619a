"""Subscriptions: asked for by anybody, confirmed by who reads the mailbox, ended at any time.

A subscription is *pending* until its mail's link was used, then *confirmed*, and *ended* by its reader.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from itsdangerous import BadData, URLSafeSerializer
from sqlalchemy import ColumnElement, Connection, Row, and_, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cenote.site.guarding.limits import Limit, limit_key, take
from cenote.site.mail.bounces import takes_mail
from cenote.site.mail.outbox import MailKind, drop_mails, is_waiting, put_mail
from cenote.site.mail.scopes import Scope, ScopeKind
from cenote.site.readers.tokens import new_token, token_hash
from cenote.site.store.locks import in_turn
from cenote.site.store.mail_tables import confirmations, mails, subscriptions
from cenote.site.store.tables import papers

CONFIRM_WITHIN = dt.timedelta(hours=48)
"""After this time one subscribes anew."""

CONFIRMATIONS = Limit(1, dt.timedelta(minutes=10))
"""Mails that ask an address for confirmation, whatever is asked for."""

CONFIRMATIONS_A_DAY = Limit(4, dt.timedelta(days=1))
"""The same over a day: anybody can ask, and who is asked may want none."""

MOST = 20
"""Subscriptions of one address."""


class Frequency(StrEnum):
    """How often a digest comes."""

    DAILY = "daily"
    WEEKLY = "weekly"


@dataclass(frozen=True)
class Subscription:
    """What somebody wants to get."""

    id: int
    key: str
    """Random; known only to who got a mail of it."""
    address: str
    frequency: Frequency
    scope: Scope
    state: str
    issue: dt.date | None
    """The day of the last digest, or of the confirmation."""
    seen: int | None
    """The number of the newest paper that there was then."""

    @property
    def words(self) -> str:
        """What it is, in a sentence: 'all papers, daily'."""
        return f"{self.scope.words}, {self.frequency}"


# --- beginning ----------------------------------------------------------------------------------------------------


def subscribe(
    connection: Connection, secret: str, address: str, frequency: Frequency, scope: Scope, now: dt.datetime
) -> bool:
    """Note that somebody wants to subscribe, and ask the address whether that is so.

    Whoever asks learns nothing of the address: call it with any, and answer always the same.

    Args:
        connection: One that may write.
        secret: The site's.
        address: As ``read_address`` writes it.
        frequency: How often.
        scope: What.
        now: The present moment, with its zone.

    Returns:
        Whether a mail was queued: not if the subscription is confirmed already, if another mail waits for the address
        or went there a short while ago, if it got its share for the day, or if it takes none.
    """
    if not takes_mail(connection, address):
        return False
    there = connection.execute(select(subscriptions).where(_there(address))).all()
    wanted = [row for row in there if _is(row, frequency, scope)]
    if any(row.state == "confirmed" for row in wanted) or (not wanted and len(there) >= MOST):
        return False
    if wanted:
        connection.execute(update(subscriptions).where(subscriptions.c.id == wanted[0].id).values(created=now))
    else:
        row = {
            "key": new_token(),
            "address": address,
            "frequency": frequency.value,
            "scope": scope.kind.value,
            "chosen": scope.chosen,
            "state": "pending",
            "created": now,
        }
        upsert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
        connection.execute(upsert(subscriptions).values(row).on_conflict_do_nothing())
    if is_waiting(connection, MailKind.CONFIRM, address, now):
        return False
    for what, limit in (("confirmation", CONFIRMATIONS), ("confirmation a day", CONFIRMATIONS_A_DAY)):
        if take(connection, limit_key(secret, what, address), limit, now) > 0:
            return False
    return put_mail(connection, MailKind.CONFIRM, address, now)


def new_confirmation(connection: Connection, address: str, now: dt.datetime) -> str:
    """Return the token of a link that confirms what is pending for an address."""
    token = new_token()
    row = {"token_hash": token_hash(token), "address": address, "expires": now + CONFIRM_WITHIN}
    connection.execute(insert(confirmations).values(row))
    return token


@dataclass(frozen=True)
class Confirmation:
    """What a link is for."""

    address: str
    expires: dt.datetime


def find_confirmation(connection: Connection, token: str) -> Confirmation | None:
    """Return what a link is for, also when it is too old; None if it was used, or never was."""
    found = select(confirmations.c.address, confirmations.c.expires).where(
        confirmations.c.token_hash == token_hash(token)
    )
    row = connection.execute(found).one_or_none()
    return None if row is None else Confirmation(*row)


def confirm(connection: Connection, token: str, chosen: Collection[int], now: dt.datetime) -> list[Subscription] | None:
    """Confirm pending subscriptions by a link, which thereby ends.

    One of the same scope with another frequency is replaced.

    Args:
        connection: One that may write.
        token: The link's.
        chosen: Those that were shown to the reader; others that came meanwhile stay pending.
        now: The present moment, with its zone.

    Returns:
        What was confirmed; None if the link was used, is too old, or never was.
    """
    used = (
        delete(confirmations)
        .where(confirmations.c.token_hash == token_hash(token), confirmations.c.expires > now)
        .returning(confirmations.c.address)
    )
    address: str | None = connection.scalar(used)
    if address is None:
        return None
    in_turn(connection, f"subscriptions of {address}")
    confirmed = [each for each in pending(connection, address) if each.id in set(chosen)]
    newest = connection.scalar(select(func.max(papers.c.number))) or 0
    for each in confirmed:
        end(connection, now, *_same_scope(each), subscriptions.c.state == "confirmed")
        begun = {"state": "confirmed", "confirmed": now, "issue": now.astimezone(dt.UTC).date(), "seen": newest}
        connection.execute(update(subscriptions).where(subscriptions.c.id == each.id).values(begun))
    return confirmed


def pending(connection: Connection, address: str) -> list[Subscription]:
    """Return what an address has not confirmed yet, the oldest first."""
    return _found(connection, subscriptions.c.address == address, subscriptions.c.state == "pending")


def subscriptions_of(connection: Connection, address: str) -> list[Subscription]:
    """Return the confirmed subscriptions of an address, the oldest first."""
    return _found(connection, subscriptions.c.address == address, subscriptions.c.state == "confirmed")


# --- ending -------------------------------------------------------------------------------------------------------


def leave_token(secret: str, key: str) -> str:
    """Return what a link to unsubscribe has: it names one subscription, and cannot be made without the secret."""
    return str(_serializer(secret).dumps(key))


def read_leave_token(secret: str, token: str) -> str | None:
    """Return the key of the subscription that a link names, None if this site never gave it out."""
    try:
        key = _serializer(secret).loads(token)
    except (BadData, UnicodeError):
        return None
    return key if isinstance(key, str) else None


def find_subscription(connection: Connection, key: str) -> Subscription | None:
    """Return the subscription with this key, also if it has ended; None if it is forgotten."""
    return next(iter(_found(connection, subscriptions.c.key == key)), None)


def find_confirmed(connection: Connection, number: int) -> Subscription | None:
    """Return a subscription that is confirmed, by its number."""
    return next(iter(_found(connection, subscriptions.c.id == number, subscriptions.c.state == "confirmed")), None)


def end(connection: Connection, now: dt.datetime, *which: ColumnElement[bool]) -> int:
    """End subscriptions, at once: mails of theirs that are still queued are dropped. Return how many there were.

    Args:
        connection: One that may write.
        now: The present moment, with its zone.
        which: Conditions, such as ``subscriptions.c.key == key``.
    """
    ending = update(subscriptions).where(subscriptions.c.state != "ended", *which).values(state="ended", ended=now)
    ended = connection.scalars(ending.returning(subscriptions.c.id)).all()
    if ended:
        drop_mails(connection, now, "unsubscribed", mails.c.subscription.in_(ended))
    return len(ended)


def end_by_key(connection: Connection, key: str, now: dt.datetime) -> bool:
    """End the subscription with this key; return whether it had not ended before."""
    return end(connection, now, subscriptions.c.key == key) > 0


def end_all(connection: Connection, address: str, now: dt.datetime) -> int:
    """End all subscriptions of an address, also those that are not confirmed; return how many there were."""
    return end(connection, now, subscriptions.c.address == address)


def _serializer(secret: str) -> URLSafeSerializer:
    return URLSafeSerializer(secret, salt="cenote unsubscribe", signer_kwargs={"digest_method": hashlib.sha256})


def _there(address: str) -> ColumnElement[bool]:
    return and_(subscriptions.c.address == address, subscriptions.c.state != "ended")


def _is(row: Row[Any], frequency: Frequency, scope: Scope) -> bool:
    return (row.frequency, row.scope, row.chosen) == (frequency, scope.kind, scope.chosen)


def _same_scope(each: Subscription) -> Sequence[ColumnElement[bool]]:
    columns = subscriptions.c
    return (
        columns.address == each.address,
        columns.scope == each.scope.kind.value,
        columns.chosen == each.scope.chosen,
        columns.id != each.id,
    )


def _found(connection: Connection, *which: ColumnElement[bool]) -> list[Subscription]:
    return [subscription_of(row) for row in connection.execute(select(subscriptions).where(*which).order_by("id"))]


def subscription_of(row: Row[Any]) -> Subscription:
    """Return a row of the table."""
    scope = Scope(ScopeKind(row.scope), row.chosen)
    return Subscription(row.id, row.key, row.address, Frequency(row.frequency), scope, row.state, row.issue, row.seen)
