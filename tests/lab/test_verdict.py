"""Every line of the verdict rule, from records to words, against hand-computed intervals and scipy.

Differences 1 … 5 have mean 3 and standard error √0.5; with t(4) = 2.7764 (2.1318 one-sided) the 95 % interval is
3 ± 1.9632 and the 90 % interval 3 ± 1.5074. Differences 1 … 8 have mean 4.5 and standard error √0.75; with
t(7) = 2.3646 the 95 % interval is 4.5 ± 2.0478, and with t(7) = 3.1276, Bonferroni over three baselines, 4.5 ± 2.7086.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pytest
from scipy import stats

from cenote.catalog.card import Claim
from cenote.catalog.results import Record, Verdict
from cenote.lab.verdict import decide

FIVE = np.arange(1.0, 6.0) - 3  # mean 0
EIGHT = np.arange(1.0, 9.0) - 4.5  # mean 0
NAN = math.nan


def claim(kind: str = "better", **fields: object) -> Claim:
    margin = None if kind in {"trend", "rank", "bound", "equal"} else 1.0
    base: dict[str, object] = {
        "id": "claimed",
        "sentence": "The subject does what is claimed.",
        "kind": kind,
        "metric": "score",
        "subject": "new",
        "baselines": () if kind in {"trend", "rank", "bound", "equal"} else ("old",),
        "margin": margin,
        "margin_reason": "chosen for the test",
        "figure": "not known",
    }
    return Claim.model_validate(base | fields)


def record(arm: str, value: float, seed: int | None = None, **fields: object) -> Record:
    base = {"trial": f"{arm}/{seed}", "data": "digits", "arm": arm, "metric": "score", "value": value, "seed": seed}
    return Record.model_validate(base | fields)


def over_seeds(arms: Mapping[str, Iterable[float]]) -> list[Record]:
    return [record(arm, value, seed) for arm, values in arms.items() for seed, value in enumerate(values)]


def over_units(arms: Mapping[str, np.ndarray], x: Sequence[float] | None = None, *, own: bool = False) -> list[Record]:
    """Records of (seeds, units) tables; the units are the seeds' own or shared by them."""
    return [
        record(arm, value, seed, unit=f"{seed}.{unit}" if own else f"u{unit}", x=None if x is None else x[unit])
        for arm, table in arms.items()
        for (seed, unit), value in np.ndenumerate(table)
    ]


def against(*differences: np.ndarray) -> list[Record]:
    """Records of a subject that differs from baselines b0, b1, … by these differences."""
    level = 10 * np.arange(len(differences[0]))  # seeds differ far more than arms: only pairing finds the difference
    arms = {"new": level} | {f"b{index}": level - each for index, each in enumerate(differences)}
    return over_seeds(arms)


def several(kind: str = "better", count: int = 3, **fields: object) -> Claim:
    return claim(kind, baselines=tuple(f"b{index}" for index in range(count)), **fields)


def judged(about: Claim, records: Sequence[Record], **options: bool) -> Verdict:
    return decide(about, records, data="digits", **options)


def ends(verdict: Verdict, index: int = 0) -> tuple[float, float, float, float]:
    shown = verdict.comparisons[index]
    return shown.low, shown.high, shown.test_low, shown.test_high


# --- better, no_worse, equivalent against one baseline ------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "mean", "margin", "word", "note"),
    [
        ("better", 2.0, 1.0, "holds", ""),  # 0.037 to 3.963
        ("better", 2.0, 3.9, "holds", ""),
        ("better", 2.0, 4.0, "holds", "smaller than claimed"),
        ("better", 1.9, 3.8, "unclear", ""),  # −0.063 to 3.863
        ("better", 1.9, 3.9, "fails", ""),
        ("better", -3.0, 0.1, "fails", ""),
        ("no_worse", 0.0, 1.51, "holds", ""),  # the bound is −1.507
        ("no_worse", 0.0, 1.50, "unclear", ""),
        ("no_worse", -3.0, 1.04, "unclear", ""),  # the top is −1.037
        ("no_worse", -3.0, 1.03, "fails", ""),
        ("equivalent", 1.0, 2.51, "holds", ""),  # 90 %: −0.507 to 2.507
        ("equivalent", 1.0, 2.50, "unclear", ""),
        ("equivalent", -1.0, 2.51, "holds", ""),
        ("equivalent", 3.0, 1.04, "unclear", ""),  # 95 %: 1.037 to 4.963
        ("equivalent", 3.0, 1.03, "fails", ""),
        ("equivalent", -3.0, 1.03, "fails", ""),
        ("equivalent", 0.0, 0.5, "unclear", ""),  # reaches out on both sides
    ],
)
def test_one_baseline_by_hand(kind, mean, margin, word, note):
    for smaller in (False, True):
        sign = -1 if smaller else 1
        arms = {"new": sign * (mean + FIVE), "old": np.zeros(5)}
        verdict = judged(claim(kind, margin=margin, lower_is_better=smaller), over_seeds(arms))
        assert (verdict.word, verdict.note) == (word, note), verdict.reason
        assert verdict.comparisons[0].estimate == pytest.approx(mean)
        assert verdict.comparisons[0].differences == pytest.approx(mean + FIVE)


