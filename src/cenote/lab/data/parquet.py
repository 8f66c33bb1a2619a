"""The hub's tables of labelled images: parquet files whose image column holds encoded bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from cenote.errors import DataFormatError
from cenote.lab.data.encoded import EncodedSplit
from cenote.lab.data.images import check_labels

_SHARD = re.compile(r"-of-(\d+)\.parquet$")


@dataclass(frozen=True)
class ImageTable:
    """What the table of a data set holds.

    Attributes:
        image: Name of the column with images, a struct of ``bytes`` and ``path``.
        label: Name of the column with labels.
        shape: Shape ``(H, W, C)`` of each image.
        classes: Names of the classes, in the order of their labels.
    """

    image: str
    label: str
    shape: tuple[int, int, int]
    classes: tuple[str, ...]

    def read(self, folder: Path, split: str) -> EncodedSplit:
        """Read all parquet files of a split.

        Raises:
            DataFormatError: If a file is missing, damaged or holds something else.
        """
        return self._split({str(path): self._read_file(path) for path in _shards(folder, split)})

    def take(self, tables: Mapping[str, pa.Table], split: str, source: str) -> EncodedSplit:
        """Take a split out of the tables the hub gave.

        Raises:
            DataFormatError: If the split is missing or holds something else.
        """
        if split not in tables:
            raise DataFormatError(f"{source}: has no split {split!r}, only {', '.join(tables)}")
        name = f"{source}, split {split}"
        self._check(tables[split].schema, name)
        return self._split({name: tables[split]})

    def _split(self, tables: Mapping[str, pa.Table]) -> EncodedSplit:
        encoded: list[bytes] = []
        labels: list[NDArray[np.int64]] = []
        for source, table in tables.items():
            encoded += self._contents(table, source)
            labels.append(self._labels(table, source))
        files = [(source, table.num_rows) for source, table in tables.items()]
        return EncodedSplit(encoded, np.concatenate(labels), self.shape, files)

    def _contents(self, table: pa.Table, source: str) -> list[bytes]:
        contents: list[bytes] = pc.struct_field(table[self.image], "bytes").to_pylist()
        for row, content in enumerate(contents):
            if not content:
                raise DataFormatError(f"{source}: row {row} holds no image bytes")
        return contents

    def _labels(self, table: pa.Table, source: str) -> NDArray[np.int64]:
        column = table[self.label]
        if column.null_count:
            raise DataFormatError(f"{source}: {column.null_count} rows have no label")
        labels = np.array(column.to_numpy(), dtype=np.int64)
        check_labels(labels, len(self.classes), source)
        return labels

    def _read_file(self, path: Path) -> pa.Table:
        try:
            with pq.ParquetFile(path) as file:
                self._check(file.schema_arrow, str(path))
                return file.read(columns=[self.image, self.label])
        except (pa.ArrowException, OSError) as error:
            reason = str(error).partition("\n")[0]
            raise DataFormatError(f"{path}: cannot be read as parquet ({reason}); it may be truncated") from error

    def _check(self, schema: pa.Schema, source: str) -> None:
        for column in (self.image, self.label):
            if column not in schema.names:
                raise DataFormatError(f"{source}: has no column {column!r}, only {', '.join(schema.names)}")
        image, label = schema.field(self.image).type, schema.field(self.label).type
        if not pa.types.is_struct(image) or image.get_field_index("bytes") < 0:
            raise DataFormatError(f"{source}: column {self.image!r} is {image}, needs struct<bytes, path>")
        if not pa.types.is_integer(label):
            raise DataFormatError(f"{source}: column {self.label!r} is {label}, needs integers")
        declared = _declared_classes(schema, self.label)
        if declared is not None and [*map(_letters, declared)] != [*map(_letters, self.classes)]:
            raise DataFormatError(
                f"{source}: its classes are {', '.join(declared)}; this data set's are {', '.join(self.classes)}"
            )


def _shards(folder: Path, split: str) -> list[Path]:
    """The files of a split, complete by the count in their names: ``train-00000-of-00002.parquet``."""
    paths = sorted(folder.glob(f"{split}-*.parquet"))
    if not paths:
        raise DataFormatError(f"{folder}: has no {split}-*.parquet")
    count = _SHARD.search(paths[-1].name)
    if count and int(count[1]) != len(paths):
        raise DataFormatError(f"{folder}: has {len(paths)} of the {int(count[1])} files of split {split!r}")
    return paths


def _declared_classes(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    """The class names that ``datasets`` wrote into the schema, if it did."""
    try:
        features = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(features[label]["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _letters(name: str) -> str:
    """A class name without case, spaces and punctuation, in which copies differ: 'T - shirt / top', 'T-shirt/top'."""
    return "".join(filter(str.isalnum, name.lower()))
