from __future__ import annotations

import datetime as dt
import io
import itertools
import json
import os
from pathlib import Path

import pytest

from cenote.errors import DataFormatError
from cenote.site.papers import Paper
from cenote.site.reading import Bad, Good, open_source, read_kaggle


def read(*items: object) -> list[Good | Bad]:
    return list(read_kaggle(io.BytesIO("\n".join(json.dumps(item) for item in items).encode())))


def read_one(**fields: object) -> Paper:
    [record] = read({"id": "0704.0001", "title": "A", **fields})
    assert isinstance(record, Good), record
    return record.paper


def test_a_record_of_the_snapshot(data: Path) -> None:
    with open_source(data / "kaggle.jsonl") as stream:
        first = next(read_kaggle(stream))
    assert first == Good(
        Paper(
            id="0704.0001",
            title="A Calculation of Ponds",
            summary=r"A fully differential calculation in $\tilde{Q}$ of Gödel and Erdős.",
            authors=("A. Lee", "M. L. King Jr.", "C. König"),
            published=dt.datetime(2007, 4, 2, 19, 18, 42, tzinfo=dt.UTC),
            updated=dt.datetime(2007, 7, 24, 20, 10, 27, tzinfo=dt.UTC),
            categories=("hep-ph", "cs.LG"),
            comment="37 pages",
            journal_reference="Phys.Rev.D76:013009,2007",
            doi="10.1103/PhysRevD.76.013009",
        ),
        1,
    )


def test_every_line_has_its_record(data: Path) -> None:
    with open_source(data / "kaggle.jsonl") as stream:
        records = list(read_kaggle(stream))
    good = {record.position: record.paper.id for record in records if isinstance(record, Good)}
    assert good == {1: "0704.0001", 2: "math/0601001", 4: "0704.0003", 13: "0704.0012"}
    reasons = {record.position: record.reason for record in records if isinstance(record, Bad)}
    assert list(reasons) == [5, 6, 7, 8, 9, 10, 11, 12]
    assert reasons[6] == "title: must be text, got int"
    assert reasons[7] == "id: must be text, got float"
    assert reasons[8] == "the line must be a JSON object, got list"
    assert reasons[9].startswith("not a line of JSON in UTF-8: Unterminated string")
    assert reasons[10] == "versions: must be a list of objects with 'created'"
    assert reasons[11] == "created: must be a date, got 'the day before'"
    assert reasons[12] == "authors_parsed: must be a list of lists [last, first, suffix]"


@pytest.mark.parametrize("after", range(15))
def test_reading_goes_on_behind_a_position(after: int, data: Path) -> None:
    content = (data / "kaggle.jsonl").read_bytes()
    every = list(read_kaggle(io.BytesIO(content)))
    assert list(read_kaggle(io.BytesIO(content), after=after)) == [each for each in every if each.position > after]


def test_the_variant_with_other_dates_and_one_string_of_authors() -> None:
    paper = read_one(authors="A. Lee (MIT) and B. Wu", created="2016-11-23", update_date="2019-03-20")
    assert paper.authors == ("A. Lee", "B. Wu")
    assert (str(paper.published), str(paper.updated)) == ("2016-11-23 00:00:00+00:00", "2019-03-20 00:00:00+00:00")


@pytest.mark.parametrize(
    ("created", "published"),
    [
        ("Mon, 2 Apr 2007 19:18:42 GMT", dt.datetime(2007, 4, 2, 19, 18, 42, tzinfo=dt.UTC)),
        ("Mon, 2 Apr 2007 19:18:42 -0400", dt.datetime(2007, 4, 2, 23, 18, 42, tzinfo=dt.UTC)),
        ("2 Apr 2007 19:18:42 GMT", dt.datetime(2007, 4, 2, 19, 18, 42, tzinfo=dt.UTC)),
        ("2007-04-02T19:18:42Z", dt.datetime(2007, 4, 2, 19, 18, 42, tzinfo=dt.UTC)),
    ],
)
def test_forms_of_dates(created: str, published: dt.datetime) -> None:
    paper = read_one(versions=[{"version": "v1", "created": created}])
    assert paper.published == paper.updated == published


@pytest.mark.parametrize(
    "when",
    [
        "Mon, 31 Feb 2007 19:18:42 GMT",
        "Mon, 2 Apr 99999999999999999999 19:18:42 GMT",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-12:00",
        7,
    ],
)
def test_dates_that_are_none(when: object) -> None:
    [record] = read({"id": "0704.0001", "title": "A", "created": when})
    assert isinstance(record, Bad)


@pytest.mark.parametrize(
    ("identifier", "known"),
    [
        ("0704.0001", "0704.0001"),
        ("2412.06097v3", "2412.06097"),
        ("hep-th/9901001", "hep-th/9901001"),
        ("math.GT/0601001v2", "math.GT/0601001"),
    ],
)
def test_identifiers(identifier: str, known: str) -> None:
    assert read_one(id=identifier).id == known


