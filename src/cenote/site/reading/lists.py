"""The items of a JSON list one by one, in flat memory, also of a list in which some are damaged."""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import BinaryIO

from cenote.errors import DataFormatError

_PIECE = 1 << 16
_LONGEST_MARK = 4
_DEEPEST = 1_000
_SPACE = b" \t\r\n"
_OPENING = {b"}": b"{", b"]": b"["}

# A string is matched as a whole; of one that the end of a piece cuts, the quote alone.
_STRING = rb'"[^"\\]*(?:\\.[^"\\]*)*"'
_BETWEEN_ITEMS = re.compile(_STRING + rb'|["{}\[\]]|,[ \t\r\n]*', re.DOTALL)
_IN_ITEM = re.compile(_STRING + rb'|["{}\[\]]', re.DOTALL)
_IN_STRING = re.compile(rb'["\\]')


def items(stream: BinaryIO, largest: int) -> Iterator[bytes]:
    """Yield what stands between the commas of a list, in UTF-8, each when it has ended.

    It is JSON if the source is. A damaged item ends where its brackets do: one that is left open ends with the one
    around it, and one that closes nothing is passed over. Each byte is looked at once, however the items are damaged.

    Args:
        stream: The list, in any of Unicode's encodings.
        largest: Bytes of an item. Of a larger one its beginning is given, one byte too much, and no more is held.

    Yields:
        An item without white space around it.

    Raises:
        DataFormatError: If the source is no JSON list, is cut short, nested too deep, or goes on behind the list.

    Example:
        >>> import io
        >>> list(items(io.BytesIO(b'[{"a": [1, 2]}, {"b": [3}, "c, d"]'), largest=20))
        [b'{"a": [1, 2]}', b'{"b": [3}', b'"c, d"']
    """
    pieces = _pieces(stream)
    cutter = _Cutter(largest)
    for piece in chain([_inside(pieces)], pieces):
        yield from cutter.feed(piece)
        if cutter.has_ended:
            _check_end(chain([cutter.rest], pieces))
            return
    raise DataFormatError(f"the source is not JSON, or cut short: it ends in item {cutter.count + 1:,} of the list")


class _Cutter:
    """Cuts a list at the commas between its items."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._data = bytearray()
        self._place = 0
        """Where in the data to look on; beyond their end if the first byte to come is escaped."""
        self._beginning = b""
        """Of an item that has become too large, whose data are not held."""
        self._open = bytearray()
        """Brackets of the item that are not closed yet."""
        self._in_string = False
        self.count = 0
        """Items that have ended."""
        self.has_ended = False

    @property
    def rest(self) -> bytes:
        """What came behind the list."""
        return bytes(self._data)

    def feed(self, piece: bytes) -> Iterator[bytes]:
        """Yield the items that end in the next piece of the list."""
        self._data += piece if self._data or self._beginning else piece.lstrip(_SPACE)
        while not self.has_ended and (end := self._find_end()) is not None:
            self.has_ended = end[0] == b"]"
            item = self._take(end.start(), end.end())
            if item or self.count or not self.has_ended:
                self.count += 1
                yield item
        if not self.has_ended and (self._beginning or len(self._data) > self._largest):
            self._beginning = self._beginning or bytes(self._data[: self._largest + 1])
            self._place -= len(self._data)
            self._data.clear()

    def _find_end(self) -> re.Match[bytes] | None:
        """The comma, with the white space behind it, or the bracket behind the item; None if it has not come."""
        while match := self._signs().search(self._data, self._place):
            sign, self._place = match[0], match.end()
            if sign == b'"':
                self._in_string = not self._in_string
            elif sign == b"\\":
                self._place += 1
            elif sign in (b"{", b"["):
                self._enter(sign)
            elif sign in _OPENING and self._open:
                self._leave(sign)
            elif sign == b"]" or sign.startswith(b","):
                return match
        self._place = max(self._place, len(self._data))
        return None

    def _signs(self) -> re.Pattern[bytes]:
        if self._in_string:
            return _IN_STRING
        return _IN_ITEM if self._open else _BETWEEN_ITEMS

    def _enter(self, bracket: bytes) -> None:
        self._open += bracket
        if len(self._open) > _DEEPEST:
            raise DataFormatError(f"item {self.count + 1:,} of the JSON list is nested deeper than {_DEEPEST:,}")

    def _leave(self, bracket: bytes) -> None:
        last = self._open.rfind(_OPENING[bracket])
        if last >= 0:
            del self._open[last:]

    def _take(self, end: int, next_: int) -> bytes:
        """Take an item from the data, up to where the next one begins."""
        item = self._beginning or bytes(self._data[: min(end, self._largest + 1)])
        del self._data[:next_]
        self._beginning, self._place = b"", 0
        return item if len(item) > self._largest else item.rstrip(_SPACE)


def _pieces(stream: BinaryIO) -> Iterator[bytes]:
    """The source in pieces of UTF-8, without a byte order mark."""
    first = stream.read(max(_PIECE, _LONGEST_MARK))
    rest = iter(partial(stream.read, _PIECE), b"")
    encoding = json.detect_encoding(first)
    if encoding.startswith("utf-8"):
        # Not decoded: a byte that is not UTF-8 spoils one item, not the list.
        yield first.removeprefix(codecs.BOM_UTF8)
        yield from rest
        return
    try:
        for text in codecs.iterdecode(chain([first], rest), encoding):
            yield text.encode()
    except UnicodeDecodeError as error:
        raise DataFormatError(f"the source is not JSON, or cut short: {error}") from None


def _inside(pieces: Iterator[bytes]) -> bytes:
    """What follows the bracket that opens the list, as far as it is there."""
    for piece in pieces:
        if begun := piece.lstrip(_SPACE):
            if not begun.startswith(b"["):
                raise DataFormatError(f"the source must be a JSON list of papers, got {begun[:40]!r}")
            return begun[1:]
    raise DataFormatError("the source is empty, a JSON list was expected")


def _check_end(pieces: Iterator[bytes]) -> None:
    for piece in pieces:
        if more := piece.strip(_SPACE):
            raise DataFormatError(f"the source is not JSON: the list is followed by {more[:40]!r}")
