"""E-mail addresses as the store keeps them."""

from __future__ import annotations

from email_validator import EmailNotValidError, validate_email

from cenote.errors import ArgumentError

LONGEST = 254
"""Characters, as SMTP allows."""


def read_address(text: str) -> str:
    """Return an address in the one form in which it is kept and compared: without spaces around it, in small letters.

    Two addresses that differ in capitals are the same mailbox nearly everywhere, and one reader here.

    Raises:
        ArgumentError: If it is no address.

    Example:
        >>> read_address(" Ada@Example.ORG ")
        'ada@example.org'
    """
    try:
        found = validate_email(text.strip()[: LONGEST + 1], check_deliverability=False)
    except EmailNotValidError:
        raise ArgumentError(f"address must be an e-mail address such as ada@example.org, got {text!r:.80}") from None
    address = found.normalized.lower()
    if not address.isascii():  # SMTPUTF8 is not what every server takes
        raise ArgumentError(f"address must have no other letters than those of ASCII, got {text!r:.80}")
    return address
