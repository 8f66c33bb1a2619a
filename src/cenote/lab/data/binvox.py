"""The binvox format: a grid of occupied cells as runs of equal ones, behind a header of text."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.catalog.files import write_bytes_atomic
from cenote.errors import ArgumentError, DataFormatError

MAGIC = b"#binvox 1"
LARGEST_SIDE = 1024
"""Of a grid, as of the program binvox itself; a damaged header cannot ask for all memory."""

_LONGEST_RUN = 255


@dataclass(frozen=True, eq=False)
class Binvox:
    """A grid and where it lies.

    Attributes:
        grid: True where a cell is occupied, (R, R, R) with axes x, y (up) and z.
        translate: Position of the grid's corner.
        scale: Length of the grid's side.
    """

    grid: NDArray[np.bool_]
    translate: tuple[float, float, float] = (0.0, 0.0, 0.0)
    scale: float = 1.0


def read_binvox(path: str | Path) -> Binvox:
    """Read a binvox file.

    Raises:
        DataFormatError: If it does not begin as one, has no cubic size, or not as many cells as its header says.
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    content = path.read_bytes()
    header, found, data = content.partition(b"\ndata\n")
    lines = header.split(b"\n")
    if lines[0].strip() != MAGIC:
        raise DataFormatError(f"{path}: must begin with {MAGIC.decode()!r}, got {bytes(lines[0][:20])!r}")
    if not found:
        raise DataFormatError(f"{path}: has no line 'data' behind its header")
    sizes, translate, scale = _header(lines[1:], path)
    return Binvox(_cells(data, sizes, path), translate, scale)


def write_binvox(
    path: str | Path,
    grid: NDArray[np.bool_],
    *,
    translate: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scale: float = 1.0,
) -> Path:
    """Write a grid as a binvox file, whole or not at all.

    Args:
        path: The file.
        grid: True where a cell is occupied, (R, R, R) with axes x, y (up) and z.
        translate: Position of the grid's corner.
        scale: Length of the grid's side.

    Raises:
        ArgumentError: If the grid is no boolean cube of 1 to 1,024 cells a side, or a number is not finite.
        StorageError: If it cannot be written.
    """
    check_grid(grid, translate, scale)
    side = len(grid)
    header = b"%s\ndim %d %d %d\n" % (MAGIC, side, side, side)
    header += f"translate {' '.join(map(repr, map(float, translate)))}\nscale {float(scale)!r}\ndata\n".encode()
    target = Path(path)
    write_bytes_atomic(target, header + _runs(grid.transpose(0, 2, 1).ravel()))
    return target


def check_grid(grid: NDArray[np.bool_], translate: tuple[float, float, float], scale: float) -> None:
    """Check a grid that is to be written, and where it lies.

    Raises:
        ArgumentError: If the grid is no boolean cube of 1 to 1,024 cells a side, or a number is not finite.
    """
    if grid.dtype != np.bool_ or grid.ndim != 3 or len(set(grid.shape)) != 1 or not 1 <= len(grid) <= LARGEST_SIDE:
        raise ArgumentError(
            f"grid must be a boolean cube of 1 to {LARGEST_SIDE} cells a side, got {grid.dtype} of shape {grid.shape}"
        )
    if not all(map(math.isfinite, (*translate, scale))):
        raise ArgumentError(f"translate and scale must be finite, got {translate} and {scale}")


def _header(lines: list[bytes], path: Path) -> tuple[tuple[int, int, int], tuple[float, float, float], float]:
    fields = {words[0]: words[1:] for line in lines if (words := line.split())}
    try:
        x, z, y = (int(word) for word in fields[b"dim"])
        tx, ty, tz = (float(word) for word in fields.get(b"translate", (b"0", b"0", b"0")))
        (scale,) = (float(word) for word in fields.get(b"scale", (b"1",)))
    except (KeyError, ValueError) as error:
        raise DataFormatError(f"{path}: header has no three sizes, three offsets and one scale ({error})") from None
    if not 1 <= x == y == z <= LARGEST_SIDE:
        raise DataFormatError(f"{path}: dim must be three equal numbers from 1 to {LARGEST_SIDE}, got {x} {z} {y}")
    return (x, z, y), (tx, ty, tz), scale


def _cells(data: bytes, sizes: tuple[int, int, int], path: Path) -> NDArray[np.bool_]:
    pairs = np.frombuffer(data[: len(data) // 2 * 2], np.uint8).reshape(-1, 2)
    values, counts = pairs.T
    if len(data) % 2 or (values > 1).any():
        raise DataFormatError(f"{path}: data must be pairs of a value, 0 or 1, and a count")
    if counts.sum(dtype=np.int64) != math.prod(sizes):
        raise DataFormatError(f"{path}: has {counts.sum(dtype=np.int64):,} cells, its header says {math.prod(sizes):,}")
    # The file runs over y fastest, then z, then x.
    return np.repeat(values, counts).astype(bool).reshape(sizes).transpose(0, 2, 1)


def _runs(cells: NDArray[np.bool_]) -> bytes:
    starts = np.flatnonzero(np.diff(cells, prepend=~cells[:1]))
    pairs = bytearray()
    for start, length in zip(starts, np.diff(starts, append=len(cells)), strict=True):
        value = int(cells[start])
        full, rest = divmod(int(length), _LONGEST_RUN)
        pairs += bytes((value, _LONGEST_RUN)) * full + bytes((value, rest)) * (rest > 0)
    return bytes(pairs)
