"""Feeds written as Atom (RFC 4287) and as JSON Feed 1.1."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from xml.etree import ElementTree as ET

from cenote import __version__
from cenote.site.api.feed import Entry, Feed

ATOM = "application/atom+xml"
JSON_FEED = "application/feed+json"

_VERSION = "https://jsonfeed.org/version/1.1"


def write_atom(feed: Feed) -> bytes:
    """Return the feed as Atom."""
    # Every element is Atom's own, so the name of its space stands once instead of as a prefix of each.
    root = ET.Element("feed", xmlns="http://www.w3.org/2005/Atom")
    _text(root, "id", feed.id)
    _text(root, "title", feed.title)
    _text(root, "updated", _moment(feed.updated))
    ET.SubElement(root, "link", rel="self", type=ATOM, href=feed.address)
    ET.SubElement(root, "link", rel="alternate", type="text/html", href=feed.home)
    _text(ET.SubElement(root, "author"), "name", "cenote")  # of every entry that names no author
    ET.SubElement(root, "generator", version=__version__).text = "cenote"
    for entry in feed.entries:
        _add_entry(ET.SubElement(root, "entry"), entry)
    written: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return written


def write_json_feed(feed: Feed) -> bytes:
    """Return the feed as JSON Feed."""
    content = {
        "version": _VERSION,
        "title": feed.title,
        "home_page_url": feed.home,
        "feed_url": feed.address,
        "items": [_item(entry) for entry in feed.entries],
    }
    return json.dumps(content, ensure_ascii=False).encode()


def _add_entry(element: ET.Element, entry: Entry) -> None:
    _text(element, "id", entry.id)
    _text(element, "title", entry.title)
    _text(element, "published", _moment(entry.published))
    _text(element, "updated", _moment(entry.updated))
    ET.SubElement(element, "link", rel="alternate", type="text/html", href=entry.link)
    for name in entry.authors:
        _text(ET.SubElement(element, "author"), "name", name)
    for category in entry.categories:
        ET.SubElement(element, "category", term=category)
    _text(element, "summary", entry.summary)
    _text(element, "content", entry.html, type="html")


def _text(parent: ET.Element, name: str, text: str, **attributes: str) -> None:
    ET.SubElement(parent, name, attributes).text = text


def _item(entry: Entry) -> dict[str, Any]:
    item = {
        "id": entry.id,
        "url": entry.link,
        "title": entry.title,
        "summary": entry.summary,
        "content_html": entry.html,
        "date_published": _moment(entry.published),
        "date_modified": _moment(entry.updated),
        "authors": [{"name": name} for name in entry.authors],
        "tags": list(entry.categories),
    }
    return {name: value for name, value in item.items() if value}


def _moment(moment: dt.datetime) -> str:
    """A moment as RFC 3339 writes it; fractions of a second say nothing here."""
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
