from __future__ import annotations

import datetime as dt
import socket
import ssl
from typing import Any

import httpcore
import httpx
import pytest

from cenote.errors import ArgumentError, SourceError
from cenote.site.reading import Limits, Web, open_source
from cenote.site.reading.addresses import PublicOnly, is_public, resolve
from cenote.site.reading.web import PassingError, retry_after

PUBLIC = "93.184.216.34"


class Recording(httpcore.MockBackend):
    """Answers every connection with the same bytes, and keeps to whom it was made."""

    def __init__(self, *answers: bytes) -> None:
        super().__init__([])
        self.answers = list(answers)
        self.connections: list[tuple[str, int]] = []
        self.hostnames: list[str | None] = []
        self.sent = b""

    def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
        self.connections.append((host, port))
        return Stream(self, self.answers.pop(0))


class Stream(httpcore.NetworkStream):
    def __init__(self, backend: Recording, answer: bytes) -> None:
        self.backend, self.answer = backend, answer

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data, self.answer = self.answer[:max_bytes], self.answer[max_bytes:]
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self.backend.sent += buffer

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> Stream:
        assert ssl_context.verify_mode == ssl.CERT_REQUIRED
        assert ssl_context.check_hostname
        self.backend.hostnames.append(server_hostname)
        return self

    def close(self) -> None:
        pass


def looked_up(host: str, port: int) -> list[str]:
    """What the system gives for hosts that are numbers, in any way of writing them; all others are public."""
    try:
        return [str(socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, host.strip("[]"))))]
    except OSError:
        pass
    try:
        return [socket.inet_ntoa(socket.inet_aton(host))]
    except OSError:
        return {"localhost": ["127.0.0.1"], "metadata.example": ["169.254.169.254"]}.get(host, [PUBLIC])


def to(location: str, status: int = 302) -> bytes:
    return f"HTTP/1.1 {status} Found\r\nLocation: {location}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nponds"


def fetch(address: str, backend: Recording) -> bytes:
    with Web(backend=PublicOnly(looked_up, backend)) as web, open_source(address, web=web) as stream:
        return stream.read()


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    backend = Recording(OK)
    assert fetch("http://papers.example/a?b=1", backend) == b"ponds"
    assert backend.connections == [(PUBLIC, 80)]
    assert b"GET /a?b=1 HTTP/1.1\r\n" in backend.sent
    assert b"Host: papers.example\r\n" in backend.sent


def test_tls_goes_by_the_name() -> None:
    backend = Recording(OK)
    assert fetch("https://papers.example", backend) == b"ponds"
    assert backend.connections == [(PUBLIC, 443)]
    assert backend.hostnames == ["papers.example"]


def test_a_name_server_that_changes_its_mind_has_no_effect() -> None:
    backend = Recording(OK)
    answers = [[PUBLIC], ["127.0.0.1"]]
    asked: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        asked.append(host)
        return answers.pop(0)

    with Web(backend=PublicOnly(rebinding, backend)) as web, open_source("http://papers.example", web=web) as stream:
        assert stream.read() == b"ponds"
    assert asked == ["papers.example"]
    assert backend.connections == [(PUBLIC, 80)]


PRIVATE = [
    "127.0.0.1", "localhost", "2130706433", "0x7f000001", "0x7f.1", "127.1", "0", "[::1]", "[::]", "169.254.169.254",
    "metadata.example", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "224.0.0.1", "240.0.0.1",
    "255.255.255.255", "[fe80::1]", "[fc00::1]", "[ff02::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
]  # fmt: skip


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_at_once_and_behind_a_redirect(host: str) -> None:
    backend = Recording()
    with pytest.raises(SourceError, match="which is not a public address"):
        fetch(f"http://{host}/secret", backend)
    assert backend.connections == []
    backend = Recording(to(f"http://{host}:8080/secret"), OK)
    with pytest.raises(SourceError, match="which is not a public address"):
        fetch("http://papers.example", backend)
    assert backend.connections == [(PUBLIC, 80)]


def test_one_private_address_among_public_ones_is_enough() -> None:
    backend = Recording(OK)
    web = Web(backend=PublicOnly(lambda host, port: [PUBLIC, "10.0.0.1"], backend))
    with web, pytest.raises(SourceError, match=r"papers\.example is 10\.0\.0\.1"), web.get("http://papers.example"):
        pass
    assert backend.connections == []


def test_the_next_address_is_tried() -> None:
    class Half(Recording):
        def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore.NetworkStream:
            if host == PUBLIC:
                raise httpcore.ConnectError("refused")
            return super().connect_tcp(host, port)

    backend = Half(OK)
    web = Web(backend=PublicOnly(lambda host, port: [PUBLIC, "1.1.1.1"], backend))
    with web, web.get("http://papers.example") as response:
        assert response.read() == b"ponds"
    assert backend.connections == [("1.1.1.1", 80)]


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700:4700::1111", "64:ff9b::101:101", "::ffff:8.8.8.8"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


