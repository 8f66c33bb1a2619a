"""The report of a run: a page that stands alone, the same as Markdown, and tables for the terminal.

All three show one ``_Page`` of finished texts, so a number cannot read differently in two of them.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import math
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2
from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from cenote.catalog.card import Card, Claim, Kind
from cenote.catalog.files import write_files_atomic
from cenote.catalog.results import ICONS as WORDS
from cenote.catalog.results import Comparison, Figure, Record, Result, Verdict
from cenote.catalog.terminal import verdict_label
from cenote.errors import ArgumentError, ResultError
from cenote.lab.wording import Scale, counted

ICONS = {**WORDS, "not judged": "·"}
"""The sign before each word, a claim without a verdict included."""

_STYLES = {"holds": "green", "fails": "red", "unclear": "yellow", "designed": "cyan", "not judged": "dim"}
_PUBLISHABLE = {"laptop", "paper"}
_PRESETS = {
    "tiny": "shows that the experiment runs; no verdicts",
    "smoke": "less data than the declared run, so not a published verdict",
    "laptop": "the declared run",
    "paper": "the paper's own scale",
}
_MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}
_STATISTICS = {
    Kind.TREND: "slope",
    Kind.RANK: "rank correlation",
    Kind.EQUAL: "largest error",
    Kind.BOUND: "share of violations",
}
_PLAIN = Scale(signed=False)
_MOST_POSITIONS = 12


def write_report(card: Card, result: Result, folder: Path) -> Path:
    """Write ``report.html``, ``report.md`` and ``result.json`` into ``folder`` and return the page's path.

    Figures are read from ``folder / figure.file``; the page carries them inside and loads nothing else.

    Raises:
        ArgumentError: If card and result are of different papers.
        ResultError: If a verdict is about a claim the card has not, or a figure is missing or no PNG or SVG.
        StorageError: If a file cannot be written; no file is then new.
    """
    page = _page(card, result)
    images = {figure.file: _data_uri(figure, folder) for figure in result.figures}
    html = _templates(autoescape=True).get_template("report.html.j2").render(page=page, images=images)
    markdown = _templates(autoescape=False).get_template("report.md.j2").render(page=page)
    path = folder / "report.html"
    written = f"{result.model_dump_json(indent=2)}\n"
    # The record comes last: where it stands, the report stands too.
    texts = {path: html, folder / "report.md": markdown, folder / "result.json": written}
    write_files_atomic({path: text.encode() for path, text in texts.items()})
    return path


def terminal_summary(card: Card, result: Result) -> list[RenderableType]:
    """Return what the command line shows of a run: its preset, the verdicts, and each data set's metrics, arm by arm.

    Raises:
        ArgumentError: If card and result are of different papers.
        ResultError: If a verdict is about a claim the card has not.
    """
    page = _page(card, result)
    shown: list[RenderableType] = [Text(page.preset, style="bold" if page.declared else "bold yellow")]
    if result.preset != "tiny":
        shown.append(_verdict_table(page.claims))
    return shown + [_measured_table(data, measured) for data, measured in page.measured.items()]


@dataclass(frozen=True)
class _Span:
    """Where an interval is drawn: positions in per cent of the cell's width."""

    low: float
    high: float
    estimate: float
    reference: float
    margins: tuple[float, ...]
    paper: float | None


@dataclass(frozen=True)
class _Row:
    """One comparison of a claim."""

    baseline: str
    estimate: str
    interval: str
    span: _Span | None


@dataclass(frozen=True)
class _ClaimView:
    """One claim on one data set, or a claim without a verdict."""

    sentence: str
    data: str
    word: str
    icon: str
    label: str
    compared: str
    reason: str
    measured_on: str
    figure: str
    unverified: bool
    figure_text: str
    margin: str
    rows: tuple[_Row, ...]
    unit_title: str
    unit_heads: tuple[str, ...]
    unit_rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class _Measured:
    """One metric of one arm on one data set."""

    arm: str
    role: str
    value: str
    over: str


