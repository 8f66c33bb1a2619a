"""GET over HTTP(S): what came and how long it took is bounded, and where it may lead is checked at every hop."""

from __future__ import annotations

import contextlib
import datetime as dt
import email.utils
import io
import math
from collections.abc import Iterator
from types import TracebackType

import httpx

from cenote import __version__
from cenote.errors import ArgumentError, SourceError
from cenote.site.reading.addresses import PublicOnly, PublicTransport, tls

REDIRECTS = 5
"""How many times an answer may send to another address."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_ENCODINGS = frozenset({"", "identity", "gzip", "x-gzip"})


class PassingError(SourceError):
    """A source that may well answer when it is asked again."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait
        """Seconds that the server asks to wait, None if it does not say."""


class Web:
    """Gets what stands at an address.

    Args:
        contact: A mail or web address that is told to the servers, so that they can say if something is wrong.
        allow_private: Whether hosts in private networks may be asked, and the environment's proxies used; otherwise
            connections go straight to public addresses.
        timeout: Seconds without a byte after which a server is given up.
        backend: What makes the connections if ``allow_private`` is false.

    Raises:
        ArgumentError: If the contact cannot be sent, or the timeout is not positive.
    """

    def __init__(
        self,
        *,
        contact: str | None = None,
        allow_private: bool = False,
        timeout: float = 30.0,
        backend: PublicOnly | None = None,
    ) -> None:
        if not 0 < timeout < math.inf:
            raise ArgumentError(f"timeout must be a positive number of seconds, got {timeout}")
        self._client = httpx.Client(
            headers={"User-Agent": _user_agent(contact), "Accept-Encoding": "gzip"},
            timeout=timeout,
            verify=tls(),
            transport=None if allow_private else PublicTransport(backend or PublicOnly()),
        )

    @contextlib.contextmanager
    def get(self, address: str) -> Iterator[httpx.Response]:
        """Ask for an address, follow where it leads, and hand out the answer with its body still to be read.

        Raises:
            ArgumentError: If the address is not one of HTTP(S).
            PassingError: If the server cannot be reached, or says that it cannot answer now.
            SourceError: If it says no, sends on too often or to where nothing may be asked.
        """
        url = _parse(address)
        for _ in range(REDIRECTS + 1):
            with _passing(url), self._client.stream("GET", url) as response:
                if not response.has_redirect_location:
                    _check(response)
                    yield response
                    return
                url = _next(response)
        raise SourceError(f"{_shown(url)}: sent on more than {REDIRECTS} times, starting at {_shown(_parse(address))}")

    def __enter__(self) -> Web:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


class Body(io.RawIOBase):
    """The bytes of an answer as they came, not decompressed."""

    def __init__(self, response: httpx.Response) -> None:
        self._chunks = response.iter_raw()
        self._chunk = b""
        self.name = _shown(response.url)

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill the buffer with what comes next.

        Raises:
            PassingError: If the body ends too early.
        """
        while not self._chunk:
            try:
                self._chunk = next(self._chunks)
            except StopIteration:
                return 0
            except httpx.TransportError as error:
                raise PassingError(f"{self.name}: the answer breaks off: {_said(error)}") from error
        size = min(len(buffer), len(self._chunk))
        buffer[:size] = self._chunk[:size]
        self._chunk = self._chunk[size:]
        return size


def retry_after(header: str | None, now: dt.datetime) -> float | None:
    """Seconds to wait that a ``Retry-After`` header asks for, as seconds or as a date; None if it does not say.

    Example:
        >>> now = dt.datetime(2026, 2, 11, 8, 0, 0, tzinfo=dt.UTC)
        >>> retry_after("120", now), retry_after("Wed, 11 Feb 2026 08:00:30 GMT", now), retry_after("soon", now)
        (120.0, 30.0, None)
    """
    if header is None:
        return None
    text = header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = email.utils.parsedate_to_datetime(text)
        date = date if date.tzinfo else date.replace(tzinfo=dt.UTC)
        return max(0.0, (date - now).total_seconds())
    except (ValueError, OverflowError):
        return None


def _user_agent(contact: str | None) -> str:
    if contact is not None and not (contact.isascii() and contact.isprintable()):
        raise ArgumentError(f"contact must be a mail or web address in ASCII, got {contact!r}")
    return f"cenote/{__version__}" + (f" ({contact})" if contact else "")


def _parse(address: str) -> httpx.URL:
    try:
        url = httpx.URL(address)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ArgumentError(f"source must be an address such as https://example.org/papers.xml: {error}") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ArgumentError(f"source must be an http(s) address, got {str(address)!r:.200}")
    return url


def _next(response: httpx.Response) -> httpx.URL:
    """Where an answer sends to."""
    location = response.headers["Location"]
    try:
        return _parse(str(response.url.copy_with(userinfo=b"").join(location)))
    except (ArgumentError, httpx.InvalidURL, UnicodeError):
        raise SourceError(
            f"{_shown(response.url)}: sends on to {location!r:.200}, which is not an http(s) address"
        ) from None


def _check(response: httpx.Response) -> None:
    shown, status = _shown(response.url), f"{response.status_code} {response.reason_phrase}".strip()
    if response.status_code in _PASSING:
        wait = retry_after(response.headers.get("Retry-After"), dt.datetime.now(dt.UTC))
        raise PassingError(f"{shown}: the server answers {status}", wait)
    if response.status_code != httpx.codes.OK:
        raise SourceError(f"{shown}: the server answers {status}")
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding not in _ENCODINGS:
        raise SourceError(f"{shown}: the answer is encoded as {encoding!r:.40}; only gzip was offered")


@contextlib.contextmanager
def _passing(url: httpx.URL) -> Iterator[None]:
    """Turn what httpx raises, and only that, into an error of ours."""
    try:
        yield
    except httpx.InvalidURL as error:
        # httpx looks at where an answer sends to, though it is not asked to follow.
        raise SourceError(f"{_shown(url)}: sends on to what is not an http(s) address: {error}") from error
    except httpx.HTTPError as error:
        raise PassingError(f"{_shown(url)}: {_said(error)}") from error


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _shown(url: httpx.URL) -> str:
    """The address without user name and password, not too long."""
    return f"{url.copy_with(userinfo=b'')!s:.300}"
