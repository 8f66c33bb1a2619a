"""Asking a server again and again without being a burden: slowly, with patience, and not for ever."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

import httpx

from cenote.errors import ArgumentError, DataFormatError, SourceError
from cenote.site.reading.unpacking import Limits, unpacked
from cenote.site.reading.web import Body, PassingError, Web

T = TypeVar("T")

PAGE_LIMITS = Limits(compressed=64 << 20, plain=256 << 20, seconds=300)
"""What one answer may give."""


@dataclass(frozen=True)
class Manners:
    """How a server is asked.

    Raises:
        ArgumentError: If a setting is out of its range.
    """

    pause: float = 3.0
    """Seconds between the end of an answer and the next question; arXiv asks for three."""
    attempts: int = 6
    """How often one question is asked before it is given up."""
    first_wait: float = 5.0
    """Seconds before the second attempt, if the server does not say; doubled at each further one."""
    longest_wait: float = 900.0
    """Seconds beyond which nothing is waited for: a server that asks for more is left alone."""

    def __post_init__(self) -> None:
        if self.pause < 0 or self.first_wait < 0 or self.longest_wait < 0 or self.attempts < 1:
            raise ArgumentError(f"pause and waits must not be negative, attempts at least 1, got {self}")


class PoliteClient:
    """Asks one server, one question at a time.

    Args:
        web: What gets an address.
        manners: How it is asked.
        clock: Seconds of a clock that never goes back.
        sleep: Waits for that many seconds.
    """

    def __init__(
        self,
        web: Web,
        manners: Manners | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._web, self._manners = web, manners or Manners()
        self._clock, self._sleep = clock, sleep
        self._free_at = clock()

    def ask(self, address: str, parameters: Mapping[str, str], read: Callable[[BinaryIO], T]) -> T:
        """Return what ``read`` makes of the answer, asking again as long as it may help.

        It may after an answer that says so (429, 503 and their kind), after ``Retry-After`` if there is one, when the
        server cannot be reached, and when the answer breaks off or is not of its format.

        Args:
            address: Where to ask.
            parameters: The query.
            read: Reads the whole answer; raises ``DataFormatError`` or ``PassingError`` if it is not complete.

        Raises:
            SourceError: If the server says no, or does not answer well at the last attempt.
        """
        url = str(httpx.URL(address, params=dict(parameters)))
        attempt = 0
        while True:
            attempt += 1
            self._wait_for_turn()
            try:
                return self._ask_once(url, read)
            except (PassingError, DataFormatError) as error:
                self._wait_after(error, attempt)

    def _ask_once(self, url: str, read: Callable[[BinaryIO], T]) -> T:
        try:
            with self._web.get(url) as response:
                body = Body(response)
                with unpacked(body, body.name, PAGE_LIMITS, clock=self._clock) as stream:
                    return read(stream)
        finally:
            self._free_at = self._clock() + self._manners.pause

    def _wait_for_turn(self) -> None:
        wait = self._free_at - self._clock()
        if wait > 0:
            self._sleep(wait)

    def _wait_after(self, error: PassingError | DataFormatError, attempt: int) -> None:
        if attempt == self._manners.attempts:
            raise SourceError(f"{error}; asked {attempt} times") from error
        asked = getattr(error, "wait", None)
        if asked is not None and asked > self._manners.longest_wait:
            raise SourceError(f"{error}; it asks to wait for {asked:,.0f} s, so try again then") from error
        own = min(self._manners.first_wait * 2 ** (attempt - 1), self._manners.longest_wait)
        self._sleep(own if asked is None else asked)
