"""Lists of records by OAI-PMH, the protocol for harvesting, as arXiv serves them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import BinaryIO
from xml.etree.ElementTree import Element

from cenote.errors import ArgumentError, SourceError
from cenote.site.accents import without_accents_in_tex
from cenote.site.papers import Paper, one_line, paper_id
from cenote.site.reading.markup import elements, text_of, xml_of
from cenote.site.reading.names import full_name, known, split_authors, turn_around
from cenote.site.reading.records import Deleted, Record, bad, judge, moment

_OAI = "{http://www.openarchives.org/OAI/2.0/}"
_ARXIV = "{http://arxiv.org/OAI/arXiv/}"
_RAW = "{http://arxiv.org/OAI/arXivRaw/}"
_DC = "{http://purl.org/dc/elements/1.1/}"
_RECORD, _TOKEN, _ERROR, _DATE = (f"{_OAI}{name}" for name in ("record", "resumptionToken", "error", "responseDate"))


class OaiError(SourceError):
    """An OAI-PMH server answered with an error, such as ``badResumptionToken``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"the OAI-PMH server answers {code}" + (f": {message}" if message else ""))
        self.code = code


def read_oai(stream: BinaryIO, *, after: int = 0) -> Iterator[Record]:
    """Read answers to ``ListRecords`` or ``GetRecord``, one or several appended to each other.

    Reads the metadata formats arXiv, arXivRaw and oai_dc. A record's position is its number. Subjects of oai_dc, which
    are names and not codes, are handed on as keywords.

    Args:
        stream: The answers, decompressed.
        after: Position up to which records were read before.

    Yields:
        One record a record; ``Deleted`` for one whose status is deleted.

    Raises:
        DataFormatError: If the source is no answer of OAI-PMH, or is cut short.
        OaiError: If the answer is an error other than that no record matches.
    """
    return iter(OaiResponse(stream, after=after))


class OaiResponse:
    """The records of an answer, and what it says of the rest of the list.

    Args:
        stream: The answer, decompressed.
        after: Position up to which records were read before.
    """

    def __init__(self, stream: BinaryIO, *, after: int = 0) -> None:
        self._stream, self._after = stream, after
        self.resumption_token: str | None = None
        """Where the list goes on, None at its end; known, like the date, once the records have been read."""
        self.date: dt.date | None = None
        """Day on which the server answered."""

    def __iter__(self) -> Iterator[Record]:
        position = 0
        for tag, element in elements(self._stream, f"{_OAI}OAI-PMH", {_RECORD, _TOKEN, _ERROR, _DATE}):
            if tag != _RECORD:
                self._note(tag, element)
                continue
            position += 1
            if position > self._after:
                yield _read(element, position)

    def _note(self, tag: str, element: Element | str) -> None:
        text = "" if isinstance(element, str) else one_line(element.text or "")[:2_000]
        if tag == _TOKEN:
            self.resumption_token = text or None
        elif tag == _ERROR and not isinstance(element, str) and element.get("code") != "noRecordsMatch":
            raise OaiError(one_line(element.get("code", "an error"))[:100], text[:300])
        elif tag == _DATE:
            try:
                self.date = dt.date.fromisoformat(text[:10])
            except ValueError:
                self.date = None


def _read(record: Element | str, position: int) -> Record:
    if isinstance(record, str):
        return bad(position, "the record is too large", record, is_whole=False)
    header = record.find(f"{_OAI}header")
    if header is not None and header.get("status") == "deleted":
        identifier = text_of(header, f"{_OAI}identifier") or ""
        try:
            return Deleted(paper_id(identifier), position)
        except ArgumentError as error:
            return bad(position, str(error), xml_of(record))
    return judge(_paper, record, position, xml_of)


def _paper(record: Element) -> Paper:
    metadata = record.find(f"{_OAI}metadata")
    content = next(iter(metadata), None) if metadata is not None else None
    if content is None:
        raise ValueError("the record has no metadata")
    namespace = content.tag.partition("}")[0] + "}"
    make = _FORMATS.get(namespace)
    if make is None:
        raise ValueError(f"metadata must be in the format arXiv, arXivRaw or oai_dc, got {content.tag}")
    return Paper.model_validate(make(record, content))


def _from_arxiv(record: Element, content: Element) -> dict[str, object]:
    parts = ("forenames", "keyname", "suffix")
    names = (
        full_name(*(text_of(author, f"{_ARXIV}{part}") or "" for part in parts))
        for author in content.iterfind(f"{_ARXIV}authors/{_ARXIV}author")
    )
    updated = text_of(content, f"{_ARXIV}updated") or _datestamp(record)
    return {
        **_shared(content, _ARXIV),
        "authors": known(names),
        "published": moment(text_of(content, f"{_ARXIV}created"), "created"),
        "updated": moment(updated, "updated"),
    }


def _from_raw(record: Element, content: Element) -> dict[str, object]:
    dates = [text_of(version, f"{_RAW}date") for version in content.iterfind(f"{_RAW}version")]
    return {
        **_shared(content, _RAW),
        "authors": known(split_authors(text_of(content, f"{_RAW}authors") or "")),
        "published": moment(dates[0], "version.date") if dates else None,
        "updated": moment(dates[-1] if dates else _datestamp(record), "version.date"),
    }


def _shared(content: Element, namespace: str) -> dict[str, object]:
    """The fields that arXiv's two own formats have in common."""
    found = {name: text_of(content, namespace + name) for name in ("id", "title", "abstract", "categories")}
    found |= {name: text_of(content, namespace + name) for name in ("comments", "journal-ref", "doi", "license")}
    prose = {name: without_accents_in_tex(text) if text else None for name, text in found.items()}
    return {
        "id": found["id"] or "",
        "title": prose["title"] or "",
        "summary": prose["abstract"],
        "categories": tuple((found["categories"] or "").split()),
        "comment": prose["comments"],
        "journal_reference": prose["journal-ref"],
        "doi": found["doi"],
        "license": found["license"],
    }


def _from_dublin_core(record: Element, content: Element) -> dict[str, object]:
    def every(name: str) -> list[str]:
        return [
            element.text.strip() for element in content.iterfind(_DC + name) if element.text and element.text.strip()
        ]

    dates, descriptions = every("date"), every("description")
    comments = [text for text in descriptions if text.startswith("Comment:")]
    abstracts = [text for text in descriptions if text not in comments]
    dois = [text for text in every("identifier") if text.startswith("doi:")]
    return {
        "id": text_of(record, f"{_OAI}header/{_OAI}identifier") or next(iter(every("identifier")), ""),
        "title": without_accents_in_tex(next(iter(every("title")), "")),
        "summary": without_accents_in_tex(abstracts[0]) if abstracts else None,
        "authors": known(turn_around(name) for name in every("creator")),
        "published": moment(min(dates, default=None), "date"),
        "updated": moment(max(dates, default=_datestamp(record)), "date"),
        "keywords": tuple(every("subject")),
        "comment": comments[0].removeprefix("Comment:") if comments else None,
        "doi": dois[0].removeprefix("doi:") if dois else None,
    }


def _datestamp(record: Element) -> str | None:
    return text_of(record, f"{_OAI}header/{_OAI}datestamp")


_FORMATS: dict[str, Callable[[Element, Element], dict[str, object]]] = {
    _ARXIV: _from_arxiv,
    _RAW: _from_raw,
    "{http://www.openarchives.org/OAI/2.0/oai_dc/}": _from_dublin_core,
}
"""What reads the fields of a paper from a record, by the namespace of its metadata."""