@dataclass(frozen=True)
class _Page:
    """Everything the report says, as finished texts."""

    card: Card
    result: Result
    preset: str
    declared: bool
    counts: tuple[tuple[str, str], ...]  # such as ('holds', '✓ 2 holds')
    claims: tuple[_ClaimView, ...]
    measured: Mapping[str, Mapping[str, Sequence[_Measured]]]
    settings: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]


def _page(card: Card, result: Result) -> _Page:
    if card.slug != result.slug:
        raise ArgumentError(f"result: it is of paper {result.slug!r}, but the card is of {card.slug!r}")
    known = {claim.id for claim in card.claims}
    for verdict in result.verdicts:
        if verdict.claim not in known:
            raise ResultError(f"verdict about claim {verdict.claim!r}: the card of {card.slug} has {', '.join(known)}")
    claims = tuple(_claims(card, result))
    words = [view.word for view in claims]
    return _Page(
        card=card,
        result=result,
        preset=f"{result.preset}: {_PRESETS.get(result.preset, 'not the declared run, so not a published verdict')}",
        declared=result.preset in _PUBLISHABLE,
        counts=tuple((word, _word_count(word, words.count(word))) for word in ICONS if word in words),
        claims=claims,
        measured=_measured(card, result.records),
        settings=tuple(_flat(result.settings)),
        environment=tuple(_environment_rows(result)),
    )


def _word_count(word: str, number: int) -> str:
    return f"{counted(number, 'claim')} not judged" if word == "not judged" else f"{ICONS[word]} {number} {word}"


def _claims(card: Card, result: Result) -> Iterator[_ClaimView]:
    for claim in card.claims:
        verdicts = [verdict for verdict in result.verdicts if verdict.claim == claim.id]
        if result.preset == "tiny" or not verdicts:
            yield _view(claim, result.preset, None)
        else:
            yield from (_view(claim, result.preset, verdict) for verdict in verdicts)


def _view(claim: Claim, preset: str, verdict: Verdict | None) -> _ClaimView:
    word = verdict.word if verdict else "not judged"
    missing = "The tiny preset gives no verdicts." if preset == "tiny" else "This run did not measure the claim."
    comparisons = verdict.comparisons if verdict else ()
    provisional = "" if verdict is None or preset in _PUBLISHABLE else f" ({preset})"
    scale = _effect_scale(claim)
    unit_scale = _PLAIN if claim.kind is Kind.BOUND else scale  # each trial has a count, all together a share
    heads, rows = _unit_table(claim, comparisons, unit_scale)
    return _ClaimView(
        sentence=claim.sentence,
        data=verdict.data if verdict else "",
        word=word,
        icon=ICONS[word],
        label=(verdict_label(verdict) if verdict else word) + provisional,
        compared="against" if claim.baselines else "statistic",
        reason=verdict.reason if verdict else missing,
        measured_on=_measured_on(claim, verdict) if verdict else "",
        figure="–" if claim.figure == "not known" else _with_unit(claim.figure, scale),
        unverified=claim.figure != "not known" and not claim.verified,
        figure_text=", ".join(filter(None, (claim.figure_text, claim.where))),
        margin=_margin(claim, scale),
        rows=tuple(_row(claim, comparison, comparisons, scale) for comparison in comparisons),
        unit_title=f"Every {claim.replication}" + (f", in {unit_scale.unit}" if unit_scale.unit else ""),
        unit_heads=heads,
        unit_rows=rows,
    )


def _measured_on(claim: Claim, verdict: Verdict) -> str:
    if claim.replication == "seed" or not verdict.units:
        return counted(verdict.seeds, "seed")
    return f"{counted(verdict.units, claim.replication)}, {counted(verdict.seeds, 'seed')}"


