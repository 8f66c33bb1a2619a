from __future__ import annotations

import bz2
import gzip
import io
import random
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest
import zstandard

from cenote.errors import ArgumentError, SourceError
from cenote.site.reading import Limits, Web, open_source

TEXT = "".join(f'{{"id": "0704.{number:04}"}}\n' for number in range(5_000)).encode()


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip.compress,
    "zstd": zstandard.compress,
    "bz2": lambda content: bz2.compress(content, 1),
    "zip": lambda content: zipped(papers=content),
}


def drain(stream: BinaryIO, seen: bytearray) -> None:
    while chunk := stream.read(10_000):
        seen += chunk


@pytest.mark.parametrize("packer", PACKERS)
@pytest.mark.parametrize(
    "content", [TEXT, b"", b"x", random.Random(0).randbytes(300_000)], ids=["text", "empty", "1", "noise"]
)
def test_any_packing_is_undone_whatever_the_name(packer: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "papers.txt"
    path.write_bytes(PACKERS[packer](content))
    with open_source(str(path)) as stream:
        assert stream.read() == content
        assert stream.tell() == len(content)


@pytest.mark.parametrize("packer", ["gzip", "zstd", "bz2"])
def test_packed_parts_may_follow_each_other(packer: str, tmp_path: Path) -> None:
    path = tmp_path / "papers"
    path.write_bytes(PACKERS[packer](TEXT[:777]) + PACKERS[packer](b"") + PACKERS[packer](TEXT[777:]))
    with open_source(path) as stream:
        assert stream.read() == TEXT


@pytest.mark.parametrize("packer", ["plain", "gzip", "zstd"])
def test_tell_is_the_position_in_unpacked_bytes(packer: str, tmp_path: Path) -> None:
    path = tmp_path / "papers"
    path.write_bytes(PACKERS[packer](TEXT))
    with open_source(path) as stream:
        lines = [stream.readline() for _ in range(1_234)]
        assert stream.tell() == sum(len(line) for line in lines)


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(gzip.compress(TEXT))))
    with open_source("-") as stream:
        assert stream.read() == TEXT
    assert not sys.stdin.buffer.closed


@pytest.mark.parametrize("packer", ["plain", "gzip", "zstd", "bz2"])
def test_an_address(packer: str, server, answer, web: Web) -> None:
    server.answer(answer(PACKERS[packer](TEXT)))
    with open_source(f"{server.address}/papers?x=1", web=web) as stream:
        assert stream.read() == TEXT


def test_an_answer_encoded_on_the_way(server, answer, web: Web) -> None:
    server.answer(answer(gzip.compress(TEXT), headers={"Content-Encoding": "gzip"}))
    with open_source(server.address, web=web) as stream:
        assert stream.read() == TEXT
    server.answer(answer(b"?", headers={"Content-Encoding": "br"}))
    with pytest.raises(SourceError, match="encoded as 'br'; only gzip"), open_source(server.address, web=web):
        pass


@pytest.mark.parametrize("packer", ["gzip", "zstd", "bz2"])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_what_is_cut_short_gives_what_there_is_and_then_an_error(packer: str, share: float, tmp_path: Path) -> None:
    noise = random.Random(0).randbytes(1_000_000)
    packed = PACKERS[packer](noise)
    path = tmp_path / "papers"
    path.write_bytes(packed[: int(share * len(packed))])
    seen = bytearray()
    with pytest.raises(SourceError, match="papers is damaged or cut short after"), open_source(path) as stream:
        drain(stream, seen)
    # All but what stands in the last block and in the buffers.
    assert share * len(noise) - 300_000 < len(seen) < len(noise)
    assert noise.startswith(seen)


