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

_HANDED_ON = frozenset(
    [
        "PATH",
        "HOME",
        "USER",
        "LOGNAME",
        "LANG",
        "LANGUAGE",
        "TMPDIR",
        "TZ",
        "TZDIR",
        "VIRTUAL_ENV",
        "LD_LIBRARY_PATH",
        "DYLD_LIBRARY_PATH",
        "PYTHONHOME",
        "PYTHONPATH",
        "PYTHONUSERBASE",
        "PYTHONNOUSERSITE",
        "PYTHONUTF8",
        "PYTHONPYCACHEPREFIX",
        "PYTHONDONTWRITEBYTECODE",
        "XDG_CACHE_HOME",
        "MPLCONFIGDIR",
        "TORCH_HOME",
        "CUDA_VISIBLE_DEVICES",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "HF_HOME",
        "HF_HUB_CACHE",
        "HF_DATASETS_CACHE",
        "HF_ENDPOINT",
        "HF_HUB_OFFLINE",
        "HF_DATASETS_OFFLINE",
        "CENOTE_DATA",
        "CENOTE_OFFLINE",
    ]
)
"""What a run is told of the server's environment; whatever else stands there may be secret."""

_FAMILIES = ("LC_", "OMP_", "MKL_", "OPENBLAS_", "BLIS_", "NUMBA_", "NUMEXPR_", "VECLIB_", "KMP_", "GOMP_")
"""Beginnings of names that are handed on too: of the locale, and of the libraries that compute."""

_OFFLINE = {"CENOTE_OFFLINE": "1"}
"""What a run is told where the operator says nothing: who presses a button must not make the server download."""

_GONE_WITHIN = 5.0
"""Seconds that the system may take to end a process that was killed."""


class RunProcess:
    """A run's process and those that it starts, in a session of their own.

    Of the environment it is told what it needs and no more. It runs as the server's user all the same, and so could
    read what that user can, the site's home for one: what it runs is the package's own code.

    Leaving the ``with`` block ends all of them. The thread that enters it must live as long, since the system takes the
    end of that thread for the end of the server.

    Args:
        run_id: The run.
        command: What to start.
        log: File for what it prints.
        patience: Seconds to go in which the process may end by itself when it is told to.
        hidden: Folders that the log leaves out, also if their names have blanks.

    Raises:
        OSError: If it cannot be started.
    """

    def __init__(
        self, run_id: str, command: Sequence[str], log: Path, patience: float, hidden: Sequence[Path] = ()
    ) -> None:
        self._run_id = run_id
        self._patience = patience
        shown = {"PYTHONUNBUFFERED": "1", "COLUMNS": "100", "TERM": "dumb"}
        first = [sys.executable, "-I", "-S", child.__file__, str(os.getpid())]  # it needs nothing that is installed
        self._begin = time.monotonic()
        self._process = subprocess.Popen(
            [*first, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=_environment() | shown | {MARK: run_id},
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self._log = Log(self._process.stdout, log, hidden)

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


def _environment() -> dict[str, str]:
    set_here = {name: value for name, value in os.environ.items() if value or not name.startswith("CENOTE_")}
    kept = {name: value for name, value in set_here.items() if name in _HANDED_ON or name.startswith(_FAMILIES)}
    return kept if "HF_HUB_OFFLINE" in kept else _OFFLINE | kept  # with that set, the hub's cache is read


def _session(pid: int) -> int:
    with contextlib.suppress(OSError):
        return os.getsid(pid)
    return -1


def _memory(pid: int) -> int:
    with contextlib.suppress(psutil.Error):
        taken = psutil.Process(pid).memory_full_info()
        return int(getattr(taken, "pss", taken.uss))
    return 0