def _row(claim: Claim, comparison: Comparison, together: Sequence[Comparison], scale: Scale) -> _Row:
    low, high = comparison.low, comparison.high
    thresholds = (1.0 if claim.kind is Kind.RATIO else 0.0, *_margin_marks(claim))
    decimals = _apart((low, high), thresholds, scale, _decimals(scale.factor * (high - low) / 4))
    interval = ""
    if claim.kind is not Kind.EQUAL and not math.isnan(comparison.estimate):
        ends = f"{_number(low, scale, decimals)} to {_number(high, scale, decimals)}"
        interval = "no interval" if math.isnan(high - low) else ends
    return _Row(
        baseline=comparison.baseline or _STATISTICS.get(claim.kind, "–"),
        estimate=_with_unit(comparison.estimate, scale, decimals),
        interval=interval,
        span=_span(claim, comparison, together),
    )


def _unit_table(
    claim: Claim, comparisons: Sequence[Comparison], scale: Scale
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...]]:
    """Every unit's difference: one row a unit, one column a comparison."""
    columns = [dict(zip(each.units, each.differences, strict=True)) for each in comparisons]
    units = list(dict.fromkeys(unit for column in columns for unit in column))
    if not units:
        return (), ()
    values = [value for column in columns for value in column.values() if math.isfinite(value)]
    decimals = None if scale is _PLAIN or not values else _decimals(scale.factor * statistics.pstdev(values))
    heads = (claim.replication, *(each.baseline or _STATISTICS.get(claim.kind, "value") for each in comparisons))
    return heads, tuple(
        (unit, *(_number(column[unit], scale, decimals) if unit in column else "–" for column in columns))
        for unit in units
    )


def _margin(claim: Claim, scale: Scale) -> str:
    if claim.margin is None:
        return "–"
    side = "≤ " if claim.lower_is_better else "≥ "
    sign = {Kind.NO_WORSE: "−", Kind.EQUIVALENT: "±", Kind.EQUAL: "≤ ", Kind.RATIO: side}.get(claim.kind, "")
    return sign + _with_unit(claim.margin, scale).lstrip("+")


def _span(claim: Claim, comparison: Comparison, together: Sequence[Comparison]) -> _Span | None:
    """Where the interval lies on an axis the claim's comparisons share; None where there is nothing to draw."""
    if claim.kind in {Kind.EQUAL, Kind.BOUND} or not math.isfinite(comparison.high - comparison.low):
        return None
    reference = 1.0 if claim.kind is Kind.RATIO else 0.0
    paper = None if claim.figure == "not known" else claim.figure
    margins = _margin_marks(claim)
    ends = [value for each in together for value in (each.low, each.high, each.estimate) if math.isfinite(value)]
    ends += [reference, *margins, *([] if paper is None else [paper])]
    left, width = min(ends), (max(ends) - min(ends)) or 1.0

    def place(value: float) -> float:
        return round(2 + 96 * (value - left) / width, 2)

    return _Span(
        low=place(comparison.low),
        high=place(comparison.high),
        estimate=place(comparison.estimate),
        reference=place(reference),
        margins=tuple(map(place, margins)),
        paper=None if paper is None else place(paper),
    )


def _margin_marks(claim: Claim) -> tuple[float, ...]:
    if claim.margin is None:
        return ()
    signs = {Kind.NO_WORSE: (-1,), Kind.EQUIVALENT: (-1, 1)}.get(claim.kind, (1,))
    return tuple(sign * claim.margin for sign in signs)


