"""Mails that come to the sender's address: those that could not be handed on, and those that unsubscribe."""

from __future__ import annotations

import datetime as dt
import email
import email.policy
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message

from sqlalchemy import Connection, select, update

from cenote.errors import ArgumentError
from cenote.site.mail.bounces import FAILURES, count_failure
from cenote.site.mail.subscriptions import end_by_key, read_leave_token
from cenote.site.mail.transport import is_policy
from cenote.site.readers.addresses import read_address
from cenote.site.store.mail_tables import mails

LARGEST = 1 << 20
"""Bytes of a mail that are read: what came back of it stands near the beginning."""

_MESSAGE_ID = re.compile(r"<\s*([0-9A-Za-z.]{10,64})@[^<>\s]+>")
_UNSUBSCRIBE = re.compile(r"\s*unsubscribe\s+([0-9A-Za-z_.-]{20,400})\s*", re.I)


@dataclass(frozen=True)
class Failure:
    """What a delivery status notification (RFC 3464) says of one recipient."""

    recipients: frozenset[str]
    """The address that failed, and the one that was written to if that was another."""
    status: str
    """Such as ``5.1.1`` (RFC 3463)."""
    said: str

    @property
    def is_permanent(self) -> bool:
        """Whether the mailbox does not exist: neither a failure that may pass, nor that mail from us is not wanted."""
        return self.status.startswith("5") and not is_policy(self.status)


@dataclass(frozen=True)
class Return:
    """What a mail says that came to the sender's address."""

    message_ids: tuple[str, ...] = ()
    """What stands before the domain in the Message-ID of the mail that is returned."""
    failures: tuple[Failure, ...] = ()
    leave_token: str | None = None
    """What a mail that unsubscribes has in its subject."""


def read_return(content: bytes) -> Return:
    """Read a mail; any bytes may come."""
    try:
        message = email.message_from_bytes(content, policy=email.policy.compat32)
        # A program may write a long word encoded, in pieces.
        subject = " ".join(str(make_header(decode_header(str(message.get("Subject", ""))))).split())
        leaving = _UNSUBSCRIBE.fullmatch(subject)
        if message.get_content_type() != "multipart/report":
            return Return(leave_token=leaving[1] if leaving else None)
        return Return(tuple(_returned_ids(message)), tuple(_failures(message)))
    except (MessageError, ValueError, LookupError, AttributeError, TypeError, RecursionError):
        return Return()  # the parser does not promise to read whatever somebody makes up


def take_return(connection: Connection, secret: str, returned: Return, now: dt.datetime) -> str:
    """Do what a mail asks for, and return what was done, in a sentence.

    A mail that came back is believed only if it names one of ours by its Message-ID, which is random and known only to
    who got it, and the address that it was sent to. So nobody can keep mail from others. Each counts once.

    Args:
        connection: One that may write.
        secret: The site's.
        returned: What the mail says.
        now: The present moment, with its zone.
    """
    if returned.leave_token is not None:
        key = read_leave_token(secret, returned.leave_token)
        if key is None:
            return "it asks to unsubscribe with a link that this site did not give out; nothing was done"
        return "unsubscribed" if end_by_key(connection, key, now) else "it was unsubscribed before"
    if not returned.failures:
        return "it is no delivery status notification, and does not unsubscribe; nothing was done"
    sent = select(mails.c.id, mails.c.address).where(mails.c.message_id.in_(returned.message_ids))
    for mail, address in connection.execute(sent).all():
        failure = next((each for each in returned.failures if address in each.recipients), None)
        if failure is not None:
            return _count(connection, mail, address, failure, now)
    return "it returns no mail of this site to that address; nothing was done"


def _count(connection: Connection, mail: int, address: str, failure: Failure, now: dt.datetime) -> str:
    if not failure.is_permanent:
        return f"mail to {address} did not arrive ({failure.said}), which may pass; nothing was counted"
    problem = f"came back: {failure.said}"
    back = update(mails).where(mails.c.id == mail, mails.c.state == "sent").values(state="refused", problem=problem)
    if connection.execute(back).rowcount == 0:
        return f"that this mail to {address} did not arrive is known; nothing was counted"
    failures = count_failure(connection, address, now, failure.said)
    rest = "it gets no more mail" if failures >= FAILURES else f"after {FAILURES} it gets no more mail"
    return f"mail to {address} did not arrive ({failure.said}), {failures} in a row; {rest}"


def _failures(report: Message) -> Iterator[Failure]:
    for part in report.walk():
        if part.get_content_type() != "message/delivery-status":
            continue
        for fields in part.get_payload():
            if not isinstance(fields, Message) or str(fields.get("Action", "")).strip().lower() != "failed":
                continue
            named = (_address(str(fields.get(name, ""))) for name in ("Final-Recipient", "Original-Recipient"))
            status = str(fields.get("Status", "")).partition("(")[0].strip()
            said = " ".join(str(fields.get("Diagnostic-Code", "")).split()) or status
            yield Failure(frozenset(each for each in named if each), status, said[:300])


def _returned_ids(report: Message) -> Iterator[str]:
    for part in report.walk():
        if part.get_content_type() == "text/rfc822-headers":
            headers = part.get_payload(decode=True)
            returned: object = email.message_from_bytes(headers) if isinstance(headers, bytes) else None
        elif part.get_content_type() in ("message/rfc822", "message/global") and part.is_multipart():
            returned = part.get_payload(0)
        else:
            continue
        match = _MESSAGE_ID.search(str(returned.get("Message-ID", ""))) if isinstance(returned, Message) else None
        if match:
            yield match[1]


def _address(field: str) -> str | None:
    """The address of a field such as ``rfc822; ada@example.org``."""
    try:
        return read_address(field.partition(";")[2].strip().strip("<>"))
    except ArgumentError:
        return None
