"""The form of a search as an address writes it: what the search page has, and what a subscription keeps."""

from __future__ import annotations

import datetime as dt
import unicodedata
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from cenote.catalog.card import Shelf
from cenote.site.search.found import Filters, Mode

LONGEST = 500
"""Characters of a query that are read."""

VERDICTS = {"holds": "a claim holds", "fails": "a claim fails", "unclear": "a claim is unclear", "stale": "stale"}


@dataclass(frozen=True)
class SearchForm:
    """The form as it was filled in."""

    query: str
    mode: Mode
    filters: Filters
    kept: Mapping[str, str]
    """What the form had, for the addresses of further pages."""
    left_out: tuple[str, ...]
    """Sentences about what could not be used."""


def read_form(form: Mapping[str, str]) -> SearchForm:
    """Read a form that was filled in; what cannot be used is left out and said, never an error."""
    texts = {name: _clean(form.get(name, "")) for name in (*_FIELDS, "q", "mode")}
    values: dict[str, object] = {}
    left_out: list[str] = []
    for name, (read, sentence) in _FIELDS.items():
        if not texts[name]:
            continue
        value = read(texts[name])
        if value is None:
            left_out.append(f"“{texts[name]}” {sentence}, so it was left out.")
        else:
            values[name] = value
    mode = Mode(texts["mode"]) if texts["mode"] in set(Mode) else Mode.HYBRID
    kept = {name: text for name, text in texts.items() if text and (name in values or name == "q")}
    if mode is not Mode.HYBRID:
        kept["mode"] = mode.value
    return SearchForm(texts["q"], mode, Filters(**values), kept, tuple(left_out))  # type: ignore[arg-type]


def _clean(text: str) -> str:
    """One line without control characters or lone surrogates, which no database takes."""
    text = "".join(" " if unicodedata.category(each) in ("Cc", "Cs") else each for each in text[:LONGEST])
    return " ".join(text.split())


def _date(text: str) -> dt.date | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:
        return None


def _one_of(allowed: Collection[str]) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


_FIELDS: dict[str, tuple[Callable[[str], object | None], str]] = {
    "first": (_date, "is no day such as 2026-11-23"),
    "last": (_date, "is no day such as 2026-11-23"),
    "author": (str, ""),
    "category": (str, ""),
    "organization": (str, ""),
    "shelf": (_one_of(set(Shelf)), "is no shelf"),
    "verdict": (_one_of(VERDICTS), "is no verdict"),
    "has_code": (lambda text: True if text in ("1", "on", "true") else None, "is no answer to whether there is code"),
}
"""The filters, how each is read, and what is said where it cannot be."""
