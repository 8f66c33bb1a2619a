"""The contract is parametrised over the cards: a test that asks for a ``card`` runs for every paper."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cenote.catalog import Card, Shelf, load_cards
from tests.conformance.case import cases_of


def _cards(runs: bool) -> Sequence[Card]:
    return [card for card in load_cards() if card.runs is runs]


PARAMETERS: dict[str, Callable[[], Sequence[Any]]] = {
    "card": load_cards,
    "listed_card": lambda: _cards(runs=False),
    "running_card": lambda: _cards(runs=True),
    "case": lambda: [case for card in _cards(runs=True) for case in cases_of(card)],
    "shelf": lambda: list(Shelf),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, values in PARAMETERS.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, values(), ids=_name)


def _name(value: Any) -> str:
    return value.slug if isinstance(value, Card) else str(value)
