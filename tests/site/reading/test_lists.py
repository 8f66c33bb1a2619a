"""A list cut into its items gives what json gives of the whole, wherever the source's pieces and its damage are."""

from __future__ import annotations

import io
import json
import time
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cenote.errors import DataFormatError
from cenote.site.reading import lists
from cenote.site.reading.lists import items

VALUES = [
    {"title": 'Zoë 王小明 😀 "quoted" \\ }],[{', "n": [1, [], {}, {"a": [{"b": "]"}]}]},
    {"\\": "\\\\", '"': '\\"', "e": "é😀\n"},
    12345.678e-9,
    -0.5,
    10**30,
    "",
    "a, b]",
    True,
    None,
    [],
    {},
    [[["deep"]], {"x": {}}],
]
COMPACT = json.dumps(VALUES, ensure_ascii=False, separators=(",", ":")).encode()
SPACED = b"\xef\xbb\xbf \r\n\t" + json.dumps(VALUES, indent=1).encode() + b"\n \r\n"
ROUGH = b'[{"a":1]},{"b":[2},x"y,\\z", ,{"c":"\\\\"  "d"},[}],{"e":1}},7]'
"""Brackets that do not match, a string in the wrong place, an empty item."""


class Stream(io.RawIOBase):
    """Gives the parts, each in one piece."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts, self._part = parts, b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._part = self._part or next(self._parts, b"")
        size = min(len(buffer), len(self._part))
        buffer[:size] = self._part[:size]
        self._part = self._part[size:]
        return size


def cut(content: bytes, largest: int = 1 << 20) -> list[bytes]:
    return list(items(io.BytesIO(content), largest))


def cut_until_error(content: bytes, largest: int = 1 << 20) -> tuple[list[bytes], str]:
    """The items, and the error they end with."""
    found: list[bytes] = []
    try:
        for item in items(io.BytesIO(content), largest):
            found.append(item)  # noqa: PERF402 - extend would lose what came before the error
    except DataFormatError as error:
        return found, str(error)
    return found, ""


@pytest.mark.parametrize("content", [COMPACT, SPACED], ids=["compact", "spaced"])
def test_pieces_of_every_size(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in range(1, len(content) + 2):
        monkeypatch.setattr(lists, "_PIECE", size)
        assert [json.loads(item) for item in cut(content)] == VALUES, size


@pytest.mark.parametrize("comma", [b",", b",\r\n \t"])
def test_items_of_every_size(comma: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = cut(COMPACT)
    content = b"[" + comma.join(whole) + b"]"
    for piece in (1, 2, 3, 7, 50, 1_000):
        monkeypatch.setattr(lists, "_PIECE", piece)
        for largest in range(1, max(map(len, whole)) + 1):
            assert cut(content, largest) == [item[: largest + 1] for item in whole], (piece, largest)


def test_a_list_that_is_cut_short_anywhere_ends_in_an_error() -> None:
    whole = cut(COMPACT)
    for size in range(len(COMPACT)):
        found, error = cut_until_error(COMPACT[:size])
        assert found == whole[: len(found)]
        assert error.startswith("the source is not JSON, or cut short: it ends in item" if size else "the source is em")


@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damage_is_seen_the_same_in_pieces_of_every_size(monkeypatch: pytest.MonkeyPatch, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([COMPACT, SPACED, ROUGH])))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(1, len(content)))
        noise = st.text('{}[]",\\ ö', max_size=4).map(str.encode) | st.binary(max_size=4)
        content[place : place + data.draw(st.integers(0, 9))] = data.draw(noise)
    largest = data.draw(st.integers(1, 60))
    monkeypatch.setattr(lists, "_PIECE", 1 << 16)
    found, error = cut_until_error(bytes(content), largest)
    monkeypatch.setattr(lists, "_PIECE", data.draw(st.integers(1, 20)))
    again, error_again = cut_until_error(bytes(content), largest)
    assert again == found
    # What is said of what follows the list is said of as much of it as has come.
    assert (
        error_again.split(" followed by ")[0].split(", got ")[0] == error.split(" followed by ")[0].split(", got ")[0]
    )


@pytest.mark.parametrize(
    ("damaged", "item"),
    [
        (b'{"a": undefined}', None),
        (b"{'a': 1}", None),
        (b'{"a": 1,}', None),
        (b'{"a": "\xff"}', None),
        (b'{"a": "\n\x00"}', None),
        (b'{"a": [1, {"b": 2, 3]}', None),
        (b'{"a": [1, [2}', None),
        (b'{"a": 1]}', None),
        (b'{"a": 1}}', None),
        (b"}", None),
        (b'{"a": 1} {"b": 2}', None),
        (b'{"a": "\\x"}', None),
        (b"<html>", None),
        (b" ", b""),
        (b"9" * 5_000, None),
    ],
)
def test_an_item_that_is_damaged_ends_where_its_brackets_do(damaged: bytes, item: bytes | None) -> None:
    content = b'[{"id": 1}, ' + damaged + b', {"id": 2}]'
    found = cut(content)
    assert found == [b'{"id": 1}', damaged if item is None else item, b'{"id": 2}']
    with pytest.raises(ValueError, match=r"\w"):
        json.loads(found[1].decode())


@pytest.mark.parametrize("damaged", [b'{"a": "}', b'{"a": "b"', b'{"a": b"}', b'{"a": [1, 2', b"["])
def test_a_list_that_cannot_be_followed_to_its_end_is_an_error(damaged: bytes) -> None:
    found, error = cut_until_error(b'[{"id": 1}, ' + damaged + b', {"id": 2}]')
    assert found == [b'{"id": 1}']
    assert error == "the source is not JSON, or cut short: it ends in item 2 of the list"


@pytest.mark.parametrize("content", [b"[]", b" [ \n] ", b"\xef\xbb\xbf[]\n"])
def test_an_empty_list_has_no_items(content: bytes) -> None:
    assert cut(content) == []


@pytest.mark.parametrize("piece", [1, 4, 1 << 16])
@pytest.mark.parametrize("more", [b"]", b"[]", b",", b"x", b"\x00", b"\n\n  {}"])
def test_what_follows_the_list_is_an_error(more: bytes, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_PIECE", piece)
    found, error = cut_until_error(b"[1, 2] \n" + more)
    assert found == [b"1", b"2"]
    assert error.startswith(f"the source is not JSON: the list is followed by {more.strip()[:1]!r}"[:-1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"{}", r"must be a JSON list of papers, got b'\{\}'"),
        (b"<html>" * 100, "must be a JSON list of papers, got b'<html>.{34}'$"),
        (b"[" * 2_000, "item 1 of the JSON list is nested deeper than 1,000"),
        (b"[1, " + b'{"a":' * 100_000, "item 2 of the JSON list is nested deeper than 1,000"),
        (b"\xff\xfe[\x00]", "not JSON, or cut short: 'utf-16"),
        (b"\xff\xfe[\x00\x00\xdc]\x00", "not JSON, or cut short: 'utf-16"),
    ],
)
def test_other_sources_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        cut(content)


@pytest.mark.parametrize("piece", [1, 2, 3, 1 << 16])
@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_encodings(encoding: str, piece: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_PIECE", piece)
    text = json.dumps(["Zoë", "😀"], ensure_ascii=False)
    assert cut(text.encode(encoding)) == ['"Zoë"'.encode(), '"😀"'.encode()]


def test_memory_stays_flat() -> None:
    item = json.dumps({"summary": "a" * 1_000}).encode()
    huge = [b'{"summary": "', *[b"a" * 10_000] * 800, b'"}, ']
    stream = io.BufferedReader(Stream(iter([b"[", *[item + b", "] * 4_000, *huge, item, b"]"])))
    tracemalloc.start()
    sizes = [len(found) for found in items(stream, 1 << 16)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sizes == [*[len(item)] * 4_000, (1 << 16) + 1, len(item)]
    # The list has 12 MB.
    assert peak < 1 << 20


@pytest.mark.parametrize("inside", [b"a", b"\\n", b'", "', b"[], "], ids=["text", "escapes", "strings", "lists"])
def test_a_large_item_in_small_pieces_is_looked_at_once(inside: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lists, "_PIECE", 1 << 10)
    kind = b'"' if inside != b"[], " else b""
    item = b"[" + kind + inside * ((1 << 20) // len(inside)) + kind + b"]"
    began = time.process_time()
    assert cut(b"[" + item + b"]", len(item)) == [item]
    # Looking at it from its beginning for each of the 1,024 pieces takes half a minute.
    assert time.process_time() - began < 5