def test_comparison_is_the_paired_interval_of_scipy():
    generator = np.random.default_rng(0)
    new, old = generator.normal(0.8, 0.1, size=(2, 6))
    plain = stats.ttest_rel(new, old).confidence_interval(0.95)
    one_sided = stats.ttest_rel(new, old, alternative="greater").confidence_interval(0.95).low
    verdict = judged(claim("no_worse", margin=0.01), over_seeds({"new": new, "old": old}))
    assert ends(verdict) == pytest.approx((plain.low, plain.high, one_sided, plain.high))
    verdict = judged(claim("equivalent", margin=0.01), over_seeds({"new": new, "old": old}))
    tost = stats.ttest_rel(new, old).confidence_interval(0.90)
    assert ends(verdict) == pytest.approx((plain.low, plain.high, tost.low, tost.high))
    assert verdict.comparisons[0].units == ("0", "1", "2", "3", "4", "5")
    assert verdict.comparisons[0].baseline == "old"
    assert (verdict.units, verdict.seeds) == (6, 6)


def test_arms_without_variance_are_compared_exactly():
    same = over_seeds({"new": [0.5] * 5, "old": [0.5] * 5})
    assert judged(claim(margin=0.1), same).word == "fails"  # no better by anything
    assert judged(claim("no_worse", margin=0.1), same).word == "holds"
    assert judged(claim("equivalent", margin=0.1), same).word == "holds"
    better = judged(claim(margin=0.125), over_seeds({"new": [0.75] * 5, "old": [0.5] * 5}))
    assert better.word == "holds"
    assert ends(better) == (0.25,) * 4


def test_not_significant_is_not_equal():
    records = over_seeds({"new": 10 * FIVE, "old": np.zeros(5)})
    assert {judged(claim(kind), records).word for kind in ("better", "no_worse", "equivalent")} == {"unclear"}


# --- several baselines --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("quantifier", "means", "margin", "word", "note"),
    [
        # Plain: mean ± 2.048. Bonferroni over three: mean ± 2.709.
        ("all", (2.1, 9, 9), 1.0, "holds", ""),
        ("all", (2.1, 9, 9), 4.5, "holds", "smaller than claimed"),  # one is
        ("all", (2.0, 9, 9), 1.0, "unclear", ""),
        ("all", (-2.0, 9, 9), 0.8, "fails", ""),  # the top is 0.709
        ("all", (-2.0, 9, 9), 0.7, "unclear", ""),  # the plain top, 0.048, does not count
        ("any", (2.8, -9, -9), 1.0, "holds", ""),
        ("any", (2.8, -9, -9), 6.0, "holds", "smaller than claimed"),
        ("any", (2.8, 9, -9), 6.0, "holds", ""),  # another is as large as claimed
        ("any", (2.6, -9, -9), 1.0, "unclear", ""),  # the plain interval would do, but there were three chances
        ("any", (-2.0, -9, -9), 0.1, "fails", ""),  # the plain top is 0.048
        ("any", (-1.9, -9, -9), 0.1, "unclear", ""),
        ("mean", (2.1, 2.1, 2.1), 1.0, "holds", ""),
        ("mean", (9.0, -2.0, -0.7), 1.0, "holds", ""),  # 2.1 against the mean
        ("mean", (9.0, -3.0, -0.6), 1.0, "unclear", ""),  # 1.8
        ("mean", (9.0, -9.0, -6.3), 0.1, "fails", ""),  # −2.1
    ],
)
def test_better_than_several_by_hand(quantifier, means, margin, word, note):
    verdict = judged(several(quantifier=quantifier, margin=margin), against(*(mean + EIGHT for mean in means)))
    assert (verdict.word, verdict.note) == (word, note), verdict.reason


