"""Where mail goes: a server that speaks SMTP, or a folder of files."""

from __future__ import annotations

import contextlib
import ipaddress
import re
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path
from typing import NoReturn, Protocol
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from cenote.errors import ArgumentError
from cenote.site.mail.policy import POLICY
from cenote.site.settings import LOOPBACK

SECONDS = 30.0
"""How long a server may take for one answer."""

_PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
_FORMS = (
    "smtp://user:password@host:587 (STARTTLS), smtps://user:password@host:465 (TLS), smtp+plain://127.0.0.1:25 or "
    "file:FOLDER"
)


class DeferredError(Exception):
    """The server does not take this mail now, but may later."""


class RefusedError(Exception):
    """The server will never take this mail.

    Args:
        said: What the server said.
        no_mailbox: Whether it is the recipient's address that does not work, not the mail or its sender.
    """

    def __init__(self, said: str, *, no_mailbox: bool) -> None:
        super().__init__(said)
        self.no_mailbox = no_mailbox


class UnreachableError(Exception):
    """No mail can be sent just now: the server does not answer, or does not let this site send."""


class BrokenOffError(UnreachableError):
    """The server broke off while it was given this mail, which may be the reason."""


class Transport(Protocol):
    """Hands over one mail after the other."""

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Hand a mail over; when this returns, it was taken.

        Raises:
            DeferredError: If it may be taken later.
            RefusedError: If it will never be taken.
            UnreachableError: If no mail is taken now.
            BrokenOffError: If the server went away with this mail; whether it took it may be unknown.
        """

    def close(self) -> None:
        """Let go of the server."""


def open_transport(url: str, *, name: str, context: ssl.SSLContext | None = None) -> Transport:
    """Return what mail is sent through; no server is asked before the first mail.

    Args:
        url: ``CENOTE_MAIL_URL``.
        name: What to call this machine to the server, such as the site's host.
        context: Which certificates are trusted; those of the system by default.

    Raises:
        ArgumentError: If the address cannot be used; what may be secret in it is not repeated.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ArgumentError(f"CENOTE_MAIL_URL must be {_FORMS}, and its port a number up to 65535") from None
    if parts.scheme == "file":
        return FolderTransport(_folder(parts))
    if parts.scheme not in _PORTS or not parts.hostname:
        raise ArgumentError(f"CENOTE_MAIL_URL must be {_FORMS}")
    insecure = parse_qs(parts.query).get("insecure") == ["yes"]
    if parts.scheme == "smtp+plain" and not insecure and not _is_here(parts.hostname):
        raise ArgumentError(
            f"CENOTE_MAIL_URL: smtp+plain sends mail and password in the clear, so {parts.hostname} must be this "
            "machine; use smtp or smtps, or add ?insecure=yes where the network between is your own"
        )
    login = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    if login is not None and not "".join(login).isascii():
        raise ArgumentError("CENOTE_MAIL_URL: user and password must be ASCII, since SMTP sends no other characters")
    return SmtpTransport(parts.scheme, parts.hostname, port or _PORTS[parts.scheme], login, name=name, context=context)


class FolderTransport:
    """Keeps each mail as a file, named after its Message-ID; it appears there whole.

    Args:
        folder: Made with the first mail.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Write the mail."""
        name = re.sub(r"[^0-9A-Za-z.-]+", "-", message["Message-ID"].partition("@")[0]).strip("-")
        part = self._folder / f".{name}.part"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            part.write_bytes(message.as_bytes(policy=POLICY))
            part.chmod(0o600)  # it holds links that sign in
            part.replace(self._folder / f"{name}.eml")
        except OSError as error:
            raise UnreachableError(f"{self._folder} cannot be written: {error.strerror or error}") from None

    def close(self) -> None:
        """Nothing is open."""


