"""Say what works on this machine: packages, devices, data sets, cards and results. Needs no extra itself."""

from __future__ import annotations

import importlib
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from cenote import __version__
from cenote.catalog import published
from cenote.catalog.fingerprint import is_stale
from cenote.catalog.loading import PACKAGE, read_cards, unwritten
from cenote.errors import CenoteError

_SIGNS = {True: "✓", False: "✗", None: "–"}


def examine(data_root: Path | None = None) -> tuple[Table, bool]:
    """Return a table of findings, and whether cards and results are sound (what is merely absent does not count)."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for _ in range(3):
        table.add_column(overflow="fold")  # a path that is cut cannot be opened
    sound = True
    for what, fine, detail in _findings(data_root):
        table.add_row(_SIGNS[fine], escape(what), escape(detail))
        sound = sound and fine is not False
    return table, sound


def _findings(data_root: Path | None) -> Iterator[tuple[str, bool | None, str]]:
    yield "cenote", True, f"{__version__} on Python {platform.python_version()}"
    yield from _extras()
    yield _device()
    yield from _data(data_root)
    yield from _papers()


def _extras() -> Iterator[tuple[str, bool | None, str]]:
    """What the extra ``lab`` brings, as the package itself declares it."""
    missing, found = [], []
    for requirement in metadata.requires("cenote") or []:
        if 'extra == "lab"' not in requirement.replace("'", '"'):
            continue
        name = requirement.split(";")[0].split(">")[0].split("[")[0].strip()
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    detail = ", ".join(found)
    if missing:
        detail = f"missing {', '.join(missing)}: pip install 'cenote[lab]'"
    yield "to run experiments", None if missing else True, detail


def _device() -> tuple[str, bool | None, str]:
    try:
        torch = importlib.import_module("torch")
    except ImportError:
        return "device", None, "torch is not installed"
    if torch.cuda.is_available():
        return "device", True, f"{torch.cuda.get_device_name()}"
    threads = torch.get_num_threads()
    return "device", True, f"CPU with {threads} thread{'' if threads == 1 else 's'}"


def _data(data_root: Path | None) -> Iterator[tuple[str, bool | None, str]]:
    try:
        data = importlib.import_module("cenote.lab.data")
    except ImportError:
        return
    for name in data.names():
        if name == "imagefolder":  # always somebody's own folder
            continue
        try:
            with _offline():
                found = data.load(name, data_root)
        except CenoteError as error:
            yield f"data {name}", None, str(error)
        except ImportError as error:
            yield f"data {name}", None, f"{error.name} is not installed"
        else:
            size = (
                found.size()
                if isinstance(found, data.SensorRecordings)
                else f"{len(found.train):,} training and {len(found.test):,} test images"
            )
            yield f"data {name}", True, size


@contextmanager
def _offline() -> Iterator[None]:
    """A look at what is there must not download anything."""
    before = os.environ.get("CENOTE_OFFLINE")
    os.environ["CENOTE_OFFLINE"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["CENOTE_OFFLINE"]
        else:
            os.environ["CENOTE_OFFLINE"] = before


def _papers() -> Iterator[tuple[str, bool | None, str]]:
    cards, damaged = read_cards()
    yield "cards", not damaged, f"{len(cards) + len(damaged)} papers, {sum(card.runs for card in cards)} of them run"
    for broken in damaged:
        yield f"card of {broken.slug}", False, _inside(broken.problem)
    for card in cards:
        keys = list(unwritten(card))
        if keys:
            yield f"card of {card.slug}", False, f"still to be written: {', '.join(keys)}"
        try:
            results = list(published(card.slug))
        except CenoteError as error:
            yield f"results of {card.slug}", False, _inside(str(error))
            continue
        if results:
            stale = "; the newest is stale" if is_stale(card, results[0]) else ""
            yield f"results of {card.slug}", True, f"{len(results)} published, newest {results[0].run_id}{stale}"


def _inside(sentence: str) -> str:
    """Name files of the package by their place in it."""
    return sentence.replace(f"{PACKAGE}{os.sep}", f"{PACKAGE.name}{os.sep}")
