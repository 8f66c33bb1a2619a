"""The commands that cards declare, mounted on the command line without importing their code."""

from __future__ import annotations

import importlib
from typing import Any

import typer
import typer.core
import typer.main

from cenote.catalog.card import Card, Command
from cenote.catalog.loading import read_cards
from cenote.catalog.shelves import needing


def declared() -> dict[str, tuple[Card, Command]]:
    """Return the commands of all papers that run, by name."""
    cards, _ = read_cards()  # a damaged card must not take the other papers' commands away
    return {command.name: (card, command) for card in cards if card.runs for command in card.commands}


def mounted(name: str) -> typer.core.TyperCommand | None:
    """Return a stand-in for a declared command, or None if no card declares it."""
    found = declared().get(name)
    return None if found is None else _Deferred(*found)


class _Deferred(typer.core.TyperCommand):
    """Knows its name and help from the card; imports the command when it is called."""

    def __init__(self, card: Card, command: Command) -> None:
        super().__init__(command.name, help=command.help, add_help_option=False)
        self._card = card
        self._command = command

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        module, _, name = self._command.target.partition(":")
        with needing(self._card.shelf):
            app = getattr(importlib.import_module(module), name)
        return typer.main.get_command(app).make_context(info_name, args, parent=parent, **extra)
