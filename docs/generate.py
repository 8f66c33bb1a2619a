"""What README and documentation say about papers, written from their cards and published results.

    python docs/generate.py     # brings README.md and its picture up to date

The pages of the papers are not kept in the repository: mkdocs asks for them while it builds (see hooks.py).
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from cenote.catalog import Card, Claim, Result, Shelf, Verdict, latest, load_cards
from cenote.catalog.card import Kind
from cenote.catalog.claim_views import STATISTICS
from cenote.catalog.files import write_bytes_atomic, write_text_atomic
from cenote.catalog.fingerprint import is_stale
from cenote.catalog.numbers import Scale
from cenote.catalog.results import ICONS, RESULTS, Comparison, Figure
from cenote.catalog.terminal import count_verdicts, paper_figure, verdict_label, word_of

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PICTURES = Path("docs/images")
"""Where README's picture lies, from the root."""


def main() -> None:
    """Bring README.md and its picture up to date."""
    update_readme()


# --- README -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Picture:
    """The first figure of a published result."""

    result: Result
    figure: Figure
    path: Path

    @property
    def in_readme(self) -> Path:
        """Its copy for README, from the root."""
        return PICTURES / f"readme{self.path.suffix}"

    @property
    def caption(self) -> str:
        """What it shows, and where it comes from."""
        return f"{self.figure.title}, from the published run of {self.result.slug}. {self.figure.caption}"


def newest_results(cards: Sequence[Card], root: Path = RESULTS) -> dict[str, Result]:
    """Return, by slug, the newest published result of every paper that has one."""
    found = {card.slug: latest(card.slug, root) for card in cards}
    return {slug: result for slug, result in found.items() if result is not None}


def newest_picture(cards: Sequence[Card], root: Path = RESULTS) -> Picture | None:
    """Return the first figure of the newest published result; None where no result has a figure."""
    results = [result for result in newest_results(cards, root).values() if result.figures]
    if not results:
        return None
    newest = max(results, key=lambda result: result.finished)
    figure = newest.figures[0]
    return Picture(newest, figure, root / newest.slug / newest.run_id / figure.file)


def update_readme(readme: Path = README, root: Path = RESULTS) -> None:
    """Write README's table and picture anew."""
    cards = load_cards()
    picture = newest_picture(cards, root)
    text = render_readme(readme.read_text(encoding="utf-8"), cards, newest_results(cards, root), picture)
    if picture is not None:
        copy = readme.parent / picture.in_readme
        copy.parent.mkdir(parents=True, exist_ok=True)
        write_bytes_atomic(copy, picture.path.read_bytes())
    write_text_atomic(readme, text)


def render_readme(text: str, cards: Sequence[Card], results: Mapping[str, Result], picture: Picture | None) -> str:
    """Return README's text with what stands between its markers replaced."""
    shown = ""
    if picture is not None:
        shown = f"![{_text(picture.figure.alt)}]({picture.in_readme.as_posix()})\n\n{_text(picture.caption)}"
    return _between(_between(text, "picture", shown), "papers", readme_table(cards, results))


def readme_table(cards: Sequence[Card], results: Mapping[str, Result]) -> str:
    """Return the table of papers: shelf by shelf, the newest first, with status and verdicts."""
    lines = ["| shelf | name | paper | status | verdicts |", "| --- | --- | --- | --- | --- |"]
    for shelf in Shelf:
        for card in cards:
            if card.shelf == shelf:
                name = f"[`{card.slug}`](src/cenote/{shelf}/{card.folder})" if card.runs else f"`{card.slug}`"
                paper = f"[{_text(card.title)}](https://arxiv.org/abs/{card.arxiv})"
                verdicts = _verdicts_in_short(card, results.get(card.slug))
                lines.append(f"| {shelf_name(shelf)} | {name} | {paper} | {card.status} | {verdicts} |")
    return "\n".join(lines)


def index_picture(picture: Picture) -> str:
    """Return the picture as the start page shows it."""
    return _figure(picture.figure, f"papers/{figure_link(picture.result, picture.figure)}", picture.caption)


