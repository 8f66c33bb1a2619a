from __future__ import annotations

import datetime as dt
import io
import json
import os
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub.hf_api import PaperInfo

from cenote.errors import DataFormatError
from cenote.site.papers import Paper
from cenote.site.reading import Bad, Good, open_source, read_daily
from cenote.site.reading.daily import LARGEST_PAGE, read_page


def read(*items: object, **options: Any) -> list[Good | Bad]:
    return list(read_daily(io.BytesIO(json.dumps(items).encode()), **options))


def read_one(item: dict[str, Any]) -> Paper:
    [record] = read(item)
    assert isinstance(record, Good), record
    return record.paper


def test_items_of_the_hub(data: Path) -> None:
    with open_source(data / "daily.json") as stream:
        first, second, third, fourth = read_daily(stream)
    assert first == Good(
        Paper(
            id="2602.00001",
            title="Pooling of Ponds",
            summary="We pool ponds, fast.",
            authors=("Zoë Müller", "王小明"),
            published=dt.datetime(2026, 2, 8, 18, 0, 1, tzinfo=dt.UTC),
            featured=dt.date(2026, 2, 11),
            keywords=("pooling", "ponds"),
            organization="Pond University",
            code_stars=7,
            project_url="https://ponds.example/pooling",
            upvotes=42,
            comments=3,
            submitted_by="A K",
        ),
        1,
    )
    assert isinstance(second, Good)
    assert (second.paper.authors, second.paper.author_count) == (None, 5)
    # 23:59:59 five hours behind UTC.
    assert second.paper.featured == dt.date(2026, 2, 11)
    assert isinstance(third, Bad)
    assert (third.position, third.reason.split(":")[0]) == (3, "upvotes")
    assert fourth == Bad(4, "an item must be a JSON object, got str", '"no object"')


def test_the_hub_s_own_client_reads_the_same(data: Path) -> None:
    items = json.loads((data / "daily.json").read_text())
    theirs, ours = PaperInfo(**items[0]), read_one(json.loads((data / "daily.json").read_text())[0])
    assert (theirs.id, theirs.title, theirs.upvotes, theirs.comments) == (
        ours.id,
        ours.title,
        ours.upvotes,
        ours.comments,
    )
    assert theirs.published_at == ours.published


def test_the_day_that_was_asked_for_counts() -> None:
    item = {"paper": {"id": "2602.00001", "title": "A"}, "publishedAt": "2026-02-08T00:00:00Z"}
    assert read_one(item).featured == dt.date(2026, 2, 8)
    [record] = read_page(io.BytesIO(json.dumps([item]).encode()), dt.date(2026, 2, 9))
    assert isinstance(record, Good)
    assert record.paper.featured == dt.date(2026, 2, 9)


def test_a_paper_by_itself_has_its_own_date() -> None:
    paper = read_one({"id": "2602.00001", "title": "A", "publishedAt": "2026-02-08T00:00:00Z", "upvotes": 1})
    assert (paper.published, paper.featured) == (dt.datetime(2026, 2, 8, tzinfo=dt.UTC), None)


@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "ponds.example", "https://a b", 'https://x"onclick="', "", 7, None]
)
def test_a_link_that_is_none_is_absent(link: object) -> None:
    assert read_one({"paper": {"id": "2602.00001", "title": "A", "githubRepo": link}}).code_url is None


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"title": None}, "title"),
        ({"title": ["A"]}, "title"),
        ({"id": 2602.00001}, "id"),
        ({"summary": 3}, "summary"),
        ({"authors": "A. Lee"}, "authors: must be a list, got str"),
        ({"authors": [{"name": None}]}, "authors: each must have a name"),
        ({"upvotes": -1}, "upvotes"),
        ({"upvotes": 10**20}, "upvotes"),
        ({"id": "a" * 60 + "/1234567"}, "id"),
        ({"organization": {"name": "a" * 301}}, "organization"),
        ({"upvotes": float("nan")}, "upvotes"),
        ({"numAuthors": 1e400}, "author_count"),
        ({"publishedAt": 1707350400}, "publishedAt: must be a date in text, got int"),
        ({"submittedOnDailyAt": "0001-01-01T00:00:00+14:00"}, "publishedAt: must be between"),
        ({"ai_keywords": {"a": 1}}, "ai_keywords: must be a list"),
        ({"organization": "Pond"}, "organization: must be an object"),
    ],
)
def test_wrong_types_are_bad_records(fields: dict[str, object], reason: str) -> None:
    first, second = read({"paper": {"id": "2602.00001", "title": "A"} | fields}, {"id": "2602.00002", "title": "B"})
    assert isinstance(first, Bad)
    assert first.reason.startswith(reason)
    assert isinstance(second, Good)


