"""The printed table against the specification of its sums, closed forms against the definition, expected gradients."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from scipy import stats

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import Poset, all_posets, table9
from cenote.pooling.order_theory.four_points import HASSE, NAMES
from cenote.pooling.order_theory.gradient_reach import expected_reach, no_update_probability

from .brute_force import SIXTEEN, best


def test_no_two_printed_accuracies_can_be_told_apart() -> None:
    """By the definition of Tukey's intervals: P(range of 16 means / s > q) = 5 % at q = half-width / (s / √14)."""
    means = np.array([row.mean for row in table9.TABLE])
    variances = np.array([row.std for row in table9.TABLE]) ** 2
    half_width = table9.simultaneous_half_width()
    assert stats.studentized_range.sf(half_width / math.sqrt(variances.mean() / 14), 16, 16 * 13) == pytest.approx(0.05)
    pairs = list(itertools.combinations(range(16), 2))
    assert max(abs(means[a] - means[b]) for a, b in pairs) == pytest.approx(table9.largest_difference())
    assert table9.largest_difference() == pytest.approx(0.36)
    assert all(abs(means[a] - means[b]) < half_width for a, b in pairs)
    # Bonferroni, without a common variance, says the same: no t of the 120 pairs reaches its quantile.
    bound = stats.t.ppf(1 - 0.05 / (2 * len(pairs)), 2 * 13)
    assert all(abs(means[a] - means[b]) < bound * math.sqrt((variances[a] + variances[b]) / 14) for a, b in pairs)


def test_the_half_width_covers_as_it_says() -> None:
    """Simulated tables without any difference: the largest one stays below in about 95 of 100."""
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((4000, 16, 14))
    variance = np.mean([row.std**2 for row in table9.TABLE])
    factor = table9.simultaneous_half_width() / math.sqrt(variance)
    below = np.ptp(draws.mean(-1), axis=1) < factor * np.sqrt(draws.var(-1, ddof=1).mean(-1))
    assert below.mean() == pytest.approx(0.95, abs=0.015)


def test_sums_of_the_printed_table() -> None:
    """The grand mean, the spread of the means and the F statistic, as computed elsewhere from the same print."""
    means = np.array([row.mean for row in table9.TABLE])
    assert means.mean() == pytest.approx(78.92, abs=0.005)
    assert means.std(ddof=1) == pytest.approx(0.095, abs=0.0005)
    f = 14 * means.var(ddof=1) / np.mean([row.std**2 for row in table9.TABLE])
    assert f == pytest.approx(0.371, abs=0.0015)
    assert table9.TABLE[0].seconds / table9.TABLE[-1].seconds == pytest.approx(1.31, abs=0.005)


@pytest.mark.parametrize("index", range(16))
def test_closed_forms_are_the_filters(index: int) -> None:
    x = np.random.default_rng(index).integers(-80, 81, (300, 4)) / 8
    names = dict(zip("abcd", x.T, strict=True))
    functions = {"r": lambda value: np.maximum(value, 0), "max": np.maximum, **names}
    assert np.array_equal(eval(table9.closed_form(index), functions), best(x, SIXTEEN[index])[0])


def test_closed_forms_take_other_names() -> None:
    assert table9.closed_form(2, ("p", "q", "u", "v")) == "r(q + r(p)) + r(u) + r(v)"


def test_the_level_is_a_probability() -> None:
    assert table9.simultaneous_half_width(0.5) < table9.simultaneous_half_width(0.95)
    with pytest.raises(ArgumentError, match="level must be between 0 and 1, got 1"):
        table9.simultaneous_half_width(1)


# --- expected gradients -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("poset", all_posets(4), ids=repr)
def test_expected_reach_by_other_random_windows(poset: Poset) -> None:
    """An independent sample, chosen by brute force; the self-dual posets' exact value among them."""
    x = np.random.default_rng(99).standard_normal((20_000, 4))
    sizes = best(x, poset.covers)[1].sum(-1)
    reach = expected_reach(poset, samples=60_000)
    error = math.hypot(reach.standard_error, sizes.std(ddof=1) / math.sqrt(len(sizes)))
    assert abs(reach.mean - sizes.mean()) < 4 * error
    other = expected_reach(poset.dual(), samples=60_000)
    assert abs(reach.mean + other.mean - 4) <= 4 * math.hypot(reach.standard_error, other.standard_error)


