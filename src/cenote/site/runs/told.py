"""What a run's process tells of itself, in the file that ``cenote run --progress`` writes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cenote.site.runs.queue import AskedRun


class _Line(BaseModel):
    done: int | None = None
    total: int | None = None
    seconds_left: float | None = None
    trial: str | None = None
    folder: str | None = None
    missing: list[str] | None = None


class Told:
    """Follows the file, which is not there at first.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self.folder: Path | None = None
        """Of the finished run, once that was said."""
        self.missing = ""
        """Names of the data sets without which it ended, once that was said."""

    def news(self) -> dict[str, Any]:
        """Return how far the run is now, if that was said since the last time."""
        newest: dict[str, Any] = {}
        for line in self._lines():
            if line.folder is not None:
                self.folder = Path(line.folder)
            elif line.missing:
                self.missing = ", ".join(line.missing)
            elif line.total is not None:
                newest = line.model_dump(exclude={"folder", "missing"})
        return newest

    def _lines(self) -> list[_Line]:
        try:
            with self._path.open("rb") as file:
                file.seek(self._read)
                new = file.read()
        except OSError:
            return []
        whole = new[: new.rfind(b"\n") + 1]
        self._read += len(whole)
        lines = []
        for each in whole.splitlines():
            try:
                lines.append(_Line.model_validate_json(each))
            except ValidationError:
                continue  # a line of something else does no harm
        return lines


def run_command(run: AskedRun, runs: Path, progress: Path) -> Sequence[str]:
    """Return the call that does a run, of which a reader has chosen the paper and the preset and nothing else.

    Args:
        run: The run.
        runs: Folder of all runs.
        progress: Where it is to tell how far it is.
    """
    call = [sys.executable, "-P", "-m", "cenote.cli", "run", run.slug]
    return [*call, "--preset", run.preset, "--runs", str(runs), "--progress", str(progress)]
