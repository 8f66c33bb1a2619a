"""What is new at arXiv and at a Hugging Face style hub since the last time somebody asked."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import BinaryIO

from cenote.errors import ArgumentError, SourceError
from cenote.site.reading.atom import AtomFeed
from cenote.site.reading.daily import read_page
from cenote.site.reading.oai import OaiError, OaiResponse
from cenote.site.reading.polite import PoliteClient
from cenote.site.reading.records import Bad, Cursor, Good, Record
from cenote.site.reading.web import PassingError

ARXIV_API = "https://export.arxiv.org/api/query"
ARXIV_OAI = "https://oaipmh.arxiv.org/oai"
HUB = "https://huggingface.co"

_CATEGORY = re.compile(r"[a-z]+(?:-[a-z]+)*(?:\.(?:[A-Za-z]+(?:-[a-z]+)*|\*))?")
_LAST_RESULT = 30_000
"""Beyond it arXiv's API gives no result of a query."""
_BEFORE_ALL = dt.date(1991, 1, 1)
"""A day before arXiv's first paper."""
_PAGES = 100_000
_EMPTY_PAGES = 5
_HUB_PAGES = 50


def _today() -> dt.date:
    return dt.datetime.now(dt.UTC).date()


@dataclass(frozen=True)
class _Page:
    """One answer of arXiv's API."""

    records: list[Good | Bad]
    total: int


class ArxivApi:
    """New papers by arXiv's query API.

    A paper appears some days after its submission, by which the API sorts, so each time the last days are asked for
    once more.

    Args:
        client: Asks the server.
        address: Of the API.
        page_size: Papers an answer, at most 2,000; arXiv answers large pages less reliably.
        overlap: Days before the given day that are asked for too.
        today: Gives the present day.

    Raises:
        ArgumentError: If a number is out of its range.
    """

    def __init__(
        self,
        client: PoliteClient,
        address: str = ARXIV_API,
        *,
        page_size: int = 100,
        overlap: int = 7,
        today: Callable[[], dt.date] = _today,
    ) -> None:
        if not 1 <= page_size <= 2_000:
            raise ArgumentError(f"page_size must be between 1 and 2,000, got {page_size}")
        self._client, self._address, self._page_size = client, address, page_size
        self._overlap, self._today = _days(overlap), today

    def new_since(self, day: dt.date, categories: Sequence[str] = ()) -> Iterator[Good | Bad | Cursor]:
        """Yield papers of these categories that were submitted since a day, and after each page where to go on.

        Args:
            day: A day, such as the one of the last cursor.
            categories: Codes such as ``cs.LG`` or ``cs.*``; none for all.

        Raises:
            ArgumentError: If a category is no code.
            SourceError: If the server says no, or gives no answer that can be read.
        """
        query = _query(categories)
        window, newest, start = day - self._overlap, day, 0
        while True:
            page = self._page(query, window, start)
            yield from page.records
            newest = min(max([newest, *_submitted(page.records)]), self._today())
            yield Cursor(newest)
            start += len(page.records)
            if start >= page.total:
                return
            if start + self._page_size > _LAST_RESULT:
                # The API gives no more of one query, so a later one begins where it ended.
                window, start = _next_window(window, newest), 0

    def _page(self, query: str, window: dt.date, start: int) -> _Page:
        end = self._today() + dt.timedelta(days=1)
        parameters = {
            "search_query": f"{query}submittedDate:[{window:%Y%m%d}0000 TO {end:%Y%m%d}2359]",
            "start": str(start),
            "max_results": str(self._page_size),
            "sortBy": "submittedDate",
            "sortOrder": "ascending",
        }
        short: list[_Page] = []
        try:
            return self._client.ask(self._address, parameters, partial(self._read, start=start, short=short))
        except SourceError:
            # Totals are wrong at times. A page that stays too short is used; one that stays empty ends in an error,
            # since it may as well hide a thousand papers.
            longest = max(short, key=lambda page: len(page.records), default=None)
            if longest is None or not longest.records:
                raise
            return longest

    def _read(self, stream: BinaryIO, start: int, short: list[_Page]) -> _Page:
        feed = AtomFeed(stream)
        records = list(feed)
        page = _Page(records, feed.total if feed.total is not None else start + len(records))
        expected = min(self._page_size, page.total - start)
        if len(records) < expected:
            short.append(page)
            raise PassingError(
                f"{self._address}: gives {len(records)} of the {expected} papers that it says stand from {start} on"
            )
        return page


