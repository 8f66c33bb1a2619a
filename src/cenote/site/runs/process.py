"""A run as a process: started, watched and ended with everything it started itself."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil

from cenote.site.runs import child
from cenote.site.runs.log import Log

MARK = "CENOTE_RUN_ID"
"""Environment variable that names the run in each of its processes, so that those are known that a server left."""

_HANDED_ON = ("CENOTE_DATA", "CENOTE_OFFLINE")
"""What a run is told of the site's settings; the others may be secret."""

_GONE_WITHIN = 5.0
"""Seconds that the system may take to end a process that was killed."""


class RunProcess:
    """A run's process and those that it starts, in a session of their own.

    Leaving the ``with`` block ends all of them. The thread that enters it must live as long, since the system takes the
    end of that thread for the end of the server.

    Args:
        run_id: The run.
        command: What to start.
        log: File for what it prints.
        patience: Seconds to go in which the process may end by itself when it is told to.

    Raises:
        OSError: If it cannot be started.
    """

    def __init__(self, run_id: str, command: Sequence[str], log: Path, patience: float) -> None:
        self._run_id = run_id
        self._patience = patience
        kept = {name: value for name, value in os.environ.items() if not _is_setting(name)}
        shown = {"PYTHONUNBUFFERED": "1", "COLUMNS": "100", "TERM": "dumb"}
        first = [sys.executable, "-I", "-S", child.__file__, str(os.getpid())]  # it needs nothing that is installed
        self._begin = time.monotonic()
        self._process = subprocess.Popen(
            [*first, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=kept | shown | {MARK: run_id},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._log = Log(self._process.stdout, log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self._begin

    def wait(self, seconds: float) -> int | None:
        """Wait for its end; return its exit code, or None if it has not ended by then."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self._process.wait(seconds)
        return None

    def memory(self) -> int:
        """Return the bytes that all its processes take together; what they share counts once where the system tells."""
        return sum(_memory(pid) for pid in psutil.pids() if _session(pid) == self._process.pid)

    def end(self) -> None:
        """End all its processes: they are told to first, and killed if they have not gone when the patience ends."""
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            if self.wait(self._patience) is None:
                self._signal(signal.SIGKILL)
                self._process.wait()
        end_processes(self._run_id)
        self._log.close(_GONE_WITHIN)

    def _signal(self, which: signal.Signals) -> None:
        # Its number is not given to others before its end was waited for.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, which)


def end_processes(run_id: str) -> bool:
    """Kill whatever process of a run there is on this machine; return whether all are gone."""
    given_up = time.monotonic() + _GONE_WITHIN
    while found := processes_of(run_id):
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        if time.monotonic() > given_up:
            return False
        time.sleep(0.02)
    return True


def processes_of(run_id: str) -> list[psutil.Process]:
    """Return the processes of a run that are alive, whoever started them."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            # One that ended and was not waited for has no environment.
            if process.environ().get(MARK) == run_id:
                found.append(process)
    return found


def _is_setting(name: str) -> bool:
    return name.startswith("CENOTE_") and name not in _HANDED_ON


def _session(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return -1


def _memory(pid: int) -> int:
    with contextlib.suppress(psutil.Error):
        taken = psutil.Process(pid).memory_full_info()
        return int(getattr(taken, "pss", taken.uss))
    return 0