def _between(text: str, name: str, content: str) -> str:
    """Replace what stands between two marker comments."""
    start, end = f"<!-- {name}:start -->", f"<!-- {name}:end -->"
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    if len(pattern.findall(text)) != 1:
        raise ValueError(f"README needs the markers {start} and {end}, once each")
    body = f"\n{content}\n" if content else "\n"
    return pattern.sub(lambda _: f"{start}{body}{end}", text)


def _verdicts_in_short(card: Card, result: Result | None) -> str:
    if result is None:
        return "no run published yet" if card.runs else "–"
    return _counts(result) + (" (stale)" if is_stale(card, result) else "")


# --- pages of papers ----------------------------------------------------------------------------------------------


def papers_index(cards: Sequence[Card], results: Mapping[str, Result]) -> str:
    """Return the page that lists all papers by shelf."""
    running = sum(card.runs for card in cards)
    parts = [
        "# Papers",
        f"{len(cards)} papers, of which {running} {'runs' if running == 1 else 'run'}. A *listed* paper has its facts "
        "and claims here, but not yet its method. Verdicts are those of the newest published run; "
        "[how a verdict comes about](../check.md#the-verdict).",
    ]
    for shelf in Shelf:
        rows = [
            (
                f"[{card.slug}]({card.slug}.md)",
                _text(card.title),
                f"{card.published:%Y}",
                card.status,
                _verdicts_in_short(card, results.get(card.slug)),
            )
            for card in cards
            if card.shelf == shelf
        ]
        parts += [f"## {shelf_name(shelf)}", _table(("name", "paper", "year", "status", "verdicts"), rows)]
    return _joined(parts)


def paper_page(card: Card, result: Result | None, *, earlier: Sequence[Result] = ()) -> str:
    """Return the page of a paper as Markdown.

    Args:
        card: The paper.
        result: Its newest published result, if it has one.
        earlier: Its other published results, newest first.
    """
    parts = [f"# {_text(card.title)}", _facts(card), _status(card, result), _text(card.summary), *_claims(card, result)]
    if result is not None:
        parts += [*_figures(result), *_evidence(card, result), *_run(result)]
    parts += _findings(card)
    if card.runs:
        parts += [*_use(card), *_check(card)]
    if earlier:
        rows = [(f"`{each.run_id}`", each.preset, f"{each.finished:%Y-%m-%d}", _counts(each)) for each in earlier]
        parts += ["## Earlier published runs", _table(("run", "preset", "day", "verdicts"), rows)]
    if card.runs:
        parts += ["## Reference", f"::: {card.module}\n    options:\n      heading_level: 3"]
    return _joined(parts)


def figure_link(result: Result, figure: Figure) -> str:
    """Return where a published figure lies on the site, from the folder of the papers' pages."""
    return f"{result.slug}/{result.run_id}/{figure.file}"


def shelf_name(shelf: Shelf) -> str:
    """Return a shelf's name as a heading."""
    return shelf.value.replace("_", " ").capitalize()


def _facts(card: Card) -> str:
    licence = f" ({card.links.code_license})" if card.links.code_license else ""
    facts = [
        f"[arXiv:{card.arxiv}](https://arxiv.org/abs/{card.arxiv})",
        f"{card.published}",
        f"{card.authors} author{'s' if card.authors > 1 else ''}",
        _text(card.organization),
        _text(card.venue),
        f"[released code]({card.links.code}){licence}" if card.links.code else "",
        f"[project page]({card.links.project})" if card.links.project else "",
        f"shelf: {shelf_name(card.shelf).lower()}",
        f"name: `{card.slug}`",
    ]
    return " · ".join(filter(None, facts))


def _status(card: Card, result: Result | None) -> str:
    if not card.runs:
        text = "The method is not here yet, so nothing has been measured. This page says what the paper claims."
        return _box("info", "Listed", text)
    if result is None:
        return _box("info", "Runs", "The method is here and its claims can be measured. No run has been published yet.")
    runs = _box("success", "Runs", f"{_counts(result)} in the published run of {result.finished:%Y-%m-%d}.")
    if not is_stale(card, result):
        return runs
    text = "Claims, method or experiment changed since the published run started; its verdicts are about what was then."
    return _joined([runs, _box("warning", "Stale", text)])


