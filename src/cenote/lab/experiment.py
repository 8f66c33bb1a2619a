"""What a paper's ``experiment.py`` says: settings, presets, trials, and how one trial is measured."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from cenote.catalog.card import Card
from cenote.catalog.results import DataSource, Figure, Record
from cenote.catalog.shelves import needing
from cenote.errors import ArgumentError, NotRunnableError

PRESETS = ("tiny", "smoke", "laptop", "paper")
"""``tiny`` for tests, ``smoke`` the default, ``laptop`` the published one, ``paper`` the paper's own scale."""

PUBLISHABLE = frozenset({"laptop", "paper"})
"""Presets whose runs can be published."""


class Settings(BaseModel):
    """Settings every experiment has; a paper adds its own, each with a description."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: tuple[str, ...] = Field(description="Data sets, by the names cenote.lab.data.load knows.")
    seeds: int = Field(ge=1, description="Number of seeds.")
    first_seed: int = Field(default=0, ge=0, description="The first seed; the others follow.")

    @field_validator("data")
    @classmethod
    def _each_once(cls, data: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(data)) != len(data):
            raise ValueError("each data set may be named once")
        return data

    @property
    def seed_range(self) -> range:
        """The seeds of the run."""
        return range(self.first_seed, self.first_seed + self.seeds)


S = TypeVar("S", bound=Settings)
T = TypeVar("T")


@dataclass(frozen=True)
class Trial:
    """One piece of work whose records are kept or lost together: usually one training."""

    data: str
    arm: str
    seed: int | None = None
    alone: bool = False
    """Whether nothing else may run beside it, as for timings."""

    @property
    def key(self) -> str:
        """Name of the trial, unique in the run."""
        return "/".join([self.data, self.arm] + ([] if self.seed is None else [f"seed-{self.seed}"]))

    def record(
        self,
        metric: str,
        value: float,
        *,
        arm: str | None = None,
        unit: str | None = None,
        x: float | None = None,
        trials: int = 1,
    ) -> Record:
        """Return a record of this trial (of another arm where the trial measures several at once)."""
        return Record(
            trial=self.key,
            data=self.data,
            arm=arm or self.arm,
            metric=metric,
            value=value,
            seed=self.seed,
            unit=unit,
            x=x,
            trials=trials,
        )


@dataclass(frozen=True)
class Context:
    """What the machine gives to a trial; not part of the settings, since it must not change a result."""

    data_root: Path | None = None
    _memory: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    def load(self, name: str, **options: Any) -> Any:
        """Load a data set by name, once per process and options."""
        from cenote.lab import data

        key = (name, *sorted(options.items())) if options else name
        return self.remember(key, lambda: data.load(name, self.data_root, **options))

    def remember(self, key: Hashable, make: Callable[[], T]) -> T:
        """Return what ``make`` returned for this key the first time in this process."""
        if key not in self._memory:
            self._memory[key] = make()
        value: T = self._memory[key]
        return value


def _nothing(settings: Settings, records: Sequence[Record]) -> Iterable[Record]:
    return ()


@dataclass(frozen=True)
class Experiment(Generic[S]):
    """An experiment as data and functions; a paper's ``experiment.py`` defines one as ``experiment``."""

    settings: type[S]
    presets: Mapping[str, S]
    trials: Callable[[S], Sequence[Trial]]
    """Lists the trials in the order in which they run."""
    measure: Callable[[Trial, S, Context], Iterable[Record]]
    """Runs one trial. Called in a worker process; must depend on its arguments alone."""
    sources: Callable[[S, Context], Iterable[DataSource]]
    """Describes the data the run reads."""
    figures: Callable[[S, Sequence[Record], Context, Path], Iterable[Figure]]
    """Draws the run's pictures into a folder."""
    differs: Callable[[S], Iterable[str]]
    """Says what differs from the paper at these settings, a sentence each."""
    derive: Callable[[S, Sequence[Record]], Iterable[Record]] = _nothing
    """Adds what follows from the records of all trials together, such as a rank correlation over their results."""
    designed: frozenset[str] = frozenset()
    """Data sets generated so that a claim must hold; they get no verdict."""

    @cached_property
    def preset_names(self) -> tuple[str, ...]:
        """The presets this experiment has, smallest first."""
        return tuple(name for name in PRESETS if name in self.presets)

    def resolve(self, preset: str, overrides: Mapping[str, Any] | None = None) -> S:
        """Return the settings of a preset with some of them replaced.

        Raises:
            ArgumentError: If there is no such preset, or an override is unknown or not allowed.
        """
        if preset not in self.presets:
            raise ArgumentError(f"preset must be one of {', '.join(self.preset_names)}, got {preset!r}")
        values = {**self.presets[preset].model_dump(), **(overrides or {})}
        try:
            return self.settings.model_validate(values)
        except ValidationError as error:
            first = error.errors()[0]
            key = ".".join(map(str, first["loc"])) or "settings"
            if first["type"] == "extra_forbidden":
                known = ", ".join(self.settings.model_fields)
                raise ArgumentError(f"setting {key!r} is unknown; the settings are {known}") from None
            problem = first["msg"].removeprefix("Value error, ")
            came = "" if first["type"] == "value_error" else f", got {first['input']!r}"
            raise ArgumentError(f"setting {key!r}: {problem}{came}") from None


def load_experiment(card: Card) -> Experiment[Any]:
    """Import the experiment of a paper.

    Raises:
        NotRunnableError: If the paper is listed only.
        MissingExtraError: If a package it needs is not installed.
    """
    if not card.runs:
        raise NotRunnableError(f"{card.slug} is listed: its method is not here yet, so there is nothing to run")
    with needing(card.shelf):
        experiment = importlib.import_module(f"{card.module}.experiment").experiment
    assert isinstance(experiment, Experiment)
    return experiment
