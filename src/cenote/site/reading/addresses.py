"""Connections that lead to public addresses only, so that nobody's address makes the server read its own network."""

from __future__ import annotations

import contextlib
import functools
import ipaddress
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence

import httpcore
import httpx

from cenote.errors import SourceError

Resolver = Callable[[str, int], Sequence[str]]

_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public internet, with whatever IPv4 address an IPv6 address carries.

    Example:
        >>> is_public("8.8.8.8"), is_public("169.254.169.254"), is_public("::ffff:127.0.0.1")
        (True, False, False)
    """
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = [parsed.ipv4_mapped, parsed.sixtofour, *(parsed.teredo or ())]
        if parsed in _NAT64:
            inner.append(ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF))
        carried = [each for each in inner if each is not None]
        if carried:
            return all(is_public(str(each)) for each in carried)
    return parsed.is_global and not (
        parsed.is_multicast or parsed.is_reserved or parsed.is_unspecified or parsed.is_link_local
    )


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a host, in the order in which the system would try them.

    Raises:
        httpcore.ConnectError: If it has none.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host} has no address: {error}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


@functools.cache
def tls() -> ssl.SSLContext:
    """What certificates are checked against; made once, which takes a tenth of a second."""
    return httpx.create_ssl_context()


class PublicOnly(httpcore.NetworkBackend):
    """Connects to hosts all of whose addresses are public.

    The name is looked up once, and the connection goes to the very address that was checked, so a name server that
    gives another answer a moment later has no effect. Host header and TLS still go by the name.

    Args:
        look_up: Gives the addresses of a host and port.
        inner: Makes the connections.
    """

    def __init__(self, look_up: Resolver = resolve, inner: httpcore.NetworkBackend | None = None) -> None:
        self._look_up = look_up
        self._inner = inner or httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that answers.

        Raises:
            SourceError: If any address of the host is not public.
            httpcore.ConnectError: If it has no address, or none answers.
        """
        addresses = self._look_up(host, port)
        for address in addresses:
            if not is_public(address):
                raise SourceError(f"{host} is {address}, which is not a public address; allow_private=True permits it")
        failure = httpcore.ConnectError(f"{host} has no address")
        for address in addresses:
            try:
                return self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error  # type: ignore[assignment]
        raise failure


class PublicTransport(httpx.BaseTransport):
    """httpx over connections that ``PublicOnly`` makes; the environment's proxies are not used, they look names up."""

    def __init__(self, backend: PublicOnly) -> None:
        self._pool = httpcore.ConnectionPool(ssl_context=tls(), max_connections=4, network_backend=backend)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request."""
        url = httpcore.URL(
            scheme=request.url.raw_scheme, host=request.url.raw_host, port=request.url.port, target=request.url.raw_path
        )
        with _errors_of_httpx():
            response = self._pool.handle_request(
                httpcore.Request(request.method, url, headers=request.headers.raw, extensions=request.extensions)
            )
        return httpx.Response(
            response.status, headers=response.headers, stream=_Body(response), extensions=response.extensions
        )

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()


class _Body(httpx.SyncByteStream):
    def __init__(self, response: httpcore.Response) -> None:
        self._response = response

    def __iter__(self) -> Iterator[bytes]:
        with _errors_of_httpx():
            yield from self._response.iter_stream()

    def close(self) -> None:
        self._response.close()


@contextlib.contextmanager
def _errors_of_httpx() -> Iterator[None]:
    """Raise what httpcore raises as httpx would; both give their errors the same names."""
    try:
        yield
    except (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise getattr(httpx, type(error).__name__)(str(error)) from error
