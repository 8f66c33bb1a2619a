"""Find and read the cards of the package."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from pydantic import BaseModel, ValidationError

from cenote.catalog.card import Card, Claim, Command, Finding, Links, Shelf
from cenote.errors import CardError, NotRunnableError, UnknownPaperError

PACKAGE = Path(__file__).resolve().parent.parent

PLACEHOLDER = "Write here"
"""How a text that is still to be written begins, as ``cenote new`` leaves it; no card is sound with one."""

_TABLES: dict[str, type[BaseModel]] = {"claims": Claim, "commands": Command, "findings": Finding, "links": Links}
"""The keys of a card that hold tables."""

_FORMS = {
    "arxiv": "must be an arXiv id such as 2412.06097",
    "slug": "must be lower-case words joined by hyphens, such as max-pooling",
    "id": "must be lower-case words joined by hyphens, such as more-accurate",
    "name": "must be lower-case words joined by hyphens, such as train-pool",
    "target": "must be a module and a name in it, such as cenote.shelf.paper.module:app",
}
"""What a text that must match a pattern has to be, in words."""


@dataclass(frozen=True)
class DamagedCard:
    """A file that should be a card, and what is wrong with it."""

    path: Path
    problem: str

    @property
    def slug(self) -> str:
        """The paper's name, as its folder tells."""
        return self.path.parent.name.replace("_", "-")

    @property
    def shelf(self) -> Shelf:
        """The shelf the folder stands on."""
        return Shelf(self.path.parent.parent.name)


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
        raise CardError(f"{path}: {explain_invalid(error)}") from None
    folder = path.absolute().parent
    place = (folder.parent.name, folder.name)
    if place != (card.shelf, card.folder):
        raise CardError(f"{path}: slug '{card.slug}' on shelf '{card.shelf}' belongs in {card.shelf}/{card.folder}/")
    return card


def load_cards(package: Path = PACKAGE) -> tuple[Card, ...]:
    """Read every card of the package, newest paper first.

    Raises:
        CardError: If a card is not valid, or two have one slug or arXiv id.
    """
    cards, damaged = read_cards(package)
    if damaged:
        raise CardError(damaged[0].problem)
    return cards


@cache
def read_cards(package: Path = PACKAGE) -> tuple[tuple[Card, ...], tuple[DamagedCard, ...]]:
    """Read every card of the package, newest paper first, and apart from them those that are damaged.

    One damaged card is no reason to hide the others; of two with one slug or arXiv id the second counts as damaged.
    """
    cards: list[Card] = []
    damaged: list[DamagedCard] = []
    taken: dict[tuple[str, str], Path] = {}
    for shelf in Shelf:
        for path in sorted((package / shelf).glob("*/card.toml")):
            try:
                card = read_card(path)
                for key in (("slug", card.slug), ("arxiv", card.arxiv)):
                    if key in taken:
                        raise CardError(f"{path}: {key[0]} {key[1]!r} is taken by {taken[key]}")
            except CardError as error:
                damaged.append(DamagedCard(path, str(error)))
                continue
            taken |= {("slug", card.slug): path, ("arxiv", card.arxiv): path}
            cards.append(card)
    return tuple(sorted(cards, key=lambda card: (card.published, card.slug), reverse=True)), tuple(damaged)


def get_card(name: str, package: Path = PACKAGE) -> Card:
    """Return the card with this slug (underscores are fine) or arXiv id.

    Raises:
        CardError: If that card is damaged.
        UnknownPaperError: If there is none; suggests the nearest.
    """
    cards, damaged = read_cards(package)
    wanted = name.strip().casefold().replace("_", "-")
    for card in cards:
        if wanted in (card.slug, card.arxiv):
            return card
    for broken in damaged:
        if wanted == broken.slug:
            raise CardError(broken.problem)
    slugs = [card.slug for card in cards] + [broken.slug for broken in damaged]
    near = difflib.get_close_matches(wanted, slugs, n=1, cutoff=0.5)
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


def unwritten(card: Card) -> Iterator[str]:
    """Yield the keys of a card whose text is still the one ``cenote new`` left."""
    texts = {"summary": card.summary} | {f"claims.{claim.id}.sentence": claim.sentence for claim in card.claims}
    for key, text in texts.items():
        if text.startswith(PLACEHOLDER):
            yield key


def explain_invalid(error: ValidationError) -> str:
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
    if first["type"] == "string_pattern_mismatch" and (form := _FORMS.get(key.rpartition(".")[2])):
        return f"{key} {form}, got {first['input']!r}"
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