@pytest.mark.parametrize(
    ("kind", "quantifier", "means", "margin", "word"),
    [
        # t(7) = 1.8946: 90 % is ± 1.6408. Over two baselines 95 % is ± 2.4606 and 90 % is ± 2.0478.
        ("no_worse", "all", (0, 9), 1.65, "holds"),
        ("no_worse", "all", (0, 9), 1.63, "unclear"),
        ("no_worse", "all", (-4, 9), 1.5, "fails"),
        ("no_worse", "all", (-4, 9), 1.6, "unclear"),
        ("no_worse", "any", (0, -9), 2.05, "holds"),
        ("no_worse", "any", (0, -9), 2.04, "unclear"),
        ("no_worse", "any", (-4, -9), 1.9, "fails"),
        ("no_worse", "any", (-4, -9), 2.0, "unclear"),
        ("no_worse", "mean", (9, -9), 1.65, "holds"),
        ("equivalent", "all", (0, 1), 2.65, "holds"),
        ("equivalent", "all", (0, 1), 2.63, "unclear"),
        ("equivalent", "all", (0, 4), 1.5, "fails"),
        ("equivalent", "all", (0, 4), 1.6, "unclear"),
        ("equivalent", "any", (0, 9), 2.05, "holds"),
        ("equivalent", "any", (0, 9), 2.04, "unclear"),
        ("equivalent", "any", (-4, 9), 1.9, "fails"),
        ("equivalent", "any", (-4, 9), 2.0, "unclear"),
    ],
)
def test_no_worse_and_equivalent_to_several_by_hand(kind, quantifier, means, margin, word):
    about = several(kind, 2, quantifier=quantifier, margin=margin)
    assert judged(about, against(*(mean + EIGHT for mean in means))).word == word


def test_test_ends_are_those_that_holds_and_fails_are_read_from():
    records = against(EIGHT, EIGHT, EIGHT)
    plain, corrected = 2.04781, 2.70857
    assert ends(judged(several(), records)) == pytest.approx((-plain, plain, -plain, corrected), abs=1e-4)
    found = ends(judged(several(quantifier="any"), records))
    assert found == pytest.approx((-plain, plain, -corrected, plain), abs=1e-4)
    mean = judged(several(quantifier="mean"), records)
    assert ends(mean) == pytest.approx((-plain, plain, -plain, plain), abs=1e-4)
    assert [shown.baseline for shown in mean.comparisons] == ["mean of b0, b1, b2"]
    assert [shown.baseline for shown in judged(several(), records).comparisons] == ["b0", "b1", "b2"]


# --- how many seeds and units -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "seeds", "word"), [(1, 4, "unclear"), (1, 5, "holds"), (2, 5, "holds")])
@pytest.mark.parametrize("quantifier", ["all", "any", "mean"])
def test_better_needs_five_seeds(count, seeds, word, quantifier):
    differences = [100 + np.arange(seeds)] * count
    verdict = judged(several(count=count, quantifier=quantifier), against(*differences))
    assert verdict.word == word
    assert verdict.comparisons[0].low > 0  # the figures are shown either way


@pytest.mark.parametrize(("seeds", "word"), [(7, "unclear"), (8, "holds")])
@pytest.mark.parametrize("quantifier", ["all", "any", "mean"])
def test_better_needs_eight_seeds_against_three_baselines(seeds, word, quantifier):
    verdict = judged(several(quantifier=quantifier), against(*[100 + np.arange(seeds)] * 3))
    assert verdict.word == word
    assert (word == "holds") or "at least 8" in verdict.reason
    assert verdict.seeds == seeds


def test_one_seed_has_no_interval():
    verdict = judged(claim("no_worse"), over_seeds({"new": [1.0], "old": [0.0]}))
    assert verdict.word == "unclear"
    assert verdict.comparisons[0].estimate == 1.0
    assert math.isnan(verdict.comparisons[0].low)


@pytest.mark.parametrize(("seeds", "model", "word"), [(1, False, "unclear"), (1, True, "holds"), (4, True, "unclear")])
def test_one_model_decides_only_a_claim_about_it(seeds, model, word):
    records = over_units({"new": 9 + np.tile(FIVE, (seeds, 1)), "old": np.zeros((seeds, 5))})
    verdict = judged(claim(replication="image", for_this_model=model), records)
    assert verdict.word == word
    assert (verdict.units, verdict.seeds) == (5, seeds)


def test_one_model_is_judged_by_the_paired_t_over_its_units():
    records = over_units({"new": (2 + FIVE)[None], "old": np.zeros((1, 5))})
    verdict = judged(claim(replication="image", for_this_model=True), records)
    assert ends(verdict) == pytest.approx((0.03676, 3.96324, 0.03676, 3.96324), abs=1e-4)
    assert verdict.comparisons[0].units == ("0/u0", "0/u1", "0/u2", "0/u3", "0/u4")


