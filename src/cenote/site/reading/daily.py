"""The list of featured papers of a Hugging Face style hub, ``/api/daily_papers``, or a file of it."""

from __future__ import annotations

import codecs
import datetime as dt
import json
import re
from collections.abc import Iterator
from functools import partial
from typing import Any, BinaryIO

from cenote.errors import DataFormatError
from cenote.site.papers import Paper
from cenote.site.reading.lists import items
from cenote.site.reading.names import known
from cenote.site.reading.records import Bad, Good, bad, judge, moment

LARGEST_ITEM = 8 << 20
"""Bytes; as long as a line of the snapshot may be. An item of the hub has a few kB."""
LARGEST_PAGE = 64 << 20
"""Bytes of an answer of the hub, which is read as a whole; its longest has about 1 MB."""

_WEB = re.compile(r"https?://[^\s\"'<>\\]{1,1990}")


def read_daily(stream: BinaryIO, *, after: int = 0, largest_item: int = LARGEST_ITEM) -> Iterator[Good | Bad]:
    """Read a list of items with an inner ``paper``, or of papers themselves.

    The day on which a paper was featured is ``submittedOnDailyAt`` if the item has it, else its outer ``publishedAt``;
    the inner ``publishedAt`` is the paper's own. A record's position is the number of its item. Authors marked as
    hidden are left out; a link that is no http(s) address counts as absent.

    Args:
        stream: The list in JSON, decompressed.
        after: Position up to which records were read before.
        largest_item: Items of more bytes are bad records, and are not held in memory.

    Yields:
        One record an item; a bad one for an item that is damaged, as long as it can be seen where it ends.

    Raises:
        DataFormatError: If the source is no JSON list, is cut short, or goes on behind the list.

    Example:
        >>> import io
        >>> item = b'{"paper": {"id": "2412.06097", "title": "Order", "upvotes": 3}, "publishedAt": "2026-02-11T08:00"}'
        >>> [record] = read_daily(io.BytesIO(b"[" + item + b"]"))
        >>> record.paper.id, record.paper.upvotes, str(record.paper.featured)
        ('2412.06097', 3, '2026-02-11')
    """
    for position, item in enumerate(items(stream, largest_item), start=1):
        if position <= after:
            continue
        if len(item) > largest_item:
            yield bad(position, f"the item is larger than {largest_item:,} bytes", item, is_whole=False)
        else:
            yield _record(item, position)


def read_page(stream: BinaryIO, featured: dt.date, *, largest: int = LARGEST_PAGE) -> list[Good | Bad]:
    """Read an answer of the hub as a whole: one that is damaged anywhere has no records, and is worth asking again.

    Args:
        stream: The list in JSON, decompressed.
        featured: The day that was asked for.
        largest: Bytes of the list.

    Raises:
        DataFormatError: If the answer is no JSON list of at most ``largest`` bytes.
    """
    content = stream.read(largest + 1)
    if len(content) > largest:
        raise DataFormatError(f"the list is longer than {largest:,} bytes")
    try:
        found = json.loads(content.removeprefix(codecs.BOM_UTF8))
    except (ValueError, RecursionError) as error:
        raise DataFormatError(f"the source is not JSON, or cut short: {error}") from None
    if not isinstance(found, list):
        raise DataFormatError(f"the source must be a JSON list of papers, got {type(found).__name__}")
    make = partial(_paper, featured=featured)
    return [judge(make, item, position, _show) for position, item in enumerate(found, start=1)]


def _record(written: bytes, position: int) -> Good | Bad:
    try:
        item = json.loads(written.decode())
    except (ValueError, RecursionError) as error:
        return bad(position, f"not an item of JSON in UTF-8: {error}", written)
    return judge(_paper, item, position, lambda _: written)


def _show(item: object) -> str:
    try:
        return json.dumps(item, ensure_ascii=False)
    except RecursionError:
        return "an item nested deeply"


def _paper(item: object, featured: dt.date | None = None) -> Paper:
    if not isinstance(item, dict):
        raise ValueError(f"an item must be a JSON object, got {type(item).__name__}")
    inner = _object(item, "paper")
    # Most fields stand in the paper, some only beside it, and which is which has changed.
    said = {**item, **{key: value for key, value in inner.items() if value is not None}}
    names = _authors(said.get("authors"))
    return Paper(
        id=said.get("id") or "",
        title=said.get("title") or "",
        summary=said.get("summary") or None,
        authors=names,
        author_count=said.get("numAuthors") if names is None else None,
        published=moment(said.get("publishedAt") if not inner else inner.get("publishedAt"), "publishedAt"),
        featured=featured or _featured(item, said, is_nested=bool(inner)),
        keywords=tuple(_list(said.get("ai_keywords"), "ai_keywords")),
        organization=_name(_object(said, "organization"), "fullname", "name"),
        code_url=_link(said.get("githubRepo")),
        code_stars=said.get("githubStars"),
        project_url=_link(said.get("projectPage")),
        upvotes=said.get("upvotes"),
        comments=said.get("numComments"),
        submitted_by=_name(
            _object(said, "submittedBy") or _object(said, "submittedOnDailyBy"), "fullname", "name", "user"
        ),
    )


def _featured(item: dict[str, Any], said: dict[str, Any], *, is_nested: bool) -> dt.date | None:
    when = said.get("submittedOnDailyAt") or (item.get("publishedAt") if is_nested else None)
    day = moment(when, "publishedAt")
    if day is None or day.tzinfo is None:
        return day.date() if day else None
    try:
        return day.astimezone(dt.UTC).date()
    except OverflowError:
        raise ValueError(f"publishedAt: must be between the years 1 and 9999, got {when!r:.60}") from None


def _authors(authors: object) -> tuple[str, ...] | None:
    """Names of the authors, each given by itself or as an object."""
    names = []
    for author in _list(authors, "authors"):
        name = author.get("name") if isinstance(author, dict) else author
        if not isinstance(name, str):
            raise ValueError("authors: each must have a name in text")
        if not (isinstance(author, dict) and author.get("hidden")):
            names.append(name.strip())
    return known(names)


def _list(value: object, name: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError(f"{name}: must be a list, got {type(value).__name__}")
    return value


def _object(item: dict[str, Any], key: str) -> dict[str, Any]:
    value = item.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError(f"{key}: must be an object, got {type(value).__name__}")
    return value


def _name(item: dict[str, Any], *keys: str) -> str | None:
    """The first of these that the item has."""
    return next((value for key in keys if isinstance(value := item.get(key), str) and value.strip()), None)


def _link(value: object) -> str | None:
    text = value.strip() if isinstance(value, str) else ""
    return text if _WEB.fullmatch(text) else None
