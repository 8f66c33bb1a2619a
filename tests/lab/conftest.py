from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOMS = Path(__file__).parent / "rooms"
"""Made-up papers. Worker processes inherit the path, so they find them too."""


@pytest.fixture
def tally(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A paper whose trials do what they are told, as the module of its experiment."""
    monkeypatch.syspath_prepend(ROOMS)
    return importlib.import_module("tally.experiment")


@pytest.fixture
def desk(tally: ModuleType, tmp_path: Path) -> Any:
    """Where orders for the trials of ``tally`` go in and notes of what ran come out."""
    path = tmp_path / "desk"
    path.mkdir()
    return tally.Desk(path)
