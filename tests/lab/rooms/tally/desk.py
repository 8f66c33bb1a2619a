"""The folder that a tally is given as data root: orders for its trials go in, notes of what ran come out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Note:
    """One execution of a trial."""

    trial: str
    process: int
    began: float
    ended: float


@dataclass(frozen=True)
class Desk:
    """Files, so that orders and notes pass between processes."""

    path: Path

    def order(self, **orders: str) -> None:
        """Replace all orders; a key is a trial's with ``_`` for ``/``, or ``sources`` or ``figures``."""
        (self.path / "orders.json").write_text(json.dumps(orders))

    def ordered(self, name: str) -> str:
        path = self.path / "orders.json"
        orders: dict[str, str] = json.loads(path.read_text()) if path.exists() else {}
        return orders.get(name.replace("/", "_").replace("-", "_"), "")

    def note(self, note: Note) -> None:
        with (self.path / "notes").open("a") as file:
            file.write(json.dumps([note.trial, note.process, note.began, note.ended]) + "\n")

    def notes(self) -> list[Note]:
        path = self.path / "notes"
        return [Note(*json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []

    def ran(self) -> list[str]:
        """Trials that were measured to the end, in the order in which they ended."""
        return [note.trial for note in self.notes()]
