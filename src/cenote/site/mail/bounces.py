"""Addresses that mail does not reach: after three permanent failures in a row none is sent there any more."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Connection, delete, exists, select
from sqlalchemy.dialects import postgresql, sqlite

from cenote.site.readers.sign_in import is_blocked
from cenote.site.store.locks import in_turn
from cenote.site.store.mail_tables import bounces, mails

FAILURES = 3
"""Permanent ones in a row, after which an address gets no mail."""

RETURNS_WITHIN = dt.timedelta(days=5)
"""A server that took a mail and cannot hand it on says so within this time; one that did not come back has arrived."""


def takes_mail(connection: Connection, address: str) -> bool:
    """Return whether mail may be sent to an address: it is neither suppressed nor blocked."""
    suppressed = select(bounces.c.suppressed).where(bounces.c.address == address)
    return connection.scalar(suppressed) is None and not is_blocked(connection, address)


def count_failure(connection: Connection, address: str, now: dt.datetime, reason: str) -> int:
    """Count a permanent failure; return how many there were in a row, with this one.

    The count begins anew if a mail has arrived since the last one. That a relay took a mail does not mean so: only that
    it did not come back within ``RETURNS_WITHIN``.

    Args:
        connection: One that may write.
        address: As ``read_address`` writes it.
        now: The present moment, with its zone.
        reason: What was said.
    """
    in_turn(connection, "bounces")
    before = connection.execute(select(bounces).where(bounces.c.address == address)).one_or_none()
    failures = 1
    if before is not None and not _arrived_since(connection, address, before.last, now):
        failures = before.failures + 1
    suppressed = before.suppressed if before is not None else None
    row = {
        "failures": failures,
        "last": now,
        "reason": reason[:500],
        "suppressed": suppressed or (now if failures >= FAILURES else None),
    }
    insert = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    upsert = insert(bounces).values(address=address, **row)
    connection.execute(upsert.on_conflict_do_update(index_elements=[bounces.c.address], set_=row))
    return failures


def allow_again(connection: Connection, address: str) -> bool:
    """Forget the failures of an address, so that it gets mail again; return whether there were any."""
    return connection.execute(delete(bounces).where(bounces.c.address == address)).rowcount > 0


def _arrived_since(connection: Connection, address: str, moment: dt.datetime, now: dt.datetime) -> bool:
    arrived = exists().where(
        mails.c.address == address,
        mails.c.state == "sent",
        mails.c.ended > moment,
        mails.c.ended < now - RETURNS_WITHIN,
    )
    return bool(connection.scalar(select(arrived)))
