"""Write the skeleton of a paper's room."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

from pydantic import ValidationError

from cenote.catalog.card import Card
from cenote.catalog.files import write_files_atomic
from cenote.catalog.loading import PLACEHOLDER, explain_invalid, read_cards
from cenote.catalog.terminal import shelf_named
from cenote.errors import ArgumentError, StorageError

PACKAGE = Path(__file__).resolve().parent.parent

_SUMMARY = (
    f"{PLACEHOLDER}, in three to five sentences of your own: which problem the paper has, what its method does, step "
    "by step, and what the authors say came out. Give the figures that the paper prints and no others. Copy no "
    "sentence of the abstract."
)
_CLAIM = f"{PLACEHOLDER} one falsifiable sentence: what is better than what, by which metric, on which data."

_CARD = '''schema_version = 1
slug = {slug}
title = {title}
shelf = {shelf}
status = "listed"
arxiv = {arxiv}
published = {published}
authors = {authors}
summary = """
{summary}"""
topics = ["{shelf_word}", "{slug_word}"]

[[claims]]
id = "main"
sentence = {claim}
kind = "better"
metric = "accuracy"
metric_unit = "fraction"
subject = "method"
baselines = ["baseline"]
margin = 0.01
figure = "not known"
'''


def write_skeleton(
    shelf: str, slug: str, *, title: str, arxiv: str, published: str, authors: int, package: Path = PACKAGE
) -> list[Path]:
    """Write a listed paper's card and room; what comes next stands in the guide 'Add a paper'.

    Args:
        shelf: One of the eight shelves.
        slug: Lower-case words joined by hyphens; names the folder.
        title: The paper's title.
        arxiv: Its arXiv id.
        published: Day of its first version, YYYY-MM-DD.
        authors: Number of authors.
        package: The package to write into.

    Returns:
        The files written.

    Raises:
        ArgumentError: If a value is not allowed, or the slug or the arXiv id is taken.
        StorageError: If the files cannot be written.
    """
    place = shelf_named(shelf)
    text = _CARD.format(
        slug=json.dumps(slug),
        title=json.dumps(title, ensure_ascii=False),
        shelf=json.dumps(place.value),
        arxiv=json.dumps(arxiv),
        published=_day(published),
        authors=authors,
        summary=_SUMMARY,
        claim=json.dumps(_CLAIM),
        shelf_word=place.value.replace("_", " "),
        slug_word=slug.replace("-", " "),
    )
    card = _validated(text)
    others, _ = read_cards(package)  # a damaged card elsewhere is no reason to refuse a new one
    for other in others:
        if card.slug == other.slug or card.arxiv == other.arxiv:
            raise ArgumentError(f"slug {slug!r} or arxiv {arxiv!r} is taken by {other.slug}: {other.title}")
    folder = package / place / card.folder
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ArgumentError(f"slug {slug!r}: the folder {folder} exists already") from None
    except OSError as error:
        raise StorageError(f"{folder} could not be made: {error.strerror}") from error
    room = f'"""{title.rstrip(".")}.\n\narXiv {arxiv}. Listed: its method is not here yet.\n"""\n'
    files = {folder / "card.toml": text.encode(), folder / "__init__.py": room.encode()}
    write_files_atomic(files)
    return list(files)


def _day(text: str) -> str:
    try:
        return dt.date.fromisoformat(text).isoformat()
    except ValueError:
        raise ArgumentError(f"published must be a day such as 2024-12-08, got {text!r}") from None


def _validated(text: str) -> Card:
    import tomllib

    try:
        return Card.model_validate(tomllib.loads(text))
    except ValidationError as error:
        raise ArgumentError(explain_invalid(error)) from None
