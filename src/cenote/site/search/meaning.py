"""Search by meaning: the encoder and the vectors, if they are there."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from sqlalchemy import ColumnElement, Connection

from cenote.errors import StorageError
from cenote.site.search.vectors import Snapshot, Vectors
from cenote.site.store.reading import fitting

if TYPE_CHECKING:
    from cenote.site.search.encoder import Encoder

MOST_CLOSE = 100
"""Papers that count as close to a query, at most."""
FLOOR = 0.25
"""Cosine below which a paper does not count as close to a query."""
_FIRST_LOOK, _LONGEST_LOOK = 512, 16_384
"""Papers whose conditions are looked up at once: few first, since the closest are seldom all needed."""
_DESCRIPTION = Path("encoder", "encoder.json")


@dataclass(frozen=True)
class Ready:
    """What a search by meaning needs."""

    encoder: Encoder
    vectors: Vectors


class Meaning:
    """Loads the encoder when it is first needed, and again when another is put in its place."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._seen: tuple[int, int] | None = None
        self._ready: Ready | None = None
        self._wrong = ""

    def ready(self) -> Ready | str:
        """Return the encoder with its vectors, or a sentence that says why there is no search by meaning."""
        try:
            status = (self._home / _DESCRIPTION).stat()
        except OSError:
            return NO_ENCODER
        seen = (status.st_mtime_ns, status.st_ino)
        if seen != self._seen:
            with self._lock:
                if seen != self._seen:
                    self._load()
                    self._seen = seen
        return self._ready or self._wrong

    def missing(self) -> str:
        """Return why there is no search by meaning, as far as that is known without loading anything; else nothing."""
        return self._wrong if (self._home / _DESCRIPTION).exists() else NO_ENCODER

    def forget(self) -> None:
        """Let go of encoder and vectors; they are loaded again when they are needed."""
        with self._lock:
            self._seen = self._ready = None

    def _load(self) -> None:
        # Not with the module: a site without an encoder, and a command that only reads, need no ONNX Runtime.
        from cenote.site.search.encoder import FOLDER, Encoder

        try:
            encoder = Encoder(self._home / FOLDER, quantized=True)
        except StorageError as error:
            self._ready = None
            self._wrong = f"Search by meaning is off: {error}; `cenote embed --export` makes it anew."
            return
        known = self._ready
        same = known is not None and known.encoder.description == encoder.description
        description = encoder.description
        vectors = known.vectors if known and same else Vectors(description.name, description.dimension)
        self._ready = Ready(encoder, vectors)
        self._wrong = ""


NO_ENCODER = "Search by meaning is off: there is no encoder yet; `cenote embed` makes it."
NO_VECTORS = "Search by meaning is off: no paper has a vector yet; `cenote embed` makes them."


def closest(
    connection: Connection,
    snapshot: Snapshot,
    vector: npt.NDArray[np.float32],
    where: Sequence[ColumnElement[bool]] = (),
    *,
    most: int = MOST_CLOSE,
    floor: float = FLOOR,
) -> dict[int, float]:
    """Return the numbers of the papers closest to a vector with their similarities, closest first, ties by number.

    Args:
        connection: To look conditions up.
        snapshot: The papers' vectors.
        vector: Of length one.
        where: What must hold of a paper.
        most: How many at most.
        floor: The least similarity.
    """
    if not where:
        return _ordered(*snapshot.nearest(vector, most), snapshot, floor)
    similarities = snapshot.similarities(vector)
    close: dict[int, float] = {}
    for places in _by_similarity(similarities, floor, max(most, _FIRST_LOOK)):
        numbers = snapshot.numbers[places]
        kept = np.isin(numbers, fitting(connection, numbers.tolist(), where))
        close |= zip(numbers[kept].tolist(), similarities[places[kept]].tolist(), strict=True)
        if len(close) >= most:
            break
    return dict(sorted(close.items(), key=_closest_first)[:most])


def _ordered(
    places: npt.NDArray[np.intp], similarities: npt.NDArray[np.float32], snapshot: Snapshot, floor: float
) -> dict[int, float]:
    numbers = snapshot.numbers[places].tolist()
    close = [pair for pair in zip(numbers, similarities.tolist(), strict=True) if pair[1] >= floor]
    return dict(sorted(close, key=_closest_first))


def _closest_first(pair: tuple[int, float]) -> tuple[float, int]:
    return -pair[1], pair[0]


def _by_similarity(similarities: npt.NDArray[np.float32], floor: float, first: int) -> Iterator[npt.NDArray[np.intp]]:
    """Yield the places above the floor in parts, each part below the last: those of one call are seldom all needed."""
    left = np.flatnonzero(similarities >= floor)
    size = first
    while len(left) > size:
        order = np.argpartition(-similarities[left], size)
        yield left[order[:size]]
        left = left[order[size:]]
        size = min(8 * size, _LONGEST_LOOK)
    if len(left):
        yield left
