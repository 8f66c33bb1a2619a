"""Killed at any moment, a digest loses no mail, and sends none again but the one it was handing over."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import random
import sys
import time
from collections import Counter
from typing import Any

import pytest
from sqlalchemy import select

from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.mail_tables import mails, subscriptions

from .servers import MailServer
from .stories import count, rows, save, subscribed

pytestmark = pytest.mark.slow

KILLS = 50
READERS = 30
DAY = dt.timedelta(days=1)
TODAY = dt.datetime.now(dt.UTC).date()
FIRST = TODAY - 55 * DAY
PATIENCE = 120.0

CALL = """
import os
os.environ.update({environment!r})
os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
from cenote.site import commands as site_commands
from cenote.site.mail import commands
# Neither cards nor results are read: a kill is to meet the planning and the sending.
site_commands.read_cards = lambda: ((), ())
commands.Methods = lambda: Nothing()
class Nothing(tuple):
    def by_paper(self, paper_id):
        return None
from cenote.cli import app
app({arguments!r})
"""


class Digests:
    """``cenote digest`` in processes of its own, forked from one that has imported everything."""

    def __init__(self, settings: SiteSettings, server: MailServer) -> None:
        assert settings.database_url is not None
        assert settings.mail_url is not None
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["__main__", "cenote.cli", "cenote.site.mail.commands"])
        self._random = random.Random(5)
        self._server = server
        self._environment = {
            "CENOTE_HOME": str(settings.home),
            "CENOTE_DATABASE_URL": settings.database_url.get_secret_value(),
            "CENOTE_MAIL_URL": settings.mail_url.get_secret_value(),
            "CENOTE_MAIL_FROM": settings.mail_from,
        }
        self._before_first = 1.0
        """Seconds until the first mail came, the last time none was killed before."""

    def finish(self, day: dt.date) -> None:
        process = self._start(day)
        process.join(PATIENCE)
        assert process.exitcode == 0

    def kill(self, day: dt.date, outstanding: int) -> bool:
        """Kill it before, while or after one of the mails is handed over; return whether it was still running."""
        wanted = self._random.randrange(outstanding)
        before, begin = len(self._server.mails), time.monotonic()
        process = self._start(day)
        if wanted == 0:
            process.join(self._random.uniform(0, self._before_first))
        while len(self._server.mails) - before < wanted and process.exitcode is None:
            if len(self._server.mails) - before == 1:
                self._before_first = time.monotonic() - begin
            time.sleep(0.0005)
        time.sleep(self._random.uniform(0, 0.02))
        process.kill()
        process.join(PATIENCE)
        return process.exitcode == -9

    def _start(self, day: dt.date) -> Any:
        code = CALL.format(arguments=["digest", "--date", str(day)], environment=self._environment)
        process = self._context.Process(target=exec, args=(code, {"__name__": "called"}))
        process.start()
        return process


def outstanding(store: Database, day: dt.date) -> int:
    """How many of a day's mails are still to be sent, or to be queued."""
    with store.read() as connection:
        told = connection.scalars(select(mails.c.subscription).where(mails.c.issue == day, mails.c.state == "sent"))
        return READERS - len(told.all())


def test_no_digest_is_lost_or_doubled(settings: SiteSettings, store: Database, server: MailServer) -> None:
    began = dt.datetime.combine(FIRST - DAY, dt.time(), dt.UTC)
    numbers = [subscribed(store, f"reader{n}@example.org", now=began) for n in range(READERS)]
    digests = Digests(settings, server)
    digests.finish(FIRST - DAY)  # the process that the others are forked from takes seconds to start
    kills, days = 0, 0
    while kills < KILLS:
        day = FIRST + days * DAY
        assert day <= TODAY
        save(store, day - DAY, start=days + 1)
        days += 1
        while kills < KILLS and (left := outstanding(store, day)) and digests.kill(day, left):
            kills += outstanding(store, day) > 0
        digests.finish(day)
        digests.finish(day)
        assert outstanding(store, day) == 0
    issues = [FIRST + n * DAY for n in range(days)]
    sent = rows(store, mails, mails.c.kind == "digest")
    assert sorted((row.subscription, row.issue) for row in sent) == sorted((n, day) for n in numbers for day in issues)
    assert {row.state for row in sent} == {"sent"}
    check_deliveries({row.message_id: row.address for row in sent}, server, kills)
    assert count(store, subscriptions, subscriptions.c.issue == issues[-1]) == READERS


def check_deliveries(expected: dict[str, str], server: MailServer, kills: int) -> None:
    """Each mail came, to its reader alone; what came once more did so under the same Message-ID."""
    came: Counter[str] = Counter()
    contents: dict[str, set[bytes]] = {}
    for each in server.mails:
        message_id = str(each.message["Message-ID"]).strip("<>").partition("@")[0]
        came[message_id] += 1
        assert each.recipients == (expected[message_id],)
        contents.setdefault(message_id, set()).add(each.text.encode())
    assert set(came) == set(expected)
    assert all(len(texts) == 1 for texts in contents.values())
    surplus = sum(came.values()) - len(came)
    assert surplus <= kills
    said = f"{len(expected)} digests, {kills} kills, {surplus} mails sent once more under the same Message-ID"
    sys.stdout.write(f"{said}\n")
