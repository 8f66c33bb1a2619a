"""Cards and results as tables for the terminal."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from cenote.catalog.card import Card, Claim, Shelf
from cenote.catalog.fingerprint import is_stale
from cenote.catalog.results import ICONS, Result, latest
from cenote.errors import ArgumentError

_STYLES = {"holds": "green", "fails": "red", "unclear": "yellow", "designed": "cyan"}


def papers_table(cards: Sequence[Card], query: str = "") -> RenderableType:
    """Return the list of papers, or a sentence where nothing was found."""
    if not cards:
        return f"No paper matches {escape(query)!r}."
    table = Table(box=None, pad_edge=False)
    for column in ("paper", "shelf", "day", "status", "title"):
        table.add_column(column, overflow="fold")
    for card in cards:
        table.add_row(card.slug, card.shelf, f"{card.published}", status_line(card), escape(card.title))
    return table


def status_of(card: Card) -> dict[str, int]:
    """Count the verdicts of the newest published result by word."""
    result = latest(card.slug)
    return dict(Counter(verdict.word for verdict in result.verdicts)) if result else {}


def status_line(card: Card) -> Text:
    """Say in a few words how far a paper is: listed, runs, or its verdicts."""
    counts = status_of(card)
    if not card.runs or not counts:
        return Text(card.status, style="dim" if not card.runs else "")
    parts = [Text(f"{ICONS[word]} {counts[word]} {word}", style=_STYLES[word]) for word in ICONS if word in counts]
    return Text("  ").join(parts)


def paper_page(card: Card, result: Result | None) -> RenderableType:
    """Return what a reader should know of a paper: facts, summary, claims with verdicts, how to use it."""
    head = Text(card.title, style="bold")
    facts = f"arXiv {card.arxiv}, {card.published}, {card.authors} author{'s' if card.authors > 1 else ''}; "
    facts += f"shelf {card.shelf}; " + ("runs here" if card.runs else "listed: its method is not here yet")
    parts: list[RenderableType] = [head, facts, "", Text(card.summary), "", _claims(card, result)]
    if result is not None:
        stale = " It is stale: claims, method or experiment changed since." if is_stale(card, result) else ""
        parts += ["", f"Measured by run {result.run_id} (preset {result.preset}, commit {result.commit[:12]}).{stale}"]
    parts += [f"Finding: {escape(finding.sentence)} ({finding.test})" for finding in card.findings]
    if card.runs:
        parts += ["", f"Check it: cenote run {card.slug}", "Use it:", Text(card.example.strip())]
    parts += [f"cenote {command.name}: {escape(command.help)}" for command in card.commands]
    if card.links.code:
        parts += ["", f"Released code: {card.links.code}"]
    return Group(*parts)


def _claims(card: Card, result: Result | None) -> Table:
    table = Table(box=None, pad_edge=False, title="Claims", title_justify="left")
    for column in ("claim", "the paper's figure", "measured"):
        table.add_column(column, overflow="fold")
    for claim in card.claims:
        table.add_row(escape(claim.sentence), escape(paper_figure(claim)), _measured(claim, result))
    return table


def paper_figure(claim: Claim) -> str:
    """The paper's figure as a reader knows it; a dash where it is not known."""
    figure = claim.figure_text or (
        "–" if claim.figure == "not known" else f"{claim.figure:g} {claim.metric_unit}".strip()
    )
    return figure if claim.verified or figure == "–" else f"{figure} (unverified)"


def _measured(claim: Claim, result: Result | None) -> Text:
    verdicts = [verdict for verdict in result.verdicts if verdict.claim == claim.id] if result else []
    if not verdicts:
        return Text("not measured", style="dim")
    lines = [
        Text.assemble((f"{ICONS[v.word]} {v.word}", _STYLES[v.word]), f" on {v.data}: {v.reason}") for v in verdicts
    ]
    return Text("\n").join(lines)


def shelf_named(name: str) -> Shelf:
    """Return the shelf of this name.

    Raises:
        ArgumentError: If there is none; lists them.
    """
    wanted = name.strip().casefold().replace("-", "_").replace(" ", "_")
    if wanted in {shelf.value for shelf in Shelf}:
        return Shelf(wanted)
    near = difflib.get_close_matches(wanted, [shelf.value for shelf in Shelf], n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise ArgumentError(f"no shelf {name!r}; {hint}the shelves are {', '.join(Shelf)}")
