"""The post office: the thread of the web process that sends mail while pages are served."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from cenote.site.mail.sending import Dispatcher
from cenote.site.mail.transport import Transport
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database

LOOK = 60.0
"""Seconds between two looks at the outbox when nobody asks for one: other processes put mails in too."""

_TURN = 0.5
"""Seconds after which it is asked again whether another process still sends."""

_log = logging.getLogger(__name__)


class PostOffice:
    """Sends what is queued, within a second of ``wake``; several processes of the site take turns.

    Args:
        settings: Where mail goes, and who it comes from.
        database: The store.
        transport: Opens what mail is sent through; by default what ``CENOTE_MAIL_URL`` names.

    Raises:
        ArgumentError: If the settings cannot be used.
    """

    def __init__(
        self, settings: SiteSettings, database: Database, transport: Callable[[], Transport] | None = None
    ) -> None:
        self._dispatcher = Dispatcher(settings, database, transport)
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._work, name="cenote mail", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Have a look at the outbox now; call it when the transaction that queued a mail is kept."""
        self._wanted.set()

    def close(self) -> None:
        """Finish the mail that is being sent, and leave the rest for later."""
        self._closing.set()
        self._wanted.set()
        self._thread.join()

    def _work(self) -> None:
        while not self._closing.is_set():
            self._wanted.clear()
            try:
                pause = self._round()
            except Exception:  # such as a store that is away for a moment: the thread must outlive it
                _log.exception("mail could not be sent; the next look is in %d seconds", LOOK)
                pause = LOOK
            self._wanted.wait(pause)

    def _round(self) -> float:
        """Send what is due; return how long to wait for the next look."""
        if not self._dispatcher.has_due():
            return LOOK
        done = self._dispatcher.send_due(self._closing.is_set)
        if done.problem:
            _log.error("no mail can be sent: %s", done.problem)
        return _TURN if done.busy else LOOK
