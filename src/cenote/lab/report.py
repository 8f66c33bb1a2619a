"""The report of a run: a page that stands alone, the same as Markdown, and tables for the terminal.

All three show one ``_Page`` of finished texts, so a number cannot read differently in two of them.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import re
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

from cenote.catalog.card import Card
from cenote.catalog.claim_views import ICONS, PUBLISHED, ClaimView, claim_views
from cenote.catalog.files import write_files_atomic
from cenote.catalog.measured import Measured, measured_values
from cenote.catalog.numbers import counted
from cenote.catalog.results import Figure, Result
from cenote.errors import ResultError

_STYLES = {"holds": "green", "fails": "red", "unclear": "yellow", "designed": "cyan", "not judged": "dim"}
_PRESETS = {
    "tiny": "shows that the experiment runs; no verdicts",
    "smoke": "less data than the declared run, so not a published verdict",
    "laptop": "the declared run",
    "paper": "the paper's own scale",
}
_MEDIA = {".png": "image/png", ".svg": "image/svg+xml"}


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
class _Page:
    """Everything the report says, as finished texts."""

    card: Card
    result: Result
    preset: str
    declared: bool
    counts: tuple[tuple[str, str], ...]  # such as ('holds', '✓ 2 holds')
    claims: tuple[ClaimView, ...]
    measured: Mapping[str, Mapping[str, Sequence[Measured]]]
    settings: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str], ...]


def _page(card: Card, result: Result) -> _Page:
    claims = tuple(claim_views(card, result))
    words = [view.word for view in claims]
    return _Page(
        card=card,
        result=result,
        preset=f"{result.preset}: {_PRESETS.get(result.preset, 'not the declared run, so not a published verdict')}",
        declared=result.preset in PUBLISHED,
        counts=tuple((word, _word_count(word, words.count(word))) for word in ICONS if word in words),
        claims=claims,
        measured=measured_values(card, result.records),
        settings=tuple(_flat(result.settings)),
        environment=tuple(_environment_rows(result)),
    )


def _word_count(word: str, number: int) -> str:
    return f"{counted(number, 'claim')} not judged" if word == "not judged" else f"{ICONS[word]} {number} {word}"


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


def _verdict_table(claims: Iterable[ClaimView]) -> Table:
    table = Table(title="Verdicts", title_justify="left", title_style="bold", box=SIMPLE_HEAD, show_lines=True)
    for head in ("verdict", "claim", "ours, 95 % interval"):
        table.add_column(head, overflow="fold")
    for view in claims:
        verdict = Text(f"{view.icon} {view.label}", style=_STYLES[view.word])
        asked = f"the paper's: {view.figure}{' (unverified)' if view.unverified else ''}; margin: {view.margin}"
        place = f"\non {view.data}, {view.measured_on}" if view.data else ""
        claim = Text.assemble(view.claim.sentence, (f"{place}\n{asked}", "dim"))
        ours = "\n".join(f"{row.baseline}: {row.estimate}\n  {row.interval}".rstrip() for row in view.rows)
        table.add_row(verdict, claim, Text(ours or "–"))
    return table


def _measured_table(data: str, measured: Mapping[str, Sequence[Measured]]) -> Table:
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
