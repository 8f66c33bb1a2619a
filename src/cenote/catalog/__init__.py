"""Cards: what each paper says, as data. Loads no torch."""

from cenote.catalog.card import Card, Claim, Shelf
from cenote.catalog.loading import get_card, get_running_card, load_cards, read_card
from cenote.catalog.results import Result, Verdict, latest, published
from cenote.catalog.searching import search

__all__ = [
    "Card",
    "Claim",
    "Result",
    "Shelf",
    "Verdict",
    "get_card",
    "get_running_card",
    "latest",
    "load_cards",
    "published",
    "read_card",
    "search",
]
