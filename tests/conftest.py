"""What every test has: one thread, and no network."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

# Before torch is imported, by a test or by a process that it starts: tests run side by side, one core each.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "", None})


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-public-names",
        action="store_true",
        help="write tests/conformance/public_names.json anew, after a public name was changed on purpose",
    )


@pytest.fixture(autouse=True, scope="session")
def _no_network() -> Iterator[None]:
    """Only this machine can be reached, so no test passes or fails by what the network has."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address[0] not in _LOOPBACK:
            raise OSError(f"tests reach no network, asked for {address}")
        connect(self, address)

    def look_up_here(host: Any, *arguments: Any, **options: Any) -> Any:
        if (host.decode() if isinstance(host, bytes) else host) not in _LOOPBACK:
            raise socket.gaierror(f"tests reach no network, asked for {host}")
        return look_up(host, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        patch.setattr(socket, "getaddrinfo", look_up_here)
        yield
