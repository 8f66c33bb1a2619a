"""Sending what is queued: one process of the site at a time, one mail after the other.

Each mail is kept as sent right after the server took it. A process that is killed between the two leaves a mail that
the server has and the store does not know of; it is sent once more, with the same Message-ID, by which a mailbox can
tell. SMTP knows no way to rule this out. No mail is ever lost.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import urlsplit

from cenote.errors import ArgumentError
from cenote.site.mail.bounces import count_failure, takes_mail
from cenote.site.mail.messages import Letters
from cenote.site.mail.outbox import (
    WAITS,
    Mail,
    MailKind,
    next_mail,
    note_deferred,
    note_dropped,
    note_refused,
    note_sent,
)
from cenote.site.mail.subscriptions import find_confirmed, leave_token, new_confirmation, pending
from cenote.site.mail.transport import (
    BrokenOffError,
    DeferredError,
    RefusedError,
    Transport,
    UnreachableError,
    open_transport,
)
from cenote.site.readers.sign_in import new_link
from cenote.site.secret import site_secret
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.locks import exclusive

_log = logging.getLogger(__name__)


@dataclass
class Round:
    """What became of the mails of one round."""

    sent: int = 0
    refused: int = 0
    dropped: int = 0
    deferred: int = 0
    busy: bool = False
    """Whether another process is sending, so that nothing was done."""
    problem: str = ""
    """Why no mail can be sent just now, if so."""


class Dispatcher:
    """Sends what is queued.

    Args:
        settings: Where mail goes, and who it comes from.
        database: The store.
        transport: Opens what mail is sent through; by default what ``CENOTE_MAIL_URL`` names.

    Raises:
        ArgumentError: If mail is not set up, or not so that it can work.
    """

    def __init__(
        self, settings: SiteSettings, database: Database, transport: Callable[[], Transport] | None = None
    ) -> None:
        self._database = database
        self._home = settings.home
        self._secret = site_secret(settings)
        self._letters = Letters(settings)
        self._open = transport or _opening(settings)
        if transport is None:
            self._open().close()  # an address that cannot be used is said now, not with the first mail

    def has_due(self) -> bool:
        """Return whether there is a mail to be sent now."""
        with self._database.read() as connection:
            return next_mail(connection, _now()) is not None

    def send_due(self, stop: Callable[[], bool] = lambda: False) -> Round:
        """Send all that is due, unless another process does so.

        Args:
            stop: Asked before each mail whether to leave the rest for later.
        """
        done = Round()
        with exclusive(self._database, self._home, "mail") as ours:
            if not ours:
                done.busy = True
                return done
            with contextlib.closing(self._open()) as transport:
                while not stop() and not done.problem:
                    with self._database.read() as connection:
                        mail = next_mail(connection, _now())
                    if mail is None:
                        break
                    self._send(transport, mail, done)
        return done

    def _send(self, transport: Transport, mail: Mail, done: Round) -> None:
        try:
            message = self._composed(mail)
        except Exception:  # a defect of one mail must not hold up the others
            _log.exception("mail %s cannot be written", mail.id)
            self._defer(mail, "it could not be written", done)
            return
        if isinstance(message, str):
            with self._database.write() as connection:
                note_dropped(connection, mail, _now(), message)
            done.dropped += 1
            return
        try:
            transport.send(message, self._letters.sender.address, mail.address)
        except DeferredError as error:
            self._defer(mail, str(error), done)
        except RefusedError as error:
            self._refuse(mail, error, done)
        except BrokenOffError as error:
            # It waits like one that was deferred: tried first each time, it would hold up all others for ever.
            self._defer(mail, str(error), done)
            done.problem = str(error)
        except UnreachableError as error:
            done.problem = str(error)
        except Exception:  # as above; what the server thinks of the connection is unknown now
            _log.exception("mail %s cannot be handed over", mail.id)
            transport.close()
            self._defer(mail, "it could not be handed over", done)
        else:
            with self._database.write() as connection:
                note_sent(connection, mail, _now())
            done.sent += 1

    def _composed(self, mail: Mail) -> EmailMessage | str:
        """The mail as it is sent, or why there is no use in it any more."""
        now = _now()
        # Only the links of the first two have to be kept; a digest is written without waiting for other writers.
        opened = self._database.read() if mail.kind is MailKind.DIGEST else self._database.write()
        with opened as connection:
            if mail.created < now - WAITS[mail.kind]:
                return "it waited too long"
            if not takes_mail(connection, mail.address):
                return "the address takes no mail"
            if mail.kind is MailKind.SIGN_IN:
                return self._letters.sign_in(mail, new_link(connection, mail.address, now), now)
            if mail.kind is MailKind.CONFIRM:
                # What anybody may write is no part of a mail to somebody who asked for none.
                wanted = [f"{each.scope.safe_words}, {each.frequency}" for each in pending(connection, mail.address)]
                if not wanted:
                    return "nothing is to be confirmed"
                return self._letters.confirm(mail, new_confirmation(connection, mail.address, now), wanted, now)
            subscription = find_confirmed(connection, mail.subscription or 0)
            if subscription is None:
                return "unsubscribed"
            return self._letters.digest(mail, leave_token(self._secret, subscription.key), now)

    def _defer(self, mail: Mail, problem: str, done: Round) -> None:
        with self._database.write() as connection:
            note_deferred(connection, mail, _now(), problem)
        done.deferred += 1

    def _refuse(self, mail: Mail, error: RefusedError, done: Round) -> None:
        _log.warning("mail %s was refused: %s", mail.id, error)
        with self._database.write() as connection:
            note_refused(connection, mail, _now(), str(error))
            if error.no_mailbox:
                count_failure(connection, mail.address, _now(), str(error))
        done.refused += 1


def _opening(settings: SiteSettings) -> Callable[[], Transport]:
    if settings.mail_url is None or not settings.mail_from:
        raise ArgumentError("mail is not set up: CENOTE_MAIL_URL says where it goes, CENOTE_MAIL_FROM whom it is from")
    url = settings.mail_url.get_secret_value()
    name = urlsplit(settings.base_url).hostname or "localhost"
    return lambda: open_transport(url, name=name)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
