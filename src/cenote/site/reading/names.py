"""Authors' names, from one string that holds them all or from their parts."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cenote.site.accents import without_accents_in_tex
from cenote.site.papers import one_line

_BETWEEN = re.compile(r"[,;:]|(?<!\\)&|(?:^|(?<=[\s,;]))and(?=[\s,;]|$)")
_SUFFIX = re.compile(r"(?:jr|sr)\.?|i{2,3}|iv", re.I)
_NOBODY = re.compile(r"et\.? al\.?|others")


def split_authors(text: str) -> tuple[str, ...]:
    r"""Return the names in arXiv's list of authors, in their order.

    Names are separated by commas, semicolons, colons or "and"; affiliations in parentheses are left out, "Jr." and its
    kind stay with their name.

    Example:
        >>> split_authors(r"Paul Erd\H{o}s (1), A. B. Smith, Jr. and Ann Lee ((1) Budapest, (2) MIT)")
        ('Paul Erdős', 'A. B. Smith Jr.', 'Ann Lee')
    """
    names: list[str] = []
    text = _without_parentheses(without_accents_in_tex(text))
    # Most lists have commas alone, and the pattern takes ten times as long.
    simple = not (" and" in text or "and " in text or ";" in text or ":" in text or "&" in text)
    for part in text.split(",") if simple else _BETWEEN.split(text):
        name = _tidy(part)
        if not name or (name[0] in "eo" and _NOBODY.fullmatch(name)):
            continue
        if len(name) < 4 and names and _SUFFIX.fullmatch(name):
            names[-1] += f" {name}"
        else:
            names.append(name)
    return tuple(names)


def full_name(first: str, last: str, suffix: str = "") -> str:
    """Put a name together from its parts, any of which may be empty."""
    return _tidy(without_accents_in_tex(f"{first} {last} {suffix}"))


def turn_around(name: str) -> str:
    """Return ``Last, First`` as ``First Last``, and a name without a comma as it is.

    Example:
        >>> turn_around("King, Martin Luther, Jr."), turn_around("ATLAS Collaboration")
        ('Martin Luther King Jr.', 'ATLAS Collaboration')
    """
    last, _, rest = name.partition(",")
    first, _, suffix = rest.partition(",")
    return full_name(first, last, suffix)


def known(names: Iterable[str]) -> tuple[str, ...] | None:
    """The names that are not empty, None if there is none: the source then does not say who wrote the paper."""
    return tuple(name for name in names if name) or None


def _without_parentheses(text: str) -> str:
    """Leave out what stands in parentheses, nested ones too, and what follows one that is never closed."""
    if "(" not in text and ")" not in text:
        return text
    depth, kept = 0, []
    for piece in re.split(r"([()])", text):
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif not depth:
            kept.append(piece)
    return " ".join(kept)


def _tidy(name: str) -> str:
    if "{" in name or "}" in name or "~" in name:
        name = name.replace("{", "").replace("}", "").replace("~", " ")
    return one_line(name)
