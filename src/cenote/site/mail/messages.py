"""Mails as they are sent: text and HTML, and the headers around them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any
from urllib.parse import quote, urlsplit

import jinja2

from cenote.catalog.numbers import counted
from cenote.catalog.results import ICONS
from cenote.errors import ArgumentError
from cenote.site.api.links import Links
from cenote.site.mail.outbox import Mail, MailKind
from cenote.site.mail.policy import POLICY
from cenote.site.readers.addresses import read_address
from cenote.site.settings import SiteSettings

ONE_CLICK = "List-Unsubscribe=One-Click"
"""What a mail program posts to the address in List-Unsubscribe (RFC 8058)."""

_LONGEST_SUBJECT = 160


@dataclass(frozen=True)
class Sender:
    """Who mail comes from."""

    name: str
    address: str
    """Also that of the envelope, to which mail comes back that could not be handed on."""

    @classmethod
    def read(cls, text: str) -> Sender:
        """Read ``CENOTE_MAIL_FROM``: an address, or a name with the address in angle brackets.

        Raises:
            ArgumentError: If it is neither.

        Example:
            >>> Sender.read("Our papers <feed@example.org>")
            Sender(name='Our papers', address='feed@example.org')
        """
        name, address = parseaddr(text)
        try:
            if not text.isprintable():
                raise ArgumentError("no line may end in it")
            return cls(name or "cenote", read_address(address))
        except ArgumentError:
            raise ArgumentError(
                f"CENOTE_MAIL_FROM must be an address such as feed@example.org, or a name with one such as "
                f"'Our papers <feed@example.org>', got {text!r:.80}"
            ) from None

    @property
    def domain(self) -> str:
        """The domain of the address, in which the Message-IDs are."""
        return self.address.rpartition("@")[2]


class Letters:
    """Writes mails.

    Args:
        settings: The site's address, and who its mail comes from.

    Raises:
        ArgumentError: If the sender is no address.
    """

    def __init__(self, settings: SiteSettings) -> None:
        self.sender = Sender.read(settings.mail_from)
        self._links = Links(settings)
        self._host = urlsplit(settings.base_url).hostname or "localhost"

    def sign_in(self, mail: Mail, token: str, now: dt.datetime) -> EmailMessage:
        """Write the mail with a link by which its reader signs in."""
        link = self._links.to(f"/sign-in/{quote(token)}")
        return self._write(mail, now, f"Sign in to {self._host}", link=link, minutes=30)

    def confirm(self, mail: Mail, token: str, wanted: list[str], now: dt.datetime) -> EmailMessage:
        """Write the mail that asks whether subscriptions are really wanted.

        Args:
            mail: What is sent.
            token: Of the link.
            wanted: The subscriptions in words.
            now: The present moment, with its zone.
        """
        link = self._links.to(f"/confirm/{quote(token)}")
        return self._write(mail, now, f"Please confirm: papers from {self._host} by mail", link=link, wanted=wanted)

    def digest(self, mail: Mail, token: str, now: dt.datetime) -> EmailMessage:
        """Write a digest from the mail's content; ``token`` is what unsubscribes."""
        leave = self._links.to(f"/u/{quote(token)}")
        message = self._write(mail, now, digest_subject(mail), leave=leave, issue=mail.issue, **mail.content)
        message["List-Id"] = f"cenote <digest.{self._host}>"
        by_mail = f"mailto:{quote(self.sender.address, safe='@')}?subject={quote(f'unsubscribe {token}')}"
        message["List-Unsubscribe"] = f"<{leave}>, <{by_mail}>"
        message["List-Unsubscribe-Post"] = ONE_CLICK
        return message

    def _write(self, mail: Mail, now: dt.datetime, subject: str, **context: Any) -> EmailMessage:
        context |= {"subject": subject, "links": self._links, "host": self._host, "address": mail.address}
        message = EmailMessage(POLICY)
        local, _, domain = mail.address.rpartition("@")
        message["From"] = Address(self.sender.name, addr_spec=self.sender.address)
        message["To"] = Address("", local, domain)
        message["Subject"] = subject
        message["Date"] = format_datetime(now)
        message["Message-ID"] = f"<{mail.message_id}@{self.sender.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        # Programs show the last part that they can, so the text comes first. Neither has lines that a server would cut.
        message.set_content(_rendered(f"{mail.kind}.txt.j2", context), cte="quoted-printable")
        message.add_alternative(_rendered(f"{mail.kind}.html.j2", context), subtype="html", cte="quoted-printable")
        return message


def digest_subject(mail: Mail) -> str:
    """Return what a digest has, in a line: '3 papers, 2 verdicts · pooling · 28 November 2026'."""
    papers, verdicts = mail.content["papers"], mail.content["verdicts"]
    counts = [counted(len(papers), "paper")] * bool(papers) + [counted(len(verdicts), "verdict")] * bool(verdicts)
    scope = [mail.content["scope"]] if mail.content["scope"] else []
    day = [_in_words(mail.issue)] if mail.issue else []
    subject = " · ".join([", ".join(counts), *scope, *day])
    subject = " ".join("".join(each if each.isprintable() else " " for each in subject).split())
    subject = subject.replace("=?", "= ?")  # what looks encoded (RFC 2047) would be decoded, to anything
    return subject if len(subject) <= _LONGEST_SUBJECT else f"{subject[:_LONGEST_SUBJECT]}…"


def _in_words(day: dt.date) -> str:
    return f"{day.day} {day:%B %Y}"


def _rendered(template: str, context: Mapping[str, Any]) -> str:
    return _environment.get_template(template).render(context)


def _together(rows: Sequence[Mapping[str, Any]], name: str) -> list[list[Mapping[str, Any]]]:
    """Rows that have the same value, in the order in which each value comes first."""
    groups: dict[Any, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(row[name], []).append(row)
    return list(groups.values())


_environment = jinja2.Environment(
    loader=jinja2.PackageLoader("cenote.site.mail"),
    autoescape=lambda name: name is None or ".html" in name,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters |= {"day": _in_words, "counted": counted, "together": _together}
_environment.globals |= {"icons": ICONS, "kinds": MailKind}
