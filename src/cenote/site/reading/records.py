"""What a reader says of each record of its source: a paper, that it is gone, or why it cannot be used."""

from __future__ import annotations

import codecs
import datetime as dt
import email.utils
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO, Protocol, TypeVar

from pydantic import ValidationError

from cenote.site.papers import Paper, one_line

LARGEST_TEXT = 1 << 20
"""Bytes of a bad record that are kept; the largest honest one, a paper of three thousand authors, has about 200 kB."""

_MONTHS = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6,
    "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Good:
    """A record that holds a paper."""

    paper: Paper
    position: int
    """Number of the record in its source, from 1; pass it as ``after`` to read on behind it."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that cannot be used."""

    position: int
    reason: str
    text: str = field(repr=False)
    """What it holds as its source writes it, so that it can be repaired and read again."""
    truncated: bool = False
    """Whether that is its beginning only."""


@dataclass(frozen=True, slots=True)
class Deleted:
    """A record that says its paper was taken back."""

    id: str
    position: int


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where to go on, given once every record before it has been handed out; to be stored with them."""

    day: dt.date
    """Day to ask from."""
    token: str | None = None
    """Where the server was in a long list; None if it has come to its end, or has no such word."""
    begun: dt.date | None = None
    """Day on which the server began the list that the token is of: the day to ask from after its end."""


Record = Good | Bad | Deleted


class Reader(Protocol):
    """What reads a format: yields its records, those after a position, and raises none of their faults."""

    def __call__(self, stream: BinaryIO, *, after: int = 0) -> Iterator[Record]:
        """Read a stream that is decompressed."""


T = TypeVar("T")

_Decoder = codecs.getincrementaldecoder("utf-8")


def judge(make: Callable[[T], Paper], item: T, position: int, show: Callable[[T], str | bytes]) -> Good | Bad:
    """Make a paper of an item of a source, or say why there is none.

    Args:
        make: Makes the paper; raises ``ValueError`` if the item does not allow it.
        item: What the source holds.
        position: The record's number in the source.
        show: Writes the item out if it is bad, as its source does.
    """
    try:
        return Good(make(item), position)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        reason = f"{'.'.join(str(part) for part in first['loc'])}: {first['msg'].removeprefix('Value error, ')}"
    except (ValueError, OverflowError) as error:
        reason = str(error)
    return bad(position, reason, show(item))


def bad(position: int, reason: str, record: str | bytes, *, is_whole: bool = True) -> Bad:
    r"""A bad record with what it holds, up to ``LARGEST_TEXT`` bytes; fit to be written to a file.

    Args:
        position: The record's number in the source.
        reason: Why it cannot be used.
        record: What it holds. Bytes that are not UTF-8 are written as ``\xff``, which JSON does not allow: what is
            damaged is not taken for good when it is read again.
        is_whole: False if this is its beginning only.

    Example:
        >>> bad(1, "not UTF-8", b'{"title": "K\xf6nig"}').text
        '{"title": "K\\xf6nig"}'
    """
    content = record.encode(errors="backslashreplace") if isinstance(record, str) else record
    is_whole = is_whole and len(content) <= LARGEST_TEXT
    # Not final at a cut, so that a character it goes through is left out.
    text = _Decoder("backslashreplace").decode(content[:LARGEST_TEXT], final=is_whole)
    return Bad(position, one_line(reason), text, truncated=not is_whole)


def moment(value: object, name: str) -> dt.datetime | None:
    """Read an ISO or RFC 2822 date, None if there is none.

    Raises:
        ValueError: If it is something else.
    """
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise ValueError(f"{name}: must be a date in text, got {type(value).__name__}")
    try:
        return _from_snapshot(value) if "," in value else dt.datetime.fromisoformat(value.strip())
    except (ValueError, KeyError, OverflowError):
        pass
    try:
        return email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        raise ValueError(f"{name}: must be a date, got {value!r:.60}") from None


def _from_snapshot(value: str) -> dt.datetime:
    """Read the snapshot's form, ``Mon, 2 Apr 2007 19:18:42 GMT``, ten times as fast as email's parser does."""
    _, day, month, year, clock, zone = value.split()
    if zone != "GMT":
        raise ValueError(zone)
    hour, minute, second = clock.split(":")
    return dt.datetime(int(year), _MONTHS[month], int(day), int(hour), int(minute), int(second), tzinfo=dt.UTC)
