"""The papers' vectors in memory: loaded once, brought up to date by what was written since."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sqlalchemy import Connection, func, select

from cenote.site.store.tables import vectors

_BLOCK = 8_192
"""Rows of a block. Blocks grow without copying: 100,000 vectors of 384 numbers take 160 MB and never twice that."""
_READ = 2_000

Numbers = npt.NDArray[np.int64]
Scores = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Snapshot:
    """The vectors as they were at one moment; later ones are not seen through it."""

    blocks: tuple[npt.NDArray[np.float32], ...]
    """Each (``_BLOCK``, D), rows of length one."""
    numbers: Numbers
    """The papers' numbers, in the order of the rows."""

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


class Vectors:
    """The vectors of one encoder, shared by all threads. Those of deleted papers stay; their numbers lead nowhere."""

    def __init__(self, encoder: str, dimension: int) -> None:
        self._encoder = encoder
        self._dimension = dimension
        self._lock = threading.Lock()
        self._written = 0
        self._blocks: list[npt.NDArray[np.float32]] = []
        self._rows: dict[int, int] = {}
        self._snapshot = Snapshot((), np.empty(0, np.int64))

    def current(self, connection: Connection) -> Snapshot:
        """Return all vectors that are in the store; reads only what was written since the last call."""
        if self._newest(connection) > self._written:
            with self._lock:
                if self._newest(connection) > self._written:
                    self._read_on(connection)
        return self._snapshot

    def _newest(self, connection: Connection) -> int:
        return connection.scalar(select(func.max(vectors.c.written)).where(vectors.c.encoder == self._encoder)) or 0

    def _read_on(self, connection: Connection) -> None:
        newest = self._newest(connection)
        copied = set[int]()
        for numbers, rows in self._since(connection):
            places = [self._rows.setdefault(number, len(self._rows)) for number in numbers]
            for place, row in zip(places, rows, strict=True):
                self._block(place // _BLOCK, copied)[place % _BLOCK] = row
        self._snapshot = Snapshot(tuple(self._blocks), np.fromiter(self._rows, np.int64, len(self._rows)))
        self._written = newest

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