@pytest.mark.parametrize(("units", "word"), [(19, "unclear"), (20, "holds")])
@pytest.mark.parametrize("kind", ["trend", "rank"])
def test_trend_and_rank_need_twenty_units(kind, units, word):
    x = np.arange(float(units))
    records = over_units({"new": (x + np.sin(7 * x))[None]}, x)
    assert judged(claim(kind, replication="image", for_this_model=True), records).word == word


# --- units within seeds -------------------------------------------------------------------------------------------


def test_units_that_seeds_share_are_not_counted_once_a_seed():
    """The difference varies over units alone, so five seeds say no more than one; t(29) of the units is the answer."""
    units = np.random.default_rng(1).normal(0.3, 1, size=30)
    table = np.tile(units, (5, 1)) + np.arange(5)[:, None] * 1e-3
    interval = stats.ttest_1samp(table.mean(axis=0), 0).confidence_interval(0.95)
    shared = judged(claim(replication="image", margin=0.1), over_units({"new": table, "old": np.zeros((5, 30))}))
    found = shared.comparisons[0]
    assert found.high - found.low == pytest.approx(interval.high - interval.low, rel=0.08)
    assert interval.low < 0
    assert shared.word == "unclear"
    own = judged(claim(replication="image"), over_units({"new": table, "old": np.zeros((5, 30))}, own=True))
    assert own.comparisons[0].high - own.comparisons[0].low < 0.7 * (found.high - found.low)
    assert (shared.units, own.units) == (30, 150)


def test_seeds_that_disagree_count_by_the_paired_t():
    """The difference varies over seeds alone: the wider interval is the t over seeds."""
    table = np.tile((2 + FIVE)[:, None], (1, 30))
    verdict = judged(claim(replication="image"), over_units({"new": table, "old": np.zeros((5, 30))}))
    assert ends(verdict)[:2] == pytest.approx((0.03676, 3.96324), abs=1e-4)
    assert verdict.word == "holds"


def test_one_unit_shared_by_all_seeds_is_not_enough():
    table = 9 + FIVE[:, None]
    verdict = judged(claim(replication="image"), over_units({"new": table, "old": np.zeros((5, 1))}))
    assert verdict.word == "unclear"
    assert "2 units" in verdict.reason


def test_verdict_does_not_depend_on_the_order_of_records():
    table = np.random.default_rng(2).normal(size=(5, 12))
    records = over_units({"new": table, "old": np.zeros((5, 12))})
    shuffled = random.Random(0).sample(records, len(records))
    assert judged(claim(replication="image"), shuffled) == judged(claim(replication="image"), records)


# --- trend and rank -----------------------------------------------------------------------------------------------


@pytest.fixture
def curves():
    """Five seeds of a rising noisy curve and of a flat one, with their positions."""
    generator, x = np.random.default_rng(3), np.array([0.0, 1.0, 2.0, 4.0, 8.0, 9.0])
    return x, 0.1 * x + 0.2 * generator.normal(size=(5, 6)), 0.2 * generator.normal(size=(5, 6))


def on_axis(arms: Mapping[str, np.ndarray], x: np.ndarray) -> list[Record]:
    return [
        record(arm, value, seed, x=x[point])
        for arm, table in arms.items()
        for (seed, point), value in np.ndenumerate(table)
    ]


@pytest.mark.parametrize("with_baseline", [False, True])
@pytest.mark.parametrize("kind", ["trend", "rank"])
def test_statistic_per_seed_then_t(curves, kind, with_baseline):
    x, rising, flat = curves

    def statistic(values):
        return stats.linregress(x, values).slope if kind == "trend" else stats.kendalltau(x, values).statistic

    each = np.array([statistic(values) for values in rising])
    if with_baseline:
        each = each - [statistic(values) for values in flat]
    expected = stats.ttest_1samp(each, 0).confidence_interval(0.95)
    about = claim(kind, baselines=("old",) if with_baseline else ())
    verdict = judged(about, on_axis({"new": rising, "old": flat}, x))
    assert verdict.word == "holds"
    assert verdict.comparisons[0].differences == pytest.approx(each)
    assert ends(verdict)[:2] == pytest.approx((expected.low, expected.high))
    assert verdict.comparisons[0].units == ("0", "1", "2", "3", "4")


