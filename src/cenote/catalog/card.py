"""What a card says: the facts of a paper, its claims and its commands."""

from __future__ import annotations

import datetime as dt
from enum import StrEnum
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, model_validator

SCHEMA_VERSION = 1

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Sentence = Annotated[str, StringConstraints(strip_whitespace=True, min_length=10)]
Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
Target = Annotated[str, StringConstraints(pattern=r"^cenote(\.\w+)+:\w+$")]

ACCURACY_POINT = 0.01
"""The smallest gain in accuracy a user would act on; the margin where the paper's own gain is not known."""


class Shelf(StrEnum):
    """The eight kinds of pooling and filtering; each is a folder of the package."""

    POOLING = "pooling"
    FILTERS = "filters"
    PRUNING = "pruning"
    CURATION = "curation"
    ACTIVE_LEARNING = "active_learning"
    RETRIEVAL = "retrieval"
    GENERATION = "generation"
    TRACKING = "tracking"


class Kind(StrEnum):
    """How a claim is judged; the rule for each kind stands in ``cenote.lab.verdict``."""

    BETTER = "better"
    NO_WORSE = "no_worse"
    EQUIVALENT = "equivalent"
    TREND = "trend"
    RANK = "rank"
    RATIO = "ratio"
    EQUAL = "equal"
    BOUND = "bound"


COMPARING = frozenset({Kind.BETTER, Kind.NO_WORSE, Kind.EQUIVALENT, Kind.RATIO})
"""The kinds that need at least one baseline."""