def test_expected_reach_of_two_below_one_by_integration() -> None:
    """1, 2 < 3: the best up-set has 3 if x3 + r(x1) + r(x2) > 0, and with it 1 and 2 where they are positive.

    With s = r(x1) + r(x2), E = P(x3 > -s) + 2 P(x1 > 0, x3 > -s): integrals over x1 and x2 of a normal distribution
    function.
    """
    step = 0.01
    u = np.arange(-7 + step / 2, 7, step)  # midpoints, so that no cell is cut by 0
    density, positive = stats.norm.pdf(u) * step, np.maximum(u, 0)
    size = 1 + (u > 0)[:, None] + (u > 0)[None]
    weight = density[:, None] * density[None]
    expected = (size * stats.norm.cdf(positive[:, None] + positive[None]) * weight).sum()
    reach = expected_reach(Poset.from_hasse("1<3, 2<3"), samples=200_000)
    assert abs(reach.mean - expected) < 4 * reach.standard_error


def test_self_dual_posets_are_exact_and_half() -> None:
    """All but the four pairs of the paper's sixteen that are each other's duals."""
    reaches = [expected_reach(Poset.from_hasse(text), samples=1000) for text in HASSE]
    exact = {index for index, reach in enumerate(reaches) if reach == (2.0, 0.0)}
    assert exact == set(range(16)) - {0, 9, 3, 7, 4, 5, 10, 15}
    assert all(reach.standard_error > 0 for index, reach in enumerate(reaches) if index not in exact)
    with pytest.raises(ArgumentError, match="samples must be at least 2, got 1"):
        expected_reach(Poset.chain(2), samples=1)


@pytest.mark.parametrize("poset", all_posets(4), ids=repr)
def test_no_update_by_a_normal_orthant(poset: Poset) -> None:
    """All up-sets have a negative sum: a probability of a normal vector, which scipy integrates."""
    sums = np.array([up_set for up_set in itertools.product((0, 1), repeat=4) if any(up_set) and is_up(up_set, poset)])
    orthant = stats.multivariate_normal.cdf(
        np.zeros(len(sums)), cov=sums @ sums.T, allow_singular=True, abseps=1e-4, maxpts=200_000, rng=0
    )
    found = no_update_probability(poset, samples=100_000)
    assert abs(found.mean - orthant) < 4 * found.standard_error + 5e-4


def is_up(up_set: tuple[int, ...], poset: Poset) -> bool:
    return all(up_set[a] <= up_set[b] for a, b in poset.covers)


def test_no_update_of_the_n_by_integration() -> None:
    """With u = x2 + r(x1) its filter is max(r(u) + r(x4), u + x3 + x4): 0 if u, x4 < 0 and x3 < -(u + x4)."""
    step = 0.01
    grid = np.arange(-8 + step / 2, 0, step)  # midpoints
    ups = np.arange(step / 2, 8, step)
    density_of_u = stats.norm.pdf(grid) / 2 + (stats.norm.pdf(grid[:, None] - ups) * stats.norm.pdf(ups)).sum(1) * step
    weight = density_of_u[:, None] * stats.norm.pdf(grid) * step**2
    expected = (weight * stats.norm.cdf(-(grid[:, None] + grid))).sum()
    found = no_update_probability(Poset.from_hasse("1<2>3<4"))
    assert abs(found.mean - expected) < 4 * found.standard_error
    assert round(expected, 3) == 0.166


def test_no_update_is_exact_for_chains_side_by_side() -> None:
    """35/128 for four in a row, 1/2 for one, and products; a sample of another distribution agrees."""
    found = {name: no_update_probability(Poset.from_hasse(text), 1000) for name, text in zip(NAMES, HASSE, strict=True)}
    chains = {"antichain": 1 / 16, "2+1+1": 3 / 32, "2+2": 9 / 64, "3+1": 5 / 32, "chain": 35 / 128}
    assert {name for name, probability in found.items() if probability.standard_error == 0} == set(chains)
    x = np.random.default_rng(3).uniform(-1, 1, (40_000, 4))
    for name, probability in chains.items():
        poset = Poset.from_hasse(HASSE[NAMES.index(name)])
        assert no_update_probability(poset) == (probability, 0.0)
        frequency = (best(x, poset.covers)[0] == 0).mean()
        assert abs(frequency - probability) < 4 * math.sqrt(probability * (1 - probability) / len(x))
    assert no_update_probability(Poset(0)) == (1.0, 0.0)
    assert no_update_probability(Poset(3, [(2, 0)])) == (3 / 16, 0.0)
    with pytest.raises(ArgumentError, match="samples must be at least 2, got 0"):
        no_update_probability(Poset.chain(2), samples=0)
