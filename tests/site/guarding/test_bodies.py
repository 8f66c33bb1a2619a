"""Bodies that are too large are answered with a page, whether their length was told or not."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from cenote.site.guarding.requests import LARGEST
from cenote.site.serving import server_config

from ..visiting import PAPER, Visited
from .routes import changing

URL = f"/papers/{PAPER.id}/comments"


def pieces(size: int) -> Iterator[bytes]:
    yield b"text="
    while size > 0:
        yield b"x" * min(size, 10_000)
        size -= 10_000


@pytest.fixture
def endpoint(visited_lite: Visited) -> Iterator[str]:
    """The address of a server on this machine."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        config = server_config(visited_lite.app, visited_lite.site.settings)
        config.lifespan = "off"
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()


def test_a_length_that_is_too_large_is_refused_at_once(visited_lite: Visited) -> None:
    browser = visited_lite.browser()
    for method, address in changing(visited_lite.app):
        answer = browser.client.request(method, address, content=b"x" * (LARGEST + 1))
        assert answer.status_code == 413, address
        assert "A form may have 64 KiB at most." in answer.text
    assert browser.client.post(URL, content=b"x" * LARGEST).status_code == 403


@pytest.mark.parametrize("length", ["-1", "x", "1e3", "", "9" * 30])
def test_a_length_that_is_none_is_refused(visited_lite: Visited, length: str) -> None:
    answer = visited_lite.browser().client.post(URL, content=b"x", headers={"Content-Length": length})
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_bytes_are_counted_where_no_length_was_told(visited_lite: Visited, kind: str) -> None:
    ada = visited_lite.reader()
    for size, status in [(LARGEST - 5, 403), (LARGEST + 1, 413), (LARGEST * 20, 413)]:
        content = iter([b"--x\r\n", *pieces(size)]) if "multipart" in kind and size > LARGEST else pieces(size)
        answer = ada.client.post(URL, content=content, headers={"Content-Type": kind})
        assert answer.status_code == status or (answer.status_code, "multipart" in kind) == (400, True)
        if status == 413 and answer.status_code == 413:
            assert "A form may have 64 KiB at most." in answer.text


@pytest.mark.parametrize("told", [True, False])
@pytest.mark.parametrize("size", [LARGEST + 1, 300_000, 5_000_000])
def test_a_real_connection_is_answered_not_broken(endpoint: str, told: bool, size: int) -> None:
    body = b"".join(pieces(size))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    with httpx.Client(base_url=endpoint) as client:
        for _ in range(5):
            answer = client.post(URL, content=body if told else pieces(size), headers=headers)
            assert answer.status_code == 413
            assert "A form may have 64 KiB at most." in answer.text
        assert client.get("/healthz").status_code == 200
