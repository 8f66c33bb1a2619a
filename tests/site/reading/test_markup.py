from __future__ import annotations

import datetime as dt
import io
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from xml.etree.ElementTree import canonicalize

import feedparser
import pytest

from cenote.errors import DataFormatError, SourceError
from cenote.site.papers import one_line, paper_id
from cenote.site.reading import Bad, Deleted, Good, read_atom, read_oai
from cenote.site.reading.atom import AtomFeed
from cenote.site.reading.oai import OaiError, OaiResponse

FEEDS = ["atom_old_prefixes.xml", "atom_new_prefixes.xml"]
ATOM = b"http://www.w3.org/2005/Atom"
OAI = b"http://www.openarchives.org/OAI/2.0/"


def feed(entries: bytes) -> bytes:
    return b'<feed xmlns="' + ATOM + b'">' + entries + b"</feed>"


def entry(number: int, more: bytes = b"") -> bytes:
    return b"<entry><id>http://arxiv.org/abs/2602.%05d</id><title>A</title>%s</entry>" % (number, more)


def ids(records: list) -> list[str]:
    return [record.paper.id for record in records if isinstance(record, Good)]


@pytest.mark.parametrize("name", FEEDS)
def test_feedparser_reads_the_same(name: str, data: Path) -> None:
    content = (data / name).read_bytes()
    theirs = [entry for entry in feedparser.parse(content).entries if "not-an-id" not in entry.id]
    ours = [record.paper for record in read_atom(io.BytesIO(content)) if isinstance(record, Good)]
    assert [paper.id for paper in ours] == [paper_id(entry.id) for entry in theirs]
    assert [paper.title for paper in ours] == [one_line(entry.title) for entry in theirs]
    assert [list(paper.authors or ()) for paper in ours] == [
        [author.name for author in entry.authors] for entry in theirs
    ]
    assert [set(paper.categories) for paper in ours] == [{tag.term for tag in entry.tags} for entry in theirs]
    assert [paper.published.timetuple()[:6] for paper in ours if paper.published] == [
        entry.published_parsed[:6] for entry in theirs
    ]


def test_the_rest_of_an_entry(data: Path) -> None:
    with (data / "atom_old_prefixes.xml").open("rb") as stream:
        source = AtomFeed(stream)
        first, _, third = source
    assert source.total == 3
    assert isinstance(first, Good)
    paper = first.paper
    assert paper.summary == r"We pool $\tilde{O}(n)$ ponds <fast>, as Erdős did & others."
    assert (paper.categories, paper.comment) == (("cs.LG", "stat.ML"), "12 pages, 3 figures")
    assert (paper.journal_reference, paper.doi) == ("J. Ponds 7 (2026)", "10.1000/pond.1")
    assert paper.updated == dt.datetime(2026, 2, 10, 12, 30, tzinfo=dt.UTC)
    assert isinstance(third, Bad)
    assert third.reason.startswith("id: paper id must be")


def test_prefixes_do_not_matter(data: Path) -> None:
    with (data / "atom_new_prefixes.xml").open("rb") as stream:
        source = AtomFeed(stream)
        [record] = source
    assert source.total == 1_234
    assert isinstance(record, Good)
    assert (record.paper.categories, record.paper.comment) == (("cs.LG", "cs.CV"), "Short")


def test_an_answer_to_a_wrong_question_is_an_error() -> None:
    content = feed(
        b"<entry><id>http://arxiv.org/api/errors#x</id><title>Error</title><summary>bad id</summary></entry>"
    )
    with pytest.raises(SourceError, match="arXiv answers: bad id"):
        list(read_atom(io.BytesIO(content)))


def test_records_of_the_format_arxiv(data: Path) -> None:
    with (data / "oai_arxiv.xml").open("rb") as stream:
        response = OaiResponse(stream)
        first, second, third = response
    assert (response.resumption_token, response.date) == ("token-1|1001", dt.date(2026, 2, 11))
    assert isinstance(first, Good)
    paper = first.paper
    assert paper.authors == ("Zoë Müller-Lüdenscheidt", "Martin Luther King Jr.", "ATLAS Collaboration")
    assert (paper.id, paper.title, paper.summary) == ("2602.00001", "Pooling of Ponds", "We pool ponds, as Gödel did.")
    assert (paper.categories, paper.comment, paper.doi) == (("cs.LG", "stat.ML"), "12 pages", "10.1000/pond.1")
    assert (paper.journal_reference, paper.license) == (
        "J. Ponds 7",
        "http://arxiv.org/licenses/nonexclusive-distrib/1.0/",
    )
    assert paper.published == dt.datetime(2026, 2, 8, tzinfo=dt.UTC)
    assert paper.updated == dt.datetime(2026, 2, 10, tzinfo=dt.UTC)
    assert second == Deleted("hep-th/9901001", 2)
    assert isinstance(third, Bad)
    assert third.reason.startswith("title")


