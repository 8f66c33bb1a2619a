"""Names that readers go by: what they may be, and the one that a reader begins with."""

from __future__ import annotations

import re
import secrets
import unicodedata

from cenote.errors import ArgumentError

LONGEST = 60
"""Characters."""

RESERVED = ("admin", "cenote", "moderator", "official", "operator", "webmaster")
"""Words that would let a reader pass for somebody who runs the site."""

# Letters of other scripts, and digits, that look like one of ours. Not all there are: an operator's comment is marked
# as such, so a name alone never makes one.
_ALIKE = str.maketrans("0134578@$iıіїјаесорхуѕԁԛԝкмнтвгαεικνορτυχӏ|!", "oleastbaslllljaecopxysdqwkmhtbraelknoptuxlll")


def neutral_name() -> str:
    """Return the name of somebody who has not chosen one; it says nothing of their address."""
    return f"reader-{secrets.token_hex(2)}"


def read_name(text: str) -> str:
    """Return a name in the form in which it is kept: one line, without blanks around it.

    Raises:
        ArgumentError: If it is empty, too long, has characters that cannot be seen, or is that of an operator.

    Example:
        >>> read_name("  Ada   Lovelace ")
        'Ada Lovelace'
    """
    name = unicodedata.normalize("NFC", " ".join(text.split()))
    if not 1 <= len(name) <= LONGEST:
        raise ArgumentError(f"name must have 1 to {LONGEST} characters, got {len(name)}")
    if not name.isprintable():
        raise ArgumentError(f"name must have no characters that cannot be seen, got {name!r:.80}")
    if not any(each.isalnum() for each in name):
        raise ArgumentError(f"name must have a letter or a digit, got {name!r:.80}")
    word = next((word for word in RESERVED if _skeleton(word) in _skeleton(name)), None)
    if word is not None:
        raise ArgumentError(f"name must not be that of somebody who runs the site ({word!r}), got {name!r:.80}")
    return name


def _skeleton(name: str) -> str:
    """The name as it looks: small letters without marks, dots or blanks, foreign letters as those they look like."""
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)
    return re.sub(r"[\W_]", "", "".join(each for each in plain if not unicodedata.combining(each)))
