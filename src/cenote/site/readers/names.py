"""Names that readers go by: what they may be, and the one that a reader begins with."""

from __future__ import annotations

import re
import secrets
import unicodedata

from cenote.errors import ArgumentError

LONGEST = 60
"""Characters."""

RESERVED = ("admin", "administrator", "cenote", "moderator", "official", "operator", "webmaster")
"""Words that would let a reader pass for somebody who runs the site."""

MOST_MARKS = 2
"""Accents and other marks on one letter; more of them run over the lines above and below."""

# Letters of other scripts, and digits, that look like one of ours. Not all there are: an operator's comment is marked
# as such, so a name alone never makes one.
_ALIKE = str.maketrans("0134578@$iıіїјаесорхуѕԁԛԝкмнтвгαεικνορτυχӏ|!", "oleastbaslllljaecopxysdqwkmhtbraelknoptuxlll")

_DRAWN = re.compile(r"(.*?)[\W_]*([0-9a-f]{6}|[0-9a-f]{4})")
"""How a name ends that the site gives, or gave before."""


def neutral_name() -> str:
    """Return the name of somebody who has not chosen one; it says nothing of their address."""
    return f"reader-{secrets.token_hex(3)}"


def name_key(name: str) -> str:
    """Return what the names of two readers must differ in: letters without their case, in one form each.

    Example:
        >>> name_key("ＡＤＡ") == name_key("Ada")
        True
    """
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def read_name(text: str) -> str:
    """Return a name in the form in which it is kept: one line, without blanks around it.

    Raises:
        ArgumentError: If it is empty, too long, has characters that cannot be seen or many marks on one letter, is
            that of an operator, or looks like one that was given to somebody else.

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
    if _most_marks(name) > MOST_MARKS:
        raise ArgumentError(f"name must have at most {MOST_MARKS} marks on a letter, got {name!r:.80}")
    word = next((word for word in RESERVED if _skeletons(word) & _skeletons(name)), None)
    if word is not None:
        raise ArgumentError(f"name must not be that of somebody who runs the site ({word!r}), got {name!r:.80}")
    if _is_like_neutral(name):
        raise ArgumentError(f"name must not look like one that the site gives, got {name!r:.80}")
    return name


def _is_like_neutral(name: str) -> bool:
    found = _DRAWN.fullmatch(name_key(name))
    return found is not None and _plain(found[1]) == _plain("reader")


def _most_marks(name: str) -> int:
    """The longest row of marks that stand on one letter."""
    marks = "".join("m" if unicodedata.category(each) in ("Mn", "Me") else " " for each in name)
    return max(map(len, marks.split()), default=0)


def _skeletons(name: str) -> set[str]:
    """The words of a name as they look, with and without the s of a plural, and all of it as one word.

    Letters that stand alone make a word, and so does a capital after a small letter: "a.d.m.i.n", "SiteAdmin". A number
    behind a word is none of its letters: "admin42".
    """
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name))
    return _found_words(spaced) | _found_words(re.sub(r"\d+(?!\w)", " ", spaced))


def _found_words(spaced: str) -> set[str]:
    words = re.sub(r"[\W_]+", " ", _plain(spaced)).split()
    spelled = re.sub(r"(?<=\b\w) (?=\w\b)", "", " ".join(words)).split()
    found = {*words, *spelled, "".join(words)}
    return found | {word.removesuffix("s") for word in found}


def _plain(name: str) -> str:
    """The name as it looks: small letters without marks, foreign letters as those they look like."""
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)
    return "".join(each for each in plain if not unicodedata.combining(each))
