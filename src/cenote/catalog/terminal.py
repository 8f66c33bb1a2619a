"""Cards and results as tables for the terminal."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from cenote.catalog.card import Card, Claim, Kind, Shelf
from cenote.catalog.fingerprint import is_stale
from cenote.catalog.loading import PLACEHOLDER, read_cards
from cenote.catalog.results import ICONS, Result, Verdict, latest
from cenote.catalog.searching import search
from cenote.errors import ArgumentError, ResultError

_STYLES = {"holds": "green", "fails": "red", "unclear": "yellow", "designed": "cyan"}


@dataclass(frozen=True)
class Entry:
    """A paper as the list of papers shows it; one whose card is damaged has no facts."""

    slug: str
    shelf: Shelf
    card: Card | None
    verdicts: Mapping[str, int] = field(default_factory=dict)
    problem: str = ""
    """What is wrong with its card or its results, if they are damaged."""

    @property
    def status(self) -> str:
        """How far the paper is: damaged, listed or runs."""
        return "damaged" if self.problem or self.card is None else self.card.status

    def facts(self) -> dict[str, Any]:
        """Return what ``cenote papers --json`` says of it."""
        card = self.card
        return {
            "slug": self.slug,
            "title": card and card.title,
            "shelf": self.shelf.value,
            "status": self.status,
            "arxiv": card and card.arxiv,
            "published": card and f"{card.published}",
            "verdicts": dict(self.verdicts),
            **({"problem": self.problem} if self.problem else {}),
        }


def find_papers(query: str = "", shelf: Shelf | None = None) -> list[Entry]:
    """Return the papers that match a query: newest first without one, else best first; damaged cards at the end."""
    cards, damaged = read_cards()
    found = search((card for card in cards if shelf in (None, card.shelf)), query)
    words = query.casefold().split()
    broken = [
        Entry(each.slug, each.shelf, None, problem=each.problem)
        for each in damaged
        if shelf in (None, each.shelf) and all(word in each.slug for word in words)
    ]
    return [_entry(card) for card in found] + broken


def _entry(card: Card) -> Entry:
    try:
        return Entry(card.slug, card.shelf, card, status_of(card))
    except ResultError as error:
        return Entry(card.slug, card.shelf, card, problem=str(error))


def damage(entries: Iterable[Entry]) -> str:
    """Say in one sentence which of the papers are damaged; empty if none is."""
    slugs = [entry.slug for entry in entries if entry.problem]
    if not slugs:
        return ""
    return f"{', '.join(slugs)} {'is' if len(slugs) == 1 else 'are'} damaged; 'cenote doctor' says what is wrong"


def papers_table(entries: Sequence[Entry], query: str = "") -> RenderableType:
    """Return the list of papers, or a sentence where nothing was found."""
    if not entries:
        return f"No paper matches {escape(query)!r}."
    table = Table(box=None, pad_edge=False)
    table.add_column("paper", no_wrap=True)  # to be copied
    table.add_column("day", no_wrap=True)
    table.add_column("title, shelf and status", overflow="fold")
    for entry in entries:
        day, title = (f"{entry.card.published}", entry.card.title) if entry.card else ("–", "–")
        shelf = Text(f"{entry.shelf.replace('_', ' ')} · ", style="dim")
        table.add_row(entry.slug, day, Text("\n").join([Text(title), shelf + _status_line(entry)]))
    return table


def _status_line(entry: Entry) -> Text:
    """Say in a few words how far a paper is: damaged, listed, runs, or its verdicts."""
    if entry.status == "damaged":
        return Text("damaged", style="bold red")
    if entry.status == "listed" or not entry.verdicts:
        return Text(entry.status, style="dim" if entry.status == "listed" else "")
    counted = entry.verdicts.items()
    return Text(" · ").join(Text(f"{ICONS[word_of(at)]} {n} {at}", style=_STYLES[word_of(at)]) for at, n in counted)


def status_of(card: Card) -> dict[str, int]:
    """Count the verdicts of the newest published result by label.

    Raises:
        ResultError: If a result is damaged.
    """
    result = latest(card.slug)
    return count_verdicts(result.verdicts) if result else {}


def count_verdicts(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Count verdicts by label, in the order of the words; within a word the ones without a note first.

    Example:
        >>> made = [Verdict(claim="a", data=data, word="holds", reason="So.", units=5, seeds=5) for data in "xyz"]
        >>> noted = made[0].model_copy(update={"note": "smaller than claimed"})
        >>> count_verdicts([noted, *made[1:]])
        {'holds': 2, 'holds, smaller than claimed': 1}
    """
    counts = Counter(map(verdict_label, verdicts))
    words = list(ICONS)
    return {label: counts[label] for label in sorted(counts, key=lambda label: (words.index(word_of(label)), label))}


