"""Open what is to be read, whatever it is: a file, standard input or an address of the web."""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from cenote.errors import ArgumentError, SourceError
from cenote.site.reading.unpacking import Limits, unpacked
from cenote.site.reading.web import Body, Web

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@contextlib.contextmanager
def open_source(source: str | Path, *, limits: Limits | None = None, web: Web | None = None) -> Iterator[BinaryIO]:
    """Open a file, ``-`` (standard input) or an http(s) address for reading.

    What is packed by gzip, zstandard or bzip2 is unpacked as it is read, whatever its name; of files also a zip archive
    that holds one file. ``tell`` gives the position in unpacked bytes.

    Args:
        source: What to open.
        limits: How much it may give; ``Limits()`` if None.
        web: What to ask for an address; one that reaches public hosts only if None.

    Yields:
        A buffered binary stream.

    Raises:
        ArgumentError: If the source is an address of another kind.
        SourceError: If it cannot be opened; while it is read, if it is damaged, cut short or gives more than it may.

    Example:
        >>> import gzip, pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder) / "papers.jsonl"
        ...     _ = path.write_bytes(gzip.compress(b'{"id": "0704.0001"}'))
        ...     with open_source(path) as stream:
        ...         stream.read(), stream.tell()
        (b'{"id": "0704.0001"}', 19)
    """
    limits = limits or Limits()
    name = str(source)
    with contextlib.ExitStack() as stack:
        if name == "-":
            yield stack.enter_context(unpacked(sys.stdin.buffer, "standard input", limits))
        elif isinstance(source, Path) or not _SCHEME.match(name):
            yield stack.enter_context(unpacked(stack.enter_context(_open(Path(source))), name, limits))
        elif name.lower().startswith(("http://", "https://")):
            asked = web or stack.enter_context(Web())
            body = Body(stack.enter_context(asked.get(name)))
            yield stack.enter_context(unpacked(body, body.name, limits))
        else:
            raise ArgumentError(f"source must be a file, '-' or an http(s) address, got {name!r:.200}")


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb", buffering=0)
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} cannot be opened: {getattr(error, 'strerror', None) or error}") from error
