"""The keeper of the runs: a thread of the web process that starts what waits, watches it, and says how it ended."""

from __future__ import annotations

import datetime as dt
import logging
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cenote.catalog.settings import EnvironmentSettings
from cenote.site.methods import Methods
from cenote.site.runs import queue
from cenote.site.runs.files import RunFiles
from cenote.site.runs.log import last_line
from cenote.site.runs.process import RunProcess, end_processes
from cenote.site.runs.queue import MOST_ATTEMPTS, AskedRun, State
from cenote.site.runs.streams import Streams
from cenote.site.runs.told import Told, run_command
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.locks import exclusive

_log = logging.getLogger(__name__)

KEPT = 100
"""Runs that ended of which the store, the log and the folder are kept."""

Command = Callable[[AskedRun, Path, Path], Sequence[str]]
"""What to start for a run, given the folder of all runs and the file for its progress."""


@dataclass(frozen=True)
class Pace:
    """How often a keeper looks, in seconds."""

    watching: float = 0.5
    """At a run that is under way."""
    waiting: float = 2.0
    """For runs that were asked for at another process of the site, or that another left."""
    patience: float = 10.0
    """What a run that is told to end may take for it."""


@dataclass(frozen=True)
class _Ending:
    """How an attempt ended; a run that is to be gone on with is queued."""

    state: State
    message: str | None = None
    folder: str | None = None