def test_reading_goes_on_behind_a_position() -> None:
    items = [{"id": f"2602.0000{number}", "title": "A"} for number in range(1, 6)]
    assert [record.position for record in read(*items, after=3)] == [4, 5]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b'{"error": "Not found"}',
        b'[{"id": "2602.0',
        b"<html>",
        b"[" * 100_000,
        b"\xff",
        b"1" * 5_000,
        b"[]x",
    ],
)
def test_other_sources_are_refused(content: bytes) -> None:
    with pytest.raises(DataFormatError, match="JSON"):
        list(read_daily(io.BytesIO(content)))


def test_an_item_that_is_too_large_is_one_bad_record() -> None:
    items = [{"id": f"2602.0000{number}", "title": "A" * length} for number, length in ((1, 9), (2, 900), (3, 1_000))]
    largest = len(json.dumps(items[1]))
    first, second, third = read(*items, largest_item=largest)
    assert isinstance(first, Good)
    assert isinstance(second, Good)
    assert third == Bad(
        3, f"the item is larger than {largest} bytes", json.dumps(items[2])[: largest + 1], truncated=True
    )


def test_a_list_may_be_larger_than_a_page_of_the_hub() -> None:
    content = b"[" + b",".join([item(1, 6 << 20)] * 11 + [item(2)]) + b"]"
    assert len(content) > LARGEST_PAGE
    found = [(type(record), record.position) for record in read_daily(io.BytesIO(content))]
    assert found == [(Good, position) for position in range(1, 13)]


def item(number: int, padding: int = 0) -> bytes:
    return json.dumps({"paper": {"id": f"2602.{number:05}", "title": "A"}, "mediaUrls": ["x" * padding]}).encode()


@pytest.mark.parametrize("after", range(5))
def test_a_damaged_item_is_one_bad_record_as_it_stands(after: int) -> None:
    damaged = b'{"paper": {"id": "2602.00002",  "title": "K\xf6nig", "authors": [}}'
    content = b"[" + b", ".join([item(1), damaged, item(3), item(4)]) + b"]"
    every = list(read_daily(io.BytesIO(content)))
    assert [type(record) for record in every] == [Good, Bad, Good, Good]
    assert isinstance(every[1], Bad)
    assert every[1].reason.startswith("not an item of JSON in UTF-8: 'utf-8' codec can't decode byte 0xf6")
    assert every[1].text == damaged.decode(errors="backslashreplace")
    assert list(read_daily(io.BytesIO(content), after=after)) == every[after:]


def test_what_stood_before_the_cut_is_read() -> None:
    records = read_daily(io.BytesIO(b"[" + item(1) + b"," + item(2) + b"," + item(3)))
    assert [next(records).position, next(records).position] == [1, 2]
    with pytest.raises(DataFormatError, match="cut short: it ends in item 3 of the list"):
        next(records)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" + item(1) + b', {"paper": oops}]', "not JSON, or cut short"),
        (b"[" + item(1), "not JSON, or cut short"),
        (b'{"error": "busy"}', "must be a JSON list of papers, got dict"),
        (b"[" + item(1, padding=1_000) + b"]", "the list is longer than 1,000 bytes"),
    ],
)
def test_a_page_of_the_hub_is_whole_or_an_error(content: bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        read_page(io.BytesIO(content), dt.date(2026, 2, 9), largest=1_000)


def test_a_page_of_the_hub_has_bad_records() -> None:
    content = b'[{"paper": {"id": "no id",  "title": "\\ud800 Zo\xc3\xab"}}]'
    [record] = read_page(io.BytesIO(content), dt.date(2026, 2, 9))
    assert isinstance(record, Bad)
    assert json.loads(record.text) == json.loads(content)[0]
    assert "Zoë" in record.text


@pytest.mark.skipif("CENOTE_DATA" not in os.environ, reason="CENOTE_DATA is not set")
def test_the_page_of_this_project() -> None:
    path = Path(os.environ["CENOTE_DATA"]) / "daily_papers" / "pooling-and-filtering.json"
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    with open_source(path) as stream:
        records = list(read_daily(stream))
    assert len(records) == 38
    assert all(isinstance(record, Good) and record.paper.author_count and record.paper.featured for record in records)
