"""The IDX files of MNIST and its relatives, with or without gzip.

torchvision's reader takes no gzip, checks by assertion and returns tensors, hence these few lines.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cenote.errors import DataFormatError

_UNSIGNED_BYTE = 8


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file of unsigned bytes.

    Args:
        path: The file; decompressed if its name ends in ``.gz``.
        dimensions: How many dimensions its array has: 1 for labels, 3 for images.

    Raises:
        DataFormatError: If the file is damaged, or holds another type or number of dimensions.
    """
    content = _content(path)
    magic = bytes((0, 0, _UNSIGNED_BYTE, dimensions))
    header = len(magic) + 4 * dimensions
    if content[: len(magic)] != magic:
        raise DataFormatError(f"{path}: starts with {content[:4].hex(' ')}, an IDX file of it with {magic.hex(' ')}")
    if len(content) < header:
        raise DataFormatError(f"{path}: ends inside its header, after {len(content)} of {header} bytes")
    shape = struct.unpack_from(f">{dimensions}I", content, len(magic))
    expected = header + math.prod(shape)
    if len(content) != expected:
        raise DataFormatError(f"{path}: has {len(content):,} bytes, its header says {expected:,}; it may be truncated")
    return np.frombuffer(content, np.uint8, offset=header).reshape(shape).copy()


def _content(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            return file.read()
    except (OSError, EOFError, zlib.error) as error:
        raise DataFormatError(f"{path}: cannot be read ({error}); it may be truncated") from error
