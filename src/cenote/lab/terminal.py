"""Running and verifying from the terminal: settings in, progress while it runs, tables at the end."""

from __future__ import annotations

import difflib
import json
import math
import re
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from cenote.catalog.card import Card
from cenote.catalog.numbers import write_duration
from cenote.catalog.results import latest
from cenote.errors import ArgumentError, DataNotFoundError, RunError
from cenote.lab import data
from cenote.lab.experiment import load_experiment
from cenote.lab.progress import ProgressFile
from cenote.lab.provenance import available_cores
from cenote.lab.publishing import Check, compare, publish
from cenote.lab.report import terminal_summary
from cenote.lab.runner import Progress, run

QUIET_SECONDS = 30
"""Between two lines of progress where the output is not a terminal."""


def settings_from(config: Path | None, pairs: Sequence[str], data_sets: Sequence[str]) -> dict[str, Any]:
    """Collect overrides: a file's settings, then KEY=VALUE pairs, then data sets.

    Args:
        config: A ``.toml`` or ``.json`` file with a table of settings.
        pairs: ``key=value``; a value is read as JSON where it is JSON (``12``, ``[1, 2]``, ``true``), else as text.
        data_sets: Names of data sets.

    Raises:
        ArgumentError: If the file cannot be read or a pair has no ``=``.
    """
    overrides = _read_config(config) if config is not None else {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise ArgumentError(f"--set needs KEY=VALUE, got {pair!r}")
        overrides[key.replace("-", "_")] = _value(value)
    return overrides | ({"data": list(data_sets)} if data_sets else {})


def _read_config(path: Path) -> dict[str, Any]:
    readers: dict[str, Callable[[str], Any]] = {".toml": tomllib.loads, ".json": json.loads}
    if path.suffix not in readers:
        raise ArgumentError(f"--config must be a .toml or .json file, got {path}")
    try:
        content = readers[path.suffix](path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ArgumentError(f"--config {path} cannot be read: {error.strerror}") from None
    except ValueError as error:  # what both parsers raise
        raise ArgumentError(f"--config {path}: {error}") from None
    if not isinstance(content, dict):
        raise ArgumentError(f"--config {path} must hold a table of settings, got {type(content).__name__}")
    return content


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


@contextmanager
def report_progress(jobs: int | None = None, file: ProgressFile | None = None) -> Iterator[Callable[[Progress], None]]:
    """Show progress with the time left: a bar on a terminal, now and then a line elsewhere.

    Args:
        jobs: Trials side by side; the number of cores by default.
        file: Where it is written for other programs too.
    """
    pace = Pace(jobs or available_cores())
    with _shown(Console(stderr=True)) as show:

        def report(progress: Progress) -> None:
            left = pace.seconds_left(progress)
            if file is not None:
                file.show(progress, left)
            show(progress, left)

        yield report


@contextmanager
def report_missing(file: ProgressFile | None) -> Iterator[None]:
    """Tell other programs which data sets a run ends for want of, and its readers no folder of this machine.

    Args:
        file: Where it is written; if None, the error is as it was, for whoever is at the terminal.
    """
    try:
        yield
    except DataNotFoundError as error:
        names = re.findall(r"data set '([^']+)' not found", str(error))
        if file is None or not names:
            raise
        file.miss(names)
        raise DataNotFoundError(f"not on this machine: {', '.join(names)}") from None


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[Progress, float | None], None]]:
    if not console.is_terminal:
        yield _Lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[left]}"))
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("trials", total=None, left="")

        def show(progress: Progress, left: float | None) -> None:
            described = progress.trial or "trials"
            bar.update(task, total=progress.total, completed=progress.done, left=_clock(left), description=described)

        yield show


