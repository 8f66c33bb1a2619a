"""Reading papers in: from files, addresses and servers, whatever the format, one record at a time."""

from __future__ import annotations

from collections.abc import Mapping

from cenote.site.reading.atom import read_atom
from cenote.site.reading.clients import ArxivApi, HubClient, OaiClient
from cenote.site.reading.daily import read_daily
from cenote.site.reading.kaggle import read_kaggle
from cenote.site.reading.oai import read_oai
from cenote.site.reading.polite import Manners, PoliteClient
from cenote.site.reading.records import Bad, Cursor, Deleted, Good, Reader, Record
from cenote.site.reading.sources import open_source
from cenote.site.reading.unpacking import Limits
from cenote.site.reading.web import Web

FORMATS: Mapping[str, Reader] = {"atom": read_atom, "daily": read_daily, "kaggle": read_kaggle, "oai": read_oai}
"""The readers by the name of what they read."""

__all__ = [
    "FORMATS",
    "ArxivApi",
    "Bad",
    "Cursor",
    "Deleted",
    "Good",
    "HubClient",
    "Limits",
    "Manners",
    "OaiClient",
    "PoliteClient",
    "Reader",
    "Record",
    "Web",
    "open_source",
    "read_atom",
    "read_daily",
    "read_kaggle",
    "read_oai",
]