@pytest.mark.parametrize(
    "identifier", ["", None, "0704.001", "0704.0001\x00", "٢٤١٢.٠٦٠٩٧", "../../etc", "0704.0001 or 1=1"]
)
def test_identifiers_that_are_none(identifier: str | None) -> None:
    [record] = read({"id": identifier, "title": "A"})
    assert isinstance(record, Bad)
    assert record.reason.startswith("id: paper id must be")


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b'{"id": "\\ud800', '{"id": "\\ud800'),
        (b'{"id": "0704.0001", "title": "\\ud800", "versions": 7}', None),
        (b'{"id": "K\xf6nig\x00', '{"id": "K\\xf6nig\x00'),
        (b'\xef\xbb\xbf{"id": "\xc3\xb6', '{"id": "ö'),
        (b'{"title":  "' + b"x" * 1_000, None),
    ],
)
def test_what_is_bad_is_kept_as_it_came_and_can_be_written_to_a_file(line: bytes, text: str | None) -> None:
    [record] = read_kaggle(io.BytesIO(line + b"\n"))
    assert isinstance(record, Bad)
    assert record.text == (text or line.decode())
    assert not record.truncated
    (record.reason + record.text).encode()
    assert len(repr(record)) < 200


@pytest.mark.parametrize("beyond", [0, 1, 2, 3, 1_000])
def test_a_bad_record_is_kept_up_to_a_mebibyte(beyond: int) -> None:
    line = b'{"id": "' + b"a" * ((1 << 20) - 8 - 2) + "öç".encode()[: 2 + beyond] + b"a" * (beyond - 2)
    [record] = read_kaggle(io.BytesIO(line))
    assert isinstance(record, Bad)
    # The cut goes between the two letters.
    assert record.text.encode() == line[: 1 << 20]
    assert record.truncated == (beyond > 0)


def test_a_letter_that_the_cut_goes_through_is_left_out() -> None:
    [record] = read_kaggle(io.BytesIO(b"{" + "ö".encode() * (1 << 20)))
    assert isinstance(record, Bad)
    assert record.text == "{" + "ö" * ((1 << 19) - 1)


@pytest.mark.parametrize("size", [999, 1_000, 1_001, 2_002, 5_000])
@pytest.mark.parametrize("end", [b"\n", b""])
def test_a_line_that_is_too_long_is_one_bad_record(size: int, end: bytes) -> None:
    line = b'{"id": "0704.0001", "title": "' + b"a" * (size - 32) + b'"}'
    assert len(line) == size
    follows = b'{"id": "0704.0002", "title": "B"}\n' if end else b""
    records = list(read_kaggle(io.BytesIO(line + end + follows), longest_line=1_000))
    assert isinstance(records[0], Good if size <= 1_000 else Bad)
    assert [record.position for record in records] == ([1, 2] if end else [1])
    if end:
        assert isinstance(records[1], Good)


def test_a_huge_line_is_not_held_in_memory() -> None:
    class Huge(io.RawIOBase):
        left = 50 << 20

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
            size = min(len(buffer), self.left)
            buffer[:size] = b"{" * size
            self.left -= size
            return size

    [record] = read_kaggle(io.BufferedReader(Huge()), longest_line=1 << 16)
    assert record == Bad(1, "the line is longer than 65,536 bytes", "{" * 65_537, truncated=True)


@pytest.mark.parametrize(
    "content", [b"[\n", b"<?xml version='1.0'?>", b"\x1f\x8b\x08", b"\n\n id,title", b"\xff\xfe{\x00"]
)
def test_other_sources_are_refused(content: bytes) -> None:
    with pytest.raises(DataFormatError, match=r"line \d is not a JSON object"):
        list(read_kaggle(io.BytesIO(content)))


def test_a_byte_order_mark_and_windows_lines_do_no_harm() -> None:
    [record] = read_kaggle(io.BytesIO(b'\xef\xbb\xbf{"id": "0704.0001", "title": "A"}\r\n\r\n'))
    assert isinstance(record, Good)


def test_an_empty_source_has_no_records() -> None:
    assert list(read_kaggle(io.BytesIO(b""))) == []


@pytest.mark.skipif("CENOTE_DATA" not in os.environ, reason="CENOTE_DATA is not set")
def test_real_records() -> None:
    path = Path(os.environ["CENOTE_DATA"]) / "arxiv" / "arxiv-metadata.jsonl.zst"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with open_source(path) as stream:
        records = list(itertools.islice(read_kaggle(stream), 5_000))
    assert len(records) == 5_000
    assert [record for record in records if isinstance(record, Bad)] == []
    assert all(
        record.paper.authors and record.paper.published and record.paper.summary
        for record in records
        if isinstance(record, Good)
    )
