"""A recording of sensors as a CSV file, read a few rows at a time; what is wrong in it is said with line and column."""

from __future__ import annotations

import csv
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import ArgumentError, DataFormatError

SEPARATORS = ",;\t"
"""Of columns; a file has the one that its first line has most of."""

ROWS = 4096
"""Rows of a piece."""


@dataclass(frozen=True)
class Rows:
    """Some rows of a file.

    Attributes:
        file: Its name, for errors.
        columns: Names of the columns.
        cells: The rows, each with a cell for every column.
        lines: Line of the file that each row ends in.
    """

    file: str
    columns: tuple[str, ...]
    cells: Sequence[Sequence[str]]
    lines: Sequence[int]

    def numbers(self, columns: Sequence[str]) -> NDArray[np.float32]:
        """Return some of the columns as numbers, in this order, (T, S).

        Raises:
            DataFormatError: If a cell is no finite number.
        """
        places = [self.columns.index(column) for column in columns]
        picked = [[row[place] for place in places] for row in self.cells]
        try:
            with np.errstate(over="ignore"):
                values = np.array(picked, np.float64).astype(np.float32)
        except ValueError:
            values = np.array([[np.nan]], np.float32)
        if not np.isfinite(values).all():
            raise self._no_number(picked, columns)
        return values

    def texts(self, column: str) -> list[str]:
        """Return a column as it is written, without space around."""
        place = self.columns.index(column)
        return [row[place].strip() for row in self.cells]

    def _no_number(self, picked: Sequence[Sequence[str]], columns: Sequence[str]) -> DataFormatError:
        for line, row in zip(self.lines, picked, strict=True):
            for column, cell in zip(columns, row, strict=True):
                if not _is_number(cell):
                    return DataFormatError(
                        f"{self.file}: line {line}, column {column!r}: got {cell!r}, allowed is a finite number such "
                        "as -0.25; leave these rows out, or the column if it is no sensor"
                    )
        return DataFormatError(f"{self.file}: lines {self.lines[0]} to {self.lines[-1]} hold no finite numbers")


class RecordingFile:
    """A CSV file whose first line names the columns and whose other lines are frames.

    Args:
        lines: Its lines, which are read when they are asked for: a file, or what another program is writing.
        name: What errors call it.

    Raises:
        DataFormatError: If there is no first line, it does not name every column, or two columns alike.
    """

    def __init__(self, lines: Iterable[str], name: str) -> None:
        self.name = name
        rest = iter(lines)
        try:
            head = next(rest, "")
        except UnicodeDecodeError as error:
            raise DataFormatError(f"{name}: line 1 is not text in UTF-8 ({error.reason})") from error
        separator = max(SEPARATORS, key=head.count)
        self._reader = csv.reader(itertools.chain([head], rest), delimiter=separator)
        self.columns = tuple(cell.strip() for cell in next(self._reader, []))
        self._check()

    def _check(self) -> None:
        if not self.columns:
            raise DataFormatError(f"{self.name}: is empty; needs a first line that names the columns")
        if "" in self.columns:
            raise DataFormatError(f"{self.name}: line 1 has no name for column {self.columns.index('') + 1}")
        twice = sorted({column for column in self.columns if self.columns.count(column) > 1})
        if twice:
            raise DataFormatError(f"{self.name}: line 1 names {len(twice)} columns twice: {', '.join(twice)}")

    def require(self, columns: Iterable[str]) -> None:
        """Check that the file has some columns.

        Raises:
            DataFormatError: If one is missing; says which there are.
        """
        missing = [column for column in columns if column not in self.columns]
        if missing:
            named = ", ".join(map(repr, missing))
            raise DataFormatError(f"{self.name}: line 1 has no column {named}; there are {', '.join(self.columns)}")

    def pieces(self, size: int = ROWS) -> Iterator[Rows]:
        """Yield the rows from top to bottom, ``size`` at a time; empty lines are passed over.

        Raises:
            DataFormatError: If a row has another number of cells than there are columns, or is no text.
        """
        cells: list[list[str]] = []
        lines: list[int] = []
        for row in self._rows():
            if len(row) != len(self.columns):
                raise DataFormatError(
                    f"{self.name}: line {self._reader.line_num} has {len(row)} cells, allowed is {len(self.columns)}: "
                    "one for each column"
                )
            cells.append(row)
            lines.append(self._reader.line_num)
            if len(cells) == size:
                yield Rows(self.name, self.columns, cells, lines)
                cells, lines = [], []
        if cells:
            yield Rows(self.name, self.columns, cells, lines)

    def _rows(self) -> Iterator[list[str]]:
        try:
            yield from filter(None, self._reader)
        except (csv.Error, UnicodeDecodeError) as error:
            reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error)
            raise DataFormatError(
                f"{self.name}: behind line {self._reader.line_num} it is not CSV in UTF-8 ({reason})"
            ) from error


@contextmanager
def open_recording(path: Path, name: str) -> Iterator[RecordingFile]:
    """Open a recording.

    Raises:
        ArgumentError: If it cannot be opened.
        DataFormatError: If its first line does not name the columns.
    """
    try:
        file = path.open(encoding="utf-8-sig", newline="")
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield RecordingFile(file, name)


def files_in(folder: Path) -> dict[str, Path]:
    """Return the CSV files of a folder and of those in it, by name from the folder, in order.

    Raises:
        ArgumentError: If there is no such folder, or no such file in it.
    """
    if not folder.is_dir():
        raise ArgumentError(f"folder: {folder} {'is a file' if folder.exists() else 'does not exist'}")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() == ".csv" and path.is_file())
    if not paths:
        raise ArgumentError(f"folder: {folder} holds no .csv file; needs one for each recording")
    return {path.relative_to(folder).as_posix(): path for path in paths}


def _is_number(cell: str) -> bool:
    try:
        with np.errstate(over="ignore"):
            return math.isfinite(np.float32(float(cell)))
    except ValueError:
        return False
