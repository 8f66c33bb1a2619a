"""Find and read the cards of the package."""

from __future__ import annotations

import difflib
import tomllib
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from cenote.catalog.card import Card, Shelf
from cenote.errors import CardError, UnknownPaperError

PACKAGE = Path(__file__).resolve().parent.parent


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
        raise CardError(f"{path}: slug {card.slug!r} on shelf {card.shelf!r} belongs in {card.shelf}/{card.folder}/")
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


def _explain(error: ValidationError) -> str:
    """Say the first thing that is wrong with a card: the key and the fix."""
    # A misspelt key also makes the right one missing; the wrong one says more.
    first = min(error.errors(), key=lambda each: each["type"] != "extra_forbidden")
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        known = _fields_at(first["loc"][:-1])
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"the keys here are {', '.join(known)}"
        return f"{key}: this key is not known; {fix}"
    if first["type"] == "missing":
        return f"{key}: this key is missing; add it"
    message = first["msg"].removeprefix("Value error, ")
    if not key:
        return message
    return f"{key}: {message}, got {first['input']!r}" if first["type"] != "value_error" else message


def _fields_at(location: tuple[int | str, ...]) -> list[str]:
    """The keys that a card has at a place."""
    from cenote.catalog.card import Claim, Command, Finding, Links

    tables: dict[str, type[BaseModel]] = {"claims": Claim, "commands": Command, "findings": Finding, "links": Links}
    model = tables.get(str(location[0]), Card) if location else Card
    return list(model.model_fields)
