"""What can be asked of the search, and what it answers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from cenote.site.store.reading import StoredPaper


class Mode(StrEnum):
    """How papers are looked for."""

    HYBRID = "hybrid"
    """By words and by meaning, both rankings fused."""
    KEYWORD = "keyword"
    SEMANTIC = "semantic"


@dataclass(frozen=True)
class Filters:
    """What papers must be, besides matching; what is None is not asked."""

    first: dt.date | None = None
    """First day on which they may have been published; where that is not known, the feed's day counts."""
    last: dt.date | None = None
    """Last such day."""
    author: str | None = None
    """Words of a name, in the name's order."""
    category: str | None = None
    """An arXiv category such as ``cs.LG``, or an archive such as ``cs`` for all of its categories."""
    organization: str | None = None
    """Words of its name, in the name's order."""
    shelf: str | None = None
    verdict: str | None = None
    """``holds``, ``fails``, ``unclear`` or ``stale``."""
    has_code: bool = False
    within: tuple[dt.date, dt.date] | None = None
    """First and last of the feed's days on which they may stand."""

    def __bool__(self) -> bool:
        return self != Filters()


@dataclass(frozen=True)
class Tags:
    """What a card adds to its paper."""

    shelf: str
    verdicts: frozenset[str]
    has_code: bool


@dataclass(frozen=True)
class Reason:
    """Why a paper was found, in words a reader can check."""

    field: str
    """``id``, ``title``, ``summary``, ``authors``, ``keywords`` or ``meaning``; of a similar paper also ``words`` or
    ``shelf``."""
    text: str
    """Plain text: what the paper says there (an excerpt of a long summary), or a sentence."""
    marks: tuple[tuple[int, int], ...] = ()
    """Where in the text the words stand that matched: first character, and the one behind the last."""


@dataclass(frozen=True)
class Hit:
    """A paper that was found."""

    stored: StoredPaper
    score: float
    """Higher is better; only scores of one answer can be compared."""
    reasons: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Found:
    """An answer."""

    hits: tuple[Hit, ...]
    total: int
    """Number of papers that can be paged through, the best ones; a ranking ends after a few hundred."""
    mode: Mode
    """How the papers were really looked for."""
    note: str = ""
    """A sentence for the reader if it is not what was asked for, else empty; commands stand between backticks."""
    matched: int = 0
    """Number of papers that match, as far as they were counted: the total, and those the ranking leaves out."""
    more: bool = False
    """Whether there are more than were counted."""
