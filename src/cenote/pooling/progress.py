"""How far a step of a command is, on the terminal or in a log."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

Progress = Callable[[str, int, int], None]
"""Called with what is done, how many are done, and of how many; what stands before a comma names the step."""


@contextmanager
def show_progress() -> Iterator[Progress]:
    """Show how far a step is: a bar on a terminal, a line a tenth elsewhere."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:

        def say(what: str, done: int, total: int) -> None:
            if done == total or 10 * done // total > 10 * (done - 1) // total:
                console.print(f"{what}: {done} of {total}", soft_wrap=True)

        yield say
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")
        kind = ""

        def show(what: str, done: int, total: int) -> None:
            nonlocal kind
            if what.partition(",")[0] != kind:
                kind = what.partition(",")[0]
                bar.reset(task)
            bar.update(task, description=what, completed=done, total=total)

        yield show
