"""Every text of papers, cards, results and answers, hostile at once: pages have the elements that they have anyway."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import html5lib
import pytest
from fastapi.testclient import TestClient
from markdown_it import MarkdownIt

from .conftest import FakeSearch, Opening
from .hostile import EVIL, HARMLESS, Marking, addresses, found, papers_and_methods
from .pages import check_page, parsed

_SHOWN = """
paper.title paper.summary paper.authors paper.categories paper.keywords paper.organization paper.journal_reference
card.title card.venue card.example card.commands.help card.findings.sentence card.findings.test
card.claims.sentence card.claims.subject card.claims.baselines card.claims.metric card.claims.margin_reason
card.claims.where card.claims.note listed.title listed.claims.data listed.links.code_license
result.preset result.differs result.data.name result.data.size result.environment.processor result.environment.python
result.figures.title result.figures.caption result.figures.alt result.verdicts.reason result.verdicts.note
result.verdicts.data result.verdicts.comparisons.baseline result.verdicts.comparisons.units
reason.summary found.note
"""
SHOWN = frozenset(_SHOWN.split())
"""The texts that must be on a page, or this test would not look at them."""

FORBIDDEN = {"script", "img", "svg", "title", "style"}


def opened(open_with: Opening, marking: Marking) -> tuple[TestClient, list[str]]:
    papers, methods = papers_and_methods(marking)
    answer = found(marking, papers)
    client = open_with(*papers, methods=methods, search=FakeSearch(answer, answer.hits))
    return client, addresses(papers)


@pytest.fixture
def hostile(open_with: Opening) -> TestClient:
    return opened(open_with, Marking(EVIL))[0]


def elements(html: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the elements of a page in their order, with the names of their attributes."""
    page = check_page(html) if html.startswith("<!doctype") else parsed(f"<!doctype html><title>x</title>{html}")
    return [(str(each.tag), tuple(sorted(each.attrib))) for each in page.iter()]


def told(html: str) -> str:
    """Return all texts and all values of attributes of a page."""
    page = html5lib.parse(html, namespaceHTMLElements=False)
    return "\n".join(["".join(page.itertext()), *(value for each in page.iter() for value in each.attrib.values())])


def test_hostile_texts_change_no_element_of_any_page(open_with: Opening) -> None:
    harmless, evil = Marking(HARMLESS), Marking(EVIL)
    client, pages = opened(open_with, harmless)
    expected = {address: client.get(address).text for address in pages}
    client, _ = opened(open_with, evil)
    assert evil.markers == harmless.markers
    everything = ""
    for address, html in expected.items():
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert elements(answer.text) == elements(html), address
        before, texts = told(html), told(answer.text)
        for path, marker in evil.markers.items():  # what is shown is shown whole, as the text that it is
            if f"{marker} {HARMLESS}" in before:
                assert f"{marker} {EVIL}" in texts, (address, path)
        everything += texts
    assert {path for path in SHOWN if evil.markers.get(path, "no such field") not in everything} == set()


@pytest.mark.parametrize("address", ["/feed.atom", "/feed.json", "/feed/results.atom", "/feed/results.json"])
def test_feeds_hold_hostile_texts_as_text(hostile: TestClient, address: str) -> None:
    answer = hostile.get(address)
    assert answer.status_code == 200
    if address.endswith("json"):
        contents = [item["content_html"] for item in json.loads(answer.text)["items"]]
    else:
        root = ET.fromstring(answer.text)
        contents = [each.text or "" for each in root.iter("{http://www.w3.org/2005/Atom}content")]
    assert contents
    for content in contents:
        tags = {str(each.tag) for each in html5lib.parse(content, namespaceHTMLElements=False).iter()}
        assert not tags & FORBIDDEN, content


@pytest.mark.parametrize("name", ["2412.06097", "hep-th/9901001"])
def test_markdown_and_bibtex_hold_no_markup(hostile: TestClient, name: str) -> None:
    rendered = MarkdownIt("commonmark", {"html": True}).render(hostile.get(f"/papers/{name}.md").text)
    tags = {str(each.tag) for each in html5lib.parse(rendered, namespaceHTMLElements=False).iter()}
    assert "h1" in tags
    assert not tags & FORBIDDEN
    entry = hostile.get(f"/papers/{name}.bib")
    assert entry.headers["content-type"].startswith("application/x-bibtex")
    assert entry.headers["x-content-type-options"] == "nosniff"
    assert entry.text.count("{") == entry.text.count("}")