def _claims(card: Card, result: Result | None) -> Iterator[str]:
    yield "## Claims"
    rows = []
    for claim in card.claims:
        verdicts = _verdicts(claim, result)
        measured = "<br>".join(f"{_word(verdict)} <span>on {_text(verdict.data)}</span>" for verdict in verdicts)
        sentence = _text(claim.sentence)
        name = f"[{sentence}](#{claim.id})" if verdicts else sentence
        place = f"<br>{_text(claim.where)}" if claim.where else ""
        rows.append((name, _text(paper_figure(claim)) + place, measured or '<span class="nowrap">not measured</span>'))
    yield _table(("claim", "the paper's figure", "measured here"), rows)


def _evidence(card: Card, result: Result) -> Iterator[str]:
    yield "## Evidence"
    yield (
        "Differences are turned so that positive favours the paper; a point is one hundredth. "
        "[How a verdict comes about](../check.md#the-verdict)."
    )
    for claim in card.claims:
        verdicts = _verdicts(claim, result)
        if verdicts:
            yield f"### {claim.id.replace('-', ' ').capitalize()} {{ #{claim.id} }}"
            yield _text(claim.sentence)
            yield _judged(claim)
            rows = [row for verdict in verdicts for row in _comparisons(claim, verdict)]
            yield _table(("on", "against", "ours", "95 % interval", "the paper's", "verdict"), rows)
            yield "\n".join(f"- On {_text(each.data)}: {_text(_reason(each))}" for each in verdicts)


def _judged(claim: Claim) -> str:
    """Say in one line how the claim is judged."""
    names = ", ".join(f"`{name}`" for name in claim.baselines)
    of_them = f" ({claim.quantifier} of them)" if len(claim.baselines) > 1 else ""
    words = {Kind.RATIO: "ratio claimed", Kind.EQUAL: "tolerance"}
    margin = ""
    if claim.margin is not None:
        margin = f"{words.get(claim.kind, 'margin')} {_scale(claim).number(claim.margin)}"
    units = f"{claim.units:,} {_text(claim.replication)}s" if claim.units else ""
    facts = [
        f"Kind: {claim.kind}",
        f"metric: {_text(claim.metric)}",
        f"`{claim.subject}` against {names}{of_them}" if names else f"`{claim.subject}`",
        margin,
        f"declared: {units}" if units else "",
    ]
    notes = [_text(note) for note in (claim.margin_reason, claim.note) if note]
    return " ".join([" · ".join(filter(None, facts)) + ".", *notes])


def _comparisons(claim: Claim, verdict: Verdict) -> Iterator[tuple[str, ...]]:
    """One row for each baseline; data and verdict stand in the first."""
    data, word = _text(verdict.data), _word(verdict)
    if not verdict.comparisons:
        yield data, "–", "–", "–", _paper_effect(claim), word
    for comparison in verdict.comparisons:
        against = _text(comparison.baseline or STATISTICS.get(claim.kind, "–"))
        yield data, against, _estimate(claim, comparison), _interval(claim, comparison), _paper_effect(claim), word
        data = word = ""


def _figures(result: Result) -> Iterator[str]:
    if result.figures:
        yield "## Figures"
    for figure in result.figures:
        yield _figure(figure, figure_link(result, figure), f"{figure.title}. {figure.caption}")


def _run(result: Result) -> Iterator[str]:
    machine = result.environment
    torch = f", torch {machine.packages['torch']}" if "torch" in machine.packages else ""
    yield "## The run"
    yield (
        f"Run `{result.run_id}`, preset *{result.preset}*, commit `{result.commit[:12]}`, "
        f"{_duration(result.seconds)} of computing on {_text(machine.processor)} ({machine.cores} cores, "
        f"{machine.memory_gib:g} GiB), Python {machine.python}{torch}. Every record is in "
        f"`src/cenote/results/{result.slug}/{result.run_id}.json`."
    )
    rows = [(_text(s.name), _text(s.size), f"`{s.checksum[:12]}`", _text(s.note) or "–") for s in result.data]
    yield _table(("data", "used", "SHA-256", "note"), rows)
    if result.differs:
        yield "What differs from the paper:"
        yield "\n".join(f"- {_text(difference)}" for difference in result.differs)
    settings = json.dumps(result.settings, indent=2, ensure_ascii=False)
    yield _box("note", "Settings", f"```json\n{settings}\n```", folded=True)


