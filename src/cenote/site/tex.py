"""TeX in titles and summaries, written as text: what is not understood stays as it was."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

from cenote.site.accents import without_accents_in_tex
from cenote.site.tex_signs import (
    DOUBLE_STRUCK,
    FONTS,
    FUNCTIONS,
    OVER,
    RELATIONS,
    SIZES,
    SPACES,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    SWITCHES,
    SYMBOLS,
)

_DEEPEST = 12
"""Groups inside of each other; what lies deeper is left alone."""
_LONGEST = 2_000
"""Characters of a formula; two dollars further apart are prices."""

_ANY = re.compile(r"[\\$]|--|``")
_NEXT = re.compile(r"[\\${]")
_COMMAND = re.compile(r"\\(?:([A-Za-z]+)|(.))", re.DOTALL)
_SWITCH = re.compile(rf"\{{\s*\\({'|'.join(sorted(SWITCHES, key=len, reverse=True))})(?![A-Za-z])\s*")
_TOKEN = re.compile(r"\\[A-Za-z]+\*?|\\.|.", re.DOTALL)
_EM_DASH = re.compile(r"(?<=\w)---(?=\w)|(?<=\s)---(?=\s)")
_EN_DASH = re.compile(r"(?<=\w)--(?=\w)|(?<=\s)--(?=\s)")
_SIMPLE = re.compile(r"[\w.′∞]+|[√|⌊⌈(][\w.]+[|⌋⌉)]?")
_ESCAPED = {**{sign: sign for sign in "{}$&%#_"}, "|": "‖"}
_FORMULAS = {"$": "$", "$$": "$$", r"\(": r"\)", r"\[": r"\]"}


@lru_cache(maxsize=10_000)
def plain(text: str) -> str:
    r"""Return the text with its TeX in Unicode.

    Commands for letters, emphasis, quotes, dashes and formulas in one line are read; a formula or a command that is not
    understood stays as it was. Any text has an answer, in time that grows with its length.

    Example:
        >>> plain(r"\emph{Fast} $\tilde{O}(n^2)$ for $k$-means -- ``as good as'' $\frac{1}{2}\log n \leq x_i$")
        'Fast Õ(n²) for k-means – “as good as” 1/2 log n ≤ xᵢ'
        >>> plain(r"It costs $5 or $6, \cite{x} and $\begin{matrix}1\end{matrix}$")
        'It costs $5 or $6, \\cite{x} and $\\begin{matrix}1\\end{matrix}$'
    """
    if not _ANY.search(text):
        return text
    return _text(without_accents_in_tex(text), 0)


# --- outside of formulas ------------------------------------------------------------------------------------------


def _text(text: str, depth: int) -> str:
    written: list[str] = []
    closing = _closing(text)
    formula_end = _Ends(text)
    at = 0
    while found := _NEXT.search(text, at):
        start = found.start()
        written.append(_typography(text[at:start]))
        step = _formula(text, start, formula_end) or _group(text, start, closing, depth)
        step = step or _command(text, start, closing, depth)
        piece, at = step or (text[start], start + 1)
        written.append(piece)
    written.append(_typography(text[at:]))
    return "".join(written)


_Step = tuple[str, int]
"""What is written, and where the text goes on."""


class _Ends:
    """Where formulas may end; each sign is looked for behind the last place it was found at, never twice."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._found: dict[str, int] = {}

    def behind(self, start: int, sign: str) -> int:
        """Return the sign's first place from a start on, or -1."""
        found = self._found.get(sign, 0)
        if found != -1 and found < start:
            found = self._found[sign] = self._text.find(sign, start)
        return found


def _formula(text: str, start: int, ends: _Ends) -> _Step | None:
    opening = text[start : start + 2] if text[start : start + 2] in _FORMULAS else text[start]
    if opening not in _FORMULAS:
        return None
    inside = start + len(opening)
    end = ends.behind(inside, _FORMULAS[opening])
    if not inside < end <= inside + _LONGEST:
        return None
    source, behind = text[inside:end], end + len(opening)
    if opening == "$" and not _is_formula(source, text[behind : behind + 1]):
        return None
    formula = _math(source)
    return (text[start:behind] if formula is None else formula), behind


def _is_formula(source: str, following: str) -> bool:
    """Whether what stands between two dollars is a formula and not the way from one price to the next."""
    if any(sign in source for sign in "\\^_"):
        return True
    return not (source[0].isspace() or source[-1].isspace() or following.isdigit())


def _group(text: str, start: int, closing: dict[int, int], depth: int) -> _Step | None:
    r"""Write a group that changes its letters: ``{\em this}``."""
    switch = _SWITCH.match(text, start)
    if switch is None or start not in closing or depth >= _DEEPEST:
        return None
    return _text(text[switch.end() : closing[start]], depth + 1), closing[start] + 1


def _command(text: str, start: int, closing: dict[int, int], depth: int) -> _Step | None:
    match = _COMMAND.match(text, start)
    if match is None:
        return None
    name, sign = match.groups()
    if sign is not None:
        known = _ESCAPED.get(sign, SPACES.get(sign))
        return None if known is None else (known, match.end())
    if name in FONTS and match.end() in closing and depth < _DEEPEST:
        end = closing[match.end()]
        return _text(text[match.end() + 1 : end], depth + 1), end + 1
    written = SYMBOLS.get(name) or RELATIONS.get(name) or (name if name in FUNCTIONS else None)
    if written is None:
        return None
    return written, match.end() + 2 * (text[match.end() : match.end() + 2] == "{}")


