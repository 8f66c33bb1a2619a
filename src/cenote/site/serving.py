"""Serving the site from this process: ``cenote serve``."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from cenote.errors import ArgumentError
from cenote.site.app import create_app, open_site
from cenote.site.settings import read_settings


def serve(host: str, port: int, *, on_ready: Callable[[str], None]) -> None:
    """Serve the site until it is interrupted.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        on_ready: Called with the site's address, once it can be opened.

    Raises:
        ArgumentError: If one cannot listen there, or a setting is not allowed.
        StorageError: If the store cannot be opened.
    """
    settings = read_settings()
    with _listen(host, port) as listener, open_site(settings) as site:
        # Without a proxy that is trusted nobody's word on whose request it is counts, not even this machine's.
        proxies = list(settings.proxies)
        config = uvicorn.Config(
            create_app(settings, site=site),
            log_level="warning",
            server_header=False,
            proxy_headers=bool(proxies),
            forwarded_allow_ips=proxies,
        )
        server = uvicorn.Server(config)
        on_ready(_address(host, listener.getsockname()[1]))
        with contextlib.suppress(KeyboardInterrupt):  # how the server hands on the signal that ended it
            server.run(sockets=[listener])


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    """Take the port before anything else is opened, so that a port in use is said in one sentence."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no name"
        raise ArgumentError(f"host must be an address of this machine, got {host!r}: {reason}") from None
    with socket.socket(family, kind, protocol) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
            listener.listen()  # binding alone succeeds beside another that was bound but does not listen yet
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ArgumentError(f"cannot listen on {host}, port {port}: {reason}; choose another with --port") from None
        yield listener


def _address(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
