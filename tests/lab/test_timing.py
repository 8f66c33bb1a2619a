import gc
import math
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from scipy.stats import quantile_test

from cenote.errors import ArgumentError, RunError
from cenote.lab.timing import Timings, machine_load, require_idle, time_interleaved


class Machine:
    """A clock that only its own functions move, and a diary of what was called."""

    def __init__(self, costs: Mapping[str, float]) -> None:
        self.now = 0.0
        self.costs = costs
        self.slowness: Callable[[int], float] = lambda calls: 1.0
        self.calls: list[str] = []

    def clock(self) -> float:
        return self.now

    def work(self, name: str) -> None:
        self.now += self.costs[name] * self.slowness(len(self.calls))
        self.calls.append(name)

    def functions(self) -> dict[str, Callable[[], None]]:
        return {name: partial(self.work, name) for name in self.costs}

    def runs(self) -> list[tuple[str, int]]:
        """The diary, equal neighbours counted together."""
        runs: list[tuple[str, int]] = []
        for name in self.calls:
            if runs and runs[-1][0] == name:
                runs[-1] = (name, runs[-1][1] + 1)
            else:
                runs.append((name, 1))
        return runs


def test_seconds_per_call_are_the_costs_of_the_clock() -> None:
    machine = Machine({"slow": 0.5, "fast": 0.03125})
    timings = time_interleaved(machine.functions(), repeats=4, min_seconds=0.2, timer=machine.clock)
    assert timings.seconds == {"slow": (0.5,) * 4, "fast": (0.03125,) * 4}
    assert timings.median("fast") == 0.03125
    assert timings.ratio("slow", "fast").median == 16.0


@pytest.mark.parametrize(("cost", "least"), [(0.5, 1), (0.0625, 4), (1e-6, 200_000)])
def test_inner_loop_lasts_the_minimum_and_not_much_more(cost: float, least: int) -> None:
    machine = Machine({"only": cost})
    loops = time_interleaved(machine.functions(), repeats=1, min_seconds=0.2, timer=machine.clock).loops["only"]
    assert least <= loops <= math.ceil(1.2 * least)


def test_calibration_survives_a_clock_too_coarse_for_one_call() -> None:
    machine = Machine({"only": 1e-4})
    timings = time_interleaved(
        machine.functions(), repeats=1, min_seconds=0.2, timer=lambda: math.floor(machine.now * 60) / 60
    )
    assert timings.loops["only"] * 1e-4 >= 0.2


def test_repeats_come_in_pairs_of_a_drawn_order_and_the_same_backwards() -> None:
    machine = Machine(dict.fromkeys("abcde", 1.0))
    time_interleaved(machine.functions(), repeats=400, min_seconds=0.5, warmup=0, timer=machine.clock)
    assert machine.calls[:5] == list("abcde"), "one calibrating call each"
    repeats = ["".join(machine.calls[start : start + 5]) for start in range(5, len(machine.calls), 5)]
    assert all(first == second[::-1] for first, second in zip(repeats[::2], repeats[1::2], strict=True))
    for place in range(5):
        counts = Counter(order[place] for order in repeats)
        assert all(50 <= counts[name] <= 110 for name in "abcde"), "80 expected, 8 standard deviation"


def test_warmup_comes_before_anything_is_timed() -> None:
    machine = Machine({"a": 1.0, "b": 1.0})
    time_interleaved(machine.functions(), repeats=1, min_seconds=0.5, warmup=3, timer=machine.clock)
    assert machine.calls[:8] == ["a"] * 4 + ["b"] * 4, "three warm-up calls and one that calibrates"
    assert sorted(machine.calls[8:]) == ["a", "b"]


