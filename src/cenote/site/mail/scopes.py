"""What a subscription is about: all papers, a shelf, or a search."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import parse_qsl, urlencode

from cenote.catalog.card import Shelf
from cenote.errors import ArgumentError
from cenote.site.search.form import SearchForm, read_form

LONGEST = 2_000
"""Characters of a search's query string."""


class ScopeKind(StrEnum):
    """Which papers."""

    ALL = "all"
    SHELF = "shelf"
    SEARCH = "search"


@dataclass(frozen=True)
class Scope:
    """Which papers and verdicts a subscription brings."""

    kind: ScopeKind
    chosen: str = ""
    """The shelf, or the search's query string, always written alike."""

    @classmethod
    def read(cls, kind: str, chosen: str = "") -> Scope:
        """Read what a form sent.

        Raises:
            ArgumentError: If there is no such kind or shelf, or the search asks for nothing.
        """
        if kind == ScopeKind.ALL:
            return cls(ScopeKind.ALL)
        if kind == ScopeKind.SHELF:
            if chosen not in set(Shelf):
                raise ArgumentError(f"shelf must be one of {', '.join(Shelf)}, got {chosen!r:.60}")
            return cls(ScopeKind.SHELF, chosen)
        if kind != ScopeKind.SEARCH:
            raise ArgumentError(f"scope must be one of {', '.join(ScopeKind)}, got {kind!r:.60}")
        form = _form(chosen)
        if not form.query and not form.filters:
            raise ArgumentError("search must have words or filters, as the address of a search page has")
        text = urlencode(sorted(form.kept.items()))
        if len(text) > LONGEST:
            raise ArgumentError(f"search must have at most {LONGEST} characters, got {len(text)}")
        return cls(ScopeKind.SEARCH, text)

    @property
    def form(self) -> SearchForm:
        """The search that finds its papers; for all papers one that asks for nothing."""
        return read_form({"shelf": self.chosen}) if self.kind is ScopeKind.SHELF else _form(self.chosen)

    @property
    def words(self) -> str:
        """What it is about, for a sentence: 'all papers', 'papers on pruning', 'papers found by “token pooling”'."""
        if self.kind is ScopeKind.ALL:
            return "all papers"
        return f"papers on {self.name}" if self.kind is ScopeKind.SHELF else f"papers found by {self.name}"

    @property
    def safe_words(self) -> str:
        """The same without the words of a search: somebody else may have written them, for this reader to see."""
        return "papers found by a search" if self.kind is ScopeKind.SEARCH else self.words

    @property
    def name(self) -> str:
        """The same in the fewest words, empty for all papers: 'pruning', '“token pooling”, shelf pooling'."""
        if self.kind is ScopeKind.ALL:
            return ""
        if self.kind is ScopeKind.SHELF:
            return self.chosen.replace("_", " ")
        form = self.form
        said = [f"“{form.query}”"] if form.query else []
        filters = (
            f"{name.replace('_', ' ')} {value.replace('_', ' ')}" if name != "has_code" else "with code"
            for name, value in sorted(form.kept.items())
            if name not in ("q", "mode")
        )
        return ", ".join([*said, *filters])


def _form(query_string: str) -> SearchForm:
    return read_form(dict(parse_qsl(query_string[: 2 * LONGEST], max_num_fields=None, errors="replace")))
