"""How long what is known of readers is kept. The page on privacy states these times, and no others."""

from __future__ import annotations

import datetime as dt
import logging
import threading
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, delete, select
from sqlalchemy.exc import SQLAlchemyError

from cenote.errors import StorageError
from cenote.site.guarding.limits import forget_limits
from cenote.site.mail.outbox import WAITS, MailKind, forget_mails
from cenote.site.mail.subscriptions import CONFIRM_WITHIN
from cenote.site.readers.accounts import delete_readers
from cenote.site.runs.queue import forget_owners
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import bounces, confirmations, subscriptions
from cenote.site.store.reader_tables import operator_actions, readers, sessions, sign_in_links

READER_KEPT = dt.timedelta(days=730)
"""After such a time without signing in an account is deleted."""

SUBSCRIPTION_KEPT = dt.timedelta(days=365)
"""A subscription that ended: so long the link in its mails says that it did."""

PENDING_KEPT = WAITS[MailKind.CONFIRM] + CONFIRM_WITHIN
"""A subscription that nobody confirmed: the longest its mail may take, and then its link."""

BOUNCE_KEPT = dt.timedelta(days=90)
"""What came back from an address to which mail is still sent, after the last time."""

OWNER_KEPT = dt.timedelta(days=30)
"""Who started a run, after it ended."""

ACTION_KEPT = dt.timedelta(days=365)
"""What operators did."""

EVERY = dt.timedelta(hours=1)
"""How often the server looks for what is to go."""

_BATCH = 100
"""Readers deleted in one call, so that other writers do not wait for long."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cleaned:
    """How many rows went."""

    readers: int
    rows: int
    """Of all other tables."""


def clean(connection: Connection, now: dt.datetime) -> Cleaned:
    """Take out what is not kept any longer; nothing to do is no error, so it may be called at any time.

    Args:
        connection: One that may write.
        now: The present moment, with its zone.
    """
    unseen = select(readers.c.id).where(readers.c.seen < now - READER_KEPT).order_by(readers.c.id).limit(_BATCH)
    gone = delete_readers(connection, connection.scalars(unseen).all())
    ended = (subscriptions.c.state == "ended") & (subscriptions.c.ended < now - SUBSCRIPTION_KEPT)
    pending = (subscriptions.c.state == "pending") & (subscriptions.c.created < now - PENDING_KEPT)
    bounced = bounces.c.suppressed.is_(None) & (bounces.c.last < now - BOUNCE_KEPT)
    outdated = [
        delete(sessions).where(sessions.c.expires <= now),
        delete(sign_in_links).where(sign_in_links.c.expires <= now),
        delete(confirmations).where(confirmations.c.expires <= now),
        delete(subscriptions).where(ended | pending),
        delete(bounces).where(bounced),
        delete(operator_actions).where(operator_actions.c.created < now - ACTION_KEPT),
    ]
    rows = sum(connection.execute(statement).rowcount for statement in outdated)
    forget_owners(connection, now - OWNER_KEPT)
    return Cleaned(gone, rows + forget_mails(connection, now) + forget_limits(connection, now))


class Cleaning:
    """A thread that cleans when the server starts, and then every hour. Use it as a context."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, name="cenote-cleaning", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ending.is_set():
            try:
                with self._database.write() as connection:
                    clean(connection, dt.datetime.now(dt.UTC))
            except (StorageError, SQLAlchemyError):
                _log.warning("what is not kept any longer could not be taken out; it is tried again", exc_info=True)
            self._ending.wait(EVERY.total_seconds())
