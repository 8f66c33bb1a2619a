"""What an import reads: a file, standard input or an address, or what is new at a server since the last time."""

from __future__ import annotations

import datetime as dt
import hashlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from cenote.errors import ArgumentError, SourceError
from cenote.site.importing import Progress
from cenote.site.reading import FORMATS, ArxivApi, HubClient, Manners, OaiClient, PoliteClient, Web, open_source
from cenote.site.reading.clients import ARXIV_API, ARXIV_OAI, HUB
from cenote.site.reading.records import Cursor, Record

FIRST_DAYS = 7
"""How far back a server is asked at least, the first time."""

_HEAD = 1 << 20


class Kind(StrEnum):
    """What papers are read from."""

    ATOM = "atom"
    DAILY = "daily"
    KAGGLE = "kaggle"
    OAI = "oai"


SERVERS: Mapping[Kind, str] = {Kind.ATOM: ARXIV_API, Kind.DAILY: HUB, Kind.OAI: ARXIV_OAI}
"""Who is asked what is new."""

MANNERS: Mapping[Kind, Manners] = {Kind.ATOM: Manners(), Kind.DAILY: Manners(pause=1.0), Kind.OAI: Manners()}
"""How: arXiv asks for three seconds between questions, the hub has a question for each day and many servers."""


@dataclass(frozen=True)
class Feed:
    """Something papers can be read from."""

    title: str
    """What to call it."""
    key: str | None
    """Its identity, None where a later source of the same name may be another one."""
    read: Callable[[Progress], Iterator[Record | Cursor]]


@dataclass(frozen=True)
class Asking:
    """How the web is asked."""

    contact: str | None = None
    allow_private: bool = False

    def open(self) -> Web:
        """Open a client."""
        return Web(contact=self.contact, allow_private=self.allow_private)


def feed_from(kind: Kind, source: str, asking: Asking) -> Feed:
    """Return what reads a file, ``-`` or an address.

    A file is known by its content: an import of it that was stopped goes on though the file was moved, and begins anew
    when there is another file of its name. Standard input and addresses may give something else each time, and are read
    from the beginning.

    Raises:
        SourceError: If a file cannot be read.
    """

    def read(progress: Progress) -> Iterator[Record | Cursor]:
        with open_source(source, limits=None) as stream:
            yield from FORMATS[kind](stream, after=progress.position)

    def read_address(progress: Progress) -> Iterator[Record | Cursor]:
        with asking.open() as web, open_source(source, web=web) as stream:
            yield from FORMATS[kind](stream, after=progress.position)

    if source == "-":
        return Feed("standard input", None, read)
    if "://" in source:
        return Feed(source, None, read_address)
    path = Path(source)
    return Feed(path.name, _identity(kind, path), read)


def news_from(
    kind: Kind,
    asking: Asking,
    *,
    since: dt.date | None = None,
    categories: Sequence[str] = (),
    set_: str | None = None,
    server: str | None = None,
) -> Feed:
    """Return what asks a server for papers that are new since the last import from it.

    Args:
        kind: Who is asked; Kaggle's snapshot has no server.
        asking: How.
        since: The day to ask from; where the last import ended if None, the first time ``FIRST_DAYS`` ago.
        categories: Of arXiv, for ``atom``; all if none.
        set_: Set of OAI-PMH; all if None.
        server: Another one than arXiv or the hub.

    Raises:
        ArgumentError: If there is no server of this kind.
    """
    if kind not in SERVERS:
        raise ArgumentError(f"SOURCE is missing: {kind} is read from a file, '-' (standard input) or an address")
    address = server or SERVERS[kind]
    wanted = tuple(sorted(set(categories)))

    def read(progress: Progress) -> Iterator[Record | Cursor]:
        cursor = _first(progress, since)
        with asking.open() as web:
            client = PoliteClient(web, MANNERS[kind])
            if kind is Kind.DAILY:
                yield from HubClient(client, address).daily_papers(cursor.day)
            elif kind is Kind.ATOM:
                yield from ArxivApi(client, address).new_since(cursor.day, wanted)
            else:
                yield from OaiClient(client, address).list_records(cursor, set_)

    return Feed(address, " ".join([kind, address, *wanted, *([set_] if set_ else [])]), read)


def side_name(kind: Kind, feed: Feed, now: dt.datetime) -> str:
    """Return the name of the file for a feed's bad records: the same while its import goes on."""
    words = re.sub(r"[^a-z0-9]+", "-", feed.title.lower()).strip("-")[-40:]
    last = f"{now:%Y%m%d-%H%M%S}" if feed.key is None else hashlib.sha256(feed.key.encode()).hexdigest()[:8]
    return f"{kind}-{words}-{last}.jsonl"


def _first(progress: Progress, since: dt.date | None) -> Cursor:
    """Where to begin: what was asked for, unless an import that was stopped has come further."""
    last = progress.cursor
    if since is not None and not (progress.resumed and last is not None and last.day >= since):
        return Cursor(since)
    return last or Cursor(dt.datetime.now(dt.UTC).date() - dt.timedelta(days=FIRST_DAYS))


def _identity(kind: Kind, path: Path) -> str | None:
    """A file's format, name, size and a hash of its beginning and end; None for a pipe, which can be read once."""
    try:
        if path.exists() and not path.is_file():
            if path.is_dir():
                raise SourceError(f"{path} cannot be opened: it is a folder")
            return None
        with path.open("rb") as file:
            size = path.stat().st_size
            digest = hashlib.sha256(file.read(_HEAD))
            file.seek(max(0, size - _HEAD))
            digest.update(file.read(_HEAD))
    except (OSError, ValueError) as error:
        if isinstance(error, SourceError):
            raise
        raise SourceError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from None
    return f"{kind} {path.name} {size} {digest.hexdigest()[:16]}"
