"""The balancing uses all models alike whatever the accuracies, and is the paper's fit with stored marginals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.optimize import minimize
from scipy.special import logsumexp, softmax

from cenote.errors import ArgumentError
from cenote.pooling import balanced_assignment
from cenote.pooling.balanced_supernets.balancing import (
    TOLERANCE,
    assign,
    balance,
    divergence_from_uniform,
    temperature_at,
)

MATRICES = arrays(
    np.float64, array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.floats(0, 1, allow_nan=False)
)


def use(probabilities: np.ndarray) -> float:
    """How far the use of the models is from uniform, as a divergence."""
    return float(divergence_from_uniform(np.log(probabilities.mean(axis=0))))


def stored_marginals(scores: np.ndarray, tolerance: float = TOLERANCE) -> list[np.ndarray]:
    """The fit as the paper has it: probabilities, divided by one marginal after the other."""
    probabilities, kept = softmax(scores, axis=1), []
    marginal = probabilities.mean(axis=0)
    while abs(np.sum(marginal * np.log(marginal * len(marginal)))) > tolerance:
        kept.append(marginal)
        probabilities = probabilities / marginal
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
        marginal = probabilities.mean(axis=0)
    return kept


def reapplied(scores: np.ndarray, marginals: list[np.ndarray]) -> np.ndarray:
    probabilities = softmax(scores, axis=1)
    for marginal in marginals:
        probabilities = probabilities / marginal
        probabilities = probabilities / probabilities.sum(axis=1, keepdims=True)
    return probabilities


@settings(max_examples=150, deadline=None)
@given(MATRICES, st.floats(0, 150))
def test_models_are_used_alike_whatever_the_accuracies(accuracies: np.ndarray, temperature: float) -> None:
    probabilities = balanced_assignment(accuracies, temperature)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-12)
    assert (probabilities >= 0).all()
    assert use(probabilities) <= TOLERANCE * (1 + 1e-9)


@pytest.mark.parametrize("models", [2, 4, 8])
@pytest.mark.parametrize(
    "kind", ["one model is best at all", "one at all but one", "nearly even", "even", "a ladder", "all alike"]
)
def test_adversarial_accuracies_at_the_papers_highest_temperature(kind: str, models: int) -> None:
    paths = 36
    accuracies = np.zeros((paths, models))
    if kind == "one model is best at all":
        accuracies[:, 0] = 1
    elif kind == "one at all but one":
        accuracies[:-1, 0], accuracies[-1, 1] = 1, 1
    elif kind == "nearly even":
        accuracies[np.arange(paths), np.minimum(np.arange(paths) * models // (paths - 1), models - 1)] = 1
    elif kind == "even":
        accuracies[np.arange(paths), np.arange(paths) % models] = 1
    elif kind == "a ladder":
        accuracies[:] = np.linspace(0, 1, models) * np.linspace(0, 1, paths)[:, None]
    assert use(balanced_assignment(accuracies, 150)) <= TOLERANCE


@settings(max_examples=60, deadline=None)
@given(MATRICES, MATRICES)
def test_the_kept_offsets_are_the_papers_stored_marginals(accuracies: np.ndarray, later: np.ndarray) -> None:
    scores = 20 * accuracies
    marginals, offsets = stored_marginals(scores), balance(scores)
    np.testing.assert_allclose(assign(scores, offsets), reapplied(scores, marginals), atol=1e-9)
    changed = 20 * np.resize(later, accuracies.shape)  # the accuracies have moved on, the marginals are those of before
    np.testing.assert_allclose(assign(changed, offsets), reapplied(changed, marginals), atol=1e-9)


def test_the_fit_is_the_minimum_of_its_convex_dual() -> None:
    scores = 30 * np.random.default_rng(0).random((12, 3))

    def dual(offsets: np.ndarray) -> float:
        return float(logsumexp(scores - offsets, axis=1).mean() + offsets.mean())

    best = minimize(dual, np.zeros(3), method="BFGS", options={"gtol": 1e-8}).x
    fitted = balance(scores, tolerance=1e-12)
    np.testing.assert_allclose(fitted - fitted.mean(), best - best.mean(), atol=1e-4)


def test_rows_keep_their_preferences() -> None:
    """Within two rows the odds ratios stay what the softmax made them: only columns are scaled."""
    accuracies = np.random.default_rng(1).random((5, 3))
    before, after = softmax(7 * accuracies, axis=1), balanced_assignment(accuracies, 7)

    def odds(p: np.ndarray) -> np.ndarray:
        return np.log(p[0, 0] * p[1:, 1:] / (p[0, 1:] * p[1:, :1]))

    np.testing.assert_allclose(odds(after), odds(before), atol=1e-9)


def test_one_model_has_every_configuration_and_no_temperature_has_no_preference() -> None:
    accuracies = np.random.default_rng(2).random((4, 3))
    np.testing.assert_array_equal(balanced_assignment(accuracies[:, :1], 100), np.ones((4, 1)))
    np.testing.assert_allclose(balanced_assignment(accuracies, 0), np.full((4, 3), 1 / 3))


def test_the_temperature_rises_from_end_to_end() -> None:
    assert [temperature_at(epoch, 4, (1, 100)) for epoch in range(4)] == [1, 34, 67, 100]
    assert temperature_at(0, 1, (1, 100)) == 1


@pytest.mark.parametrize(
    ("accuracies", "options", "words"),
    [
        ([[np.nan, 1.0]], {}, "accuracies must be a finite"),
        ([1.0, 2.0], {}, r"accuracies must be a finite \(A, M\) matrix, got shape \(2,\)"),
        (np.empty((0, 2)), {}, "accuracies must be a finite"),
        ([[1.0]], {"temperature": -1}, "temperature must be 0 or more, got -1"),
        ([[1.0]], {"temperature": float("nan")}, "temperature must be 0 or more, got nan"),
        ([[1.0]], {"tolerance": 0}, "tolerance must be positive, got 0"),
    ],
)
def test_what_cannot_be_balanced_is_refused(accuracies: object, options: dict[str, float], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        balanced_assignment(accuracies, **options)  # type: ignore[arg-type]
