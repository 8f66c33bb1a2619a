"""Where the site keeps what runs write: their logs, and the folders of the runs themselves."""

from __future__ import annotations

import shutil
from pathlib import Path

from cenote.site.runs.queue import AskedRun


class RunFiles:
    """Where the site keeps what runs write.

    Args:
        home: The site's folder.
    """

    def __init__(self, home: Path) -> None:
        self.runs = home.resolve() / "runs"
        """Folder of all runs, as ``cenote run --runs`` takes it."""
        self._logs = home.resolve() / "run-logs"

    def log(self, run_id: str) -> Path:
        """What a run printed."""
        return self._logs / f"{run_id}.log"

    def progress(self, run_id: str) -> Path:
        """How far a run is, while it is under way."""
        return self._logs / f"{run_id}.progress"

    def folder(self, run: AskedRun) -> Path | None:
        """Folder of a finished run, if it lies on this machine."""
        if run.folder is None:
            return None
        path = self.runs / run.folder
        return path if path.is_dir() else None

    def relative(self, slug: str, folder: Path | None) -> str | None:
        """Return a finished run's folder as the store keeps it, if it is one of this paper."""
        if folder is None or folder.resolve().parent != self.runs / slug:
            return None
        return f"{slug}/{folder.name}"

    def remove(self, run: AskedRun) -> None:
        """Delete a run's files on this machine."""
        self.log(run.id).unlink(missing_ok=True)
        folder = self.folder(run)
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