def _measured(card: Card, records: Iterable[Record]) -> dict[str, dict[str, list[_Measured]]]:
    """Mean ± sd over seeds by data set, metric and arm; the claims' subjects first, controls last."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.data, record.metric, record.arm), []).append(record)
    units = {claim.metric: claim.metric_unit for claim in card.claims}
    roles = dict.fromkeys((name for claim in card.claims for name in claim.baselines), "baseline")
    roles |= dict.fromkeys((claim.subject for claim in card.claims), "subject")
    rank = ("subject", "baseline", "control")
    tables: dict[str, dict[str, list[_Measured]]] = {}
    for data, metric, arm in sorted(groups, key=lambda key: rank.index(roles.get(key[2], "control"))):
        rows = tables.setdefault(data, {}).setdefault(metric.replace("_", " "), [])
        for at, some in _by_position(groups[data, metric, arm]):
            value, over = _summary(some, _level_scale(units.get(metric, "")))
            rows.append(_Measured(arm + at, roles.get(arm, "control"), value, over))
    return tables


def _by_position(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Split a trend's records by their place on its axis, unless there are many."""
    positions = {record.x for record in records if record.x is not None}
    if not 1 < len(positions) <= _MOST_POSITIONS:
        yield "", list(records)
        return
    for x in sorted(positions):
        yield f" at {x:g}", [record for record in records if record.x == x]


def _summary(records: Sequence[Record], scale: Scale) -> tuple[str, str]:
    """Mean ± sd over seeds, and over what; a bound's trials are summed instead."""
    if any(record.trials > 1 for record in records):
        trials = sum(record.trials for record in records)
        return _number(sum(record.value for record in records), _PLAIN), counted(trials, "trial")
    seeds: dict[object, list[float]] = {}
    for index, record in enumerate(records):
        seeds.setdefault(index if record.seed is None else ("seed", record.seed), []).append(record.value)
    over = counted(len(seeds), "value" if records[0].seed is None else "seed")
    if len(records) > len(seeds):
        over += f", {counted(len(records), 'value')}"
    diverged = sum(not all(map(math.isfinite, values)) for values in seeds.values())
    if diverged:
        return f"diverged in {diverged} of {len(seeds)}", over
    means = [statistics.fmean(values) for values in seeds.values()]
    if len(means) < 2:
        return _with_unit(means[0], scale), over
    spread = statistics.stdev(means)
    decimals = _decimals(scale.factor * spread)
    return f"{_number(statistics.fmean(means), scale, decimals)} ± {_with_unit(spread, scale, decimals)}", over


def _level_scale(unit: str) -> Scale:
    return Scale(100.0, "%", signed=False) if unit == "fraction" else Scale(unit=unit, signed=False)


def _effect_scale(claim: Claim) -> Scale:
    """What a comparison is written in: as in the verdict's sentence, a ratio with its sign."""
    if claim.kind is Kind.RATIO:
        return Scale(unit="×", signed=False)
    if claim.kind is Kind.BOUND:
        return _level_scale("fraction")
    return _level_scale(claim.metric_unit) if claim.kind is Kind.EQUAL else Scale.of(claim)


def _decimals(spread: float) -> int | None:
    """Decimals that give a spread two digits; None, for four digits of the value, where it has none."""
    if not math.isfinite(spread) or spread <= 0:
        return None
    return min(8, max(0, 1 - math.floor(math.log10(spread))))


def _apart(ends: Sequence[float], thresholds: Sequence[float], scale: Scale, decimals: int | None) -> int | None:
    """As many decimals as show on which side of a threshold an end lies, so that no table contradicts its verdict."""
    if decimals is None:
        return None
    pairs = [(scale.factor * end, scale.factor * other) for end in ends for other in thresholds if end != other]
    finer = range(decimals, decimals + 4)
    return next((n for n in finer if all(round(end, n) != round(other, n) for end, other in pairs)), finer[-1])


def _number(value: float, scale: Scale, decimals: int | None = None) -> str:
    if math.isnan(value):
        return "diverged"
    scaled = scale.factor * value + 0.0  # turns −0 into 0
    if decimals is not None:
        text = f"{scaled:,.{decimals}f}"
    elif scaled.is_integer():
        text = f"{scaled:,.0f}"
    else:
        text = f"{scaled:.4g}" if abs(scaled) < 1e-4 else f"{float(f'{scaled:.4g}'):,}".removesuffix(".0")
    text = text.replace("inf", "∞").replace("-", "−")
    return f"+{text}" if scale.signed and scaled > 0 else text