def _closing(text: str) -> dict[int, int]:
    """Return the place of each opening brace's closing one."""
    pairs, open_ = dict[int, int](), list[int]()
    for match in re.finditer(r"\\.|[{}]", text, re.DOTALL):
        if match[0] == "{":
            open_.append(match.start())
        elif match[0] == "}" and open_:
            pairs[open_.pop()] = match.start()
    return pairs


def _typography(text: str) -> str:
    if "``" in text:
        text = text.replace("``", "“").replace("''", "”")
    return _EN_DASH.sub("–", _EM_DASH.sub("—", text)) if "--" in text else text


# --- formulas -----------------------------------------------------------------------------------------------------


class _NotUnderstoodError(Exception):
    """The formula has something that cannot be written as text."""


def _math(source: str) -> str | None:
    try:
        return _Formula(source).read()
    except _NotUnderstoodError:
        return None


class _Formula:
    """Reads a formula from left to right, each token once."""

    def __init__(self, source: str) -> None:
        self._tokens = _TOKEN.findall(source)
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        """Return the formula as text."""
        written = self._until("")
        return " ".join(written.split())

    def _until(self, end: str) -> str:
        """Read up to a closing sign, or to the end of the formula where none is given."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _NotUnderstoodError
        written = ""
        while (token := self._take()) != end:
            written = self._add(written, token)
        self._depth -= 1
        return written

    def _take(self) -> str:
        """Return the next token, empty at the end."""
        self._at += 1
        return self._tokens[self._at - 1] if self._at <= len(self._tokens) else ""

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _skip_blanks(self) -> None:
        while self._peek().isspace():
            self._at += 1

    def _add(self, written: str, token: str) -> str:
        """Append what a token stands for, apart from the letters before it where it is a word or a relation."""
        name = token[1:].rstrip("*")
        if token.startswith("\\") and name in RELATIONS:
            self._skip_blanks()
            return f"{written.rstrip()} {RELATIONS[name]} "
        piece = self._one(token)
        if token.startswith("\\") and name in FUNCTIONS:
            if written[-1:].isalnum() or written[-1:] in tuple(")]}|"):
                written += " "
            if self._peek().isalnum() or (self._peek()[:1] == "\\" and self._peek()[1:2].isalpha()):
                piece += " "
        return written + piece

    def _one(self, token: str) -> str:
        if token.startswith("\\"):
            return self._command(token[1:].rstrip("*"))
        if token == "{":
            return self._until("}")
        if token in ("^", "_"):
            return self._script(token)
        if token in ("", "}", "&", "$"):
            raise _NotUnderstoodError
        return {"-": "−", "'": "′", "~": " "}.get(token, token)

    def _command(self, name: str) -> str:
        if name in SYMBOLS or name in RELATIONS:
            return SYMBOLS.get(name) or RELATIONS[name]
        if name in SPACES:
            return SPACES[name]
        if name in FUNCTIONS:
            return name
        if name in FONTS:
            return self._argument()
        if name in SWITCHES:
            self._skip_blanks()
            return ""
        if name in SIZES:
            if self._peek() == ".":
                self._at += 1
            return ""
        if name in OVER:
            return _over(self._argument(), OVER[name])
        if name in _WITH_ARGUMENTS:
            return _WITH_ARGUMENTS[name](self)
        if name not in _ESCAPED:
            raise _NotUnderstoodError
        return _ESCAPED[name]

    def _argument(self) -> str:
        """Read one group or token."""
        self._skip_blanks()
        return self._one(self._take())

    def _script(self, sign: str) -> str:
        argument = "".join(self._argument().split())
        table = SUPERSCRIPTS if sign == "^" else SUBSCRIPTS
        if all(each in table for each in argument):
            return "".join(table[each] for each in argument)
        return f"{sign}{argument}" if len(argument) == 1 else f"{sign}({argument})"

    def fraction(self) -> str:
        r"""``\frac{a}{b}``."""
        above, below = self._argument(), self._argument()
        return f"{_grouped(above)}/{_grouped(below)}"

    def root(self) -> str:
        r"""``\sqrt{a}``, ``\sqrt[n]{a}``."""
        index = ""
        if self._peek() == "[":
            self._at += 1
            index = self._until("]")
            if not all(each in SUPERSCRIPTS for each in index):
                raise _NotUnderstoodError
        radicand = self._argument()
        return "".join(SUPERSCRIPTS[each] for each in index) + "√" + _grouped(radicand)

    def binomial(self) -> str:
        r"""``\binom{n}{k}``."""
        return f"({self._argument()} choose {self._argument()})"

    def modulus(self) -> str:
        r"""``\pmod{n}``."""
        return f" (mod {self._argument()})"

    def double_struck(self) -> str:
        r"""``\mathbb{R}``."""
        return "".join(DOUBLE_STRUCK.get(each, each) for each in self._argument())


_WITH_ARGUMENTS: dict[str, Callable[[_Formula], str]] = {
    "frac": _Formula.fraction,
    "tfrac": _Formula.fraction,
    "dfrac": _Formula.fraction,
    "nicefrac": _Formula.fraction,
    "sqrt": _Formula.root,
    "binom": _Formula.binomial,
    "pmod": _Formula.modulus,
    "mathbb": _Formula.double_struck,
    "mathds": _Formula.double_struck,
}


def _grouped(text: str) -> str:
    return text if _SIMPLE.fullmatch(text) else f"({text})"


def _over(text: str, mark: str) -> str:
    """Put a mark over one letter; a bar may be over several."""
    if len(text) != 1 and mark != OVER["overline"]:
        raise _NotUnderstoodError
    return unicodedata.normalize("NFC", "".join(each + mark for each in text))