def verdict_label(verdict: Verdict) -> str:
    """Return a verdict's word with its note: 'holds', 'holds, smaller than claimed'."""
    return f"{verdict.word}, {verdict.note}" if verdict.note else verdict.word


def word_of(label: str) -> str:
    """Return the word of a verdict's label."""
    return label.partition(",")[0]


def paper_page(card: Card, result: Result | None) -> RenderableType:
    """Return what a reader should know of a paper: facts, summary, claims with verdicts, how to use it."""
    head = Text(card.title, style="bold")
    facts = f"arXiv {card.arxiv}, {card.published}, {card.authors} author{'s' if card.authors > 1 else ''}; "
    facts += f"shelf {card.shelf}; " + ("runs here" if card.runs else "listed: its method is not here yet")
    parts: list[RenderableType] = [head, facts, "", _written(card.summary), "", *_claims(card, result)]
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


def _written(text: str, style: str = "") -> Text:
    """The text, or that it is not one yet."""
    return Text("still to be written", style="yellow") if text.startswith(PLACEHOLDER) else Text(text, style=style)


def _claims(card: Card, result: Result | None) -> Iterator[RenderableType]:
    """Each claim with the paper's figure, what is asked of ours, and what was measured."""
    yield Text("Claims", style="bold")
    for claim in card.claims:
        yield Padding(_written(claim.sentence, style="bold"), (1, 0, 0, 2))
        if not claim.sentence.startswith(PLACEHOLDER):
            asked = f"; {margin_text(claim)}" if claim.margin is not None else ""
            yield Padding(Text(f"the paper's figure: {paper_figure(claim)}{asked}"), (0, 0, 0, 4))
        yield from (Padding(line, (0, 0, 0, 4)) for line in _measured(claim, result))


def paper_figure(claim: Claim) -> str:
    """The paper's figure as a reader knows it; a dash where it is not known."""
    figure = claim.figure_text or (
        "–" if claim.figure == "not known" else f"{claim.figure:g} {claim.metric_unit}".strip()
    )
    return figure if claim.verified or figure == "–" else f"{figure} (unverified)"


def margin_text(claim: Claim) -> str:
    """What the claim's kind asks for, in its unit: 'margin: 1 point', 'tolerance: 1e-06'; empty if it has none."""
    if claim.margin is None:
        return ""
    if claim.kind is Kind.RATIO:
        return f"ratio claimed: at {'most' if claim.lower_is_better else 'least'} {claim.margin:g}"
    if claim.kind is Kind.EQUAL:
        return f"tolerance: {claim.margin:g} {claim.metric_unit}".strip()
    number, unit = (
        (100 * claim.margin, "points") if claim.metric_unit == "fraction" else (claim.margin, claim.metric_unit)
    )
    unit = "point" if (f"{number:g}", unit) == ("1", "points") else unit
    return f"margin: {number:g} {unit}".strip()


def _measured(claim: Claim, result: Result | None) -> Iterator[Text]:
    verdicts = [verdict for verdict in result.verdicts if verdict.claim == claim.id] if result else []
    if not verdicts:
        yield Text("not measured", style="dim")
    for verdict in verdicts:
        word = (f"{ICONS[verdict.word]} {verdict.word}", _STYLES[verdict.word])
        note = f", {verdict.note}" if verdict.note else ""
        yield Text.assemble(word, f" on {verdict.data}{note}: {verdict.reason}")


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