def _with_unit(value: float, scale: Scale, decimals: int | None = None) -> str:
    text = _number(value, scale, decimals)
    if math.isnan(value) or not scale.unit:
        return text
    return f"{text} {'point' if scale.unit == 'points' and text.lstrip('+−') == '1' else scale.unit}"


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
            continue
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
        yield f"{prefix}{key}", text


def _environment_rows(result: Result) -> Iterator[tuple[str, str]]:
    machine = result.environment
    yield "run", result.run_id
    yield "commit", result.commit
    yield "tree", "clean at the start" if result.clean else "not clean at the start, so it cannot be published"
    for name in ("claims", "method", "experiment"):
        yield f"hash of the {name}", getattr(result.hashes, name)
    yield "started", _moment(result.started)
    yield "finished", _moment(result.finished)
    yield "time spent computing", _duration(result.seconds)
    yield "machine", f"{machine.processor}, {counted(machine.cores, 'core')}, {machine.memory_gib:.1f} GiB"
    yield "system", machine.platform
    yield "Python", machine.python
    yield from sorted(machine.packages.items())


def _moment(moment: dt.datetime) -> str:
    if moment.tzinfo is None:
        return f"{moment:%Y-%m-%d %H:%M:%S}"
    return f"{moment.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def _data_uri(figure: Figure, folder: Path) -> str:
    path = (folder / figure.file).resolve()
    media = _MEDIA.get(path.suffix)
    if media is None or not path.is_relative_to(folder.resolve()) or not path.is_file():
        raise ResultError(f"figure {figure.file!r}: a .png or .svg file inside {folder} is needed")
    return f"data:{media};base64,{base64.b64encode(path.read_bytes()).decode()}"


def _templates(*, autoescape: bool) -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cenote.lab"),
        autoescape=autoescape,
        finalize=None if autoescape else _markdown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["link"] = lambda path: _Literal(quote(path))
    return environment


class _Literal(str):
    """Markdown that is not escaped again."""


def _markdown(value: object) -> str:
    """Escape what Markdown or a table cell would take for markup; every value of the template passes through here."""
    if isinstance(value, _Literal):
        return value
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*\[\]|~$]|\b_|_\b)", r"\\\1", text)


def _verdict_table(claims: Iterable[_ClaimView]) -> Table:
    table = Table(title="Verdicts", title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_lines=True)
    for head in ("verdict", "claim", "ours, 95 % interval"):
        table.add_column(head, overflow="fold")
    for view in claims:
        verdict = Text(f"{view.icon} {view.label}", style=_STYLES[view.word])
        asked = f"the paper's: {view.figure}{' (unverified)' if view.unverified else ''}; margin: {view.margin}"
        place = f"\non {view.data}, {view.measured_on}" if view.data else ""
        claim = Text.assemble(view.sentence, (f"{place}\n{asked}", "dim"))
        ours = "\n".join(f"{row.baseline}: {row.estimate}\n  {row.interval}".rstrip() for row in view.rows)
        table.add_row(verdict, claim, Text(ours or "–"))
    return table


def _measured_table(data: str, measured: Mapping[str, Sequence[_Measured]]) -> Table:
    """A line for each arm under the name of each metric; side by side metrics would not fit a narrow terminal."""
    table = Table(title=Text(f"Measured on {data}", style="bold"), title_justify="left", box=SIMPLE_HEAD)
    table.add_column("arm", overflow="fold")
    table.add_column("mean ± sd", justify="right", no_wrap=True)
    table.add_column("over")
    for metric, rows in measured.items():
        table.add_row(Text(metric, style="italic"))
        for row in rows:
            style = {"subject": "bold", "control": "dim"}.get(row.role, "")
            table.add_row(Text(f"  {row.arm}", style=style), Text(row.value), Text(row.over))
        table.add_section()
    return table
