"""Pages of a long list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from fastapi import Request


@dataclass(frozen=True)
class Pages:
    """Which part of a list is shown, and where the others are."""

    number: int
    size: int
    total: int
    path: str
    query: Mapping[str, str]

    @property
    def count(self) -> int:
        """Number of pages that can be asked for, at least one."""
        return min(LAST, max(1, -(-self.total // self.size)))

    @property
    def is_behind(self) -> bool:
        """Whether the list ends before this page."""
        return self.number > self.count

    @property
    def first(self) -> str:
        """Address of the first page."""
        return self._url(1)

    @property
    def previous(self) -> str | None:
        """Address of the page before."""
        return self._url(self.number - 1) if self.number > 1 else None

    @property
    def next(self) -> str | None:
        """Address of the page after."""
        return self._url(self.number + 1) if self.number < self.count else None

    def _url(self, number: int) -> str:
        query = urlencode({**self.query, **({"page": str(number)} if number > 1 else {})})
        return f"{self.path}?{query}" if query else self.path


LAST = 500
"""The last page anyone can ask for."""


def page_number(request: Request) -> int:
    """Return the page a request asks for: the first where it names none, or none that can be."""
    text = request.query_params.get("page", "")
    if not (text.isascii() and text.isdigit()):
        return 1
    return min(LAST, max(1, int(text[:9])))
