"""The folder of a run: a header, records that are only ever appended, and a lock.

runs/<slug>/<run-id>/
    run.json        settings, commit, hashes and machine, written once at the start
    records.jsonl   one line a finished trial, synced to disk before the next one counts
    result.json     and the report with its figures, at the end
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from cenote.catalog.files import write_text_atomic
from cenote.catalog.results import DataSource, Environment, Hashes, Record, Result, read_result
from cenote.catalog.settings import EnvironmentSettings
from cenote.errors import RunError, StorageError

HEADER, RECORDS, RESULT, LOCK = "run.json", "records.jsonl", "result.json", ".lock"


class Header(BaseModel):
    """What a run is, fixed when it starts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    slug: str
    run_id: str
    preset: str
    settings: dict[str, Any]
    started: dt.datetime
    commit: str
    clean: bool
    hashes: Hashes
    environment: Environment
    data: tuple[DataSource, ...] | None = None
    """The data sets as they were found; None in a run that did not keep them."""

    def same_work(self, other: Header) -> bool:
        """Whether records of the other run can be continued by this one."""
        keys = ("slug", "preset", "settings", "hashes") + (() if None in (self.data, other.data) else ("data",))
        return all(getattr(self, key) == getattr(other, key) for key in keys)


class FinishedTrial(BaseModel):
    """One line of ``records.jsonl``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trial: str
    part: str
    """The process that ran it: a run that was killed and resumed has several parts."""
    elapsed: float
    """Seconds since that process started working."""
    records: tuple[Record, ...]


def runs_root(root: Path | None = None) -> Path:
    """Return where runs live: the given folder, ``CENOTE_RUNS``, or ``./runs``."""
    return root or EnvironmentSettings().runs


def new_run_id(preset: str, now: dt.datetime) -> str:
    """Return an identifier that sorts by time: ``20261122-081500-smoke-3fa9``."""
    return f"{now:%Y%m%d-%H%M%S}-{preset}-{secrets.token_hex(2)}"


class RunFolder:
    """A run on disk. One process at a time works on it (see ``locked``)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.part = secrets.token_hex(4)

    @classmethod
    def create(cls, root: Path, header: Header) -> RunFolder:
        """Make the folder and write its header.

        Raises:
            StorageError: If it cannot be written; the folder is then gone again.
        """
        path = root / header.slug / header.run_id
        try:
            path.mkdir(parents=True)
        except OSError as error:
            raise StorageError(f"run folder {path} could not be made: {error.strerror}") from error
        try:
            write_text_atomic(path / HEADER, header.model_dump_json(indent=2) + "\n")
        except StorageError:
            with contextlib.suppress(OSError):
                path.rmdir()
            raise
        return cls(path)

    @classmethod
    def find(cls, root: Path, header: Header, *, finished: bool = False) -> RunFolder | None:
        """Return the newest run of the same work that is unfinished (or, if ``finished``, in any state), or None."""
        for path in sorted((root / header.slug).glob(f"*/{HEADER}"), reverse=True):
            folder = cls(path.parent)
            if (finished or not folder.finished) and folder.header().same_work(header):
                return folder
        return None

    @property
    def finished(self) -> bool:
        """Whether the run has its result."""
        return (self.path / RESULT).is_file()

    def header(self) -> Header:
        """Read the header.

        Raises:
            RunError: If it is missing or damaged.
        """
        try:
            return Header.model_validate_json((self.path / HEADER).read_bytes())
        except (OSError, ValidationError):
            raise RunError(f"{self.path / HEADER} is missing or damaged; remove the folder to start anew") from None

    def result(self) -> Result:
        """Read the result.

        Raises:
            RunError: If the run is not finished.
            ResultError: If the file does not match its checksum.
        """
        if not self.finished:
            raise RunError(f"run {self.path.name} is not finished; the same command resumes it")
        return read_result(self.path / RESULT, figures=self.path)

    def append(self, trial: str, records: Sequence[Record], elapsed: float) -> None:
        """Add a finished trial: in one write, synced, so that a kill loses at most the trial under way.

        Raises:
            StorageError: If it cannot be written, such as on a full disk; the half-written line is taken back.
        """
        line = FinishedTrial(trial=trial, part=self.part, elapsed=round(elapsed, 3), records=tuple(records))
        path = self.path / RECORDS
        size = path.stat().st_size if path.exists() else 0
        try:
            with path.open("ab") as file:
                file.write(line.model_dump_json(exclude_defaults=True).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            _cut(path, size)
            raise StorageError(f"{path} could not be written: {error.strerror}; the run can be resumed") from error

    def trials(self) -> Mapping[str, FinishedTrial]:
        """Read the finished trials; a torn last line, left by a kill or being written just now, does not count.

        Raises:
            RunError: If a complete line is damaged.
        """
        path = self.path / RECORDS
        if not path.exists():
            return {}
        trials: dict[str, FinishedTrial] = {}
        for number, line in enumerate(path.read_bytes().split(b"\n")[:-1], start=1):
            try:
                trial = FinishedTrial.model_validate_json(line)
            except ValidationError:
                raise RunError(f"{path}, line {number}, is damaged; remove {self.path} to start anew") from None
            trials[trial.trial] = trial
        return trials

    def seconds(self) -> float:
        """Return the time spent computing, pauses between parts left out."""
        parts: dict[str, float] = {}
        for trial in self.trials().values():
            parts[trial.part] = max(parts.get(trial.part, 0.0), trial.elapsed)
        return sum(parts.values())

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for this process; the lock ends with the process, however it ends.

        What a kill left behind is cleared away first: a torn last line, and files that did not get their name.

        Raises:
            RunError: If another process is working on the run.
            StorageError: If the folder cannot be written.
        """
        import fcntl

        try:
            file = (self.path / LOCK).open("w")
        except OSError as error:
            raise StorageError(f"run folder {self.path} cannot be written: {error.strerror}") from error
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RunError(f"run {self.path.name} is being worked on by another process") from None
            except OSError as error:
                raise StorageError(f"run folder {self.path} cannot be locked: {error.strerror}") from error
            self._clear()
            yield

    def _clear(self) -> None:
        path = self.path / RECORDS
        if path.exists():
            _cut(path, path.read_bytes().rfind(b"\n") + 1)
        for leftover in self.path.glob(".*.tmp"):
            leftover.unlink(missing_ok=True)


def _cut(path: Path, size: int) -> None:
    """Shorten a file to its last good byte."""
    if path.exists() and path.stat().st_size > size:
        os.truncate(path, size)


def dump_settings(settings: BaseModel) -> dict[str, Any]:
    """Return settings as plain JSON values, so that a stored header equals a fresh one."""
    values: dict[str, Any] = json.loads(settings.model_dump_json())
    return values
