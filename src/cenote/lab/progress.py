"""How far a run is, for other programs: a file of JSON lines."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from cenote.errors import StorageError
from cenote.lab.runner import Progress


class ProgressFile:
    """Appends a line at the start and after each trial, and one that names the run's folder when it is finished.

    Or one that names the data sets where it cannot start for want of them: ``{"missing": ["cifar10"]}``.

    ``{"done": 3, "total": 17, "elapsed": 4.2, "seconds_left": 19.6, "trial": "digits/max/seed-0"}``, where
    ``seconds_left`` is null before the first trial; and at the end ``{"folder": "runs/order-theory/…"}``.

    Args:
        path: The file; lines of an earlier run are left there.

    Raises:
        StorageError: If it cannot be written, here or later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._append()

    def show(self, progress: Progress, seconds_left: float | None) -> None:
        """Add how far the run is."""
        self._append(
            {
                "done": progress.done,
                "total": progress.total,
                "elapsed": round(progress.elapsed, 3),
                "seconds_left": None if seconds_left is None else round(seconds_left, 1),
                "trial": progress.trial,
            }
        )

    def finish(self, folder: Path) -> None:
        """Add where the finished run lies."""
        self._append({"folder": str(folder)})

    def miss(self, names: Sequence[str]) -> None:
        """Add which data sets are not here."""
        self._append({"missing": list(names)})

    def _append(self, *lines: Mapping[str, object]) -> None:
        try:
            with self._path.open("ab") as file:
                for line in lines:  # each in one write, so that a reader who follows sees whole lines
                    file.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
        except OSError as error:
            raise StorageError(f"--progress {self._path} cannot be written: {error.strerror}") from error
