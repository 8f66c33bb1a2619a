"""Signing in by a link that is sent by mail: who can read the mailbox is the reader."""

from __future__ import annotations

import datetime as dt

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from cenote.site.readers.names import name_key, neutral_name
from cenote.site.readers.sessions import open_session
from cenote.site.readers.tokens import new_token, token_hash
from cenote.site.store.reader_tables import blocks, readers, sign_in_links

LINK_LASTS = dt.timedelta(minutes=30)
"""After this time one asks for another link."""


def is_blocked(connection: Connection, address: str) -> bool:
    """Return whether an operator blocked this address, so that nobody signs in with it."""
    return connection.scalar(select(blocks.c.address).where(blocks.c.address == address)) is not None


def new_link(connection: Connection, address: str, now: dt.datetime) -> str:
    """Return the token of a new link; those that were sent before stay valid until they are used or too old.

    Args:
        connection: One that may write.
        address: As ``read_address`` writes it.
        now: The present moment, with its zone.
    """
    token = new_token()
    row = {"token_hash": token_hash(token), "address": address, "expires": now + LINK_LASTS}
    connection.execute(insert(sign_in_links).values(row))
    return token


def link_address(connection: Connection, token: str, now: dt.datetime) -> str | None:
    """Return whom a link signs in, without using it; None if it was used, is too old, or never was."""
    found = select(sign_in_links.c.address).where(
        sign_in_links.c.token_hash == token_hash(token), sign_in_links.c.expires > now
    )
    address: str | None = connection.scalar(found)
    return None if address is None or is_blocked(connection, address) else address


def use_link(connection: Connection, token: str, now: dt.datetime) -> str | None:
    """Sign in by a link, which thereby ends; who never did before becomes a reader.

    Returns:
        The token of a new session; None if the link was used, is too old, or never was.
    """
    used = (
        delete(sign_in_links)
        .where(sign_in_links.c.token_hash == token_hash(token), sign_in_links.c.expires > now)
        .returning(sign_in_links.c.address)
    )
    address: str | None = connection.scalar(used)
    if address is None or is_blocked(connection, address):
        return None
    return open_session(connection, _reader_with(connection, address, now), now)


def _reader_with(connection: Connection, address: str, now: dt.datetime) -> int:
    """The reader with this address, who was seen now; made if there is none."""
    greet = update(readers).where(readers.c.address == address).values(seen=now).returning(readers.c.id)
    add = sqlite.insert if connection.dialect.name == "sqlite" else postgresql.insert
    number: int | None = connection.scalar(greet)
    while number is None:
        name = neutral_name()
        row = {"address": address, "name": name, "name_key": name_key(name), "created": now, "seen": now}
        # Nothing comes back where the name is taken, or where the same reader signed in at this moment.
        added = add(readers).values(row).on_conflict_do_nothing().returning(readers.c.id)
        number = connection.scalar(added) or connection.scalar(greet)
    return number
