"""What the benchmarks share: the check that the machine is idle, and the table of ratios."""

from __future__ import annotations

from collections.abc import Collection

import torch
from rich.console import Console
from rich.table import Table

from cenote.lab.timing import Timings, machine_load, require_idle

THREADS = 2


def begin(console: Console, what: str, busy: bool) -> None:
    """Fix the number of threads and say how busy the machine is.

    Args:
        what: The input, for the first line.
        busy: Go on on a busy machine too.

    Raises:
        RunError: If more than half a core is busy, and ``busy`` is not asked for.
    """
    torch.set_num_threads(THREADS)
    if not busy:
        require_idle(0.5)
    console.print(f"busy cores before: {machine_load().busy_cores:.2f}; {what}; {THREADS} threads")


def table(title: str, timings: Timings, reference: str, target: float, judged: Collection[str]) -> Table:
    """Show every function's median time and its ratio to the reference with a 95 % interval.

    Args:
        target: The largest ratio that is within the target.
        judged: The functions that are held against the target.
    """
    shown = Table(title=f"{title}: target ≤ {target:g} × {reference}", title_justify="left")
    for column in ("what", "ms", f"ratio to {reference}", "95 % interval", ""):
        shown.add_column(column)
    for name in timings.seconds:
        ratio = timings.ratio(name, reference)
        verdict = ("within" if ratio.median <= target else "MISSED") if name in judged else ""
        interval = f"{ratio.low:.4f} – {ratio.high:.4f}"
        shown.add_row(name, f"{1e3 * timings.median(name):.2f}", f"{ratio.median:.4f}", interval, verdict)
    return shown
