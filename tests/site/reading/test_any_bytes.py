"""Whatever bytes come, a reader gives records or one error of ours."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import BinaryIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cenote.errors import CenoteError
from cenote.site.reading import FORMATS, Bad, Deleted, Good, Limits
from cenote.site.reading.unpacking import unpacked

DATA = Path(__file__).resolve().parent.parent / "data"
FILES = {path.name: path.read_bytes() for path in sorted(DATA.iterdir())}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)
KEYS = [
    "id", "title", "abstract", "summary", "authors", "authors_parsed", "versions", "created", "update_date",
    "categories", "paper", "publishedAt", "submittedOnDailyAt", "numAuthors", "upvotes", "organization", "projectPage",
    "ai_keywords",
]  # fmt: skip
VALUES = JSON | st.sampled_from(["0704.0001", "A title", "2026-02-11", [["Lee", "A.", ""]], [{"created": "x"}]])

checked = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def read_all(name: str, stream: BinaryIO) -> None:
    last = 0
    try:
        for record in FORMATS[name](stream):
            assert isinstance(record, Good | Bad | Deleted)
            assert record.position > last
            last = record.position
            # What it says can be stored: a lone surrogate could not.
            (record.reason + record.text if isinstance(record, Bad) else dump(record)).encode()
    except CenoteError:
        pass


def dump(record: Good | Deleted) -> str:
    return record.paper.model_dump_json() if isinstance(record, Good) else record.id


@pytest.mark.parametrize("name", FORMATS)
@given(content=st.binary(max_size=300))
@checked
def test_noise(name: str, content: bytes) -> None:
    read_all(name, io.BytesIO(content))


@pytest.mark.parametrize("name", FORMATS)
@given(data=st.data())
@checked
def test_honest_files_with_a_few_bytes_changed(name: str, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from(list(FILES.values()))))
    for _ in range(data.draw(st.integers(0, 4))):
        place = data.draw(st.integers(0, len(content)))
        content[place : place + data.draw(st.integers(0, 9))] = data.draw(st.binary(max_size=9))
    read_all(name, io.BytesIO(bytes(content)))


@pytest.mark.parametrize("name", ["daily", "kaggle"])
@given(items=st.lists(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=8), max_size=3))
@checked
def test_any_json(name: str, items: list[dict[str, object]]) -> None:
    text = json.dumps(items) if name == "daily" else "\n".join(json.dumps(item) for item in items)
    read_all(name, io.BytesIO(text.encode()))


@given(
    magic=st.sampled_from([b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd", b"BZh9", b"BZh91AY&SY", b"PK\x03\x04", b""]),
    content=st.binary(max_size=200),
)
@checked
def test_unpacking_noise(magic: bytes, content: bytes) -> None:
    try:
        with unpacked(io.BytesIO(magic + content), "noise", Limits()) as stream:
            unpacked_bytes = stream.read()
    except CenoteError:
        return
    # Only what is not packed, or is a whole archive, can be read to its end.
    assert unpacked_bytes == magic + content or magic
