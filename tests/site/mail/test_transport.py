"""Handing mail over, to a server that speaks SMTP and into a folder."""

from __future__ import annotations

import logging
import socket
import ssl
from contextlib import closing
from email.message import EmailMessage
from pathlib import Path

import pytest

from cenote.errors import ArgumentError
from cenote.site.mail.policy import POLICY
from cenote.site.mail.transport import BrokenOffError, DeferredError, RefusedError, UnreachableError, open_transport

from .servers import MailServer, mail_server

FROM, TO = "feed@example.org", "ada@example.org"


def a_mail(text: str = "Hello") -> EmailMessage:
    message = EmailMessage(POLICY)
    message["From"], message["To"], message["Subject"] = FROM, TO, "A mail"
    message["Message-ID"] = "<20261128.abc@example.org>"
    message.set_content(text, cte="quoted-printable")
    return message


def send(url: str, *, times: int = 1, context: ssl.SSLContext | None = None) -> None:
    with closing(open_transport(url, name="papers.example.org", context=context)) as transport:
        for _ in range(times):
            transport.send(a_mail(), FROM, TO)


def test_one_connection_carries_many_mails(server: MailServer) -> None:
    send(server.url(), times=3)
    assert [(each.sender, each.recipients) for each in server.mails] == [(FROM, (TO,))] * 3
    assert server.connections == 1


def test_a_connection_that_broke_is_opened_anew(server: MailServer) -> None:
    with closing(open_transport(server.url(), name="x")) as transport:
        transport.send(a_mail(), FROM, TO)
        transport._connection.sock.shutdown(socket.SHUT_RDWR)  # as a server that lost patience
        transport.send(a_mail(), FROM, TO)
    assert (len(server.mails), server.connections) == (2, 2)


def test_starttls_with_a_login(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    theirs, ours = certificate
    with mail_server(tls=theirs, login=("ada", "p@ss:w/rd")) as server:
        send(server.url("smtp", "ada:p%40ss%3Aw%2Frd@"), context=ours)
        assert len(server.mails) == 1


def test_tls_from_the_beginning(certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    theirs, ours = certificate
    with mail_server(wrapped=theirs) as server:
        send(server.url("smtps"), context=ours)
        assert len(server.mails) == 1


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext], server: MailServer
) -> None:
    with (
        mail_server(tls=certificate[0]) as secure,
        pytest.raises(UnreachableError, match="certificate is not trusted: self-signed"),
    ):
        send(secure.url("smtp"))
    assert not secure.mails


def test_smtp_sends_nothing_in_the_clear(server: MailServer) -> None:
    """Also where the server, or somebody between, says that it knows no STARTTLS."""
    with pytest.raises(UnreachableError, match="STARTTLS"):
        send(server.url("smtp", "ada:secret-word@"))
    assert not server.mails


def test_a_wrong_password_is_in_no_message_and_no_log(
    certificate: tuple[ssl.SSLContext, ssl.SSLContext], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    theirs, ours = certificate
    with mail_server(tls=theirs, login=("ada", "right")) as server, pytest.raises(UnreachableError) as raised:
        send(server.url("smtp", "ada:secret-word@"), context=ours)
    assert "does not let us in" in str(raised.value)
    assert "secret-word" not in f"{raised.value} {caplog.text}"


@pytest.mark.parametrize(
    ("answer", "error", "no_mailbox"),
    [
        ("450 4.2.1 try later", DeferredError, None),
        ("550 5.1.1 no such user", RefusedError, True),
        ("550 no such user", RefusedError, True),
        ("554 5.7.1 relay access denied", RefusedError, False),
        ("421 4.3.2 going down", BrokenOffError, None),
    ],
)
def test_what_is_said_of_a_recipient(
    server: MailServer, answer: str, error: type[Exception], no_mailbox: bool | None
) -> None:
    server.answers[TO] = answer
    with pytest.raises(error, match=answer[4:]) as raised:
        send(server.url())
    assert getattr(raised.value, "no_mailbox", None) is no_mailbox


def test_what_is_said_of_content_and_sender(server: MailServer) -> None:
    server.to_content = "554 5.6.0 not this"
    with pytest.raises(RefusedError, match="not this") as refused:
        send(server.url())
    assert not refused.value.no_mailbox
    server.to_content = "452 4.3.1 full"
    with pytest.raises(DeferredError, match="full"):
        send(server.url())
    # The sender is the same for all mails: refusing them one by one would lose them all.
    server.to_sender = "550 5.7.1 not you"
    with pytest.raises(UnreachableError, match=r"refuses the sender: 5\.7\.1 not you"):
        send(server.url())


def test_a_mail_that_is_too_large_is_no_fault_of_the_sender(server: MailServer) -> None:
    """A server may say so before it sees the mail, of the size that comes with the sender."""
    server.to_sender = "552 5.3.4 too large"
    with pytest.raises(RefusedError, match="too large") as refused:
        send(server.url())
    assert not refused.value.no_mailbox


def test_a_server_that_hangs_up_broke_off(server: MailServer) -> None:
    server.hangs_up_on = TO
    with pytest.raises(BrokenOffError, match="went away"):
        send(server.url())


def test_after_a_refusal_the_connection_goes_on(server: MailServer) -> None:
    server.answers[TO] = "550 5.1.1 no such user"
    with closing(open_transport(server.url(), name="x")) as transport:
        with pytest.raises(RefusedError):
            transport.send(a_mail(), FROM, TO)
        server.answers.clear()
        transport.send(a_mail(), FROM, TO)
    assert (len(server.mails), server.connections) == (1, 1)


def test_a_server_that_is_not_there() -> None:
    with mail_server() as gone:
        pass
    with pytest.raises(UnreachableError, match=f"127.0.0.1:{gone.port} cannot be reached"):
        send(gone.url())


def test_a_folder_has_each_mail_once(tmp_path: Path) -> None:
    send(f"file:{tmp_path}/out", times=2)
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == "20261128.abc.eml"
    assert file.read_bytes() == a_mail().as_bytes(policy=POLICY)
    assert file.stat().st_mode & 0o077 == 0
    (tmp_path / "taken").write_text("")
    with pytest.raises(UnreachableError, match="cannot be written"):
        send(f"file:{tmp_path}/taken")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("http://mail.example.org", "must be smtp://"),
        ("smtp:mail", "must be smtp://"),
        ("", "must be smtp://"),
        ("smtp://mail.example.org:99999", "a number up to 65535"),
        ("smtp+plain://u:secret-word@mail.example.org", "so mail.example.org must be this machine"),
        ("smtp+plain://192.0.2.1", "so 192.0.2.1 must be this machine"),
        ("smtp+plain://u:secret-word-p%C3%BC@127.0.0.1", "must be ASCII"),
        ("smtp://%C3%BC:secret-word@mail.example.org", "must be ASCII"),
        ("file:", "followed by a folder"),
        ("file://host/folder", "followed by a folder"),
    ],
)
def test_an_address_that_cannot_be_used_is_one_sentence(url: str, said: str) -> None:
    with pytest.raises(ArgumentError, match=said) as raised:
        open_transport(url, name="x")
    assert "CENOTE_MAIL_URL" in str(raised.value)
    assert "secret-word" not in str(raised.value)


def test_the_clear_is_for_this_machine_or_a_network_of_ones_own() -> None:
    for url in ("smtp+plain://[::1]", "smtp+plain://localhost:25", "smtp+plain://mail:25?insecure=yes"):
        open_transport(url, name="x").close()
