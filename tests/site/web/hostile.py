"""Papers, cards and results every text of which is hostile, or as harmless as it can be."""

from __future__ import annotations

import datetime as dt
from enum import Enum
from typing import Any, TypeVar

from pydantic import BaseModel, HttpUrl

from cenote.catalog import load_cards
from cenote.catalog.card import Card, Command, Finding, Links
from cenote.catalog.results import RESULTS, Result, latest
from cenote.site.methods import Method
from cenote.site.papers import Paper
from cenote.site.search import Found, Hit, Mode, Reason
from cenote.site.store.reading import StoredPaper

Model = TypeVar("Model", bound=BaseModel)

EVIL = "\"'></title></script><script>alert(0)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>{{7*7}}"
HARMLESS = "harmless words"

KEPT = frozenset({"id", "slug", "arxiv", "claim", "run_id", "word", "status", "quantifier", "module", "target"})
"""Fields whose texts are names or one of a few words, which a card or result could not be read with otherwise."""
DAY = dt.datetime(2026, 11, 20, tzinfo=dt.UTC)


class Marking:
    """Puts a marker of its own, and what comes behind it, into every text of a model, however deep."""

    def __init__(self, behind: str) -> None:
        self._behind = behind
        self.markers: dict[str, str] = {}
        """The marker of each path."""

    def text(self, path: str) -> str:
        # Digits and letters only, so that no way of writing changes it; the same path has the same one each time.
        marker = self.markers.setdefault(path, f"Mark{len(self.markers):04}x")
        return f"{marker} {self._behind}"

    def model(self, model: Model, path: str) -> Model:
        """Return a copy, which is not validated: what is shown must not rely on who wrote it."""
        values = {name: getattr(model, name) for name in type(model).model_fields if name not in KEPT}
        return model.model_copy(update={name: self._marked(value, f"{path}.{name}") for name, value in values.items()})

    def _marked(self, value: Any, path: str) -> Any:
        if isinstance(value, BaseModel):
            return self.model(value, path)
        if isinstance(value, tuple):
            return tuple(self._marked(each, path) for each in value)
        if isinstance(value, dict):
            return {key: self._marked(each, path) for key, each in value.items()}
        if not isinstance(value, str) or isinstance(value, Enum) or path.endswith("_url") or value == "not known":
            return value
        return self.text(path)


def papers_and_methods(marking: Marking) -> tuple[list[Paper], list[Method]]:
    """A measured paper, a listed one and an imported one, with every field that can be filled."""
    cards = load_cards()
    measured = next(card for card in cards if (RESULTS / card.slug).is_dir())
    listed = next(card for card in cards if not card.runs)
    found = latest(measured.slug)
    assert found is not None
    result: Result = marking.model(found.model_copy(update={"records": ()}), "result")
    methods = [
        Method(marking.model(_filled(measured), "card"), (result, result.model_copy(update={"run_id": "older"})), True),
        Method(marking.model(_filled(listed), "listed"), (), False),
    ]
    ids = (measured.arxiv, listed.arxiv, "hep-th/9901001")
    return [marking.model(_paper(each), "paper") for each in ids], methods


def found(marking: Marking, papers: list[Paper]) -> Found:
    """An answer with a reason of each kind."""
    fields = ("id", "title", "summary", "authors", "keywords", "meaning")
    reasons = tuple(Reason(each, marking.text(f"reason.{each}"), ((0, 4), (9, 30))) for each in fields)
    hits = tuple(Hit(StoredPaper(n, DAY.date(), paper), 1.0, reasons) for n, paper in enumerate(papers, start=1))
    return Found(hits, len(hits), Mode.HYBRID, marking.text("found.note"))


def addresses(papers: list[Paper]) -> list[str]:
    """Every kind of page that shows them."""
    periods = ["/papers/date/2026-11-20", "/papers/week/2026-W47", "/papers/month/2026-11"]
    lists = ["/", "/papers/trending", "/methods", "/claims", "/search?q=x", "/search/results?q=x"]
    return [*periods, *lists, *(f"/papers/{paper.id}{end}" for paper in papers for end in ("", "/history"))]


def _paper(paper_id: str) -> Paper:
    return Paper(
        id=paper_id,
        **dict.fromkeys(_TEXTS, "words"),  # type: ignore[arg-type]
        **dict.fromkeys(("authors", "categories", "keywords"), ("words", "words")),
        published=DAY,
        updated=DAY,
        featured=DAY.date(),
        upvotes=3,
        comments=1,
        code_url="https://example.org/?a=1&b=%22",
        project_url="https://example.org/",
    )


_TEXTS = (
    "title", "summary", "organization", "comment", "journal_reference", "doi", "license", "submitted_by"
)  # fmt: skip


def _filled(card: Card) -> Card:
    claims = tuple(
        claim.model_copy(
            update=dict.fromkeys(("margin_reason", "figure_text", "where", "note"), "words")
            | {"verified": False, "data": ("words",)}
        )
        for claim in card.claims
    )
    return card.model_copy(
        update={
            "claims": claims,
            "venue": "words",
            "organization": "words",
            "example": "words",
            "commands": (Command(name="words", help="words and words", target="cenote.x:app"),),
            "findings": (Finding(sentence="words and words", test="words"),),
            "links": Links(code=HttpUrl("https://example.org/"), code_license="words"),
        }
    )