@pytest.mark.parametrize("kind", ["trend", "rank"])
def test_trend_and_rank_on_the_other_side_fail_and_around_zero_are_unclear(curves, kind):
    x, rising, _ = curves
    up_and_down = np.array([1, -1, 1, -1, 1])[:, None] * x
    assert judged(claim(kind), on_axis({"new": -rising}, x)).word == "fails"
    assert judged(claim(kind, lower_is_better=True), on_axis({"new": -rising}, x)).word == "holds"
    assert judged(claim(kind), on_axis({"new": up_and_down}, x)).word == "unclear"
    assert judged(claim(kind), on_axis({"new": rising[:4]}, x)).word == "unclear"  # four seeds


def test_trend_against_several_baselines_has_a_quantifier(curves):
    x, rising, flat = curves
    records = on_axis({"new": rising, "b0": flat, "b1": 3 * rising}, x)
    assert judged(several("trend", 2), records).word == "fails"
    assert judged(several("trend", 2, quantifier="any"), records).word == "holds"


def test_rank_over_units_agrees_with_a_jackknife():
    generator = np.random.default_rng(4)
    x = generator.normal(size=60)
    y = 0.5 * x + generator.normal(size=60)
    verdict = judged(claim("rank", replication="filter", for_this_model=True), over_units({"new": y[None]}, x))
    tau = stats.kendalltau(x, y).statistic
    left_out = [stats.kendalltau(np.delete(x, unit), np.delete(y, unit)).statistic for unit in range(60)]
    error = math.sqrt(59 / 60 * np.square(left_out - np.mean(left_out)).sum())
    found = verdict.comparisons[0]
    assert found.estimate == pytest.approx(tau)
    assert (found.high - found.low) / 2 == pytest.approx(stats.t.ppf(0.975, 59) * error, rel=0.1)
    assert (verdict.word, verdict.units) == ("holds", 60)


def test_units_measured_at_several_positions_have_their_own_slope(curves):
    x, rising, _ = curves
    table = np.concatenate([rising] * 4)  # twenty units of one model
    records = [record("new", value, 0, unit=f"u{unit}", x=x[point]) for (unit, point), value in np.ndenumerate(table)]
    verdict = judged(claim("trend", replication="subject", for_this_model=True), records)
    slopes = [stats.linregress(x, values).slope for values in table]
    assert verdict.comparisons[0].differences == pytest.approx(slopes)
    assert verdict.comparisons[0].estimate == pytest.approx(np.mean(slopes))
    assert (verdict.word, verdict.units) == ("holds", 20)


def test_rank_may_have_a_position_of_its_own_for_every_arm():
    generator = np.random.default_rng(5)
    y = generator.normal(size=(5, 30))
    records = [
        record(arm, value, seed, unit=str(unit), x=value if arm == "new" else generator.normal())
        for arm in ("new", "old")
        for (seed, unit), value in np.ndenumerate(y)
    ]
    verdict = judged(claim("rank", baselines=("old",), replication="model"), records)
    assert verdict.word == "holds"
    assert verdict.comparisons[0].estimate == pytest.approx(1.0, abs=0.3)  # tau 1 less about 0


def test_a_rank_of_values_that_are_all_the_same_is_undefined():
    x = np.arange(4.0)
    flat = judged(claim("rank"), on_axis({"new": np.ones((5, 4))}, x))
    assert flat.word == "unclear"
    assert "undefined" in flat.reason
    assert judged(claim("trend"), on_axis({"new": np.ones((5, 4))}, x)).comparisons[0].estimate == 0.0


# --- ratio --------------------------------------------------------------------------------------------------------


def timed(new: Sequence[float], old: Sequence[float]) -> list[Record]:
    return [
        record(arm, value, unit=str(r))
        for arm, all_of in (("new", new), ("old", old))
        for r, value in enumerate(all_of)
    ]


@pytest.mark.parametrize(
    ("smaller", "margin", "word"),
    [
        # Log ratios about log 0.5 with standard error 0.05 · √(2.5 / 12); with t(3) = 3.1824 from 0.465 to 0.538.
        (True, 0.54, "holds"),
        (True, 0.53, "unclear"),
        (True, 0.46, "fails"),
        (False, 0.46, "holds"),
        (False, 0.47, "unclear"),
        (False, 0.54, "fails"),
    ],
)
def test_ratio_is_compared_on_the_log_scale(smaller, margin, word):
    old = np.array([4.0, 5.0, 6.0, 7.0])
    logs = math.log(0.5) + 0.05 * np.array([1, -1, 0.5, -0.5])
    interval = stats.ttest_1samp(logs, 0).confidence_interval(0.95)
    about = claim("ratio", replication="repeat", lower_is_better=smaller, margin=margin)
    verdict = judged(about, timed(old * np.exp(logs), old))
    assert verdict.word == word
    assert ends(verdict)[:2] == pytest.approx((math.exp(interval.low), math.exp(interval.high)))
    assert ends(verdict)[:2] == ends(verdict)[2:]
    assert verdict.comparisons[0].estimate == pytest.approx(0.5)
    assert verdict.comparisons[0].differences == pytest.approx(np.exp(logs))
    assert verdict.units == 4


