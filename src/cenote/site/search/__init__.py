"""Search over the store: by words, by meaning, or both, with what speaks for every paper it finds."""

from cenote.site.search.found import Filters, Found, Hit, Mode, Reason, Tags
from cenote.site.search.searching import Search

__all__ = ["Filters", "Found", "Hit", "Mode", "Reason", "Search", "Tags"]
