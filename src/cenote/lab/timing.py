"""Paired timing: every repeat times all candidates one after another, so that a slow minute slows all of them.

A ratio is formed within a repeat and only then summarised; what the machine does between repeats cancels.
"""

from __future__ import annotations

import gc
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import repeat
from typing import NamedTuple

import psutil

from cenote.errors import ArgumentError, RunError


class Ratio(NamedTuple):
    """Median of the paired ratios with its interval; low and high are NaN where repeats are too few for one."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Timings:
    """Seconds per call of every candidate, repeat by repeat.

    Attributes:
        seconds: Seconds per call for each name, in the order of the repeats: equal positions are paired.
        loops: Calls per repeat for each name, as calibrated.
    """

    seconds: Mapping[str, tuple[float, ...]]
    loops: Mapping[str, int]

    def median(self, name: str) -> float:
        """Return the median seconds per call of one candidate.

        Raises:
            ArgumentError: If no candidate has this name.
        """
        return statistics.median(self._of("name", name))

    def ratio(self, numerator: str, denominator: str, *, confidence: float = 0.95) -> Ratio:
        """Return how many times as long one candidate takes as the other.

        The interval is that of the median by order statistics (the sign test turned round): it asks nothing of the
        distribution, and one repeat disturbed by the machine moves it by at most one rank. At 95 % it needs at least 6
        repeats.

        Example:
            >>> timings = Timings({"a": (2.0, 4.0, 9.0), "b": (1.0, 2.0, 3.0)}, {"a": 1, "b": 1})
            >>> timings.ratio("a", "b").median
            2.0

        Raises:
            ArgumentError: If no candidate has one of the names, or the confidence is not between 0 and 1.
        """
        if not 0 < confidence < 1:
            raise ArgumentError(f"confidence: got {confidence}, allowed is a number between 0 and 1")
        pairs = zip(self._of("numerator", numerator), self._of("denominator", denominator), strict=True)
        ratios = sorted(above / below for above, below in pairs)
        rank = _interval_rank(len(ratios), confidence)
        low, high = (ratios[rank], ratios[-1 - rank]) if rank is not None else (math.nan, math.nan)
        return Ratio(statistics.median(ratios), low, high)

    def _of(self, argument: str, name: str) -> tuple[float, ...]:
        if name not in self.seconds:
            raise ArgumentError(f"{argument}: got {name!r}, allowed are {', '.join(map(repr, self.seconds))}")
        return self.seconds[name]


def time_interleaved(
    functions: Mapping[str, Callable[[], object]],
    *,
    repeats: int = 15,
    min_seconds: float = 0.2,
    warmup: int = 1,
    timer: Callable[[], float] = time.perf_counter,
) -> Timings:
    """Time functions side by side in one process.

    Each function is called ``warmup`` times, then gets the number of calls that last at least ``min_seconds``. A
    repeat times that many calls of every function. Repeats come in pairs, an order drawn at random and the same
    backwards, so that a function's place favours none and a steady drift cancels.

    Args:
        functions: What to time, by name. On a device that works asynchronously each must end synchronised.
        repeats: Number of paired repeats.
        min_seconds: Shortest time of one inner loop; far above the timer's resolution and the scheduler's slices.
        warmup: Calls of each function before its calibration.
        timer: Clock in seconds.

    Raises:
        ArgumentError: If there is nothing to time or a number is out of range.
    """
    if not functions:
        raise ArgumentError("functions: got none, at least one is needed")
    if repeats < 1:
        raise ArgumentError(f"repeats: got {repeats}, allowed is 1 or more")
    if not (math.isfinite(min_seconds) and min_seconds > 0):
        raise ArgumentError(f"min_seconds: got {min_seconds}, allowed is a positive number")
    if warmup < 0:
        raise ArgumentError(f"warmup: got {warmup}, allowed is 0 or more")
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    loops: dict[str, int] = {}
    with _no_garbage_collection():
        for name, function in functions.items():
            _time_calls(function, warmup, timer)
            loops[name] = _calibrate(function, min_seconds, timer)
        for turn in range(repeats):
            for name in _order(list(functions), turn):
                seconds[name].append(_time_calls(functions[name], loops[name], timer) / loops[name])
            # Between two repeats nobody is timed: what the candidates left behind goes before it fills the memory.
            gc.collect()
    return Timings({name: tuple(values) for name, values in seconds.items()}, loops)


class MachineLoad(NamedTuple):
    """How busy the machine is."""

    busy_cores: float
    """Cores at work during the sample, this process asleep."""
    load_average: float
    """Processes that ran or waited, averaged over the last minute; it still remembers our own last minute."""
    cores: int
    """Logical cores of the machine."""


def machine_load(*, sample_seconds: float = 0.5) -> MachineLoad:
    """Measure how busy the machine is while this thread sleeps for ``sample_seconds``."""
    cores = psutil.cpu_count() or 1
    busy = psutil.cpu_percent(interval=sample_seconds) / 100 * cores
    return MachineLoad(busy, psutil.getloadavg()[0], cores)


def require_idle(limit: float = 0.5, *, sample_seconds: float = 0.5) -> MachineLoad:
    """Return the machine's load if at most ``limit`` cores are busy, so that timings mean something.

    Raises:
        RunError: If the machine is busier; names the load.
    """
    load = machine_load(sample_seconds=sample_seconds)
    if load.busy_cores > limit:
        raise RunError(
            f"the machine is busy: {load.busy_cores:.2f} of {load.cores} cores at work (load average "
            f"{load.load_average:.2f}), timing allows {limit:.2f}; stop what else runs, or wait"
        )
    return load


def _interval_rank(count: int, confidence: float) -> int | None:
    """Largest rank r for which the r-th smallest and r-th largest value (from 0) enclose the median that surely.

    The number of values below the median is binomial(count, 1/2), so each end may leave out (1 - confidence) / 2.
    """
    tail, found = 0.0, None
    for rank in range((count + 1) // 2):
        tail += math.comb(count, rank) / 2**count
        if tail > (1 - confidence) / 2:
            break
        found = rank
    return found


def _order(names: list[str], turn: int) -> list[str]:
    """An order drawn for each pair of repeats, backwards in the second; the same in every run."""
    drawn = random.Random(turn // 2).sample(names, len(names))
    return drawn[::-1] if turn % 2 else drawn


def _calibrate(function: Callable[[], object], min_seconds: float, timer: Callable[[], float]) -> int:
    loops = 1
    while (elapsed := _time_calls(function, loops, timer)) < min_seconds:
        # Aim a tenth above the goal, but grow tenfold at most: the first calls are often slow or below the resolution.
        wanted = math.ceil(1.1 * loops * min_seconds / elapsed) if elapsed > 0 else 10 * loops
        loops = max(loops + 1, min(wanted, 10 * loops))
    return loops


def _time_calls(function: Callable[[], object], calls: int, timer: Callable[[], float]) -> float:
    start = timer()
    for _ in repeat(None, calls):
        function()
    return timer() - start


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """As timeit does: a collection would hit one candidate with the garbage of all.

    What is there already is set aside, so that a collection between two repeats looks at the candidates' garbage alone.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        if was_enabled:
            gc.enable()
