"""Intervals against scipy, closed forms and samples written out unit by unit."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from cenote.lab.intervals import (
    Bootstrap,
    Interval,
    PairedT,
    Wider,
    bonferroni,
    bootstrap_two_way,
    bootstrap_units,
    kendall_of,
    log_ratios,
    mean_of,
    rate_interval,
    rule_of_three,
    slope_of,
    whole,
)

LEVELS = (0.9, 0.95, 0.9875)


@pytest.fixture
def generator():
    return np.random.default_rng(7)


# --- paired t -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("units", [2, 5, 40])
def test_paired_t_is_that_of_scipy(generator, level, units):
    subject, baseline = generator.normal(size=(2, units))
    expected = stats.ttest_rel(subject, baseline).confidence_interval(level)
    interval = PairedT(subject - baseline).interval(level)
    assert interval == pytest.approx((expected.low, expected.high), rel=1e-10)


def test_paired_t_by_hand():
    # Mean 3, standard deviation √2.5, t(4) = 2.7764: 3 ± 2.7764 · √0.5.
    assert PairedT(np.array([1.0, 2, 3, 4, 5])).interval(0.95) == pytest.approx((1.03676, 4.96324), abs=1e-5)


def test_equal_differences_give_an_interval_without_width():
    difference = 0.1 + 0.2  # a number whose sum over seven is rounded
    assert PairedT(np.full(7, difference)).interval(0.95) == (difference, difference)


def test_one_unit_has_a_value_but_no_interval():
    estimate = PairedT(np.array([2.0]))
    assert estimate.value == 2.0
    assert np.isnan(estimate.interval(0.95)).all()


def test_a_diverged_unit_leaves_no_interval():
    assert np.isnan(PairedT(np.array([1.0, math.nan, 2.0])).interval(0.95)).all()


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_a_higher_level_contains_the_lower(values):
    estimate = PairedT(np.array(values))
    inner, outer = estimate.interval(0.9), estimate.interval(0.95)
    assert outer.low <= inner.low <= estimate.value <= inner.high <= outer.high


def test_bonferroni_divides_the_error():
    assert bonferroni(0.95, 4) == pytest.approx(0.9875)
    assert bonferroni(0.9, 1) == pytest.approx(0.9)


def test_wider_takes_one_interval_whole():
    narrow, wide = PairedT(np.array([1.0, 2.0, 3.0])), PairedT(np.array([-1.0, 2.0, 5.0]))
    assert Wider(narrow, wide).interval(0.95) == wide.interval(0.95)
    assert Wider(wide, narrow).interval(0.95) == wide.interval(0.95)
    assert Interval(-1.0, 2.5).width == 3.5


# --- statistics ---------------------------------------------------------------------------------------------------


def test_slope_is_that_of_linregress(generator):
    x, y = generator.normal(100, 1, size=(2, 30))
    assert whole(slope_of(x, y), 30) == pytest.approx(stats.linregress(x, y).slope, rel=1e-10)


@pytest.mark.parametrize("units", [2, 30, 600])
def test_kendall_is_tau_b_of_scipy_with_ties(generator, units):
    x = generator.integers(0, 9, size=units).astype(float)
    y = np.round(0.2 * x + generator.normal(size=units), 1)
    x[0], x[1] = 0, 1  # two units must differ for tau to exist
    assert whole(kendall_of(x, y), units) == pytest.approx(stats.kendalltau(x, y).statistic, rel=1e-10)


def test_weights_are_repeated_units(generator):
    x, y = generator.normal(size=(2, 12))
    weights = generator.integers(0, 4, size=(5, 12))
    for row in weights:
        repeated_x, repeated_y = np.repeat(x, row), np.repeat(y, row)
        one = row[None, :].astype(float)
        assert mean_of(y)(one)[0] == pytest.approx(repeated_y.mean(), rel=1e-10)
        assert slope_of(x, y)(one)[0] == pytest.approx(stats.linregress(repeated_x, repeated_y).slope, rel=1e-9)
        tau = stats.kendalltau(repeated_x, repeated_y).statistic
        assert kendall_of(x, y)(one)[0] == pytest.approx(tau, rel=1e-10)


def test_a_statistic_without_two_different_values_is_undefined():
    assert math.isnan(whole(slope_of([2.0, 2.0], [1.0, 3.0]), 2))
    assert math.isnan(whole(kendall_of([1.0, 2.0], [3.0, 3.0]), 2))
    assert whole(slope_of([1.0, 2.0], [3.0, 3.0]), 2) == 0.0


def test_log_ratios_of_equal_ratios_are_equal():
    assert log_ratios([1.0, 2.0, 8.0], [2.0, 4.0, 16.0]).tolist() == [math.log(0.5)] * 3


# --- bootstrap ----------------------------------------------------------------------------------------------------


def test_bootstrap_spread_is_the_standard_error_of_the_mean(generator):
    values = generator.normal(size=25)
    found = bootstrap_units(mean_of(values), 25)
    assert found.value == pytest.approx(values.mean())
    # 4,000 draws give a standard deviation to about 1 / √8000 = 1.1 %; four times that.
    assert found.deviations.std() == pytest.approx(stats.sem(values), rel=0.045)


def test_bootstrap_of_a_mean_agrees_with_the_t_interval(generator):
    values = generator.normal(size=40)
    t = PairedT(values).interval(0.95)
    assert bootstrap_units(mean_of(values), 40).interval(0.95) == pytest.approx(t, abs=0.08 * t.width)


def test_two_way_spread_is_that_of_independent_rows_and_columns(generator):
    seeds, units = 5, 12
    table = generator.normal(size=(seeds, 1)) + 0.7 * generator.normal(size=(1, units))
    table = table + 0.5 * generator.normal(size=(seeds, units))
    rows, columns = table.mean(axis=1), table.mean(axis=0)
    rest = table - rows[:, None] - columns + table.mean()
    # Weights of rows and columns are independent multinomials of n−1 draws, so the variances of the parts add up.
    expected = rows.var() / (seeds - 1) + columns.var() / (units - 1) + rest.var() / ((seeds - 1) * (units - 1))
    found = bootstrap_two_way([mean_of(row) for row in table], [units] * seeds, shared=True)
    assert found.value == pytest.approx(table.mean())
    assert found.deviations.var() == pytest.approx(expected, rel=0.09)


def test_shared_units_are_not_independent_evidence(generator):
    units = generator.normal(size=30)  # what differs is the unit alone, and every seed sees the same
    statistics = [mean_of(units)] * 5
    shared = bootstrap_two_way(statistics, [30] * 5, shared=True)
    own = bootstrap_two_way(statistics, [30] * 5, shared=False)
    assert shared.deviations.std() == pytest.approx(stats.sem(units), rel=0.045)
    # With units of their own, each of the four drawn seeds adds an independent mean.
    assert own.deviations.std() == pytest.approx(stats.sem(units) / 2, rel=0.045)


def test_two_way_takes_seeds_with_different_numbers_of_own_units(generator):
    samples = [generator.normal(size=size) for size in (4, 9, 6)]
    found = bootstrap_two_way([mean_of(own) for own in samples], [4, 9, 6], shared=False)
    assert found.value == pytest.approx(np.mean([own.mean() for own in samples]))


def test_small_samples_are_stretched_from_normal_to_t():
    deviations = np.linspace(-1, 1, 2001)
    few, many = (Bootstrap(10.0, deviations, freedom).interval(0.95) for freedom in (4, 1e9))
    assert many == pytest.approx((9.05, 10.95), abs=1e-6)
    stretch = stats.t.ppf(0.975, 4) / stats.norm.ppf(0.975)
    assert few == pytest.approx((10 - 0.95 * stretch, 10 + 0.95 * stretch), abs=1e-6)


def test_bootstrap_is_the_same_every_time_and_another_under_another_seed(generator):
    statistic = kendall_of(*generator.normal(size=(2, 20)))
    first, again, other = (bootstrap_units(statistic, 20, seed=seed).interval(0.95) for seed in (0, 0, 1))
    assert first == again != other


def test_bootstrap_in_chunks_draws_what_it_should(generator):
    # 2,000 units do not fit in one chunk with 4,000 draws.
    values = generator.normal(size=2000)
    found = bootstrap_units(mean_of(values), 2000)
    assert found.deviations.shape == (4000,)
    assert len(np.unique(found.deviations)) > 3990
    assert found.deviations.std() == pytest.approx(stats.sem(values), rel=0.045)


def test_an_undefined_resample_counts_as_no_association():
    # Of two units, one is drawn: every resample is constant.
    found = bootstrap_units(kendall_of([0.0, 1.0], [0.0, 1.0]), 2)
    assert (found.value + found.deviations == 0).all()


# --- rates --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", [4, 100, 10_000])
def test_rule_of_three_leaves_five_percent(trials):
    assert (1 - rule_of_three(trials)) ** trials <= math.exp(-3) < 0.05


def test_rule_of_three_is_a_rate():
    assert rule_of_three(1) == 1.0
    assert rate_interval(0, 300) == (0.0, 0.01)


@pytest.mark.parametrize(("events", "trials"), [(1, 10), (3, 1000), (10, 10)])
def test_rate_interval_is_clopper_pearson(events, trials):
    expected = stats.binomtest(events, trials).proportion_ci(0.95, method="exact")
    assert rate_interval(events, trials) == pytest.approx((expected.low, expected.high), rel=1e-9)
