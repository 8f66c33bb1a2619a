"""Reading pages as a browser does, and what each must have."""

from __future__ import annotations

import itertools
from xml.etree.ElementTree import Element

import html5lib


def parsed(html: str) -> Element:
    """Parse a page; anything HTML does not allow is an error."""
    return html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)


def text_of(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def links(page: Element) -> list[str]:
    return [each.get("href", "") for each in page.iter("a")]


def check_page(html: str) -> Element:
    """Check what holds for every page, and return it."""
    page = parsed(html)
    tags = [each.tag for each in page.iter() if isinstance(each.tag, str)]
    assert tags.count("h1") == 1
    assert tags.count("main") == 1
    headings = [int(tag[1]) for tag in tags if tag in ("h1", "h2", "h3", "h4", "h5")]
    jumps = [pair for pair in itertools.pairwise(headings) if pair[1] > pair[0] + 1]
    assert not jumps, f"headings leave out a level: {headings}"
    assert page.find("head/title") is not None
    _check_nothing_inline(page)
    _check_labels(page)
    ids = [each.get("id") for each in page.iter() if each.get("id")]
    assert len(ids) == len(set(ids))
    assert all(each.get("alt") for each in page.iter("img"))
    return page


def _check_nothing_inline(page: Element) -> None:
    for each in page.iter():
        assert each.tag != "style"
        assert not [name for name in each.attrib if name == "style" or name.startswith("on")]
        for name in ("src", "href"):
            address = each.get(name, "")
            if each.tag in ("script", "link", "img") and name in each.attrib and each.get("rel") != "canonical":
                assert address.startswith("/"), f"{each.tag} loads {address}"
            assert not address.casefold().startswith(("javascript:", "data:"))
        if each.tag == "script":
            assert each.get("src", "").startswith("/static/")
            assert not each.text


def _check_labels(page: Element) -> None:
    labelled = {label.get("for") for label in page.iter("label")}
    inside = {id(field) for label in page.iter("label") for field in label.iter()}
    for tag in ("input", "select", "textarea"):
        for field in page.iter(tag):
            if field.get("type") == "hidden":
                continue
            assert field.get("id") in labelled or id(field) in inside, f"no label: {field.attrib}"
