"""Streams with limits: bytes as they come, decompressed if they are compressed, never more than is allowed."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import BinaryIO, Protocol, cast

import zstandard

from cenote.errors import ArgumentError, SourceError

_BUFFER = 1 << 18
_MAGIC = 4
_GZIP, _ZSTD, _BZIP, _ZIP = b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"BZh", b"PK\x03\x04"
_ZSTD_STEP = 1 << 10
_ZSTD_WINDOW = 1 << 27
_DAMAGE = (
    EOFError,
    zlib.error,
    zstandard.ZstdError,
    gzip.BadGzipFile,
    lzma.LZMAError,
    zipfile.BadZipFile,
    NotImplementedError,
)


class _Readable(Protocol):
    """What decompressors have in common."""

    def read1(self, size: int, /) -> bytes: ...

    def close(self) -> None: ...


@dataclass(frozen=True)
class Limits:
    """How much a source may give; all of them far above the largest honest source, arXiv's snapshot of some 5 GB.

    Raises:
        ArgumentError: If one is not positive.
    """

    compressed: int = 16 << 30
    """Bytes read from the source."""
    plain: int = 64 << 30
    """Bytes after decompression."""
    ratio: int = 100
    """Bytes after decompression for each byte read; text is packed to about a fifth, a bomb to a thousandth or less."""
    unsuspicious: int = 64 << 20
    """Bytes after decompression up to which the ratio does not count: a small file may be of one letter."""
    seconds: float = 24 * 3600
    """Time from opening the source until its last byte."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ArgumentError(f"{field.name} must be positive, got {getattr(self, field.name)}")


@contextlib.contextmanager
def unpacked(
    raw: BinaryIO | io.RawIOBase, name: str, limits: Limits, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[BinaryIO]:
    """Hand out a stream's content, decompressed if its first bytes are those of gzip, zstandard, bzip2 or zip.

    The stream's ``tell`` is the number of decompressed bytes read. A zip archive must hold one file, and be a file
    itself, since its list of contents stands at its end.

    Args:
        raw: The stream; its owner closes it.
        name: What to call it in errors.
        limits: How much it may give.
        clock: Seconds of a clock that never goes back.

    Raises:
        SourceError: While it is read, if it is damaged, cut short or gives too much.
    """
    meter = _Meter(raw, name, limits, clock)
    inner: _Readable
    with contextlib.ExitStack() as stack:
        if meter.head == _ZIP:
            inner, packed = _open_member(raw, name, stack)
            content = _Content(inner, name, limits, lambda: packed)
        else:
            inner = _decompressor(io.BufferedReader(meter, _BUFFER), meter.head)
            stack.callback(inner.close)
            content = _Content(inner, name, limits, lambda: meter.count)
        yield stack.enter_context(io.BufferedReader(content, _BUFFER))


class _Meter(io.RawIOBase):
    """What the source itself gives, counted."""

    def __init__(self, raw: BinaryIO | io.RawIOBase, name: str, limits: Limits, clock: Callable[[], float]) -> None:
        self._raw, self._name, self._limits, self._clock = raw, name, limits, clock
        self._end = clock() + limits.seconds
        self.count = 0
        self.head = self._ahead = b""
        while len(self.head) < _MAGIC and (more := self._read(_MAGIC - len(self.head))):
            self.head += more
        self._ahead = self.head

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._ahead[: len(buffer)] or self._read(len(buffer))
        self._ahead = self._ahead[len(data) :]
        buffer[: len(data)] = data
        return len(data)

    def _read(self, size: int) -> bytes:
        try:
            data = self._raw.read(size) or b""
        except SourceError:
            raise
        except OSError as error:
            raise SourceError(f"{self._name} cannot be read: {error.strerror or error}") from error
        self.count += len(data)
        if self.count > self._limits.compressed:
            raise SourceError(f"{self._name} gives more than {self._limits.compressed:,} bytes, the limit")
        if self._clock() > self._end:
            raise SourceError(f"{self._name} takes longer than {self._limits.seconds:,.0f} s, the limit")
        return data


class _Content(io.RawIOBase):
    """What a reader gets, counted, with every way in which a decompressor complains as one error."""

    def __init__(self, inner: _Readable, name: str, limits: Limits, count_packed: Callable[[], int]) -> None:
        self._inner, self._name, self._limits, self._count_packed = inner, name, limits, count_packed
        self._count = 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._count

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            # Not read: it would drop what it has when the damage comes before the buffer is full.
            data = self._inner.read1(len(buffer))
        except SourceError:
            raise
        except (*_DAMAGE, OSError) as error:
            place = f"after {self._count:,} decompressed bytes"
            raise SourceError(f"{self._name} is damaged or cut short {place}: {error}") from error
        buffer[: len(data)] = data
        self._count += len(data)
        if self._count > self._limits.plain:
            raise SourceError(f"{self._name} holds more than {self._limits.plain:,} decompressed bytes, the limit")
        if self._count > max(self._limits.unsuspicious, self._limits.ratio * self._count_packed()):
            raise SourceError(
                f"{self._name} is packed to less than 1/{self._limits.ratio} of its size, as decompression bombs are"
            )
        return len(data)


def _decompressor(source: io.BufferedReader, head: bytes) -> _Readable:
    if head.startswith(_GZIP):
        return gzip.GzipFile(fileobj=source)
    if head.startswith(_BZIP):
        return bz2.BZ2File(source)
    return io.BufferedReader(_Zstandard(source), _BUFFER) if head == _ZSTD else source


class _Zstandard(io.RawIOBase):
    """Decompressed frames of zstandard, one after the other.

    The library's own reader does not say when a file is cut short.
    """

    def __init__(self, source: io.BufferedReader) -> None:
        self._source = source
        self._frame: zstandard.ZstdDecompressionObj | None = None
        self._rest = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._ready:
            # A block of 4 bytes may stand for 128 kB, so that a kilobyte gives 32 MB at most.
            packed = self._rest or self._source.read(_ZSTD_STEP)
            self._rest = b""
            if not packed:
                if self._frame is not None:
                    raise EOFError("the file ends inside a frame")
                return 0
            self._ready = memoryview(self._decompress(packed))
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _decompress(self, packed: bytes) -> bytes:
        if self._frame is None:
            self._frame = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).decompressobj()
        data = self._frame.decompress(packed)
        if self._frame.eof:
            self._rest = self._frame.unused_data
            self._frame = None
        return data


def _open_member(raw: BinaryIO | io.RawIOBase, name: str, stack: contextlib.ExitStack) -> tuple[_Readable, int]:
    """The one file of a zip archive, and how many bytes it takes there."""
    if not raw.seekable():
        raise SourceError(f"{name} is a zip archive, which is read from a file only; save it first, or use 'unzip -p'")
    try:
        archive = stack.enter_context(zipfile.ZipFile(raw))
        members = [member for member in archive.infolist() if not member.is_dir()]
        if len(members) != 1:
            raise SourceError(f"{name} is a zip archive of {len(members)} files, needs one; 'unzip -p' picks a file")
        member = cast(zipfile.ZipExtFile, stack.enter_context(archive.open(members[0])))
        return member, members[0].compress_size
    except (*_DAMAGE, RuntimeError) as error:
        raise SourceError(f"{name} is a zip archive that cannot be read: {error}") from error
