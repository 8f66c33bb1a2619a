"""Accents written in TeX, as arXiv's records have them, in Unicode."""

from __future__ import annotations

import re
import unicodedata

_COMBINING = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "d": "\u0323", "b": "\u0331", "r": "\u030a",
    "k": "\u0328",
}  # fmt: skip

_LETTERS = {
    "ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å", "AA": "Å",
    "i": "ı", "j": "ȷ", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ", "ng": "ŋ", "NG": "Ŋ",
}  # fmt: skip

_BASE = r"(?:\{\s*\\?([A-Za-z])\s*\}|\\([ij])(?![A-Za-z])\s?|([A-Za-z]))"
_ACCENT = re.compile(rf"\\(?:([\"'`^~=.])|([uvHcdbrk])(?![A-Za-z]))\s*{_BASE}")
_LETTER = re.compile(rf"\\({'|'.join(sorted(_LETTERS, key=len, reverse=True))})(?![A-Za-z])(?:\{{\}}|\s)?")
_ESCAPED = re.compile(r"\\([&%#_])")
_BRACED = re.compile(r"\{([^\W\d_])\}")
_MATH = re.compile(r"((?<!\\)\$[^$]*\$)")


def without_accents_in_tex(text: str) -> str:
    r"""Return the text with accents, letters and escapes of TeX outside of ``$…$`` in Unicode.

    Example:
        >>> without_accents_in_tex(r"Erd\H{o}s and G\"odel, \'a la {\L}ukasiewicz: $\tilde{O}(n)$")
        'Erdős and Gödel, á la Łukasiewicz: $\\tilde{O}(n)$'
    """
    if "\\" not in text:
        return text
    parts = _MATH.split(text)
    parts[::2] = [_decode(part) for part in parts[::2]]
    return "".join(parts)


def _decode(text: str) -> str:
    if "\\" not in text:
        return text
    text = _ESCAPED.sub(r"\1", _LETTER.sub(lambda match: _LETTERS[match[1]], _ACCENT.sub(_accent, text)))
    return _BRACED.sub(lambda match: match[1] if match[1] > "\x7f" else match[0], text)


def _accent(match: re.Match[str]) -> str:
    base: str = match[3] or match[4] or match[5]
    return unicodedata.normalize("NFC", base + _COMBINING[match[1] or match[2]])
