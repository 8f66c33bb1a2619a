"""The commands that cards declare, mounted on the command line without importing their code."""

from __future__ import annotations

import importlib
from collections.abc import Callable
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
    if found is None:
        return None
    card, command = found
    return Deferred(command.name, command.help, command.target, extra=card.shelf)


class Deferred(typer.core.TyperCommand):
    """Knows its name and help; imports its code when it is called.

    Args:
        name: Of the command.
        help: One sentence for the list of commands.
        target: Where its typer app is, or the function that is the command: ``package.module:name``.
        extra: What has to be installed for it.
    """

    def __init__(self, name: str, help: str, target: str, *, extra: str) -> None:  # noqa: A002  # typer's name for it
        super().__init__(name, help=help, add_help_option=False)
        self._target = target
        self._extra = extra

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """Import the command and parse its arguments."""
        module, _, name = self._target.partition(":")
        with needing(self._extra):
            target = getattr(importlib.import_module(module), name)
        app = target if isinstance(target, typer.Typer) else _app_of(target)
        return typer.main.get_command(app).make_context(info_name, args, parent=parent, **extra)


def _app_of(function: Callable[..., Any]) -> typer.Typer:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command()(function)
    return app
