"""Find and read the cards of the package."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from cenote.catalog.card import Card, Claim, Command, Finding, Links, Shelf
from cenote.errors import CardError, NotRunnableError, UnknownPaperError

PACKAGE = Path(__file__).resolve().parent.parent

_TABLES: dict[str, type[BaseModel]] = {"claims": Claim, "commands": Command, "findings": Finding, "links": Links}
"""The keys of a card that hold tables."""


def read_card(path: Path) -> Card:
    """Read and validate one card.

    Raises:
        CardError: If the file is not TOML or breaks the schema; names the file, the key and the fix.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CardError(f"{path}: not readable as TOML: {error}") from None
    try:
        card = Card.model_validate(content)
    except ValidationError as error:
        raise CardError(f"{path}: {_explain(error)}") from None
    folder = path.absolute().parent
    place = (folder.parent.name, folder.name)
    if place != (card.shelf, card.folder):
        raise CardError(f"{path}: slug '{card.slug}' on shelf '{card.shelf}' belongs in {card.shelf}/{card.folder}/")
    return card


@cache
def load_cards(package: Path = PACKAGE) -> tuple[Card, ...]:
    """Read every card of the package, newest paper first.

    Raises:
        CardError: If a card is not valid, or two have one slug or arXiv id.
    """
    cards: list[Card] = []
    taken: dict[tuple[str, str], Path] = {}
    for shelf in Shelf:
        for path in sorted((package / shelf).glob("*/card.toml")):
            card = read_card(path)
            for key in (("slug", card.slug), ("arxiv", card.arxiv)):
                if key in taken:
                    raise CardError(f"{path}: {key[0]} {key[1]!r} is taken by {taken[key]}")
                taken[key] = path
            cards.append(card)
    return tuple(sorted(cards, key=lambda card: (card.published, card.slug), reverse=True))


def get_card(name: str, package: Path = PACKAGE) -> Card:
    """Return the card with this slug (underscores are fine) or arXiv id.

    Raises:
        UnknownPaperError: If there is none; suggests the nearest.
    """
    cards = load_cards(package)
    wanted = name.strip().casefold().replace("_", "-")
    for card in cards:
        if wanted in (card.slug, card.arxiv):
            return card
    near = difflib.get_close_matches(wanted, [card.slug for card in cards], n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else "'cenote papers' lists them"
    raise UnknownPaperError(f"no paper {name!r}; {hint}")


def get_running_card(name: str, package: Path = PACKAGE) -> Card:
    """Return the card of a paper whose method is here.

    Raises:
        UnknownPaperError: If there is no such paper.
        NotRunnableError: If it is listed only.
    """
    card = get_card(name, package)
    if not card.runs:
        raise NotRunnableError(f"{card.slug} is listed: its method is not here yet, so there is nothing to run")
    return card


def _explain(error: ValidationError) -> str:
    """Say the first thing that is wrong with a card: the key and the fix."""
    # A misspelt key also makes the right one missing; the wrong one says more.
    errors = sorted(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    first = errors[0]
    if first["type"] == "extra_forbidden":
        key = ".".join(str(part) for part in first["loc"])
        known = _fields_at(first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(known)}"
        return f"{key}: this key is not known; {fix}"
    key = _key(first["loc"])
    if first["type"] == "missing":
        return f"{key}: this key is missing; add it"
    if first["type"] == "value_error":
        return first["msg"].removeprefix("Value error, ")
    allowed = dict.fromkeys(each["msg"] for each in errors if _key(each["loc"]) == key)
    return f"{key}: {' or '.join(allowed)}, got {first['input']!r}"


def _key(location: tuple[int | str, ...]) -> str:
    """Dotted name of a place, without the alternatives of a type that pydantic adds: ``figure.float``."""
    keys = {*Card.model_fields, *(key for table in _TABLES.values() for key in table.model_fields)}
    return ".".join(str(part) for part in location if isinstance(part, int) or part in keys)


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that a card has at a place."""
    model = _TABLES.get(str(location[0]), Card) if location else Card
    return list(model.model_fields)
