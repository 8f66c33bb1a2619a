"""The elements of an XML stream one by one, in flat memory, without document types and entities."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element, ParseError, TreeBuilder, tostring

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from cenote.errors import DataFormatError

_CHUNK = 1 << 16
_DEEPEST = 40
_LONGEST_TOKEN = 1 << 20
_LARGEST_ELEMENT = 4 << 20
_COST_OF_ELEMENT = 100
_JUNK_AFTER_ROOT, _DECLARATION_NOT_AT_START = 9, 30
"""expat's codes for what follows a document."""


def elements(stream: BinaryIO, root: str, wanted: Collection[str]) -> Iterator[tuple[str, Element | str]]:
    """Yield each wanted element when it has ended, with all that is in it.

    Several documents may follow each other, as when answers of a server are appended to one file. A wanted element
    inside of a wanted one is not yielded by itself.

    Args:
        stream: The documents.
        root: Tag of each document's root, ``{namespace}name``.
        wanted: Tags to yield.

    Yields:
        The tag, and the element, or the beginning of its XML if it is too large (4 MB).

    Raises:
        DataFormatError: If the stream is not well-formed XML, has a document type, another root, or is nested too deep.
    """
    first: bytes | None = stream.read(_CHUNK).lstrip()
    if not first:
        raise DataFormatError("the source is empty, XML was expected")
    while first is not None:
        first = yield from _document(first, stream, _Target(root, wanted))


def text_of(parent: Element, path: str) -> str | None:
    """Text of the first element at a path below, None if there is none or it is blank."""
    text = parent.findtext(path)
    return text if text and not text.isspace() else None


def xml_of(element: Element) -> str:
    """The element's XML, which stands by itself: with the namespaces it needs."""
    return tostring(element, encoding="unicode")


class _Target:
    """What the parser calls: builds the wanted elements and forgets the rest."""

    def __init__(self, root: str, wanted: Collection[str]) -> None:
        self._root, self._wanted = root, wanted
        self._open: list[str] = []
        self._depth_of_element = self._size = 0
        self._builder: TreeBuilder | None = None
        self._beginning = ""
        self.found: list[tuple[str, Element | str]] = []
        self.has_ended = False

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._open and tag != self._root:
            raise DataFormatError(f"the source's root element is {tag!r:.200}, must be {self._root!r}")
        self._open.append(tag)
        if len(self._open) > _DEEPEST:
            raise DataFormatError(f"elements are nested deeper than {_DEEPEST}")
        if not self._depth_of_element and tag in self._wanted:
            self._depth_of_element, self._size, self._builder = len(self._open), 0, TreeBuilder()
        if self._builder is not None:
            self._builder.start(tag, attributes)
            self._grow(_COST_OF_ELEMENT + sum(len(name) + len(value) for name, value in attributes.items()))

    def data(self, text: str) -> None:
        if self._builder is not None:
            self._builder.data(text)
            self._grow(len(text))

    def end(self, tag: str) -> None:
        if self._builder is not None:
            self._builder.end(tag)
        if len(self._open) == self._depth_of_element:
            self.found.append((tag, self._builder.close() if self._builder is not None else self._beginning))
            self._depth_of_element, self._builder, self._beginning = 0, None, ""
        self._open.pop()
        self.has_ended = not self._open

    def close(self) -> None:
        """Nothing is kept."""

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > _LARGEST_ELEMENT and self._builder is not None:
            for tag in reversed(self._open[self._depth_of_element - 1 :]):
                self._builder.end(tag)
            self._beginning, self._builder = xml_of(self._builder.close()), None


def _document(
    first: bytes, stream: BinaryIO, target: _Target
) -> Generator[tuple[str, Element | str], None, bytes | None]:
    """Read one document; return the first bytes of the next one, None if there is none."""
    parser = DefusedXMLParser(target=target, forbid_dtd=True)
    data, window, start = first, b"", 0
    while data:
        # A token that the chunk's end cuts in two is reported when the next chunk completes it.
        start += max(0, len(window) - _CHUNK)
        window = window[-_CHUNK:] + data
        rest = _feed(parser, data, target, window, start)
        yield from target.found
        target.found.clear()
        if rest is not None:
            return rest
        if start + len(window) - parser.parser.CurrentByteIndex > _LONGEST_TOKEN:
            raise DataFormatError(f"a tag or comment is longer than {_LONGEST_TOKEN:,} bytes")
        data = stream.read(_CHUNK)
    _feed(parser, None, target, b"", 0)
    return None


def _feed(parser: DefusedXMLParser, data: bytes | None, target: _Target, window: bytes, start: int) -> bytes | None:
    """Give the parser more, or say that this was all; return what belongs to the next document."""
    try:
        parser.close() if data is None else parser.feed(data)
    except ParseError as error:
        place = parser.parser.ErrorByteIndex - start
        if (
            target.has_ended
            and 0 <= place < len(window)
            and error.code in (_JUNK_AFTER_ROOT, _DECLARATION_NOT_AT_START)
        ):
            return window[place:]
        raise DataFormatError(f"the source is not well-formed XML, or cut short: {error}") from None
    except DefusedXmlException as error:
        raise DataFormatError(f"the source has a document type or entities, which are refused: {error}") from None
    except DataFormatError:
        raise
    except (LookupError, ValueError) as error:
        raise DataFormatError(f"the source is XML in an encoding that cannot be read: {error}") from None
    return None
