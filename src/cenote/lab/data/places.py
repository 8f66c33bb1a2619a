"""Where a data set is looked for: the data roots on disk in their order, then the hub."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cenote.catalog.settings import EnvironmentSettings
from cenote.errors import DataNotFoundError
from cenote.lab.data import hub
from cenote.lab.data.images import ImageClassification

ROOT_VARIABLE = "CENOTE_DATA"
_LISTED = 12


@dataclass(frozen=True)
class Layout:
    """One way the files of a data set lie under a root.

    Attributes:
        folder: The folder under the root.
        pattern: Glob pattern of its files; one match and the layout is taken to be there.
        read: Reads the folder, and says what is missing or damaged.
    """

    folder: str
    pattern: str
    read: Callable[[Path], ImageClassification]

    def __str__(self) -> str:
        return f"{self.folder}/{self.pattern}"


@dataclass(frozen=True)
class HubRepository:
    """A data set on the Hugging Face hub.

    Attributes:
        path: Owner and name.
        configuration: Name of the configuration.
        read: Turns the table of each split into the data set.
    """

    path: str
    configuration: str
    read: Callable[[Mapping[str, Any]], ImageClassification]


@dataclass(frozen=True)
class PublicDataSet:
    """A data set that people download: the layouts it comes in and its home on the hub.

    Attributes:
        name: Its name in the registry.
        layouts: Under each root, the first that is there is read.
        repository: Its home on the hub.
        sizes: Number of training and of test images; a copy with fewer says so in its note.
        refused: Layouts that are recognised only to say why they are not read, where no root has another one.
        system_roots: Roots where the system's packages put it, looked at last.
    """

    name: str
    layouts: tuple[Layout, ...]
    repository: HubRepository
    sizes: tuple[int, int]
    refused: tuple[Layout, ...] = ()
    system_roots: tuple[Path, ...] = ()

    def load(self, root: Path | None) -> ImageClassification:
        """Load it from the first place that has it.

        Raises:
            DataNotFoundError: If no place has it; says where it was looked for and what is there instead.
            DataFormatError: If a file is damaged, or only a refused layout is there.
        """
        data = self._read(root)
        counts = (len(data.train), len(data.test))
        if counts == self.sizes:
            return data
        of = [f"{count:,} of {size:,}" for count, size in zip(counts, self.sizes, strict=True)]
        return replace(data, note=f"{data.note} Has {of[0]} training and {of[1]} test images.".strip())

    def _read(self, root: Path | None) -> ImageClassification:
        roots = (*data_roots(root), *self.system_roots)
        for layouts in (self.layouts, self.refused):
            for place in roots:
                for layout in layouts:
                    folder = place / layout.folder
                    if any(folder.glob(layout.pattern)):
                        return layout.read(folder)
        try:
            tables = hub.fetch(self.repository.path, self.repository.configuration)
        except DataNotFoundError as error:
            raise DataNotFoundError(
                f"data set {self.name!r} not found: {looked_in(roots)}; {error}; set {ROOT_VARIABLE} or --data-root to "
                f"a folder with {' or '.join(map(str, self.layouts))}, or connect to the hub"
            ) from error
        return self.repository.read(tables)


def data_roots(root: Path | None) -> tuple[Path, ...]:
    """Return the folders that may hold data sets, in the order they are looked at.

    Args:
        root: What the user named; comes before the folder that ``CENOTE_DATA`` names.

    Raises:
        DataNotFoundError: If ``root`` is not a folder: a slip there should not end in a download.
    """
    if root is not None and not root.expanduser().is_dir():
        raise DataNotFoundError(f"root: {root} is not a folder; name one that holds data sets")
    places = (root, EnvironmentSettings().data)
    return tuple(dict.fromkeys(place.expanduser() for place in places if place is not None))


def looked_in(roots: Sequence[Path]) -> str:
    """Say which roots were looked at and what each holds."""
    if not roots:
        return f"no data root is set ({ROOT_VARIABLE}, --data-root)"
    return "looked in " + ", and in ".join(f"{root}, which {_holds(root)}" for root in roots)


def _holds(root: Path) -> str:
    if not root.is_dir():
        return "is not a folder"
    entries = sorted(path.name + "/" * path.is_dir() for path in root.iterdir() if not path.name.startswith("."))
    if not entries:
        return "is empty"
    more = f" and {len(entries) - _LISTED} more" if len(entries) > _LISTED else ""
    return f"holds {', '.join(entries[:_LISTED])}{more}"
