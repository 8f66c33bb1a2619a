"""Keepers that start what a test chooses in place of ``cenote run``, and what became of it."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cenote.catalog import get_card
from cenote.site.methods import Method
from cenote.site.runs import queue
from cenote.site.runs.keeper import Command, Pace, RunKeeper
from cenote.site.runs.process import processes_of
from cenote.site.runs.queue import AskedRun, State
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database

FAKE = Path(__file__).with_name("fake_run.py")

QUICK = Pace(watching=0.02, waiting=0.05, patience=0.3)

PATIENCE = 60.0
"""Seconds after which what should have happened is given up."""


class AnyMethod:
    """Takes every slug for one of a paper that runs."""

    def by_slug(self, slug: str) -> Method | None:
        return None if slug == "gone" else Method(get_card("order-theory"), (), stale=False)


def fake(journal: Path, kind: str, *amounts: float) -> Command:
    """Return what starts a fake run of this kind."""

    def command(run: AskedRun, runs: Path, progress: Path) -> Sequence[str]:
        # The folder is that of the slug and preset, as the same work of a killed run is taken up again.
        folder = runs / run.slug / f"fake-{run.preset}"
        call = [sys.executable, "-I", "-S", str(FAKE), kind, str(journal), run.id, str(folder), str(progress)]
        return [*call, *map(str, amounts)]

    return command


class Servers:
    """Servers that keep runs, in processes of their own, forked from one that has imported everything."""

    def __init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._started: list[Any] = []
        self._context.set_forkserver_preload(["__main__", "cenote.site.runs.keeper", "sqlalchemy.dialects.sqlite"])

    def start(self, url: str, home: Path, call: str) -> Any:
        """Start one; ``call`` is the call of this module's functions that says what it starts for a run."""
        code = SERVER.format(folder=str(FAKE.parent), url=url, home=str(home), call=call)
        process = self._context.Process(target=exec, args=(code, {"__name__": "server"}), daemon=True)
        process.start()
        self._started.append(process)
        return process

    def close(self) -> None:
        """Kill those that are still there."""
        for process in self._started:
            process.kill()
            process.join(PATIENCE)


SERVER = """
import sys, threading
from pathlib import Path
sys.path.insert(0, {folder!r})
import keeping
from cenote.site.runs.keeper import RunKeeper
from cenote.site.runs.told import run_command
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
home = Path({home!r})
keeper = RunKeeper(
    SiteSettings(home=home), Database({url!r}), keeping.AnyMethod(), command={call}, pace=keeping.QUICK, attempts=1000
)
threading.Event().wait()
"""


def within_patience(reached: Callable[[], bool]) -> None:
    given_up = time.monotonic() + PATIENCE
    while not reached():
        assert time.monotonic() < given_up
        time.sleep(0.01)


@dataclass
class Place:
    """A store with a home, in which keepers work."""

    database: Database
    home: Path
    stack: ExitStack

    @property
    def journal(self) -> Path:
        return self.home / "journal"

    def keeper(self, kind: str, *amounts: float, attempts: int = 3, **settings: float) -> RunKeeper:
        keeper = RunKeeper(
            SiteSettings(home=self.home, **settings),  # type: ignore[arg-type]
            self.database,
            AnyMethod(),  # type: ignore[arg-type]
            command=fake(self.journal, kind, *amounts),
            pace=QUICK,
            attempts=attempts,
        )
        self.stack.callback(keeper.close)
        return keeper

    def now(self) -> dt.datetime:
        return dt.datetime.now(dt.UTC)

    def ask(self, slug: str = "a", preset: str = "smoke") -> str:
        with self.database.write() as connection:
            return queue.ask(connection, slug, preset, "someone", self.now()).id

    def run(self, run_id: str) -> AskedRun:
        with self.database.read() as connection:
            found = queue.find_run(connection, run_id)
        assert found is not None
        return found

    def cancel(self, run_id: str) -> None:
        with self.database.write() as connection:
            queue.cancel(connection, run_id, self.now())

    def wait(self, run_id: str, state: State) -> AskedRun:
        """Wait until a run is in a state; that it ends in another is an error at once."""

        def reached() -> bool:
            run = self.run(run_id)
            assert run.state is state or not run.state.ended, run
            return run.state is state

        within_patience(reached)
        return self.run(run_id)

    def entries(self) -> list[list[str]]:
        """The journal: what, run, process, moment."""
        return [line.split() for line in self.journal.read_text().splitlines()] if self.journal.exists() else []

    def wait_for_start(self, run_id: str) -> int:
        """Wait until a run's process does its work; return its number."""
        started = lambda: [entry for entry in self.entries() if entry[:2] == ["start", run_id]]  # noqa: E731
        within_patience(lambda: bool(started()))
        return int(started()[-1][2])

    def nothing_is_left_of(self, run_id: str) -> bool:
        return processes_of(run_id) == []