def test_records_of_the_format_arxiv_raw(data: Path) -> None:
    with (data / "oai_raw.xml").open("rb") as stream:
        response = OaiResponse(stream)
        [record] = response
    assert response.resumption_token is None
    assert isinstance(record, Good)
    assert (record.paper.id, record.paper.authors) == ("0704.0001", ("A. Lee", "B. Wu", "C. König"))
    assert record.paper.published == dt.datetime(2007, 4, 2, 19, 18, 42, tzinfo=dt.UTC)
    assert record.paper.updated == dt.datetime(2007, 7, 24, 20, 10, 27, tzinfo=dt.UTC)


def test_records_of_dublin_core(data: Path) -> None:
    with (data / "oai_dc.xml").open("rb") as stream:
        [record] = read_oai(stream)
    assert isinstance(record, Good)
    paper = record.paper
    assert (paper.id, paper.title, paper.summary) == ("math/0601001", "A Theorem", "It is proved.")
    assert (paper.authors, paper.comment, paper.doi) == (
        ("Martin Luther King Jr.", "Ann Lee"),
        "3 pages",
        "10.1000/theorem",
    )
    assert (paper.keywords, paper.categories) == (("Mathematics - Number Theory",), ())
    assert (str(paper.published)[:10], str(paper.updated)[:10]) == ("2006-01-01", "2006-03-04")


def test_no_matching_record_is_no_error() -> None:
    content = b'<OAI-PMH xmlns="%s"><error code="%s">none</error></OAI-PMH>'
    assert list(read_oai(io.BytesIO(content % (OAI, b"noRecordsMatch")))) == []
    with pytest.raises(OaiError, match="answers badArgument: none") as caught:
        list(read_oai(io.BytesIO(content % (OAI, b"badArgument"))))
    assert caught.value.code == "badArgument"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (b"", "the record has no metadata"),
        (b"<metadata></metadata>", "the record has no metadata"),
        (b"<metadata><x/></metadata>", "metadata must be in the format arXiv"),
        (b'<header status="deleted"><identifier>oai:x</identifier></header>', "paper id must be"),
    ],
)
def test_records_that_cannot_be_used(record: bytes, reason: str) -> None:
    content = b'<OAI-PMH xmlns="%s"><ListRecords><record>%s</record></ListRecords></OAI-PMH>' % (OAI, record)
    [found] = read_oai(io.BytesIO(content))
    assert isinstance(found, Bad)
    assert found.reason.startswith(reason)
    element = b'<record xmlns="%s">%s</record>' % (OAI, record)
    assert canonicalize(found.text, rewrite_prefixes=True) == canonicalize(element.decode(), rewrite_prefixes=True)


def test_a_bad_record_is_repaired_and_read_again(data: Path) -> None:
    content = (data / "oai_arxiv.xml").read_bytes()
    broken = content.replace(b"<id>2602.00001</id>", b"<id>26O2.00001</id>")
    first, bad = next(read_oai(io.BytesIO(content))), next(read_oai(io.BytesIO(broken)))
    assert isinstance(bad, Bad)
    repaired = bad.text.replace("26O2.00001", "2602.00001").encode()
    assert next(read_oai(io.BytesIO(b'<OAI-PMH xmlns="%s">%s</OAI-PMH>' % (OAI, repaired)))) == first


@pytest.mark.parametrize("between", [b"", b"\n", b"\n\n  \n", b"<!-- between -->"])
def test_documents_may_follow_each_other(between: bytes, data: Path) -> None:
    parts = [
        (data / name).read_bytes().strip() for name in ("oai_arxiv.xml", "oai_dc.xml", "oai_raw.xml", "oai_arxiv.xml")
    ]
    response = OaiResponse(io.BytesIO(between.join(parts) + b"\n"))
    records = list(response)
    assert [record.position for record in records] == list(range(1, 9))
    assert ids(records) == ["2602.00001", "math/0601001", "0704.0001", "2602.00001"]
    assert [record.position for record in read_oai(io.BytesIO(between.join(parts)), after=6)] == [7, 8]


