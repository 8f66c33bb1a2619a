"""What a search for placements found: costs, accuracies with shared weights and alone, and what is picked by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, get_args

import numpy as np

from cenote.pooling.balanced_supernets.balancing import FloatArray
from cenote.pooling.balanced_supernets.configurations import Blocks, blocks_text, config_to_blocks
from cenote.pooling.balanced_supernets.rank_statistics import Estimate, RankStatistics, rank_statistics
from cenote.pooling.balanced_supernets.search import PoolingSearch, Select


@dataclass(frozen=True)
class Cost:
    """What a forward pass of one image costs."""

    flops: int
    """Operations of convolutions and matrix products."""
    seconds: float
    """Median of measurements."""


@dataclass(frozen=True)
class Alone:
    """A network of one placement, trained alone."""

    blocks: Blocks
    seed: int
    validation: float
    """Accuracy on the images that the search chose on; NaN where the training diverged, as the next."""
    test: float
    seconds: float
    """Of the training."""


@dataclass(frozen=True)
class Placement:
    """A placement with all that is known of it."""

    blocks: Blocks
    cost: Cost
    score: float | None
    """Validation accuracy with shared weights; None where the budget left it out."""
    alone: tuple[Alone, ...]
    """Networks trained alone, a seed each."""

    @property
    def name(self) -> str:
        """The blocks as the paper writes them."""
        return blocks_text(self.blocks)

    @property
    def test(self) -> float:
        """Mean test accuracy of the networks trained alone; NaN without one."""
        return _mean([each.test for each in self.alone])

    @property
    def validation(self) -> float:
        """Their mean validation accuracy."""
        return _mean([each.validation for each in self.alone])


@dataclass(frozen=True)
class Comparison:
    """Placements, and which of them is picked, is usual, and is the best of those trained alone.

    Attributes:
        placements: In the order of their blocks.
        pick: By the search.
        default: Where the network pools by itself; None where that is unknown or not one of the placements.
        assignment: Probability of each model for each placement that was searched, (A, M).
        steps: Training steps of each, (A, M).
        models: Accuracy of each, (A, M).
        search_seconds: Time of the search.
        scores: Of each placement that was searched, (A,), by each way to make one of the models' accuracies.
    """

    placements: tuple[Placement, ...]
    pick: Blocks
    default: Blocks | None
    assignment: FloatArray
    steps: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    models: FloatArray
    search_seconds: float
    scores: Mapping[str, FloatArray] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        search: PoolingSearch,
        select: Select,
        costs: Sequence[Cost],
        alone: Sequence[Alone],
        default: Blocks | None,
        search_seconds: float,
    ) -> Self:
        """Put together what a fitted search and trainings alone found; the costs are those of ``all_configs``."""
        scores = dict(zip(search.configs_, search.scores(select).tolist(), strict=True))
        placements = []
        for config, cost in zip(search.all_configs, costs, strict=True):
            blocks = config_to_blocks(config)
            own = tuple(each for each in alone if each.blocks == blocks)
            placements.append(Placement(blocks, cost, scores.get(config), own))
        return cls(
            placements=tuple(placements),
            pick=search.ranking(select)[0].blocks,
            default=default,
            assignment=search.assignment_,
            steps=search.steps_,
            models=search.score_matrix_,
            search_seconds=search_seconds,
            scores={way: search.scores(way) for way in get_args(Select)},
        )

    @property
    def searched(self) -> tuple[Placement, ...]:
        """The placements within the budget, in the order of the rows of the matrices."""
        return tuple(each for each in self.placements if each.score is not None)

    @property
    def brute_forced(self) -> bool:
        """Whether all placements of the search were trained alone too, and two or more of them to their end."""
        return all(each.alone for each in self.searched) and len(self._converged) > 1

    @property
    def diverged(self) -> tuple[Placement, ...]:
        """The placements of the search of which a training alone diverged; statistics are over the others."""
        return tuple(each for each in self.searched if each.alone and not np.isfinite(each.test))

    @property
    def _converged(self) -> tuple[Placement, ...]:
        return tuple(each for each in self.searched if np.isfinite(each.test))

    @property
    def best(self) -> Blocks | None:
        """The placement with the best validation accuracy alone: the best on test images would win by chance too."""
        if not self.brute_forced:
            return None
        return max(self._converged, key=lambda each: each.validation).blocks

    def placement(self, blocks: Blocks) -> Placement:
        """Return the placement of these blocks."""
        return next(each for each in self.placements if each.blocks == blocks)

    def statistics(self) -> RankStatistics | None:
        """Return how well shared weights rank, by test accuracies alone, once every placement was trained.

        Where all scores or all accuracies are equal a correlation is NaN.
        """
        return self._statistics_by(np.array([each.score for each in self.searched], np.float64))

    def _statistics_by(self, scores: FloatArray) -> RankStatistics | None:
        if not self.brute_forced:
            return None
        rows = [row for row, each in enumerate(self.searched) if np.isfinite(each.test)]
        return rank_statistics(scores[rows], [self.searched[row].test for row in rows])

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON holds it."""
        rows = {each.blocks: row for row, each in enumerate(self.searched)}
        return {
            "pick": list(self.pick),
            "default": self.default and list(self.default),
            "best_of_brute_force": self.best and list(self.best),
            "search_seconds": round(self.search_seconds, 1),
            "ranking": _ranking(self.statistics()),
            "selections": {
                way: {"pick": list(self.searched[int(scores.argmax())].blocks),
                      "ranking": _ranking(self._statistics_by(scores))}
                for way, scores in self.scores.items()
            },
            "placements": [self._row(each, rows.get(each.blocks)) for each in self.placements],
        }  # fmt: skip

    def _row(self, placement: Placement, row: int | None) -> dict[str, Any]:
        found: dict[str, Any] = {
            "blocks": list(placement.blocks),
            "flops": placement.cost.flops,
            "latency_ms": round(1e3 * placement.cost.seconds, 4),
            "shared_accuracy": placement.score,
            "scores": None if row is None else {way: float(scores[row]) for way, scores in self.scores.items()},
            "alone": [
                {"seed": each.seed, "validation": _or_none(each.validation), "test": _or_none(each.test),
                 "seconds": round(each.seconds, 1)}
                for each in placement.alone
            ],
        }  # fmt: skip
        if row is not None:
            found["models"] = [
                {"accuracy": accuracy, "assignment": probability, "steps": steps}
                for accuracy, probability, steps in zip(
                    self.models[row].tolist(), self.assignment[row].tolist(), self.steps[row].tolist(), strict=True
                )
            ]
        return found


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values)) if values else float("nan")


def _ranking(found: RankStatistics | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {name: _finite(getattr(found, name)) for name in ("kendall", "spearman", "pearson", "regret")}


def _finite(estimate: Estimate) -> dict[str, float | None]:
    return {name: _or_none(value) for name, value in estimate._asdict().items()}


def _or_none(value: float) -> float | None:
    """JSON has no NaN."""
    return value if np.isfinite(value) else None