class SmtpTransport:
    """Hands mail to a server; one connection for many mails, opened anew when it broke.

    Args:
        scheme: ``smtp`` (nothing is said before STARTTLS), ``smtps`` (TLS from the beginning) or ``smtp+plain``.
        host: The server's name, which its certificate must have.
        port: Where it listens.
        login: User and password, if it asks for them.
        name: What to call this machine.
        context: Which certificates are trusted; those of the system by default.
    """

    def __init__(
        self,
        scheme: str,
        host: str,
        port: int,
        login: tuple[str, str] | None = None,
        *,
        name: str,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._scheme, self._host, self._port, self._login, self._name = scheme, host, port, login, name
        self._context = context
        self._connection: smtplib.SMTP | None = None

    def send(self, message: EmailMessage, sender: str, recipient: str) -> None:
        """Hand the mail over."""
        connection = self._connected()
        try:
            connection.sendmail(sender, [recipient], message.as_bytes(policy=POLICY))
        except smtplib.SMTPRecipientsRefused as error:
            self._raise(*error.recipients[recipient], about_recipient=True)
        except smtplib.SMTPSenderRefused as error:
            if error.smtp_code < 500 or error.smtp_code == 552:  # too large: it says so of this mail, not of the sender
                self._raise(error.smtp_code, error.smtp_error)
            self.close()  # it would say so of every mail, none of which is to be lost for it
            raise UnreachableError(f"{self._server} refuses the sender: {_said(error.smtp_error)}") from None
        except smtplib.SMTPDataError as error:
            self._raise(error.smtp_code, error.smtp_error)
        except (smtplib.SMTPException, OSError) as error:
            self.close()
            raise BrokenOffError(f"{self._server} went away: {error}") from None

    def close(self) -> None:
        """Take leave of the server."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                connection.quit()
            connection.close()

    @property
    def _server(self) -> str:
        return f"the mail server {self._host}:{self._port}"

    def _connected(self) -> smtplib.SMTP:
        if self._connection is not None:
            with contextlib.suppress(smtplib.SMTPException, OSError):
                if self._connection.noop()[0] == 250:
                    return self._connection
            self.close()
        try:
            self._connection = self._connect()
        except smtplib.SMTPAuthenticationError as error:
            raise UnreachableError(f"{self._server} does not let us in: {_said(error.smtp_error)}") from None
        except (smtplib.SMTPException, OSError) as error:
            raise UnreachableError(f"{self._server} cannot be reached: {_cause(error)}") from None
        return self._connection

    def _connect(self) -> smtplib.SMTP:
        with contextlib.ExitStack() as broken:
            if self._scheme == "smtps":
                connection: smtplib.SMTP = smtplib.SMTP_SSL(
                    self._host, self._port, self._name, timeout=SECONDS, context=self._tls()
                )
            else:
                connection = smtplib.SMTP(self._host, self._port, self._name, timeout=SECONDS)
            broken.callback(connection.close)
            if self._scheme == "smtp":
                connection.starttls(context=self._tls())  # raises if the server cannot: nothing goes in the clear
            if self._login is not None:
                connection.login(*self._login)
            broken.pop_all()
            return connection

    def _tls(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()

    def _raise(self, code: int, said: bytes | str, *, about_recipient: bool = False) -> NoReturn:
        text = f"{code} {_said(said)}"
        if code == 421:  # it closes the connection
            self.close()
            raise BrokenOffError(f"{self._server} says {text}") from None
        if code < 500:
            raise DeferredError(text) from None
        raise RefusedError(text, no_mailbox=about_recipient and not is_policy(_status(_said(said)))) from None


def is_policy(status: str) -> bool:
    """Whether a status (RFC 3463) says that mail is not wanted from us, not that a mailbox does not exist.

    Example:
        >>> is_policy("5.7.1"), is_policy("5.1.1")
        (True, False)
    """
    return status.split(".")[1:2] == ["7"]


def _status(said: str) -> str:
    match = re.match(r"\d\.\d{1,3}\.\d{1,3}\b", said)
    return match[0] if match else ""


def _said(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(text.split())[:300]


def _cause(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    return str(getattr(error, "strerror", None) or error)


def _folder(parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost"):
        raise ArgumentError("CENOTE_MAIL_URL: file: must be followed by a folder, such as file:/var/lib/cenote/mail")
    folder = unquote(parts.path)
    if not folder:
        raise ArgumentError("CENOTE_MAIL_URL: file: must be followed by a folder, such as file:/var/lib/cenote/mail")
    return Path(folder).expanduser()


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in LOOPBACK
