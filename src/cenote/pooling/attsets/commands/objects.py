"""One's own objects: a folder of images for each, with its grid in a binvox file where it is known."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError, DataFormatError
from cenote.lab.data.binvox import read_binvox
from cenote.lab.data.image_files import MEMORY_LIMIT, read_image
from cenote.lab.data.imagefolder import SUFFIXES
from cenote.lab.data.shapenet import GRIDS, RENDERINGS
from cenote.pooling.progress import Progress

WHITE = 255
"""Ground of transparent images: what the network takes for nothing."""

LAYOUT = (
    f"a folder of images for each object, with its grid in a .binvox file, or {RENDERINGS} and {GRIDS} as 3D-R2N2 has"
)


@dataclass(frozen=True)
class Entry:
    """An object on disk.

    Attributes:
        name: Its folder below the one that was named, or that folder's own name.
        folder: Where its images lie.
        images: Its images by their names.
        grid: Its binvox file, if it has one.
    """

    name: str
    folder: Path
    images: tuple[Path, ...]
    grid: Path | None


def find_objects(folder: Path) -> tuple[Entry, ...]:
    """Find the objects in a folder and below, by their names.

    Raises:
        ArgumentError: If there is no such folder, or no object in it.
        DataFormatError: If an object has several grids.
    """
    if not folder.is_dir():
        raise ArgumentError(f"folder: {folder} {'is a file' if folder.exists() else 'does not exist'}")
    if (folder / RENDERINGS).is_dir():
        found = _tree(folder)
    else:
        below = (path for path in folder.rglob("*") if path.is_dir() and not _hidden(path, folder))
        found = [entry for place in sorted((folder, *below)) if (entry := _entry(place, folder)) is not None]
    if not found:
        raise ArgumentError(f"folder: {folder} has no object; needs {LAYOUT}")
    return tuple(found)


def split_objects(entries: Sequence[Entry]) -> tuple[list[Entry], list[Entry]]:
    """Return the objects to train on, and every fifth by name to test on.

    Raises:
        ArgumentError: If there are fewer than two.
        DataFormatError: If one has no grid.
    """
    for entry in entries:
        if entry.grid is None:
            raise DataFormatError(f"{entry.folder}: has images but no .binvox file to train on")
    if len(entries) < 2:
        raise ArgumentError(f"folder: has {len(entries)} object, needs two or more, to train and to test")
    return [entry for index, entry in enumerate(entries) if index % 5], list(entries[::5])


class Collection:
    """Objects whose images are kept decoded as long as they fit into memory; others are decoded when asked for.

    Args:
        entries: The objects.
        image_size: Side that their images are brought to.
        resolution: Cells along a side that a grid must have; those of the first grid if left out.
        progress: Told how many were read.
        others: Whether a grid of another size is passed over, not refused.

    Attributes:
        entries: The objects.
        counts: Images of each.
        grids: The grid of each, None where it has none.
        other_sizes: Cells along a side of the grids that were passed over.
        checksum: SHA-256 over names, pixels and cells.

    Raises:
        DataFormatError: If an image or a grid is damaged, grids differ in size, or one has no occupied cell.
    """

    def __init__(
        self,
        entries: Sequence[Entry],
        image_size: int,
        progress: Progress,
        resolution: int | None = None,
        *,
        others: bool = False,
    ) -> None:
        self.entries = tuple(entries)
        self.counts = np.array([len(entry.images) for entry in entries])
        self._image_size = image_size
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self.grids: list[NDArray[np.bool_] | None] = []
        self.other_sizes: dict[Entry, int] = {}
        digest, room = hashlib.sha256(), MEMORY_LIMIT
        like = "the objects to train on have"
        for index, entry in enumerate(entries):
            views = self._read(entry)
            if views.nbytes <= room:
                self._kept[index] = views
                room -= views.nbytes
            digest.update(entry.name.encode() + views.tobytes())
            grid = None if entry.grid is None else read_grid(entry.grid)
            if grid is not None and others and len(grid) != resolution:
                self.other_sizes[entry] = len(grid)
                grid = None
            if grid is not None:
                if resolution is None:
                    resolution, like = len(grid), f"{entry.grid} has"
                if len(grid) != resolution:
                    raise DataFormatError(
                        f"{entry.grid}: has {len(grid)} cells along a side, needs {resolution} as {like}"
                    )
                digest.update(np.packbits(grid).tobytes())
            self.grids.append(grid)
            progress("reading objects", index + 1, len(entries))
        self.checksum = digest.hexdigest()

    def __len__(self) -> int:
        return len(self.entries)

    def views(self, index: int) -> NDArray[np.uint8]:
        """Return the images of the object at a position, (V, S, S, 3)."""
        kept = self._kept.get(index)
        return self._read(self.entries[index]) if kept is None else kept

    def targets(self) -> NDArray[np.bool_]:
        """Return the grids of objects that all have one, (M, R, R, R)."""
        return np.stack([grid for grid in self.grids if grid is not None])

    def _read(self, entry: Entry) -> NDArray[np.uint8]:
        return np.stack([read_image(path, self._image_size, WHITE) for path in entry.images])


def read_grid(path: Path) -> NDArray[np.bool_]:
    """Read a grid.

    Raises:
        DataFormatError: If the file is damaged, or the grid empty.
    """
    grid = read_binvox(path).grid
    if not grid.any():
        raise DataFormatError(f"{path}: has no occupied cell")
    return grid


def _entry(place: Path, root: Path) -> Entry | None:
    files = sorted(
        (path for path in place.iterdir() if path.is_file() and not path.name.startswith(".")), key=_numbered
    )
    images = tuple(path for path in files if path.suffix.lower() in SUFFIXES)
    grids = [path for path in files if path.suffix.lower() == ".binvox"]
    if not images and not grids:
        return None
    if not images:
        raise DataFormatError(f"{place}: has {grids[0].name} but no image ({', '.join(sorted(SUFFIXES))})")
    if len(grids) > 1:
        raise DataFormatError(f"{place}: has {len(grids)} .binvox files, needs one, of the object in the images")
    name = place.name if place == root else place.relative_to(root).as_posix()
    return Entry(name, place, images, grids[0] if grids else None)


def _tree(folder: Path) -> list[Entry]:
    """The objects of ShapeNet as 3D-R2N2 rendered it, whose images and grids lie in trees of their own."""
    found = []
    for place in sorted((folder / RENDERINGS).glob("*/*/rendering")):
        name = place.parent.relative_to(folder / RENDERINGS).as_posix()
        images = tuple(sorted((path for path in place.iterdir() if path.suffix.lower() in SUFFIXES), key=_numbered))
        if not images:
            raise DataFormatError(f"{place}: has no image ({', '.join(sorted(SUFFIXES))})")
        grid = folder / GRIDS / name / "model.binvox"
        found.append(Entry(name, place, images, grid if grid.is_file() else None))
    return found


def _numbered(path: Path) -> list[tuple[int, str]]:
    """By name, with the numbers in it as numbers: 2.png before 10.png."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d+)", path.name)]


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)