def test_names_without_an_address_are_one_error() -> None:
    # The tests' own network says that there is none.
    with pytest.raises(httpcore.ConnectError, match=r"papers\.invalid has no address"):
        resolve("papers.invalid", 80)
    with pytest.raises(httpcore.ConnectError, match="has no address"):
        resolve("x" * 70, 80)
    assert resolve("127.0.0.1", 80) == ["127.0.0.1"]
    with (
        Web() as web,
        pytest.raises(PassingError, match=r"papers\.invalid has no address"),
        web.get("http://papers.invalid"),
    ):
        pass


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(status: int, server, answer, web: Web) -> None:
    def reply(question):
        return (
            answer(b"here")
            if question.path == "/c"
            else answer(status=status, headers={"Location": {"/a": "b?x=1", "/b": "/c"}[question.path]})
        )

    server.reply = reply
    with open_source(f"{server.address}/a", web=web) as stream:
        assert stream.read() == b"here"
    assert [question.path for question in server.questions] == ["/a", "/b", "/c"]
    assert server.questions[1].query == {"x": "1"}


def test_a_circle_of_redirects_ends(server, answer, web: Web) -> None:
    server.answer(answer(status=302, headers={"Location": "/again"}))
    with pytest.raises(SourceError, match="sent on more than 5 times"), web.get(server.address):
        pass
    assert len(server.questions) == 6


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://example.org/", "http://[::1", "javascript:alert(1)"])
def test_redirects_lead_to_http_only(location: str, server, answer, web: Web) -> None:
    server.answer(answer(status=302, headers={"Location": location}))
    with pytest.raises(SourceError, match=r"not an http|location header"), web.get(server.address):
        pass


def test_passwords_are_neither_shown_nor_handed_on(server, answer, web: Web) -> None:
    server.reply = lambda question: (
        answer(status=302, headers={"Location": "/next"}) if question.path == "/a" else answer(status=404)
    )
    with (
        pytest.raises(SourceError, match="404") as caught,
        web.get(server.address.replace("http://", "http://me:secret@") + "/a"),
    ):
        pass
    assert "secret" not in str(caught.value)
    assert "Authorization" in server.questions[0].headers
    assert "Authorization" not in server.questions[1].headers


def test_who_asks_is_told(server, answer, web: Web) -> None:
    server.answer(answer(b"x"))
    with web.get(server.address):
        pass
    agent = server.questions[0].headers["User-Agent"]
    assert agent.startswith("cenote/")
    assert agent.endswith("(mailto:feed@example.org)")


@pytest.mark.parametrize("contact", ["a\r\nX-Evil: 1", "ü@example.org"])
def test_contacts_that_no_header_can_hold(contact: str) -> None:
    with pytest.raises(ArgumentError, match="contact must be"):
        Web(contact=contact)


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("inf"), float("nan")])
def test_there_is_always_a_timeout(timeout: float) -> None:
    with pytest.raises(ArgumentError, match="timeout must be a positive number"):
        Web(timeout=timeout)


@pytest.mark.parametrize(
    ("status", "passes"), [(404, False), (403, False), (204, False), (429, True), (503, True), (500, True)]
)
def test_answers_that_are_not_200(status: int, passes: bool, server, answer, web: Web) -> None:
    server.answer(answer(status=status, headers={"Retry-After": "17"}))
    with pytest.raises(SourceError, match=f"the server answers {status}") as caught, web.get(server.address):
        pass
    assert isinstance(caught.value, PassingError) == passes
    assert getattr(caught.value, "wait", 17.0) == 17.0


def test_a_body_that_breaks_off_is_noticed(server, answer, web: Web) -> None:
    server.answer(answer(b"x" * 1_000, length=2_000))
    with pytest.raises(PassingError, match="the answer breaks off"), open_source(server.address, web=web) as stream:
        stream.read()


def test_a_body_without_end_is_left(server, answer, web: Web) -> None:
    server.answer(answer(b"x" * 100_000))
    with (
        pytest.raises(SourceError, match="more than 10,000 bytes"),
        open_source(server.address, web=web, limits=Limits(compressed=10_000)) as stream,
    ):
        stream.read()


def test_a_server_that_is_not_there(web: Web) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(PassingError, match="refused"), web.get(f"http://127.0.0.1:{port}"):
            pass


def test_a_server_that_says_nothing() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        with (
            Web(allow_private=True, timeout=0.1) as web,
            pytest.raises(PassingError, match="timed out"),
            web.get(f"http://127.0.0.1:{silent.getsockname()[1]}"),
        ):
            pass


def test_errors_of_the_guarded_transport_are_those_of_httpx() -> None:
    backend = Recording(b"SSH-2.0-OpenSSH\r\n")
    with pytest.raises(PassingError) as caught:
        fetch("http://papers.example", backend)
    assert isinstance(caught.value.__cause__, httpx.RemoteProtocolError)
    with pytest.raises(PassingError, match="breaks off"):
        fetch("http://papers.example", Recording(OK[:-2]))


NOW = dt.datetime(2026, 2, 11, 8, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("0", 0.0),
        (" 5 ", 5.0),
        ("Wed, 11 Feb 2026 08:01:00 GMT", 60.0),
        ("Wed, 11 Feb 2026 09:01:00 +0100", 60.0),
        ("Wed, 11 Feb 2026 07:00:00 GMT", 0.0),
        ("Wed, 11 Feb 2026 08:01:00 -0000", 60.0),
        ("-5", None),
        ("٥", None),
        ("", None),
        (None, None),
        ("1e3", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    assert retry_after(header, NOW) == seconds