class Pace:
    """Expects how long a run still takes, from the progress it is shown after each trial.

    A worker's first trial includes its start, the reading of the data and compilation; it does not count where others
    follow.
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._warm = 0.0

    def seconds_left(self, progress: Progress) -> float | None:
        """Return the expected seconds to go, None before the first trial."""
        fresh = progress.done - progress.resumed
        if fresh <= self._workers:
            self._warm = progress.elapsed
            return progress.seconds_left
        return (progress.elapsed - self._warm) / (fresh - self._workers) * (progress.total - progress.done)


class _Lines:
    """One line at the start, then one every ``QUIET_SECONDS``."""

    def __init__(self) -> None:
        self._last = -float(QUIET_SECONDS)

    def __call__(self, progress: Progress, left: float | None) -> None:
        now = time.monotonic()
        if now - self._last >= QUIET_SECONDS or progress.done == progress.total:
            resumed = f" ({progress.resumed} from before)" if progress.resumed else ""
            sys.stderr.write(f"{progress.done} of {progress.total} trials{resumed}  {_clock(left)}\n")
            self._last = now


def _clock(seconds: float | None) -> str:
    return "" if seconds is None else f"{write_duration(seconds)} left"


def run_and_show(
    card: Card,
    preset: str,
    *,
    overrides: Mapping[str, Any],
    root: Path | None,
    data_root: Path | None,
    jobs: int | None,
    fresh: bool,
    publishing: bool,
    on_progress: Callable[[Progress], None],
    shows_root: bool = True,
) -> Path:
    """Run an experiment, print its tables and the report's path, and publish it if asked to; return the run's folder.

    Where others read along, ``shows_root`` leaves out of the path where runs live on this machine.

    Raises:
        ArgumentError: If there is no data set of a name that was asked for.
    """
    _check_data(card, overrides.get("data", ()))
    result, folder = run(
        card,
        preset,
        overrides=overrides,
        root=root,
        data_root=data_root,
        jobs=jobs,
        fresh=fresh,
        reuse_finished=publishing,
        on_progress=on_progress,
    )
    console = Console()
    for part in terminal_summary(card, result):
        console.print(part)
    report = folder.path / "report.html"
    if not shows_root:
        report = report.relative_to(folder.path.parent.parent)
    console.print(f"report: {report}", soft_wrap=True, highlight=False)
    if publishing:
        console.print(f"published: {publish(card, folder)}", soft_wrap=True, highlight=False)
    return folder.path


def _check_data(card: Card, wanted: object) -> None:
    """Say at once, in the command line's words, that neither the lab nor the experiment knows a data set."""
    presets = load_experiment(card).presets.values()
    known = sorted({*data.names(), *(name for settings in presets for name in settings.data)})
    for name in wanted if isinstance(wanted, list) else ():
        if isinstance(name, str) and name not in known:
            near = difflib.get_close_matches(name.casefold(), known, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(known)}"
            raise ArgumentError(f"--data: there is no data set {name!r}; {hint}")


def verify_and_show(
    card: Card,
    *,
    root: Path | None,
    data_root: Path | None,
    jobs: int | None,
    on_progress: Callable[[Progress], None],
) -> bool:
    """Run a paper's newest published result anew, print the comparison, and return whether a verdict is reversed.

    Raises:
        RunError: If the paper has no published result.
    """
    published = latest(card.slug)
    if published is None:
        raise RunError(f"{card.slug} has no published result to verify")
    fresh, folder = run(
        card,
        published.preset,
        overrides=published.settings,
        root=root,
        data_root=data_root,
        jobs=jobs,
        on_progress=on_progress,
    )
    checks = compare(published, fresh)
    console = Console()
    console.print(_check_table(checks))
    console.print(f"report: {folder.path / 'report.html'}", soft_wrap=True, highlight=False)
    return any(check.outcome == "reversed" for check in checks)


def _check_table(checks: Sequence[Check]) -> Table:
    table = Table(box=None, pad_edge=False)
    for column in ("claim", "data", "published", "fresh", "outcome", "published figure", "fresh figure", "predicted"):
        table.add_column(column, overflow="fold")
    for check in checks:
        figures = (_or_dash(check.figure), _or_dash(check.fresh_figure), _prediction(check))
        table.add_row(check.claim, check.data, check.published, check.fresh, check.outcome, *figures)
    return table


def _prediction(check: Check) -> str:
    """The interval in which the fresh figure was to be expected; a dash where the published run has none to give."""
    if math.isnan(check.low) or math.isnan(check.high):
        return "–"
    return f"{check.low:.4g} to {check.high:.4g}: {'inside' if check.as_predicted else 'outside'}"


def _or_dash(figure: float) -> str:
    return "–" if math.isnan(figure) else f"{figure:.4g}"