def _findings(card: Card) -> Iterator[str]:
    if card.findings:
        yield "## Findings"
        yield "\n".join(f"- {_text(each.sentence)} Shown by `{each.test}`." for each in card.findings)


def _use(card: Card) -> Iterator[str]:
    yield "## Use it"
    yield f"```console\n$ pip install 'cenote[{card.shelf}]'\n```"
    yield f"```python\n{card.example.strip()}\n```"


def _check(card: Card) -> Iterator[str]:
    commands = [
        f"$ cenote run {card.slug}",
        f"$ cenote run {card.slug} --preset laptop",
        f"$ cenote verify {card.slug}",
    ]
    yield "## Check it"
    yield "```console\n{}\n```".format("\n".join(commands))
    yield (
        "The first command measures the claims on little data, the second is the declared run, and the third repeats "
        "the published one and compares. [More on checking](../check.md)."
    )
    if card.commands:
        yield "\n".join(f"- `cenote {command.name}`: {_text(command.help)}" for command in card.commands)


# --- numbers and words --------------------------------------------------------------------------------------------


def _verdicts(claim: Claim, result: Result | None) -> list[Verdict]:
    return [verdict for verdict in result.verdicts if verdict.claim == claim.id] if result else []


def _counts(result: Result) -> str:
    """Count the verdicts: '✓ 3 holds · ✓ 1 holds, smaller than claimed · ✗ 1 fails'."""
    counts = count_verdicts(result.verdicts)
    return " · ".join(f"{ICONS[word_of(label)]} {count} {label}" for label, count in counts.items())


def _word(verdict: Verdict) -> str:
    return f'<span class="verdict {verdict.word}">{ICONS[verdict.word]} {verdict_label(verdict)}</span>'


def _reason(verdict: Verdict) -> str:
    return f"{verdict.reason} Note: {verdict.note}." if verdict.note else verdict.reason


def _scale(claim: Claim) -> Scale:
    """How a claim's numbers are written, as in its verdict's sentence."""
    if claim.kind is Kind.BOUND:
        return Scale(100.0, "%", signed=False)
    return replace(Scale.of(claim), signed=False) if claim.kind is Kind.EQUAL else Scale.of(claim)


def _estimate(claim: Claim, comparison: Comparison) -> str:
    if math.isnan(comparison.estimate):
        return "diverged"
    scale = _scale(claim) if comparison.estimate else replace(_scale(claim), signed=False)
    return scale.end(comparison.estimate, (), comparison.high - comparison.low)


def _interval(claim: Claim, comparison: Comparison) -> str:
    if claim.kind is Kind.EQUAL:
        return "–"
    if math.isnan(comparison.high - comparison.low):
        return "no interval"
    margin = claim.margin or 0.0
    against = (margin, 1.0) if claim.kind is Kind.RATIO else (0.0, margin, -margin)
    return _scale(claim).interval(comparison.low, comparison.high, against)


def _paper_effect(claim: Claim) -> str:
    if claim.figure == "not known":
        return "–"
    scale = _scale(claim)
    plus = "+" if scale.signed and claim.figure > 0 else ""
    return f"{plus}{scale.number(claim.figure)}{'' if claim.verified else ' (unverified)'}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} seconds" if seconds < 120 else f"{seconds / 60:.0f} minutes"


# --- Markdown -----------------------------------------------------------------------------------------------------


def _text(text: str) -> str:
    """Put a text on one line and escape what Markdown would take for markup."""
    plain = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", plain)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _box(kind: str, title: str, content: str, *, folded: bool = False) -> str:
    body = content.replace("\n", "\n    ")
    return f'{"???" if folded else "!!!"} {kind} "{title}"\n\n    {body}'


def _figure(figure: Figure, link: str, caption: str) -> str:
    image = f"![{_text(figure.alt)}]({link})"
    return f'<figure markdown="span">\n  {image}\n  <figcaption>{html.escape(caption)}</figcaption>\n</figure>'


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
