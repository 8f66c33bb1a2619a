"""A mail server that speaks SMTP, and keeps what it is given."""

from __future__ import annotations

import email
import email.policy
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword


@dataclass(frozen=True)
class Received:
    """A mail as it came over the wire."""

    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        return email.message_from_bytes(self.content, policy=email.policy.default)

    @property
    def text(self) -> str:
        return self.message.get_body(("plain",)).get_content()

    @property
    def html(self) -> str:
        return self.message.get_body(("html",)).get_content()

    def header_lines(self, name: str) -> list[bytes]:
        """The lines of a header as they came, with those that continue it."""
        head = self.content.partition(b"\r\n\r\n")[0].split(b"\r\n")
        begin = next(n for n, line in enumerate(head) if line.lower().startswith(name.lower().encode() + b":"))
        end = begin + 1
        while end < len(head) and head[end][:1] in (b" ", b"\t"):
            end += 1
        return head[begin:end]


@dataclass
class MailServer:
    """What came, and what is answered."""

    mails: list[Received] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    """What is said of a recipient, or of all with ``*``, instead of taking the mail."""
    to_content: str = ""
    """What is said of every mail's content, instead of taking it."""
    to_sender: str = ""
    hangs_up_on: str = ""
    """The connection ends without a word when this recipient is named."""
    host: str = "127.0.0.1"
    port: int = 0
    connections: int = 0

    def url(self, scheme: str = "smtp+plain", login: str = "") -> str:
        return f"{scheme}://{login}{self.host}:{self.port}"

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if self.to_sender:
            return self.to_sender
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address == self.hangs_up_on:
            server.transport.abort()
        answer = self.answers.get(address) or self.answers.get("*")
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, name: str, responses: list[str]) -> list[str]:  # noqa: N802
        session.host_name = name
        self.connections += 1
        return responses

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.to_content:
            return self.to_content
        self.mails.append(Received(envelope.mail_from, tuple(envelope.rcpt_tos), envelope.original_content))
        return "250 OK"


class _Anywhere(Controller):
    """Listens on a free port."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(
    *, tls: ssl.SSLContext | None = None, wrapped: ssl.SSLContext | None = None, login: tuple[str, str] | None = None
) -> Iterator[MailServer]:
    """A server on a free port.

    Args:
        tls: Nothing is taken before STARTTLS with this.
        wrapped: TLS from the beginning with this.
        login: User and password it asks for, with TLS alone.
    """
    kept = MailServer()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, given: Any) -> AuthResult:
        assert isinstance(given, LoginPassword)
        return AuthResult(success=login == (given.login.decode(), given.password.decode()), handled=False)

    more: dict[str, Any] = {}
    if tls is not None:
        more |= {"tls_context": tls, "require_starttls": True}
    if login is not None:
        more |= {"authenticator": authenticate, "auth_required": True}
    controller = _Anywhere(kept, hostname="127.0.0.1", port=0, server_hostname="mail.test", ssl_context=wrapped, **more)
    controller.start()
    kept.port = controller.port
    kept.connections = 0
    try:
        yield kept
    finally:
        controller.stop()