def test_documents_that_end_anywhere_in_a_chunk() -> None:
    document = b"<?xml version='1.0'?>\n" + feed(entry(1))
    for filler in range((1 << 16) - 2 * len(document), (1 << 16) + 40):
        content = b"<?xml version='1.0'?>\n" + feed(entry(1) + b" " * filler) + b"\n" + document
        assert ids(list(read_atom(io.BytesIO(content)))) == ["2602.00001", "2602.00001"]


LAUGHS = b'<!DOCTYPE feed [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
EXTERNAL = b'<!DOCTYPE feed [<!ENTITY a SYSTEM "file:///etc/passwd">]>'
ELSEWHERE = b'<!DOCTYPE feed SYSTEM "http://127.0.0.1/evil.dtd">'


@pytest.mark.parametrize("doctype", [LAUGHS, EXTERNAL, ELSEWHERE])
@pytest.mark.parametrize("reader", [read_atom, read_oai])
def test_document_types_and_entities_are_refused(doctype: bytes, reader) -> None:
    content = b"<?xml version='1.0'?>" + doctype + feed(b"<entry><id>&a;</id></entry>")
    with pytest.raises(DataFormatError, match="document type or entities, which are refused"):
        list(reader(io.BytesIO(content)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"no xml", "not well-formed"),
        (b"<html></html>", "root element is 'html'"),
        (feed(b"")[:-1], "cut short"),
        (feed(entry(1))[:-8], "cut short"),
        (feed(b"") + b"tail", "not well-formed"),
        (feed(b"&unknown;"), "not well-formed"),
        (feed(b"\x00"), "not well-formed"),
        (feed(b"\xff"), "not well-formed"),
        (b"<?xml version='1.0' encoding='klingon'?><a/>", "XML"),
        (b"<?xml version='1.0' encoding='utf-7'?><a/>", "XML"),
        (feed(b"<a>" * 100 + b"</a>" * 100), "nested deeper than 40"),
        (feed(b"<" + b"a" * (2 << 20) + b"/>"), "tag or comment is longer than"),
        (feed(b"<!--" + b"a" * (2 << 20) + b"-->"), "tag or comment is longer than"),
    ],
)
def test_other_sources_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataFormatError, match=message):
        list(read_atom(io.BytesIO(content)))


def test_what_stood_before_the_cut_is_read() -> None:
    records: list = []
    content = feed(entry(1) + entry(2) + entry(3))[:-20]
    with pytest.raises(DataFormatError, match="cut short"):
        collect(read_atom(io.BytesIO(content)), records)
    assert ids(records) == ["2602.00001", "2602.00002"]


def collect(source: Iterator, records: list) -> None:
    for record in source:
        records.append(record)  # noqa: PERF402 - extend would lose what came before the error


@pytest.mark.parametrize(
    "more", [b"<summary>" + b"a" * (5 << 20) + b"</summary>", b"<x/>" * 45_000, b"<x>" + b"<y/>" * 45_000 + b"</x>"]
)
def test_an_entry_that_is_too_large_is_one_bad_record(more: bytes) -> None:
    first, second = read_atom(io.BytesIO(feed(entry(1, more) + entry(2))))
    assert isinstance(first, Bad)
    assert (first.reason, first.truncated) == ("the entry is too large", True)
    assert re.match(r"<(\w+):entry [^>]+><\1:id>http://arxiv.org/abs/2602.00001</\1:id><\1:title>A<", first.text)
    assert 40_000 < len(first.text) <= 1 << 20
    assert isinstance(second, Good)


def test_memory_stays_flat() -> None:
    class Long(io.RawIOBase):
        def __init__(self) -> None:
            self.parts = iter(
                [
                    feed(b"").removesuffix(b"</feed>"),
                    *([entry(1, b"<summary>" + b"a" * 1_000 + b"</summary>") * 10] * 200),
                    b"</feed>",
                ]
            )

        def read(self, size: int = -1) -> bytes:
            return next(self.parts, b"")

    tracemalloc.start()
    count = sum(1 for _ in read_atom(Long()))  # type: ignore[arg-type]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert count == 2_000
    # The feed has 2 MB.
    assert peak < 1 << 20


def test_encodings() -> None:
    text = '<?xml version="1.0" encoding="{}"?>' + feed(entry(1, b"<summary>%s</summary>")).decode().replace(
        "%s", "Zoë"
    )
    for encoding in ("utf-8", "utf-16", "iso-8859-1"):
        [record] = read_atom(io.BytesIO(text.format(encoding).encode(encoding)))
        assert isinstance(record, Good)
        assert record.paper.summary == "Zoë"
