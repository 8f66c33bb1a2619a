"""A feed to subscribe to, before it is written in one form or another."""

from __future__ import annotations

import datetime as dt
import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cenote.catalog.results import ICONS, Result, Verdict
from cenote.site.api.links import Links
from cenote.site.methods import Method, Methods
from cenote.site.store.reading import StoredPaper
from cenote.site.tex import plain

EMPTY = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
"""When a feed without entries changed last: both forms ask for a moment, and there is none."""


@dataclass(frozen=True)
class Entry:
    """A paper, or a result."""

    id: str
    title: str
    link: str
    published: dt.datetime
    updated: dt.datetime
    summary: str
    """Plain text."""
    html: str
    """The whole, in HTML in which every text is escaped."""
    authors: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()


@dataclass(frozen=True)
class Feed:
    """Entries, the newest first, and where all this is."""

    id: str
    title: str
    home: str
    """The page that shows the same."""
    address: str
    """This feed, in the form it is written in."""
    entries: Sequence[Entry]

    @property
    def updated(self) -> dt.datetime:
        """When the newest change of an entry was."""
        return max((entry.updated for entry in self.entries), default=EMPTY)


def paper_entries(found: Iterable[StoredPaper], methods: Methods, links: Links) -> list[Entry]:
    """Return papers as entries, the newest first; one without any date cannot stand in a feed."""
    entries = [_paper(stored, methods.by_paper(stored.paper.id), links) for stored in found]
    return sorted((each for each in entries if each), key=lambda each: (each.published, each.id), reverse=True)


def result_entries(methods: Iterable[Method], links: Links, limit: int) -> list[Entry]:
    """Return the newest published results, each with its verdicts."""
    results = [(method, result) for method in methods for result in method.results]
    results.sort(key=lambda pair: (pair[1].finished, pair[1].run_id), reverse=True)
    return [_result(method, result, links) for method, result in results[:limit]]


def _paper(stored: StoredPaper, method: Method | None, links: Links) -> Entry | None:
    paper = stored.paper
    day = dt.datetime.combine(stored.day, dt.time(), dt.UTC) if stored.day else None
    published = day or paper.published or paper.updated
    if published is None:
        return None
    result = method.result if method else None
    changes = [moment for moment in (published, paper.updated, result and result.finished) if moment]
    summary = plain(paper.summary or "")
    verdicts = _verdicts(method, result, links) if method and result else ""
    return Entry(
        id=links.tag(f"papers/{paper.id}"),
        title=plain(paper.title),
        link=links.paper(paper.id),
        published=published,
        updated=max(changes),
        summary=summary,
        html=f"<p>{html.escape(summary)}</p>{verdicts}",
        authors=paper.authors or (),
        categories=(*paper.categories, *((method.card.shelf.value,) if method else ())),
    )


def _result(method: Method, result: Result, links: Links) -> Entry:
    counts = {word: sum(each.word == word for each in result.verdicts) for word in ICONS}
    said = ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "no verdicts"
    return Entry(
        id=links.tag(f"results/{method.card.slug}/{result.run_id}"),
        title=f"{method.card.title}: {said}",
        link=links.paper(method.card.arxiv),
        published=result.finished,
        updated=result.finished,
        summary=f"Run {result.run_id} measured the claims of {method.card.title}: {said}.",
        html=_verdicts(method, result, links),
        categories=(method.card.shelf.value,),
    )


def _verdicts(method: Method, result: Result, links: Links) -> str:
    items = "".join(f"<li>{_verdict(method, verdict, links)}</li>" for verdict in result.verdicts)
    return f"<p>Measured claims:</p><ul>{items}</ul>" if items else "<p>No verdicts.</p>"


def _verdict(method: Method, verdict: Verdict, links: Links) -> str:
    sentences = {claim.id: claim.sentence for claim in method.card.claims}
    word = f"{ICONS[verdict.word]} {verdict.word}" + (f" ({verdict.note})" if verdict.note else "")
    link = links.claim(method.card.arxiv, verdict.claim, verdict.data)
    claim = sentences.get(verdict.claim, verdict.claim)
    return (
        f"<strong>{html.escape(word)}</strong>, {html.escape(verdict.data)}: "
        f'<a href="{html.escape(link)}">{html.escape(claim)}</a> {html.escape(verdict.reason)}'
    )
