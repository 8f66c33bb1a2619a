"""A server on this machine that gives the answers a test has written, and clients whose clock a test reads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from cenote.site.reading import Manners, PoliteClient, Web


@dataclass
class Answer:
    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    length: int | None = None
    """What Content-Length says, if it is not the truth."""


@dataclass
class Question:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Server:
    """Answers by ``self.reply``; keeps the questions."""

    def __init__(self) -> None:
        self.questions: list[Question] = []
        self.reply: Callable[[Question], Answer] = lambda question: Answer()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            # Head and body in one packet: the second of two would wait 40 ms for the first to be acknowledged.
            wbufsize = -1

            def do_GET(self) -> None:
                url = urlsplit(self.path)
                question = Question(url.path, dict(parse_qsl(url.query)), dict(self.headers.items()))
                server.questions.append(question)
                answer = server.reply(question)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body) if answer.length is None else answer.length))
                self.end_headers()
                self.wfile.write(answer.body)
                if answer.length is not None:
                    self.close_connection = True

            def log_message(self, *arguments: object) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        # Clients that leave in the middle of an answer are what some tests are about.
        self._http.handle_error = lambda *arguments: None  # type: ignore[method-assign]
        self.address = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def answer(self, *answers: Answer) -> None:
        """Give these answers one after the other, and the last one for ever."""
        left = list(answers)
        self.reply = lambda question: left.pop(0) if len(left) > 1 else left[0]

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class Clock:
    """A clock that goes on only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def answer() -> type[Answer]:
    return Answer


@pytest.fixture
def web() -> Iterator[Web]:
    with Web(allow_private=True, timeout=5.0, contact="mailto:feed@example.org") as web:
        yield web


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(web: Web, clock: Clock) -> PoliteClient:
    manners = Manners(pause=3.0, attempts=4, first_wait=5.0, longest_wait=60.0)
    return PoliteClient(web, manners, clock=clock, sleep=clock.sleep)


@pytest.fixture
def data() -> Path:
    return Path(__file__).resolve().parent.parent / "data"
