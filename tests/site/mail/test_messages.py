"""Mails on the wire: headers as RFC 8058 wants them, the text first, and no header that a reader has made."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import itertools
import re
from contextlib import closing
from email.message import EmailMessage
from html.parser import HTMLParser
from typing import Any

import html5lib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cenote.errors import ArgumentError
from cenote.site.mail.messages import Letters, Sender
from cenote.site.mail.outbox import Mail, MailKind
from cenote.site.mail.policy import POLICY
from cenote.site.mail.scopes import Scope
from cenote.site.mail.subscriptions import leave_token
from cenote.site.mail.transport import open_transport
from cenote.site.readers.addresses import read_address
from cenote.site.settings import SiteSettings

from .servers import MailServer, Received
from .stories import ADA, NOW, SECRET

LETTERS = Letters(SiteSettings(base_url="https://papers.example.org", mail_from="Our papers <feed@example.org>"))
TOKEN = leave_token(SECRET, "k" * 43)
PAPER = {"id": "2611.00001", "title": "Ponds", "excerpt": "About ponds.", "authors": 3, "votes": 41,
         "organization": "Lake"}  # fmt: skip
VERDICT = {"paper": "2412.06097", "title": "Order Theory", "shelf": "pooling", "claim": "accuracy", "data": "cifar10",
           "sentence": "It is better.", "before": "holds", "word": "fails", "note": "", }  # fmt: skip


def content(**changed: Any) -> dict[str, Any]:
    whole = {"scope": "", "about": "all papers", "frequency": "daily", "papers": [PAPER], "verdicts": [VERDICT],
             "more_verdicts": 0}  # fmt: skip
    return whole | changed


def mail(kind: MailKind = MailKind.DIGEST, address: str = ADA, **changed: Any) -> Mail:
    return Mail(7, kind, address, 3, NOW.date(), content(**changed), "20261126090000.abc123", 0, NOW)


def digest(**changed: Any) -> EmailMessage:
    return LETTERS.digest(mail(**changed), TOKEN, NOW)


ALL_KINDS = {
    "sign-in": lambda: LETTERS.sign_in(mail(MailKind.SIGN_IN), "t" * 43, NOW),
    "confirm": lambda: LETTERS.confirm(mail(MailKind.CONFIRM), "t" * 43, ["all papers, daily"], NOW),
    "digest": digest,
}


def over_the_wire(message: EmailMessage, server: MailServer) -> Received:
    with closing(open_transport(server.url(), name="papers.example.org")) as transport:
        transport.send(message, "feed@example.org", ADA)
    return server.mails[-1]


def written(message: EmailMessage) -> EmailMessage:
    """The message as whoever gets it reads it."""
    read = email.message_from_bytes(message.as_bytes(policy=POLICY), policy=email.policy.default)
    assert isinstance(read, EmailMessage)
    return read


def test_a_digest_has_the_headers_of_rfc_8058(server: MailServer) -> None:
    received = over_the_wire(digest(), server)
    link = f"https://papers.example.org/u/{TOKEN}"
    by_mail = f"mailto:feed@example.org?subject=unsubscribe%20{TOKEN}"
    # One line each, as they go over the wire: a server that folds them anew would break their signature.
    assert received.header_lines("List-Unsubscribe") == [f"List-Unsubscribe: <{link}>, <{by_mail}>".encode()]
    assert received.header_lines("List-Unsubscribe-Post") == [b"List-Unsubscribe-Post: List-Unsubscribe=One-Click"]
    assert received.header_lines("Message-ID") == [b"Message-ID: <20261126090000.abc123@example.org>"]
    head = received.message
    assert head["List-Id"] == "cenote <digest.papers.example.org>"
    assert head["From"] == "Our papers <feed@example.org>"
    assert head["To"] == ADA
    assert head["Date"].datetime == NOW
    assert head["Auto-Submitted"] == "auto-generated"
    assert head["Subject"] == "1 paper, 1 verdict · 26 November 2026"


@pytest.mark.parametrize("kind", ["sign-in", "confirm"])
def test_what_was_asked_for_is_no_list(kind: str, server: MailServer) -> None:
    received = over_the_wire(ALL_KINDS[kind](), server)
    assert not [name for name in received.message if name.lower().startswith(("list-", "precedence"))]
    assert f"https://papers.example.org/{kind}/{'t' * 43}" in received.text
    assert f"https://papers.example.org/{kind}/{'t' * 43}" in received.html


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_text_comes_first_and_both_say_the_same(kind: str, server: MailServer) -> None:
    received = over_the_wire(ALL_KINDS[kind](), server)
    message = received.message
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    links = set(re.findall(r"https://[^\s\"<>]+", received.text))
    assert links
    assert links - {"https://papers.example.org/"} <= set(re.findall(r'href="([^"]+)"', received.html))
    # Lines that every server takes, and no byte that one might change.
    assert max(map(len, received.content.split(b"\r\n"))) < 998
    assert received.content.isascii()
    for name in ("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"):
        assert len(message.get_all(name)) == 1


class _Addresses(HTMLParser):
    """Whatever a program that shows the page would load or send to."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.loaded: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.loaded += [f"{name}={value}" for name, value in attributes
                        if name in ("src", "srcset", "background", "action") or "url(" in (value or "")]  # fmt: skip


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_the_html_part_loads_nothing_and_is_well_formed(kind: str) -> None:
    body = written(ALL_KINDS[kind]()).get_body(("html",))
    assert body is not None
    html = body.get_content()
    html5lib.HTMLParser(strict=True).parse(html)
    seen = _Addresses()
    seen.feed(html)
    assert not seen.loaded
    assert not seen.tags & {"img", "script", "link", "iframe", "form", "svg", "video", "object"}
    assert "color-scheme" in html