def test_ratio_without_variance_may_reach_its_bound():
    for smaller in (True, False):
        about = claim("ratio", replication="repeat", lower_is_better=smaller, margin=0.3)
        assert judged(about, timed([3.0, 30.0], [10.0, 100.0])).word == "holds"


def test_ratio_over_seeds_needs_no_five_but_over_units_of_seeds_does():
    about = claim("ratio", margin=2.0)
    assert judged(about, over_seeds({"new": [9.0, 9.1, 8.9], "old": [3.0, 3.0, 3.0]})).word == "holds"
    within = over_units({"new": np.full((3, 4), 9.0), "old": np.full((3, 4), 3.0)})
    assert judged(claim("ratio", replication="repeat", margin=2.0), within).word == "unclear"


def test_ratio_needs_positive_values():
    verdict = judged(claim("ratio", replication="repeat"), timed([1.0, 0.0], [1.0, 1.0]))
    assert verdict.word == "unclear"
    assert "new is not positive on unit 1" in verdict.reason


# --- equal and bound ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "tolerance", "word"),
    [
        ([0.0, 0.0], None, "holds"),
        ([0.0, 1e-300], None, "fails"),
        ([1e-7, -1e-6], 1e-6, "holds"),
        ([1e-7, -1.1e-6], 1e-6, "fails"),
        ([0.0, NAN], 1e-6, "fails"),
        ([0.0, math.inf], 1e-6, "fails"),
    ],
)
def test_equal_looks_at_the_largest_error(values, tolerance, word):
    verdict = judged(claim("equal", margin=tolerance), over_seeds({"new": values}))
    assert verdict.word == word
    largest = np.max(np.abs(values)) if np.isfinite(values).all() else NAN
    assert verdict.comparisons[0].estimate == pytest.approx(largest, abs=0, nan_ok=True)


def test_equal_to_a_baseline_is_paired():
    new, old = [1.0, 2.0, 3.0], [1.0, 2.25, 3.0]
    records = over_seeds({"new": new, "old": old})
    assert judged(claim("equal", baselines=("old",), margin=0.25), records).word == "holds"
    missed = judged(claim("equal", baselines=("old",), margin=0.2), records)
    assert missed.word == "fails"
    assert "0.25 on seed 1" in missed.reason
    assert missed.comparisons[0].differences == (0.0, 0.25, 0.0)
    nan = judged(claim("equal", baselines=("old",)), over_seeds({"new": [1.0], "old": [NAN]}))
    assert nan.word == "fails"


@pytest.mark.parametrize(("quantifier", "word"), [("all", "fails"), ("any", "holds"), ("mean", "fails")])
def test_equal_to_several(quantifier, word):
    records = over_seeds({"new": [1.0, 2.0], "b0": [1.0, 2.0], "b1": [1.0, 3.0]})
    assert judged(several("equal", 2, margin=None, quantifier=quantifier), records).word == word


def counted(*violations: float, trials: int = 100) -> list[Record]:
    return [record("new", value, seed, trials=trials) for seed, value in enumerate(violations)]


def test_bound_without_violation_prints_three_over_n():
    verdict = judged(claim("bound", replication="trial"), counted(0, 0, 0))
    assert verdict.word == "holds"
    assert "300 trials" in verdict.reason
    assert "0.01" in verdict.reason
    assert ends(verdict)[:2] == (0.0, 0.01)
    assert (verdict.units, verdict.seeds) == (300, 3)


def test_bound_fails_with_one_violation_and_prints_it():
    verdict = judged(claim("bound", replication="trial"), counted(0, 0, 2))
    assert verdict.word == "fails"
    assert "2 violations in 300 trials, the first on seed 2" in verdict.reason
    assert verdict.comparisons[0].estimate == pytest.approx(2 / 300)


@pytest.mark.parametrize("value", [-1, 0.5, 101])
def test_bound_counts_violations(value):
    verdict = judged(claim("bound", replication="trial"), counted(0, value))
    assert verdict.word == "unclear"
    assert f"{value:g} on seed 1" in verdict.reason


