"""A paper as the feed shows it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from cenote.site.methods import Method, Methods
from cenote.site.papers import Paper
from cenote.site.search import Reason
from cenote.site.store.reading import StoredPaper
from cenote.site.tex import plain
from cenote.site.web.chips import Chip, method_chips
from cenote.site.web.shelves import SHELVES, ShelfView

_EXCERPT = 260
"""Characters of a summary on a card: about the three lines that it shows."""

Parts = tuple[tuple[str, bool], ...]
"""A text in parts, each with whether a search matched it."""


@dataclass(frozen=True)
class CardView:
    """What a card of the feed says of a paper; None where nobody said it."""

    number: int
    """The store's own."""
    id: str
    url: str
    title: Parts
    summary: Parts
    """What the search found in it, else its beginning; empty without one."""
    author_count: int | None
    date: dt.date | None
    """When it was submitted."""
    votes: int | None
    comments: int | None
    organization: str | None
    code_url: str | None
    shelf: ShelfView | None
    runs: bool
    chips: tuple[Chip, ...]
    reasons: tuple[tuple[str, Parts], ...] = ()
    """What else a search found in it, each with the field's name."""


def card_view(stored: StoredPaper, method: Method | None, reasons: Iterable[Reason] = ()) -> CardView:
    """Return a paper's card."""
    paper = stored.paper
    published = paper.published.date() if paper.published else None
    found = {reason.field: marked(reason) for reason in reasons}
    return CardView(
        number=stored.number,
        id=paper.id,
        url=paper_url(paper.id),
        title=found.pop("title", ((plain(paper.title), False),)),
        summary=found.pop("summary", ((excerpt(plain(paper.summary or ""), _EXCERPT), False),)),
        author_count=stored.author_count,
        date=published or stored.day,
        votes=stored.votes,
        comments=stored.comments,
        organization=paper.organization,
        code_url=code_url(paper, method),
        shelf=SHELVES[method.card.shelf.value] if method else None,
        runs=method is not None and method.card.runs,
        chips=method_chips(method) if method else (),
        reasons=tuple(found.items()),
    )


def card_views(papers: Iterable[StoredPaper], methods: Methods) -> list[CardView]:
    """Return the cards of some papers, in their order."""
    return [card_view(stored, methods.by_paper(stored.paper.id)) for stored in papers]


def paper_url(paper_id: str) -> str:
    """Return the address of a paper's page."""
    return f"/papers/{quote(paper_id)}"


def code_url(paper: Paper, method: Method | None) -> str | None:
    """Return where the released code is."""
    if method is not None and method.card.links.code is not None:
        return str(method.card.links.code)
    return web_address(paper.code_url)


def web_address(address: str | None) -> str | None:
    """Return an address if it is http(s): no other may stand in a link, whatever the store was given."""
    return address if address is not None and address.startswith(("https://", "http://")) else None


def excerpt(text: str, length: int) -> str:
    """Cut a text behind a word.

    Example:
        >>> excerpt("Posets pool without parameters.", 20)
        'Posets pool without…'
    """
    if len(text) <= length:
        return text
    cut = text[: length + 1].rpartition(" ")[0] or text[:length]
    return f"{cut.rstrip(' ,;:.')}…"


def marked(reason: Reason) -> Parts:
    """Split a reason's text into parts, with whether each matched.

    Example:
        >>> marked(Reason("title", "Max pooling", ((4, 11),)))
        (('Max ', False), ('pooling', True))
    """
    parts: list[tuple[str, bool]] = []
    end = 0
    for start, stop in sorted(reason.marks):
        if start < end or stop <= start:
            continue  # of spans that overlap the first counts
        parts += [(reason.text[end:start], False), (reason.text[start:stop], True)]
        end = stop
    parts.append((reason.text[end:], False))
    return tuple(part for part in parts if part[0])