def test_a_verdict_that_changed_says_what_it_was() -> None:
    text = written(digest()).get_body(("plain",)).get_content()  # type: ignore[union-attr]
    assert "It is better.\r\n✗ fails (before: holds) on cifar10\r\n" in text
    assert "https://papers.example.org/papers/2412.06097#claim-accuracy-cifar10" in text
    new = written(digest(verdicts=[VERDICT | {"before": None, "word": "holds"}])).get_body(("plain",))
    assert "✓ holds on cifar10\r\n" in new.get_content()  # type: ignore[union-attr]


def test_a_sentence_is_told_once_with_its_data_sets_under_it() -> None:
    """In the order of the catalog, not of the alphabet."""
    rows = [VERDICT | {"paper": paper, "title": f"About {paper}", "claim": claim, "data": data,
                       "sentence": f"Claim {claim} of {paper}."}
            for paper in ("2412.2", "2412.1") for data in ("mnist", "cifar10")
            for claim in ("size", "accuracy")]  # fmt: skip
    message = written(digest(verdicts=rows))
    for kind in ("plain", "html"):
        told = message.get_body((kind,)).get_content()  # type: ignore[union-attr]
        wanted = [each for paper in ("2412.2", "2412.1") for claim in ("size", "accuracy")
                  for each in (f"Claim {claim} of {paper}.", "fails", "mnist", "fails", "cifar10")]  # fmt: skip
        found = re.findall(r"Claim \w+ of [\d.]+\.|\bfails\b|(?:(?<=>)|(?<= on ))(?:mnist|cifar10)", told)
        assert found == wanted


HEADERS = sorted(written(digest()).keys())
HOSTILE = [
    "a\r\nBcc: eve@example.org", "a\nBcc: eve@example.org", "a\rBcc: eve@example.org", "a\r\n\r\nbody",
    "a\x0bBcc: eve@example.org", "a\x0cBcc: x", "a\x1cBcc: x", "a\x85Bcc: x", "a\u2028Bcc: x", "a\u2029Bcc: x",
    "=?utf-8?q?a=0D=0ABcc:_eve@example.org?=", "a\x00b", "\r\n.\r\nMAIL FROM:<eve@example.org>", "é" * 2_000,
    "<script>alert(1)</script>", "{{ 7 * 7 }}", '"><img src=x onerror=alert(1)>', "\u202eabc", "a" * 3_000,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE)
def test_what_readers_and_imports_write_stays_where_it_belongs(text: str) -> None:
    """No header more than before, no recipient, and nothing of it is HTML."""
    paper = PAPER | dict.fromkeys(("title", "excerpt", "organization"), text)
    verdict = VERDICT | dict.fromkeys(("title", "sentence", "data", "note"), text)
    message = written(digest(papers=[paper], verdicts=[verdict], scope=text, about=text))
    assert sorted(message.keys()) == HEADERS
    assert (message["To"], message["Bcc"]) == (ADA, None)
    assert message["Subject"].isprintable()
    html = message.get_body(("html",)).get_content()  # type: ignore[union-attr]
    assert "<script" not in html
    assert "<img" not in html
    assert text.startswith("{{") == ("7 * 7" in html)


@pytest.mark.parametrize("text", [each for each in HOSTILE if not each.isprintable()])
def test_no_header_takes_the_end_of_a_line(text: str) -> None:
    with pytest.raises(ArgumentError):
        read_address(f"ada{text}@example.org")
    with pytest.raises(ArgumentError):
        read_address(f"{text} <ada@example.org>")
    with pytest.raises(ArgumentError):
        Sender.read(f"{text} <feed@example.org>")
    name = Scope.read("search", f"q={text}").name
    assert len(name.splitlines()) == 1
    message = EmailMessage(POLICY)
    if "\r" in text or "\n" in text:
        with pytest.raises(ValueError, match="linefeed or carriage return"):
            message["Subject"] = text


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_any_scope_and_any_title_make_a_mail_that_can_be_read(scope: str, title: str) -> None:
    clean = Scope.read("search", "shelf=pooling").name + scope.encode("utf-8", "ignore").decode()
    message = written(digest(scope=clean, papers=[PAPER | {"title": title.encode("utf-8", "ignore").decode()}]))
    assert sorted(message.keys()) == HEADERS
    assert message["Subject"].startswith("1 paper, 1 verdict")


def test_a_long_digest_keeps_its_header_on_one_line() -> None:
    base = "https://" + ".".join(["a" * 60] * 3) + ".example.org"
    letters = Letters(SiteSettings(base_url=base, mail_from=f"{'a' * 60}@{'b' * 60}.example.org"))
    raw = letters.digest(mail(papers=[PAPER] * 10), TOKEN, NOW).as_bytes(policy=POLICY)
    (line,) = [line for line in raw.split(b"\r\n") if line.startswith(b"List-Unsubscribe:")]
    assert len(line) < 998
    assert line.endswith(TOKEN.encode() + b">")
    # Other headers are folded as is usual.
    assert all(len(each) <= 78 for each in itertools.takewhile(bool, raw.split(b"\r\n")) if b"Subject" in each)


def test_a_sender() -> None:
    assert Sender.read("feed@example.org") == Sender("cenote", "feed@example.org")
    assert Sender.read("Our papers <Feed@example.org>").domain == "example.org"
    quoted = Letters(SiteSettings(mail_from='"Papers, daily; <x>" <feed@example.org>')).sender
    assert quoted.name == "Papers, daily; <x>"
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    letters = Letters(SiteSettings(mail_from='"Papers, daily; <x>" <feed@example.org>'))
    message = written(letters.sign_in(mail(MailKind.SIGN_IN), "t", moment))
    assert [each.addr_spec for each in message["From"].addresses] == ["feed@example.org"]
