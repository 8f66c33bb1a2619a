"""The Atom feed of arXiv's API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element

from cenote.errors import SourceError
from cenote.site.accents import without_accents_in_tex
from cenote.site.papers import Paper, one_line
from cenote.site.reading.markup import elements, text_of, xml_of
from cenote.site.reading.names import known
from cenote.site.reading.records import Bad, Good, bad, judge, moment

# Known by their addresses: the prefixes of the feed, and their order, have changed.
_ATOM = "{http://www.w3.org/2005/Atom}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_OPENSEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"
_ENTRY, _TOTAL = f"{_ATOM}entry", f"{_OPENSEARCH}totalResults"
_ERRORS = "/api/errors"


def read_atom(stream: BinaryIO, *, after: int = 0) -> Iterator[Good | Bad]:
    """Read answers of ``https://export.arxiv.org/api/query``, one or several appended to each other.

    A record's position is the number of its entry.

    Args:
        stream: The feed, decompressed.
        after: Position up to which records were read before.

    Yields:
        One record an entry.

    Raises:
        DataFormatError: If the source is no Atom feed, or is cut short.
        SourceError: If it holds arXiv's answer to a question that was wrong.
    """
    return iter(AtomFeed(stream, after=after))


class AtomFeed:
    """The records of a feed, and how many the server says there are.

    Args:
        stream: The feed, decompressed.
        after: Position up to which records were read before.
    """

    def __init__(self, stream: BinaryIO, *, after: int = 0) -> None:
        self._stream, self._after = stream, after
        self.total: int | None = None
        """Number of results of the query, of which the feed is a part; known once the records have been read."""

    def __iter__(self) -> Iterator[Good | Bad]:
        position = 0
        for tag, element in elements(self._stream, f"{_ATOM}feed", {_ENTRY, _TOTAL}):
            if tag == _TOTAL:
                self.total = _count(element)
                continue
            position += 1
            if position <= self._after:
                continue
            if isinstance(element, str):
                yield bad(position, "the entry is too large", element, is_whole=False)
            else:
                yield judge(_paper, element, position, xml_of)


def _count(element: Element | str) -> int | None:
    text = "" if isinstance(element, str) else (element.text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 12 else None


def _paper(entry: Element) -> Paper:
    identifier = text_of(entry, f"{_ATOM}id") or ""
    if _ERRORS in identifier:
        raise SourceError(f"arXiv answers: {one_line(text_of(entry, f'{_ATOM}summary') or 'an error')[:300]}")
    names = [text_of(author, f"{_ATOM}name") or "" for author in entry.iterfind(f"{_ATOM}author")]
    return Paper(
        id=identifier,
        title=_prose(entry, f"{_ATOM}title") or "",
        summary=_prose(entry, f"{_ATOM}summary"),
        authors=known(without_accents_in_tex(name) for name in names),
        published=moment(text_of(entry, f"{_ATOM}published"), "published"),
        updated=moment(text_of(entry, f"{_ATOM}updated"), "updated"),
        categories=_categories(entry),
        comment=_prose(entry, f"{_ARXIV}comment"),
        journal_reference=_prose(entry, f"{_ARXIV}journal_ref"),
        doi=text_of(entry, f"{_ARXIV}doi"),
    )


def _prose(entry: Element, path: str) -> str | None:
    text = text_of(entry, path)
    return without_accents_in_tex(text) if text else None


def _categories(entry: Element) -> tuple[str, ...]:
    """Codes of the categories, the primary one first, each once."""
    tags = [*entry.iterfind(f"{_ARXIV}primary_category"), *entry.iterfind(f"{_ATOM}category")]
    terms = (tag.get("term", "") for tag in tags)
    return tuple(dict.fromkeys(term for term in terms if term))