class RunKeeper:
    """Does the runs that were asked for, one at a time among all processes of the site.

    Who gets the lock of the runs knows that nobody else has one under way. What the store says to be running was then
    left by a server that ended without a word: what is alive of it is killed, and it is put back into the queue. Runs
    are resumed where they stopped.

    Args:
        settings: The site's.
        database: The store.
        methods: The papers that run.
        command: What is started.
        pace: How often it looks.
        attempts: How often a run is started that ends with its server each time.
    """

    def __init__(
        self,
        settings: SiteSettings,
        database: Database,
        methods: Methods,
        *,
        command: Command = run_command,
        pace: Pace | None = None,
        attempts: int = MOST_ATTEMPTS,
    ) -> None:
        self._settings = settings
        self._database = database
        self._methods = methods
        self._command = command
        self._pace = pace or Pace()
        self._attempts = attempts
        self._host = socket.gethostname()
        self.files = RunFiles(settings.home)
        data = EnvironmentSettings().data
        self._hidden = [self.files.runs, settings.home.resolve(), Path.home(), *([data] if data else [])]
        self.streams = Streams()
        """Of pages that follow runs in this process."""
        self._woken = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="keeper of the runs", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that a run was asked for."""
        self._woken.set()

    def close(self) -> None:
        """End the run that is under way; it goes on at the next start of a server."""
        self._closing.set()
        self._woken.set()
        self._thread.join()

    def _keep(self) -> None:
        fails = False
        while not self._closing.is_set():
            try:
                self._work()
                fails = False
            except Exception:  # a store that does not answer, say; the thread must not end, and looks again
                if not fails:
                    _log.exception("the runs could not be kept; it is tried again until they can")
                fails = True
            self._woken.wait(self._pace.waiting)
            self._woken.clear()

    def _work(self) -> None:
        """Do what is queued, if no other process does."""
        with self._database.read() as connection:
            if not queue.is_work_left(connection):
                return
        with exclusive(self._database, self._settings.home, "runs") as got:
            if not got or not self._take_over():
                return
            while not self._closing.is_set():
                with self._database.write() as connection:
                    run = queue.claim(connection, self._host, _now())
                if run is None:
                    return
                self._do(run)
                self._tidy()

    def _take_over(self) -> bool:
        """Put back what another server left running; return False if a process of it cannot be ended."""
        with self._database.read() as connection:
            left = queue.left_running(connection)
        for run in left:
            if not end_processes(run.id):
                _log.error("a process of run %s cannot be ended; no run is started until it is gone", run.id)
                return False
            self._write(run, self._left(run, Told(self.files.progress(run.id))), counts=True)
        return True

    def _left(self, run: AskedRun, told: Told) -> _Ending:
        """What becomes of a run whose server ended."""
        self._noted(run, told)  # what was done last, too
        finished = self._judged(run, told)
        if finished.state is State.DONE:  # only nobody was there any more to write it down
            return finished
        if run.cancelling:
            return _Ending(State.CANCELLED, queue.CANCELLED)
        if run.attempts >= self._attempts:
            return _Ending(State.FAILED, f"It was started {run.attempts} times, and the server ended each time.")
        return _Ending(State.QUEUED)

    def _do(self, run: AskedRun) -> None:
        """Start a run, watch it, and write how it ended."""
        method = self._methods.by_slug(run.slug)
        if method is None or not method.card.runs:
            ending: _Ending | None = _Ending(State.FAILED, "This paper does not run here.")
        else:
            ending = self._attempt(run)
        if ending is not None:
            self._write(run, ending, counts=False)
            self.files.progress(run.id).unlink(missing_ok=True)

    def _write(self, run: AskedRun, ending: _Ending, *, counts: bool) -> None:
        with self._database.write() as connection:
            if ending.state is State.QUEUED:
                queue.put_back(connection, run, _now(), counts=counts)
            else:
                queue.end(connection, run, ending.state, ending.message, _now(), ending.folder)

    def _attempt(self, run: AskedRun) -> _Ending | None:
        """Return how it ended; None if it is not this keeper's run any more."""
        progress = self.files.progress(run.id)
        try:
            progress.parent.mkdir(parents=True, exist_ok=True)
            progress.unlink(missing_ok=True)
            call = self._command(run, self.files.runs, progress)
            process = RunProcess(run.id, call, self.files.log(run.id), self._pace.patience, self._hidden)
        except OSError as error:
            return _Ending(State.FAILED, f"It could not be started: {error.strerror or error}.")
        with process:
            return self._watch(run, process, Told(progress))

    def _watch(self, run: AskedRun, process: RunProcess, told: Told) -> _Ending | None:
        """Look at a run until it ends or must be ended."""
        while True:
            code = process.wait(self._pace.watching)
            now = self._noted(run, told)
            if now is None:
                return None
            if code == 0:
                return self._judged(run, told)
            if code is not None:
                return _Ending(State.FAILED, _why(code, self.files.log(run.id), process, told))
            if self._closing.is_set():
                return _Ending(State.QUEUED)
            must = self._must_end(now, process)
            if must is not None:
                return must

    def _noted(self, run: AskedRun, told: Told) -> AskedRun | None:
        """Write how far a run is, and return what the store says of it."""
        news = told.news()
        if not news:
            with self._database.read() as connection:
                return queue.still_ours(connection, run)
        with self._database.write() as connection:
            queue.tell(connection, run, **news)
            return queue.still_ours(connection, run)

    def _must_end(self, run: AskedRun, process: RunProcess) -> _Ending | None:
        minutes, memory = self._settings.run_minutes, self._settings.run_memory_gib
        if run.cancelling:
            return _Ending(State.CANCELLED, queue.CANCELLED)
        if process.seconds > 60 * minutes:
            return _Ending(State.FAILED, f"It was stopped after {minutes:g} minutes, the longest a run may take here.")
        if process.memory() > memory * 2**30:
            return _Ending(
                State.FAILED, f"It was stopped when it took more than {memory:g} GiB of memory, the most it may here."
            )
        return None

    def _judged(self, run: AskedRun, told: Told) -> _Ending:
        """What a run comes to whose process ended well."""
        self._noted(run, told)  # what it said last, and perhaps after its server had ended
        folder = self.files.relative(run.slug, told.folder)
        if folder is None:
            return _Ending(State.FAILED, "It ended without a result.")
        return _Ending(State.DONE, folder=folder)

    def _tidy(self) -> None:
        """Forget the runs that ended long ago, with their files."""
        with self._database.write() as connection:
            gone = queue.forget_runs(connection, KEPT)
        for run in gone:
            self.files.remove(run)


def _why(code: int, log: Path, process: RunProcess, told: Told) -> str:
    """Why a run died: data that are not there, its last words, or the signal that ended it."""
    if code < 0:
        return f"Its process was ended by signal {-code}."
    if told.missing:
        return f"The data sets this needs are not on this machine: {told.missing}; the operator sets CENOTE_DATA."
    process.end()  # so that all it printed is in the log
    return last_line(log).removeprefix("cenote: ") or f"It ended with exit code {code}."


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
