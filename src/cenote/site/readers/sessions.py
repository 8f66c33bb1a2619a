"""Who is signed in: a random token in a cookie, of which the store has the hash."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from sqlalchemy import Connection, delete, exists, insert, select

from cenote.site.readers.tokens import new_token, token_hash
from cenote.site.store.reader_tables import blocks, readers, sessions

LASTS = dt.timedelta(days=30)
"""After this time one signs in again."""


@dataclass(frozen=True)
class Reader:
    """Somebody who signed in."""

    id: int
    address: str
    name: str
    created: dt.datetime


def open_session(connection: Connection, reader: int, now: dt.datetime) -> str:
    """Return the token of a new session; whatever the browser had before is not used again (no fixation)."""
    token = new_token()
    row = {"token_hash": token_hash(token), "reader": reader, "created": now, "expires": now + LASTS}
    connection.execute(insert(sessions).values(row))
    return token


def reader_of(connection: Connection, token: str, now: dt.datetime) -> Reader | None:
    """Return who has this session; None if it ended, or never was, or the address is blocked."""
    found = (
        select(readers.c.id, readers.c.address, readers.c.name, readers.c.created)
        .join(sessions, sessions.c.reader == readers.c.id)
        .where(sessions.c.token_hash == token_hash(token), sessions.c.expires > now)
        # Blocking ends the sessions that are there; this is for one that is being opened at the same moment.
        .where(~exists().where(blocks.c.address == readers.c.address))
    )
    row = connection.execute(found).one_or_none()
    return None if row is None else Reader(*row)


def close_session(connection: Connection, token: str) -> None:
    """End one session."""
    connection.execute(delete(sessions).where(sessions.c.token_hash == token_hash(token)))


def close_sessions(connection: Connection, reader: int) -> int:
    """End every session of a reader; return how many there were."""
    return connection.execute(delete(sessions).where(sessions.c.reader == reader)).rowcount