# --- what cannot be judged ----------------------------------------------------------------------------------------

GOOD = over_seeds({"new": 9 + FIVE, "old": np.zeros(5)})


def test_the_good_records_hold():
    assert judged(claim(), GOOD).word == "holds"


@pytest.mark.parametrize(
    ("records", "named"),
    [
        ([], "no records of score on digits"),
        ([each for each in GOOD if each.arm == "new"], "for old"),
        (GOOD[:-1], "old on seed 4"),
        (GOOD[1:], "new on seed 0"),
        ([*GOOD, GOOD[3]], "more than one record of new on seed 3"),
        ([*GOOD, record("new", 1.0, 2, unit="image-1")], "new has 2 values for seed 2"),
        ([*GOOD, record("new", 1.0)], "new has a record without a seed"),
    ],
)
def test_what_is_missing_is_named(records, named):
    verdict = judged(claim(), records)
    assert verdict.word == "unclear"
    assert named in verdict.reason


@pytest.mark.parametrize("value", [NAN, math.inf])
def test_a_diverged_arm_is_unclear_and_named(value):
    records = [
        each.model_copy(update={"value": value}) if (each.arm, each.seed) == ("old", 3) else each for each in GOOD
    ]
    verdict = judged(claim(), records)
    assert verdict.word == "unclear"
    assert "old on seed 3" in verdict.reason
    assert math.isnan(verdict.comparisons[0].estimate)


def test_a_diverged_arm_leaves_the_other_comparisons():
    records = against(9 + EIGHT, np.full(8, NAN))
    verdict = judged(several(count=2, quantifier="any"), records)
    assert verdict.word == "unclear"
    assert verdict.comparisons[0].estimate == pytest.approx(9.0)
    assert "b1 on seed 0; b1 on seed 1; b1 on seed 2 and 5 more" in verdict.reason


@pytest.mark.parametrize("kind", ["trend", "rank", "bound"])
def test_divergence_in_other_kinds(kind):
    x = np.arange(4.0)
    table = np.tile(x, (5, 1))
    table[2, 1] = NAN
    records = on_axis({"new": table}, x)
    if kind == "bound":
        records = counted(0, NAN)
    verdict = judged(claim(kind), records)
    assert verdict.word == "unclear"
    assert "Diverged: new on seed" in verdict.reason


@pytest.mark.parametrize("replication", ["image", "subject"])
def test_units_are_needed_where_they_are_what_is_replicated(replication):
    verdict = judged(claim(replication=replication), GOOD)
    assert verdict.word == "unclear"
    assert f"the unit of replication is the {replication}" in verdict.reason


def test_seeds_that_share_only_some_units_miss_the_others():
    records = over_units({"new": np.ones((5, 6)), "old": np.zeros((5, 6))})
    in_both = [each for each in records if (each.seed, each.unit) != (2, "u4")]
    assert "image u4 for seed 2" in judged(claim(replication="image"), in_both).reason
    in_one = [each for each in records if (each.arm, each.seed, each.unit) != ("new", 2, "u4")]
    assert "new on seed 2, unit u4" in judged(claim(replication="image"), in_one).reason


def test_a_point_missing_in_one_seed_is_named():
    x = np.arange(4.0)
    records = on_axis({"new": np.tile(x, (5, 1))}, x)
    verdict = judged(claim("trend"), records[:-1])
    assert verdict.word == "unclear"
    assert "seed 4 has 3, others 4" in verdict.reason
    assert "position x" in judged(claim("trend"), GOOD).reason


# --- what is looked at --------------------------------------------------------------------------------------------


def test_other_data_metrics_and_arms_are_left_out():
    others = [
        *(each.model_copy(update={"data": "mnist-5k", "value": -99.0}) for each in GOOD),
        *(each.model_copy(update={"metric": "latency", "value": -99.0}) for each in GOOD),
        *(each.model_copy(update={"arm": "control", "value": NAN}) for each in GOOD),
    ]
    assert judged(claim(), [*others, *GOOD]) == judged(claim(), GOOD)
    assert decide(claim(), [*others, *GOOD], data="mnist-5k").word == "fails"  # both arms are −99 there


def test_seeds_used_before_the_claim_was_declared_anew_do_not_count():
    early = [each.model_copy(update={"value": -99.0}) for each in GOOD if each.arm == "new"]
    late = [each.model_copy(update={"seed": each.seed + 5}) for each in GOOD]
    verdict = judged(claim(first_seed=5), early + late)
    assert (verdict.word, verdict.seeds) == ("holds", 5)


