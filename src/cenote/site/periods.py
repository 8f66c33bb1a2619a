"""The spans of time the feed is read by: a day, an ISO week, a month; how addresses write them."""

from __future__ import annotations

import datetime as dt
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Self

from cenote.errors import ArgumentError

_DAY = dt.timedelta(days=1)


@dataclass(frozen=True, order=True)
class Period(ABC):
    """Days that follow each other. ``str`` gives the form that ``parse`` reads."""

    first: dt.date

    kind: ClassVar[str]
    form: ClassVar[str]
    """The form in words, with an example."""

    @classmethod
    @abstractmethod
    def parse(cls, text: str) -> Self:
        """Read a period.

        Raises:
            ArgumentError: If the text has another form, or names a period that the calendar does not have.
        """

    @classmethod
    @abstractmethod
    def containing(cls, day: dt.date) -> Self:
        """Return the period in which a day lies.

        Raises:
            ArgumentError: If part of the period lies outside of the years 1 to 9999.
        """

    @property
    @abstractmethod
    def last(self) -> dt.date:
        """The last of the days."""

    @property
    def previous(self) -> Self | None:
        """The period before this one, None at the beginning of the calendar."""
        return None if self.first == dt.date.min else self._containing(self.first - _DAY)

    @property
    def next(self) -> Self | None:
        """The period after this one, None at the end of the calendar."""
        return None if self.last == dt.date.max else self._containing(self.last + _DAY)

    @classmethod
    def _containing(cls, day: dt.date) -> Self | None:
        try:
            return cls.containing(day)
        except ArgumentError:
            return None

    @classmethod
    def _numbers(cls, text: str, pattern: str) -> list[int]:
        match = re.fullmatch(pattern, text, re.ASCII)
        if match is None:
            raise cls._wrong(text)
        return [int(number) for number in match.groups()]

    @classmethod
    def _wrong(cls, text: object) -> ArgumentError:
        return ArgumentError(f"{cls.kind} must be {cls.form}, got {str(text)!r:.60}")


class Day(Period):
    """One day.

    Example:
        >>> Day.parse("2025-03-01").previous
        Day(first=datetime.date(2025, 2, 28))
    """

    kind = "date"
    form = "a day of the calendar as YYYY-MM-DD, such as 2025-02-28"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``YYYY-MM-DD``."""
        year, month, day = cls._numbers(text, r"(\d{4})-(\d\d)-(\d\d)")
        try:
            return cls(dt.date(year, month, day))
        except ValueError:
            raise cls._wrong(text) from None

    @classmethod
    def containing(cls, day: dt.date) -> Self:
        """Return the day itself."""
        return cls(day)

    @property
    def last(self) -> dt.date:
        """The day itself."""
        return self.first

    def __str__(self) -> str:
        return self.first.isoformat()


class Week(Period):
    """A week from Monday to Sunday, numbered as ISO 8601 does: week 1 has the year's first Thursday.

    Example:
        >>> week = Week.parse("2025-W01")
        >>> str(week.first), str(week.last), str(week.previous)
        ('2024-12-30', '2025-01-05', '2024-W52')
    """

    kind = "week"
    form = "an ISO week of the calendar as YYYY-Www, such as 2025-W09"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``YYYY-Www``."""
        year, week = cls._numbers(text, r"(\d{4})-W(\d\d)")
        try:
            return cls.containing(dt.date.fromisocalendar(year, week, 1))
        except ValueError:
            raise cls._wrong(text) from None

    @classmethod
    def containing(cls, day: dt.date) -> Self:
        """Return the week in which a day lies."""
        try:
            monday = day - (day.isoweekday() - 1) * _DAY
            monday + 6 * _DAY
        except OverflowError:
            raise cls._wrong(day) from None
        return cls(monday)

    @property
    def last(self) -> dt.date:
        """The Sunday."""
        return self.first + 6 * _DAY

    def __str__(self) -> str:
        year, week, _ = self.first.isocalendar()
        return f"{year:04}-W{week:02}"


class Month(Period):
    """A month.

    Example:
        >>> month = Month.parse("2024-02")
        >>> str(month.last), str(month.next)
        ('2024-02-29', '2024-03')
    """

    kind = "month"
    form = "a month of the calendar as YYYY-MM, such as 2025-02"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``YYYY-MM``."""
        year, month = cls._numbers(text, r"(\d{4})-(\d\d)")
        try:
            return cls(dt.date(year, month, 1))
        except ValueError:
            raise cls._wrong(text) from None

    @classmethod
    def containing(cls, day: dt.date) -> Self:
        """Return the month in which a day lies."""
        return cls(day.replace(day=1))

    @property
    def last(self) -> dt.date:
        """The month's last day."""
        if (self.first.year, self.first.month) == (dt.MAXYEAR, 12):
            return dt.date.max
        return (self.first.replace(day=28) + 4 * _DAY).replace(day=1) - _DAY

    def __str__(self) -> str:
        return f"{self.first.year:04}-{self.first.month:02}"
