"""What is kept of readers, why, and for how long: the times are those that the code goes by."""

from __future__ import annotations

import datetime as dt

from fastapi import APIRouter, Request
from fastapi.responses import Response

from cenote.site.guarding.visitors import FORM_LASTS, NEXT_LASTS
from cenote.site.mail.outbox import KEPT as MAIL_KEPT
from cenote.site.readers.retention import (
    ACTION_KEPT,
    BOUNCE_KEPT,
    EVERY,
    OWNER_KEPT,
    PENDING_KEPT,
    READER_KEPT,
    SUBSCRIPTION_KEPT,
)
from cenote.site.readers.sessions import LASTS as SESSION_LASTS
from cenote.site.readers.sign_in import LINK_LASTS
from cenote.site.runs.keeper import KEPT as KEPT_RUNS
from cenote.site.state import TheSite
from cenote.site.web.rendering import page, render

router = APIRouter()

TIMES = {
    "session": SESSION_LASTS,
    "link": LINK_LASTS,
    "form": FORM_LASTS,
    "next": NEXT_LASTS,
    "reader": READER_KEPT,
    "mail": MAIL_KEPT,
    "pending": PENDING_KEPT,
    "subscription": SUBSCRIPTION_KEPT,
    "bounce": BOUNCE_KEPT,
    "action": ACTION_KEPT,
    "owner": OWNER_KEPT,
    "every": EVERY,
}
"""Everything the page says of time."""


@page(router, "/privacy")
def privacy(request: Request, site: TheSite) -> Response:
    """Show what is kept of readers."""
    times = {name: in_words(time) for name, time in TIMES.items()}
    return render(request, "privacy.html.j2", times=times, runs=site.allows_runs, kept_runs=KEPT_RUNS)


def in_words(time: dt.timedelta) -> str:
    """Write a time in the largest unit of which it is a multiple.

    Example:
        >>> in_words(dt.timedelta(days=730)), in_words(dt.timedelta(days=30)), in_words(dt.timedelta(hours=1))
        ('24 months', '30 days', '1 hour')
    """
    minutes = round(time.total_seconds() / 60)
    days, rest = divmod(minutes, 24 * 60)
    if not rest and days % 365 == 0:
        return f"{days // 365 * 12} months"
    for unit, length in (("day", 24 * 60), ("hour", 60), ("minute", 1)):
        number, rest = divmod(minutes, length)
        if number and not rest:
            return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    return f"{minutes} minutes"