def test_designed_data_give_figures_but_no_verdict():
    verdict = judged(claim(), GOOD, designed=True)
    assert verdict.word == "designed"
    assert verdict.comparisons == judged(claim(), GOOD).comparisons
    assert "generated so that the claim must hold" in verdict.reason
    assert judged(claim(), GOOD[:4], designed=True).word == "designed"


def test_verdict_survives_json():
    for verdict in (judged(claim(), GOOD), judged(claim(), [*GOOD[:-1], record("old", NAN, 4)])):
        again = Verdict.model_validate_json(verdict.model_dump_json())
        assert again.model_dump_json() == verdict.model_dump_json()


# --- the reason, for a reader -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("about", "differences", "reason"),
    [
        (
            claim(metric_unit="fraction", margin=0.005),
            [0.01 + 0.003 * FIVE],
            "The 95 % interval of the difference from old, +0.41 to +1.59 points, lies above 0.",
        ),
        (
            claim(metric_unit="fraction", margin=0.01),
            [0.003 * FIVE],
            "The 95 % interval of the difference from old, −0.6 to +0.6 points, stays below the margin of 1 point.",
        ),
        (
            claim(metric_unit="ms", margin=1.5, lower_is_better=True),
            [FIVE],
            "The 95 % interval of the reduction from old, −2.0 to +2.0 ms, neither lies above 0 nor stays below the "
            "margin of 1.5 ms.",
        ),
        (
            several(count=2, metric_unit="fraction", margin=0.02),
            [0.03 + 0.01 * FIVE, 0.05 + 0.01 * FIVE],
            "The 95 % interval of the difference lies above 0 for every baseline; the closest is b0, "
            "+1.0 to +5.0 points.",
        ),
        (
            several(count=2, quantifier="any", margin=2.0),
            [-3 + FIVE, -5 + FIVE],
            "The 95 % interval of the difference stays below the margin of 2 for every baseline; the closest is b0, "
            "−5.0 to −1.0.",
        ),
        (
            several(count=2, quantifier="any", margin=2.0),
            [3 + FIVE, -5 + FIVE],
            "The 97.5 % interval (Bonferroni over 2 baselines) of the difference from b0, +0.5 to +5.5, lies above 0.",
        ),
        (
            several(count=2, quantifier="mean", margin=2.0),
            [3 + FIVE, 5 + FIVE],
            "The 95 % interval of the difference from the mean of b0 and b1, +2.04 to +5.96, lies above 0.",
        ),
        (
            claim("no_worse", metric_unit="fraction", margin=0.005),
            [0.001 * FIVE],
            "The one-sided 95 % bound of the difference from old, −0.15 points, lies above −0.5 points.",
        ),
        (
            claim("equivalent", metric_unit="fraction", margin=0.001),
            [0.001 * FIVE],
            "The 90 % interval of the difference from old, −0.15 to +0.15 points, does not lie inside ±0.1 points, and "
            "the 95 % interval, −0.20 to +0.20 points, does not lie outside ±0.1 points.",
        ),
        (
            claim(margin=0.1),
            [np.full(5, 0.25)],
            "The 95 % interval of the difference from old, exactly +0.25, lies above 0.",
        ),
    ],
)
def test_reason_is_one_plain_sentence(about, differences, reason):
    sign = -1 if about.lower_is_better else 1
    arms = {"new": np.zeros(5)} | {
        name: -sign * values for name, values in zip(about.baselines, differences, strict=True)
    }
    assert judged(about, over_seeds(arms)).reason == reason


def test_reason_of_a_trend_and_a_ratio():
    x = np.arange(5.0)
    table = 0.02 * x + 0.001 * FIVE[:, None] * x
    rising = judged(claim("trend", metric_unit="fraction"), on_axis({"new": table}, x))
    assert rising.reason == "The 95 % interval of the slope, +1.80 to +2.20 points per unit of x, lies above 0."
    ratio = judged(claim("ratio", replication="repeat", margin=0.6, lower_is_better=True), timed([5, 5.1], [10, 10]))
    assert ratio.reason == "The 95 % interval of the ratio to old, 0.45 to 0.57, lies at or below the claimed 0.6."


def test_reason_shows_on_which_side_of_zero_an_end_lies():
    high = judged(claim(), over_seeds({"new": 1.9664 + FIVE, "old": np.zeros(5)}))
    assert (high.word, high.reason.split(", ")[1]) == ("holds", "+0.003 to +3.930")