WITH_MARGIN = COMPARING | {Kind.EQUAL}
"""The kinds whose rule has a number: a margin, a ratio or a tolerance."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Claim(_Strict):
    """One falsifiable sentence of the paper, and how it is judged."""

    id: Slug = Field(description="Name of the claim, unique in the card.")
    sentence: Sentence = Field(description="The claim in our own words.")
    kind: Kind
    metric: Name = Field(description="Name of the metric in the run's records, such as accuracy or mAP.")
    metric_unit: str = Field(default="", description="Unit of the metric: fraction, ms, bytes; empty if it has none.")
    lower_is_better: bool = Field(
        default=False, description="True where the paper claims a smaller metric (or slope, or ratio)."
    )
    subject: Name = Field(description="The arm of the experiment the claim is about.")
    baselines: tuple[Name, ...] = Field(default=(), description="The arms it is compared with.")
    quantifier: Literal["all", "any", "mean"] = Field(
        default="all", description="Whether it is claimed against every baseline, at least one, or their mean."
    )
    margin: float | None = Field(
        default=None, gt=0, description="Margin, ratio or tolerance of the kind, positive, in the metric's unit."
    )
    margin_reason: str = Field(
        default="", description="Why the margin is not half of the paper's own gain; required where it is not."
    )
    figure: float | Literal["not known"] = Field(
        description="The effect the paper reports in the metric's unit: a gain, a ratio, a correlation, an error."
    )
    figure_text: str = Field(default="", description="The paper's figures as a reader knows them: '77.2 against 76.6'.")
    verified: bool = Field(default=True, description="False where the figure could not be confirmed in the paper.")
    where: str = Field(default="", description="Table, figure, equation or section of the paper.")
    replication: Name = Field(
        default="seed", description="Unit of replication: seed, subject, image, query, repeat, trial."
    )
    units: int | None = Field(default=None, ge=1, description="Number of units, declared before anything is run.")
    seeds: int | None = Field(
        default=None, ge=1, description="Number of seeds where the unit is not the seed; equals units where it is."
    )
    first_seed: int = Field(
        default=0, ge=0, description="Seeds are first_seed, first_seed+1, …; raised when a claim is declared anew."
    )
    for_this_model: bool = Field(
        default=False, description="True where the claim is about one given model, so one model may decide it."
    )
    data: tuple[Name, ...] = Field(default=(), description="Data sets of the published run, each with its own verdict.")
    note: str = Field(default="", description="How the sentence was made measurable, where that is a choice.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.kind in COMPARING and not self.baselines:
            raise ValueError(f"claims.{self.id}.baselines: kind {self.kind} compares, so name at least one baseline")
        if self.kind in WITH_MARGIN and self.margin is None and self.kind is not Kind.EQUAL:
            raise ValueError(f"claims.{self.id}.margin: kind {self.kind} needs a margin")
        if self.kind not in WITH_MARGIN and self.margin is not None:
            raise ValueError(f"claims.{self.id}.margin: kind {self.kind} has no margin; remove it")
        if self.subject in self.baselines:
            raise ValueError(f"claims.{self.id}.baselines: the subject {self.subject!r} cannot be its own baseline")
        if len(set(self.baselines)) != len(self.baselines):
            raise ValueError(f"claims.{self.id}.baselines: each may be named once")
        if self.kind is Kind.BETTER and not self.margin_reason and not self._margin_by_the_rule():
            raise ValueError(
                f"claims.{self.id}.margin_reason: say why, since the margin {self.margin} is not half of the figure"
            )
        if self.replication == "seed" and self.seeds is not None and self.seeds != self.units:
            raise ValueError(
                f"claims.{self.id}.seeds: the unit is the seed, so leave seeds out or make it {self.units}"
            )
        return self

    def _margin_by_the_rule(self) -> bool:
        assert self.margin is not None
        if self.figure == "not known" or not self.verified:
            return self.metric == "accuracy" and self.margin == ACCURACY_POINT
        return abs(self.margin - abs(self.figure) / 2) <= 1e-9 + 1e-3 * self.margin

    @property
    def seed_count(self) -> int | None:
        """Number of seeds a published run has for this claim."""
        return self.units if self.replication == "seed" else self.seeds


class Command(_Strict):
    """A command the paper adds to the command line, mounted when it is called."""

    name: Slug
    help: Sentence
    target: Target = Field(description="Where the typer app is: 'cenote.shelf.paper.module:name'.")


class Finding(_Strict):
    """Something found about the paper, with the test that shows it."""

    sentence: Sentence
    test: Name = Field(description="Path of the test that shows it: 'tests/…/test_x.py::test_y'.")


class Links(_Strict):
    """Where the paper and its released code are."""

    code: HttpUrl | None = None
    code_license: str = Field(default="", description="SPDX identifier of the released code, empty if not known.")
    project: HttpUrl | None = None


class Card(_Strict):
    """What a paper says, as data: every page, table and test about the paper reads it from here."""

    schema_version: Literal[1] = 1
    slug: Slug
    title: Name
    shelf: Shelf
    status: Literal["listed", "runs"] = Field(description="'listed' until the method is here, then 'runs'.")
    arxiv: Annotated[str, StringConstraints(pattern=r"^\d{4}\.\d{4,5}$")]
    published: dt.date = Field(description="Day of the first version on arXiv.")
    authors: int = Field(ge=1, description="Number of authors.")
    organization: str = ""
    venue: str = Field(default="", description="Where it appeared, empty if not known.")
    summary: Annotated[str, StringConstraints(strip_whitespace=True, min_length=200, max_length=1200)]
    topics: tuple[Name, ...] = Field(min_length=2, description="Words people search for.")
    links: Links = Links()
    claims: tuple[Claim, ...] = Field(min_length=1)
    commands: tuple[Command, ...] = ()
    findings: tuple[Finding, ...] = ()
    example: str = Field(default="", description="A runnable example for the docs page; required once it runs.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        ids = [claim.id for claim in self.claims]
        if len(set(ids)) != len(ids):
            raise ValueError(f"claims: ids must be unique, got {', '.join(ids)}")
        if self.status == "runs":
            for claim in self.claims:
                for key in ("units", "data"):
                    if not getattr(claim, key):
                        raise ValueError(f"claims.{claim.id}.{key}: declare it before the status becomes 'runs'")
                if claim.seed_count is None:
                    raise ValueError(f"claims.{claim.id}.seeds: declare it before the status becomes 'runs'")
            if not self.example:
                raise ValueError("example: a paper that runs has an example")
        return self

    @property
    def runs(self) -> bool:
        """Whether the paper's method is here."""
        return self.status == "runs"

    @property
    def folder(self) -> str:
        """Name of the paper's folder and module."""
        return self.slug.replace("-", "_")

    @property
    def module(self) -> str:
        """Import path of the paper's package."""
        return f"cenote.{self.shelf}.{self.folder}"

    def claim(self, claim_id: str) -> Claim:
        """Return the claim with this id.

        Raises:
            KeyError: If the card has no such claim.
        """
        for claim in self.claims:
            if claim.id == claim_id:
                return claim
        raise KeyError(claim_id)
