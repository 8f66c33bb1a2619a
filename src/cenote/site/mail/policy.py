"""How mails are written on the wire."""

from __future__ import annotations

import email.policy
from email.message import EmailMessage
from email.policy import EmailPolicy
from typing import Any

UNFOLDED = frozenset({"list-unsubscribe", "list-unsubscribe-post", "message-id"})
"""Headers that stay on one line: some servers fold anew, after which a signature that covers them is broken."""

_LONGEST = 998
"""Characters of a line, as SMTP allows."""


class _OneLine(EmailPolicy):
    """SMTP's own policy, but for the headers that are not folded."""

    def fold(self, name: str, value: Any) -> str:
        """Write a header as text."""
        return str(self._for(name).fold(name, value))

    def fold_binary(self, name: str, value: Any) -> bytes:
        """Write a header as bytes."""
        return bytes(self._for(name).fold_binary(name, value))

    @staticmethod
    def _for(name: str) -> EmailPolicy[Any]:
        return _UNFOLDING if name.lower() in UNFOLDED else email.policy.SMTP


_UNFOLDING = email.policy.SMTP.clone(max_line_length=_LONGEST)

POLICY = _OneLine(linesep="\r\n", message_factory=EmailMessage)
"""Lines end as SMTP wants; a header with a line break in it is refused when it is set."""