@pytest.mark.parametrize("packer", ["gzip", "zstd", "bz2", "zip"])
def test_damage_is_one_error(packer: str, tmp_path: Path) -> None:
    packed = bytearray(PACKERS[packer](TEXT))
    packed[len(packed) // 2 - 20 : len(packed) // 2 + 20] = bytes(40)
    path = tmp_path / "papers"
    path.write_bytes(packed)
    with pytest.raises(SourceError, match="damaged"), open_source(path) as stream:
        stream.read()


@pytest.mark.parametrize("packer", ["gzip", "zstd", "bz2", "zip"])
def test_a_bomb_is_left_before_it_fills_the_memory(packer: str, tmp_path: Path) -> None:
    path = tmp_path / "bomb"
    path.write_bytes(PACKERS[packer](bytes(20 << 20)))
    limits = Limits(unsuspicious=1 << 20)
    seen = bytearray()
    with (
        pytest.raises(SourceError, match=r"bomb is packed to less than 1/100 of its size"),
        open_source(path, limits=limits) as stream,
    ):
        drain(stream, seen)
    assert 0 < len(seen) <= max(limits.unsuspicious, 100 * path.stat().st_size)


def test_a_small_file_may_be_packed_well(tmp_path: Path) -> None:
    path = tmp_path / "papers"
    path.write_bytes(gzip.compress(bytes(10 << 20)))
    with open_source(path) as stream:
        assert len(stream.read()) == 10 << 20


def test_caps_on_both_sides(tmp_path: Path) -> None:
    path = tmp_path / "papers"
    path.write_bytes(gzip.compress(TEXT))
    for limits, message in (
        (Limits(compressed=1_000), "papers gives more than 1,000 bytes, the limit"),
        (Limits(plain=10_000), "papers holds more than 10,000 decompressed bytes, the limit"),
    ):
        with pytest.raises(SourceError, match=message), open_source(path, limits=limits) as stream:
            stream.read()
    with open_source(path, limits=Limits(plain=len(TEXT), compressed=path.stat().st_size)) as stream:
        assert stream.read() == TEXT


def test_a_source_that_drips_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cenote.site.reading.unpacking import unpacked

    times = iter(range(100))
    with (
        pytest.raises(SourceError, match="drip takes longer than 50 s"),
        unpacked(io.BytesIO(bytes(100 << 20)), "drip", Limits(seconds=50), clock=lambda: next(times)) as stream,
    ):
        stream.read()


@pytest.mark.parametrize("value", [0, -1])
def test_limits_are_positive(value: int) -> None:
    with pytest.raises(ArgumentError, match=f"ratio must be positive, got {value}"):
        Limits(ratio=value)


def test_archives_hold_one_file(tmp_path: Path) -> None:
    path = tmp_path / "papers.zip"
    path.write_bytes(zipped(a=b"1", b=b"2"))
    with pytest.raises(SourceError, match="a zip archive of 2 files, needs one"), open_source(path):
        pass
    path.write_bytes(zipped(a=b"1")[:-10])
    with pytest.raises(SourceError, match="a zip archive that cannot be read"), open_source(path):
        pass


def test_an_archive_needs_a_file(server, answer, web: Web) -> None:
    server.answer(answer(zipped(a=TEXT)))
    with pytest.raises(SourceError, match="save it first, or use 'unzip -p'"), open_source(server.address, web=web):
        pass


@pytest.mark.parametrize("source", ["ftp://example.org/a", "file:///etc/passwd", "gopher://x"])
def test_other_addresses_are_refused(source: str) -> None:
    with pytest.raises(ArgumentError, match="source must be a file, '-' or an http"), open_source(source):
        pass


@pytest.mark.parametrize("source", ["http://", "http:///a", "http://[::1", "https://exa mple\x00.org"])
def test_no_addresses_at_all(source: str) -> None:
    with pytest.raises(ArgumentError, match="source must be an"), open_source(source):
        pass


def test_files_that_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="missing cannot be opened: No such file"), open_source(tmp_path / "missing"):
        pass
    with pytest.raises(SourceError, match="Is a directory"), open_source(tmp_path):
        pass
    with pytest.raises(SourceError, match="cannot be opened"), open_source("a\0b"):
        pass