class OaiClient:
    """Changed and new records by OAI-PMH, the complete way.

    Args:
        client: Asks the server.
        address: Of the server.
        prefix: Metadata format: ``arXiv``, ``arXivRaw`` or ``oai_dc``.
    """

    def __init__(self, client: PoliteClient, address: str = ARXIV_OAI, *, prefix: str = "arXiv") -> None:
        self._client, self._address, self._prefix = client, address, prefix

    def list_records(self, from_: dt.date | Cursor | None = None, set_: str | None = None) -> Iterator[Record | Cursor]:
        """Yield records that were changed since a day, and after each page where to go on.

        Args:
            from_: The day, None for all records; or the last cursor, to go on inside of its list if it has not ended.
                A list that the server has forgotten is begun anew.
            set_: A set such as ``cs`` or ``cs:cs:LG``; None for all.

        Raises:
            SourceError: If the server says no, gives no answer that can be read, or a list without end.
        """
        cursor = from_ if isinstance(from_, Cursor) else Cursor(from_ or _BEFORE_ALL)
        may_begin_anew = cursor.token is not None
        empty = 0
        for _ in range(_PAGES):
            try:
                response, records = self._client.ask(self._address, self._parameters(cursor, set_), _read_oai)
            except OaiError as error:
                if error.code != "badResumptionToken" or not may_begin_anew:
                    raise
                may_begin_anew, cursor = False, Cursor(cursor.day)
                continue
            yield from records
            # What changes while the list is read may not stand in it: next time all since its beginning is asked for.
            begun = cursor.begun if cursor.token else response.date
            if response.resumption_token is None:
                yield Cursor(begun or cursor.day)
                return
            empty = 0 if records else empty + 1
            if response.resumption_token == cursor.token or empty == _EMPTY_PAGES:
                raise SourceError(f"{self._address}: the list does not go on at {response.resumption_token!r:.80}")
            cursor = Cursor(cursor.day, response.resumption_token, begun)
            yield cursor
        raise SourceError(f"{self._address}: the list has more than {_PAGES:,} pages")

    def _parameters(self, cursor: Cursor, set_: str | None) -> dict[str, str]:
        if cursor.token is not None:
            return {"verb": "ListRecords", "resumptionToken": cursor.token}
        parameters = {"verb": "ListRecords", "metadataPrefix": self._prefix}
        if cursor.day > _BEFORE_ALL:
            parameters["from"] = cursor.day.isoformat()
        if set_ is not None:
            parameters["set"] = set_
        return parameters


class HubClient:
    """Featured papers of a Hugging Face style hub, day by day.

    Args:
        client: Asks the server.
        address: Of the hub, without a path.
        page_size: Papers an answer.
        overlap: Days before the given day that are asked for again: votes and comments still come in.
        today: Gives the present day.

    Raises:
        ArgumentError: If a number is out of its range.
    """

    def __init__(
        self,
        client: PoliteClient,
        address: str = HUB,
        *,
        page_size: int = 100,
        overlap: int = 7,
        today: Callable[[], dt.date] = _today,
    ) -> None:
        if page_size < 1:
            raise ArgumentError(f"page_size must be positive, got {page_size}")
        self._client, self._address, self._page_size = client, address.rstrip("/"), page_size
        self._overlap, self._today = _days(overlap), today

    def daily_papers(self, since: dt.date) -> Iterator[Good | Bad | Cursor]:
        """Yield the papers featured since a day, and after each day where to go on.

        Args:
            since: A day, such as the one of the last cursor.

        Raises:
            SourceError: If the server says no, or gives no answer that can be read.
        """
        today = self._today()
        day = min(since, today) - self._overlap
        while day <= today:
            yield from self._of_day(day)
            yield Cursor(max(day, min(since, today)))
            day += dt.timedelta(days=1)

    def _of_day(self, day: dt.date) -> Iterator[Good | Bad]:
        known: set[str] = set()
        for page in range(_HUB_PAGES):
            parameters = {"date": day.isoformat(), "p": str(page), "limit": str(self._page_size)}
            records = self._client.ask(
                f"{self._address}/api/daily_papers", parameters, partial(read_page, featured=day)
            )
            fresh = [each for each in records if isinstance(each, Bad) or each.paper.id not in known]
            yield from fresh
            names = {each.paper.id for each in records if isinstance(each, Good)}
            # The last page, or a server that gives the first one again and again.
            if len(records) < self._page_size or names <= known:
                return
            known |= names
        raise SourceError(f"{self._address}: {day} has more than {_HUB_PAGES} pages")


def _read_oai(stream: BinaryIO) -> tuple[OaiResponse, list[Record]]:
    response = OaiResponse(stream)
    return response, list(response)


def _days(count: int) -> dt.timedelta:
    if count < 0:
        raise ArgumentError(f"overlap must be a number of days, not negative, got {count}")
    return dt.timedelta(days=count)


def _query(categories: Sequence[str]) -> str:
    for category in categories:
        if not _CATEGORY.fullmatch(category):
            raise ArgumentError(f"categories must be codes such as cs.LG, got {category!r}")
    return f"({' OR '.join(f'cat:{category}' for category in categories)}) AND " if categories else ""


def _submitted(records: Sequence[Good | Bad]) -> list[dt.date]:
    return [each.paper.published.date() for each in records if isinstance(each, Good) and each.paper.published]


def _next_window(window: dt.date, newest: dt.date) -> dt.date:
    if newest <= window:
        raise SourceError(f"arXiv gives no more than {_LAST_RESULT:,} papers of one query, and {window} has more")
    return newest
