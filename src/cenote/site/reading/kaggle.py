"""The snapshot of arXiv's metadata that is kept on Kaggle: JSON lines, one paper a line."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterator
from typing import Any, BinaryIO

from cenote.errors import DataFormatError
from cenote.site.accents import without_accents_in_tex
from cenote.site.papers import Paper
from cenote.site.reading.names import full_name, known, split_authors
from cenote.site.reading.records import Bad, Good, bad, judge, moment

LONGEST_LINE = 8 << 20
"""Bytes; the longest line of the snapshot, a paper of three thousand authors, has about 200 kB."""


def read_kaggle(stream: BinaryIO, *, after: int = 0, longest_line: int = LONGEST_LINE) -> Iterator[Good | Bad]:
    """Read the snapshot ``arxiv-metadata-oai-snapshot.json``, or lines of the same fields.

    ``authors_parsed`` is preferred to ``authors``, the first and last of ``versions`` to ``created`` and
    ``update_date``. A record's position is the number of its line; empty lines are no records.

    Args:
        stream: The lines, decompressed.
        after: Position up to which records were read before.
        longest_line: Lines of more bytes are bad records, and are not held in memory.

    Yields:
        One record a line.

    Raises:
        DataFormatError: If the first line is not the beginning of a JSON object: the source is something else.

    Example:
        >>> import io
        >>> line = b'{"id": "0704.0001", "title": "On  pooling", "authors": "A. Lee and B. Wu"}'
        >>> [record] = read_kaggle(io.BytesIO(line))
        >>> record.paper.title, record.paper.authors, record.position
        ('On pooling', ('A. Lee', 'B. Wu'), 1)
    """
    first = True
    for position, line in enumerate(_lines(stream, longest_line), start=1):
        if first and line:
            _check_first(line, position)
            first = False
        if position <= after:
            continue
        if len(line) > longest_line:
            yield bad(position, f"the line is longer than {longest_line:,} bytes", line, is_whole=False)
        elif line:
            yield _record(line, position)


def _lines(stream: BinaryIO, longest: int) -> Iterator[bytes]:
    """Lines without white space around them; of one that is too long its beginning, one byte too much."""
    while line := stream.readline(longest + 1):
        if len(line) <= longest or line.endswith(b"\n"):
            yield line.strip()
            continue
        yield line
        while (rest := stream.readline(longest)) and not rest.endswith(b"\n"):
            pass


def _check_first(line: bytes, position: int) -> None:
    if not line.removeprefix(codecs.BOM_UTF8).startswith(b"{"):
        raise DataFormatError(
            f"line {position} is not a JSON object: the Kaggle snapshot has one paper a line, each in braces, "
            f"got {line[:40]!r}"
        )


def _record(line: bytes, position: int) -> Good | Bad:
    line = line.removeprefix(codecs.BOM_UTF8)
    try:
        item = json.loads(line.decode())
    except (ValueError, RecursionError) as error:
        return bad(position, f"not a line of JSON in UTF-8: {error}", line)
    return judge(_paper, item, position, lambda _: line)


def _paper(item: object) -> Paper:
    if not isinstance(item, dict):
        raise ValueError(f"the line must be a JSON object, got {type(item).__name__}")
    published, updated = _dates(item)
    fields = {
        "id": _text(item, "id") or "",
        "title": _prose(item, "title") or "",
        "summary": _prose(item, "abstract"),
        "authors": _authors(item),
        "published": published,
        "updated": updated,
        "categories": tuple((_text(item, "categories") or "").split()),
        "comment": _prose(item, "comments"),
        "journal_reference": _prose(item, "journal-ref"),
        "doi": _text(item, "doi"),
        "license": _text(item, "license"),
    }
    # What is absent takes as long to validate as what is there, and the snapshot has millions of lines.
    return Paper.model_validate({name: value for name, value in fields.items() if value is not None})


def _text(item: dict[str, Any], key: str) -> str | None:
    value = item.get(key)
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key}: must be text, got {type(value).__name__}")
    return value or None


def _prose(item: dict[str, Any], key: str) -> str | None:
    text = _text(item, key)
    return without_accents_in_tex(text) if text else None


def _authors(item: dict[str, Any]) -> tuple[str, ...] | None:
    parsed = item.get("authors_parsed")
    if not parsed:
        return known(split_authors(_text(item, "authors") or ""))
    names = []
    for parts in parsed if isinstance(parsed, list) else [parsed]:
        if not (isinstance(parts, list) and parts and all(isinstance(part, str) for part in parts)):
            raise ValueError("authors_parsed: must be a list of lists [last, first, suffix]")
        # Affiliations may follow the three parts of a name.
        last, first, suffix = [*parts, "", ""][:3]
        names.append(full_name(first, last, suffix))
    return known(names)


def _dates(item: dict[str, Any]) -> tuple[Any, Any]:
    """When the paper was published and updated."""
    versions = item.get("versions")
    if not versions:
        return moment(item.get("created"), "created"), moment(item.get("update_date"), "update_date")
    if not (isinstance(versions, list) and all(isinstance(version, dict) for version in versions)):
        raise ValueError("versions: must be a list of objects with 'created'")
    published = moment(versions[0].get("created"), "versions.created")
    return published, published if len(versions) == 1 else moment(versions[-1].get("created"), "versions.created")
