"""The log of a run: what it prints, of which the newest part is kept."""

from __future__ import annotations

import contextlib
import os
import re
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from cenote.catalog.numbers import counted

LARGEST = 2_000_000
"""Bytes of a log."""

CUT = b"[what was printed before is left out]\n"

_CHUNK = 65_536


_NAME = rb"[^\s/:;,'\"`<>()\[\]{}]"

_FOLDERS = re.compile(rb"(?:file://|(?<=\s-[IL])|(?<![\w./<]))/(?=" + _NAME + rb")(?:" + _NAME + rb"+/)*")
"""The folders of an absolute path; an address of the web, a fraction or a path from here has none."""

_LONGEST_LINE = 8_192


class Log:
    """Writes what comes out of a pipe to a file, in a thread, until the pipe is closed.

    Whoever sees the run may read it, so no path tells where things lie on this machine: of each its last name is left.
    A full file is shortened to its newer half. A disk that is full stops the log, not the run.

    Args:
        source: The pipe.
        path: The file; what it holds already stays.
        hidden: Folders that are left out even if their names have blanks, by which else a path ends.
        largest: Bytes that the file may have.
    """

    def __init__(self, source: IO[bytes], path: Path, hidden: Sequence[Path] = (), largest: int = LARGEST) -> None:
        self._source = source
        self._path = path
        # The longest first, so that of a folder in another one nothing is left.
        self._hidden = sorted({f"{folder}/".encode() for folder in hidden}, key=len, reverse=True)
        self._largest = largest
        self._thread = threading.Thread(target=self._copy, name="log of a run", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> None:
        """Wait until all is written; after ``timeout`` seconds the rest is left out."""
        self._thread.join(timeout)

    def _copy(self) -> None:
        begun = b""
        with self._source as source:
            while chunk := source.read1(_CHUNK):  # type: ignore[attr-defined]
                whole, begun = _whole_lines(begun + chunk)
                self._append(self._without_folders(whole))
        self._append(self._without_folders(begun))

    def _without_folders(self, text: bytes) -> bytes:
        for folder in self._hidden:
            text = text.replace(folder, b"")
        return _FOLDERS.sub(b"", text)

    def _append(self, text: bytes) -> None:
        with contextlib.suppress(OSError):
            with self._path.open("ab") as file:
                file.write(text)
                size = file.tell()
            if size > self._largest:
                newer = _end(self._path, self._largest // 2)
                shortened = self._path.with_name(f".{self._path.name}.tmp")
                shortened.write_bytes(CUT + newer[newer.find(b"\n") + 1 :])
                shortened.replace(self._path)


def _whole_lines(text: bytes) -> tuple[bytes, bytes]:
    """Divide a text behind its last whole line; what follows may be half of a path, unless it is endless."""
    end = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
    if len(text) - end > _LONGEST_LINE:
        end = len(text)
    return text[:end], text[end:]


def read_log(path: Path) -> tuple[int, Iterator[bytes]]:
    """Return how many bytes a log has now, and those bytes piece by piece, however it grows meanwhile.

    Raises:
        OSError: If there is none.
    """
    file = path.open("rb")  # a log that is shortened becomes another file, so this one only grows
    size = os.fstat(file.fileno()).st_size

    def pieces() -> Iterator[bytes]:
        with file:
            for start in range(0, size, _CHUNK):
                yield file.read(min(_CHUNK, size - start))

    return size, pieces()


def log_tail(path: Path, lines: int, most: int = 16_384) -> str:
    """Return the last lines of a log as text that can be shown; empty if there is none.

    Args:
        path: The file.
        lines: How many.
        most: Bytes that are looked at.
    """
    try:
        text = _end(path, most).decode("utf-8", errors="replace")
    except OSError:
        return ""
    # A line that was written over, as bars in terminals are, counts as it was last.
    shown = [line.rstrip("\r").rpartition("\r")[2].expandtabs() for line in text.split("\n")]
    shown = ["".join(character for character in line if character.isprintable()).rstrip() for line in shown]
    while shown and not shown[-1]:
        shown.pop()
    return "\n".join(shown[-lines:])


def log_end(path: Path, lines: int) -> str:
    """Return the last lines of a log as ``log_tail`` does, below a line that says how many are left out."""
    tail = log_tail(path, lines)
    try:
        left_out = _count_lines(path) - len(tail.split("\n"))
    except OSError:
        return ""
    return f"[{counted(left_out, 'line')} before these left out]\n{tail}" if left_out > 0 else tail


def last_line(path: Path) -> str:
    """Return the last line of a log that says something."""
    return log_tail(path, 1)


def _count_lines(path: Path) -> int:
    """The lines up to the last that is not empty."""
    before = lines = 0
    for piece in read_log(path)[1]:
        if said := piece.rstrip():
            lines = before + said.count(b"\n") + 1
        before += piece.count(b"\n")
    return lines


def _end(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(max(0, file.tell() - size))
        return file.read(size)
