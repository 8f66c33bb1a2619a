"""Days, ISO weeks and months as pages name them and link to them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from cenote.errors import ArgumentError
from cenote.site.periods import Day, Month, Period, Week
from cenote.site.web.rendering import day_in_words

KINDS: Mapping[str, type[Period]] = {kind.kind: kind for kind in (Day, Week, Month)}
"""The periods by the word their addresses have."""


@dataclass(frozen=True)
class ShownPeriod:
    """A period with its address and its name."""

    period: Period

    @property
    def kind(self) -> str:
        """``date``, ``week`` or ``month``."""
        return self.period.kind

    @property
    def url(self) -> str:
        """Where its papers are."""
        return f"/papers/{self.period.kind}/{self.period}"

    @property
    def title(self) -> str:
        """Its name in words."""
        first, last = self.period.first, self.period.last
        if isinstance(self.period, Day):
            return f"{first:%A} {day_in_words(first)}"
        if isinstance(self.period, Month):
            return f"{first:%B %Y}"
        start = f"{first.day}" if first.month == last.month else f"{first.day} {first:%B}"
        start += "" if first.year == last.year else f" {first.year}"
        return f"Week {first.isocalendar().week}, {start} – {day_in_words(last)}"


def shown_period(kind: type[Period], day: dt.date | None) -> ShownPeriod | None:
    """Return the period that a day is in; None without a day, and where the calendar ends before the period does."""
    if day is None:
        return None
    try:
        return ShownPeriod(kind.containing(day))
    except ArgumentError:
        return None


def containing(day: dt.date) -> dict[str, str]:
    """Return the addresses of the day, week and month that a day is in, by kind."""
    shown = {name: shown_period(kind, day) for name, kind in KINDS.items()}
    return {name: period.url for name, period in shown.items() if period is not None}
