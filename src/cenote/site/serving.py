"""Serving the site from this process: ``cenote serve``."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

import uvicorn
from fastapi import FastAPI

from cenote.errors import ArgumentError
from cenote.site.app import create_app, open_site
from cenote.site.settings import SiteSettings, read_settings


def serve(host: str, port: int, *, allow_runs: bool = False, on_ready: Callable[[str], None]) -> None:
    """Serve the site until it is interrupted or told to end.

    Args:
        host: Address to listen on.
        port: Port to listen on; 0 takes a free one.
        allow_runs: Whether readers may start runs on this machine.
        on_ready: Called with the site's address, once it can be opened.

    Raises:
        ArgumentError: If one cannot listen there, a setting is not allowed, or runs are not possible here.
        StorageError: If the store cannot be opened.
    """
    if allow_runs and os.name != "posix":
        raise ArgumentError("--allow-runs needs Linux, or another system on which processes can be ended in groups")
    settings = read_settings()
    with _listen(host, port) as listener, open_site(settings, allow_runs=allow_runs) as site:
        config = server_config(create_app(settings, site=site), settings)
        server = _Server(config, on_exit=site.runs.streams.end if site.runs else None)
        # What is there by now stays: looking through it for garbage again and again would hold requests up.
        gc.freeze()
        gc.enable()
        on_ready(_address(host, listener.getsockname()[1]))
        with _told_to_end(), contextlib.suppress(KeyboardInterrupt):  # how the server hands on what ended it
            server.run(sockets=[listener])


def server_config(app: FastAPI, settings: SiteSettings) -> uvicorn.Config:
    """Return how the application is served: whose word counts on where a request comes from."""
    # Without a proxy that is trusted nobody's does, not even this machine's.
    proxies = list(settings.proxies)
    return uvicorn.Config(
        app, log_level="warning", server_header=False, proxy_headers=bool(proxies), forwarded_allow_ips=proxies
    )


class _Server(uvicorn.Server):
    """Says that it is about to end, since it waits then for answers that would go on for ever."""

    def __init__(self, config: uvicorn.Config, on_exit: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._on_exit = on_exit

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end."""
        if self._on_exit is not None:
            self._on_exit()
        super().handle_exit(sig, frame)


@contextlib.contextmanager
def _told_to_end() -> Iterator[None]:
    """Take SIGTERM, which the server hands on when it has ended, as a wish to leave: what is open is closed first."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


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