def test_ratio_is_paired_so_that_a_machine_changing_speed_between_repeats_cancels() -> None:
    machine = Machine({"double": 2.0, "single": 1.0})
    # A warm-up and a calibrating call of both, then two calls a repeat: every other repeat at a tenth of the speed.
    machine.slowness = lambda calls: 10.0 if (calls // 2) % 2 else 1.0
    timings = time_interleaved(machine.functions(), repeats=7, min_seconds=0.5, timer=machine.clock)
    assert max(timings.seconds["single"]) == 10 * min(timings.seconds["single"])
    assert timings.ratio("double", "single") == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
@pytest.mark.parametrize("repeats", [8, 9, 15, 40])
def test_interval_is_scipys_interval_of_the_median(repeats: int, confidence: float) -> None:
    rng = np.random.default_rng(repeats)
    a, b = rng.lognormal(0.5, 0.4, repeats), rng.lognormal(0, 0.4, repeats)
    timings = Timings({"a": tuple(a.tolist()), "b": tuple(b.tolist())}, {"a": 1, "b": 1})
    expected = quantile_test(a / b, q=1, p=0.5).confidence_interval(confidence_level=confidence)
    assert timings.ratio("a", "b", confidence=confidence) == pytest.approx(
        (np.median(a / b), expected.low, expected.high), rel=1e-12
    )


@pytest.mark.parametrize(("repeats", "has_interval"), [(1, False), (5, False), (6, True)])
def test_interval_needs_six_repeats(repeats: int, has_interval: bool) -> None:
    # By hand: all n values lie on one side of the median with probability 2 / 2**n, below 5 % from n = 6 on.
    machine = Machine({"a": 3.0, "b": 1.0})
    ratio = time_interleaved(machine.functions(), repeats=repeats, min_seconds=0.5, timer=machine.clock).ratio("a", "b")
    assert ratio.median == 3.0
    assert [math.isnan(ratio.low), math.isnan(ratio.high)] == [not has_interval] * 2


def test_garbage_collection_is_off_while_timing_and_back_on_after_an_error() -> None:
    seen: list[bool] = []

    def fail() -> None:
        seen.append(gc.isenabled())
        raise ZeroDivisionError

    assert gc.isenabled()
    with pytest.raises(ZeroDivisionError):
        time_interleaved({"fail": fail})
    assert seen == [False]
    assert gc.isenabled()


@pytest.mark.parametrize(
    ("argument", "value"),
    [("functions", {}), ("repeats", 0), ("min_seconds", 0.0), ("min_seconds", math.nan), ("warmup", -1)],
)
def test_bad_arguments_are_named(argument: str, value: object) -> None:
    arguments: dict[str, object] = {"functions": {"nothing": lambda: None}, argument: value}
    with pytest.raises(ArgumentError, match=rf"^{argument}: got "):
        time_interleaved(**arguments)  # type: ignore[arg-type]


def test_unknown_name_lists_the_known_ones() -> None:
    timings = Timings({"a": (1.0,), "b": (1.0,)}, {"a": 1, "b": 1})
    with pytest.raises(ArgumentError, match=r"^denominator: got 'x', allowed are 'a', 'b'$"):
        timings.ratio("a", "x")
    with pytest.raises(ArgumentError, match=r"^name: got 'x'"):
        timings.median("x")
    with pytest.raises(ArgumentError, match=r"^confidence: got 95"):
        timings.ratio("a", "b", confidence=95)


@pytest.fixture
def half_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(
        cpu_count=lambda: 4,
        cpu_percent=lambda interval: 50.0 if interval == 0.25 else 0.0,
        getloadavg=lambda: (3, 2, 1),
    )
    for name, value in vars(fake).items():
        monkeypatch.setattr(psutil, name, value)


@pytest.mark.usefixtures("half_busy")
def test_load_is_given_in_cores() -> None:
    assert machine_load(sample_seconds=0.25) == (2.0, 3, 4)


@pytest.mark.usefixtures("half_busy")
def test_require_idle_names_the_load() -> None:
    with pytest.raises(RunError, match=r"2\.00 of 4 cores at work \(load average 3\.00\), timing allows 0\.50"):
        require_idle(sample_seconds=0.25)
    assert require_idle(limit=2.0, sample_seconds=0.25).busy_cores == 2.0
