"""The papers' vectors in memory: loaded once, brought up to date by what was written since."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, bindparam, func, select

from cenote.site.store.tables import vectors

_BLOCK = 8_192
"""Rows of a block. Blocks grow without copying: 100,000 vectors of 384 numbers take 160 MB and never twice that."""
_READ = 2_000

_SKETCH = 96
"""Numbers of a sketch: the coordinates of a vector along the directions in which the vectors differ most."""

_SAMPLE = 4_096
"""Vectors from which these directions are taken."""

_SKETCHED = 2 * _BLOCK
"""Vectors from which on sketches are worth it: reading all of fewer takes a millisecond or two."""

_LOOKED_AT = 20
"""How many times as many vectors as are asked for are compared in full, those whose sketches are closest."""

_NEWEST = select(func.max(vectors.c.written)).where(vectors.c.encoder == bindparam("encoder"))

Numbers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Snapshot:
    """The vectors as they were at one moment; later ones are not seen through it."""

    blocks: tuple[npt.NDArray[np.float32], ...]
    """Each (``_BLOCK``, D), rows of length one."""
    numbers: Numbers
    """The papers' numbers, in the order of the rows."""
    directions: npt.NDArray[np.float32] | None = None
    """(D, S), orthonormal columns; None where there are no sketches."""
    sketches: tuple[npt.NDArray[np.float32], ...] = ()
    """Each (``_BLOCK``, S): the blocks times the directions."""

    def nearest(self, vector: npt.NDArray[np.float32], most: int) -> tuple[npt.NDArray[np.intp], Scores]:
        """Return places and dot products of the rows closest to a vector of length one, in no order.

        Reading all rows is what a search by meaning spends its time on, so of many rows the sketches are read, a
        quarter as long, and those closest by them are compared in full, ``_LOOKED_AT`` times as many as are asked for.
        The dot products are those of the rows. A row that belongs to the closest may be missed: of arXiv's papers,
        one in thousands.

        **Shapes**: vector (D,), returns (``most``,) and (``most``,), or all rows where there are fewer.
        """
        if self.directions is None or len(self.numbers) <= _LOOKED_AT * most:
            similarities = self.similarities(vector)
            places = _largest(similarities, most)
            return places, similarities[places]
        sketch = vector @ self.directions
        rough = np.concatenate([block @ sketch for block in self.sketches])[: len(self.numbers)]
        looked_at = np.sort(_largest(rough, _LOOKED_AT * most))
        similarities = np.empty(len(looked_at), np.float32)
        ends = np.searchsorted(looked_at, np.arange(1, len(self.blocks) + 1) * _BLOCK)
        for index, (start, stop) in enumerate(zip(np.r_[0, ends[:-1]], ends, strict=True)):
            similarities[start:stop] = self.blocks[index][looked_at[start:stop] - index * _BLOCK] @ vector
        best = _largest(similarities, most)
        return looked_at[best], similarities[best]

    def similarities(self, vector: npt.NDArray[np.float32]) -> Scores:
        """Return the dot product of each row with a vector of length one.

        **Shapes**: vector (D,), returns (rows,).
        """
        if not self.blocks:
            return np.empty(0, np.float32)
        return np.concatenate([block @ vector for block in self.blocks])[: len(self.numbers)]

    def row(self, number: int) -> npt.NDArray[np.float32] | None:
        """Return the vector of one paper."""
        places = np.flatnonzero(self.numbers == number)
        if not len(places):
            return None
        block, row = divmod(int(places[0]), _BLOCK)
        vector: npt.NDArray[np.float32] = self.blocks[block][row]
        return vector


def _largest(scores: Scores, most: int) -> npt.NDArray[np.intp]:
    if len(scores) <= most:
        return np.arange(len(scores))
    return np.argpartition(scores, len(scores) - most)[-most:]


class Vectors:
    """The vectors of one encoder, shared by all threads. Those of deleted papers stay; their numbers lead nowhere."""

    def __init__(self, encoder: str, dimension: int) -> None:
        self._encoder = encoder
        self._dimension = dimension
        self._lock = threading.Lock()
        self._written = 0
        self._blocks: list[npt.NDArray[np.float32]] = []
        self._rows: dict[int, int] = {}
        self._directions: npt.NDArray[np.float32] | None = None
        self._sketches: list[npt.NDArray[np.float32]] = []
        self._snapshot = Snapshot((), np.empty(0, np.int64))

    def current(self, connection: Connection) -> Snapshot:
        """Return all vectors that are in the store; reads only what was written since the last call."""
        if self._newest(connection) > self._written:
            with self._lock:
                if self._newest(connection) > self._written:
                    self._read_on(connection)
        return self._snapshot

    def _newest(self, connection: Connection) -> int:
        return connection.scalar(_NEWEST, {"encoder": self._encoder}) or 0

    def _read_on(self, connection: Connection) -> None:
        newest = self._newest(connection)
        copied = set[int]()
        for numbers, rows in self._since(connection):
            places = [self._rows.setdefault(number, len(self._rows)) for number in numbers]
            for place, row in zip(places, rows, strict=True):
                self._block(place // _BLOCK, copied)[place % _BLOCK] = row
        self._sketch(copied)
        known = np.fromiter(self._rows, np.int64, len(self._rows))
        self._snapshot = Snapshot(tuple(self._blocks), known, self._directions, tuple(self._sketches))
        self._written = newest

    def _sketch(self, changed: set[int]) -> None:
        """Sketch the blocks that changed; the directions stay those of the first vectors, also for later ones."""
        if len(self._rows) < _SKETCHED or self._dimension <= _SKETCH:
            return
        if self._directions is None:
            sample = self._blocks[0][:_SAMPLE]
            _, directions = np.linalg.eigh(sample.T @ sample)  # by rising eigenvalue
            self._directions = np.ascontiguousarray(directions[:, -_SKETCH:])
            changed = set(range(len(self._blocks)))
        self._sketches += [np.empty(0, np.float32)] * (len(self._blocks) - len(self._sketches))
        for index in changed:
            self._sketches[index] = self._blocks[index] @ self._directions

    def _since(self, connection: Connection) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
        query = select(vectors.c.number, vectors.c.vector).where(
            vectors.c.encoder == self._encoder, vectors.c.written > self._written
        )
        result = connection.execute(query, execution_options={"yield_per": _READ})
        for part in result.partitions():
            fitting = [(number, vector) for number, vector in part if len(vector) == 2 * self._dimension]
            rows = np.frombuffer(b"".join(vector for _, vector in fitting), "<f2").reshape(-1, self._dimension)
            rows = rows.astype(np.float32)
            rows /= np.linalg.norm(rows, axis=1, keepdims=True).clip(1e-12)
            yield [number for number, _ in fitting], rows

    def _block(self, index: int, copied: set[int]) -> npt.NDArray[np.float32]:
        """Return a block that no earlier snapshot looks into beyond its own rows, or a copy of it."""
        if index == len(self._blocks):
            self._blocks.append(np.zeros((_BLOCK, self._dimension), np.float32))
            copied.add(index)
        elif index not in copied:
            self._blocks[index] = self._blocks[index].copy()
            copied.add(index)
        return self._blocks[index]
