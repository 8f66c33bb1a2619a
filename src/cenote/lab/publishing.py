"""Publish a finished run as a result of the package, and check a published result against a fresh run."""

from __future__ import annotations

import math
import os
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cenote.catalog.card import Card, Claim, Kind
from cenote.catalog.files import write_files_atomic, write_text_atomic
from cenote.catalog.fingerprint import fingerprint
from cenote.catalog.results import RESULTS, Comparison, IndexEntry, Record, Result, Verdict, read_index, read_result
from cenote.errors import ArgumentError, PublishError, StorageError
from cenote.lab.experiment import PUBLISHABLE, load_experiment
from cenote.lab.pairing import select
from cenote.lab.runs import RunFolder, dump_settings


def publish(card: Card, folder: RunFolder, root: Path = RESULTS) -> Path:
    """Copy a finished run into the package: figures first, then the result, the index last.

    Args:
        card: The paper.
        folder: The run.
        root: Where published results live.

    Returns:
        The result's path.

    Raises:
        PublishError: If the preset is not one that is published, settings differ from the preset's, the tree was not
            clean at the start, claims or code changed since then, or the units are not those declared.
        ResultError: If the run's result was edited, or what was published of it before.
        StorageError: If it cannot be written; the index then does not name the run.
    """
    result = folder.result()
    for objection in objections(card, result):
        raise PublishError(f"run {result.run_id} is not published: {objection}")
    home = root / card.slug
    target = home / f"{result.run_id}.json"
    with _one_at_a_time(home):
        index = read_index(card.slug, root)
        if any(entry.run_id == result.run_id for entry in index.runs):
            read_result(target)
            return target
        _copy_figures(result, folder.path, home / result.run_id)
        write_text_atomic(target, result.model_dump_json(indent=1) + "\n")
        entry = IndexEntry(**result.model_dump(include=set(IndexEntry.model_fields)))
        grown = index.model_copy(update={"runs": (*index.runs, entry)})
        write_text_atomic(home / "index.json", grown.model_dump_json(indent=1) + "\n")
    return target


@contextmanager
def _one_at_a_time(home: Path) -> Iterator[None]:
    """Hold a paper's results, so that of two runs published at once neither drops the other from the index."""
    import fcntl

    try:
        home.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(home, os.O_RDONLY)
    except OSError as error:
        raise StorageError(f"{home} could not be made: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        for leftover in home.rglob(".*.tmp"):  # of a kill; nobody else is writing
            leftover.unlink(missing_ok=True)
        yield
    finally:
        os.close(descriptor)


def _copy_figures(result: Result, source: Path, target: Path) -> None:
    if not result.figures:
        return
    try:
        target.mkdir(exist_ok=True)
        figures = {target / figure.file: (source / figure.file).read_bytes() for figure in result.figures}
    except OSError as error:
        raise StorageError(f"the figures could not be copied to {target}: {error.strerror}") from error
    write_files_atomic(figures)


def objections(card: Card, result: Result) -> Iterator[str]:
    """Yield what keeps a run from being published."""
    if result.preset not in PUBLISHABLE:
        yield f"preset {result.preset!r} is not published, only {' and '.join(sorted(PUBLISHABLE))}"
        return
    try:
        declared = load_experiment(card).resolve(result.preset)
    except ArgumentError as error:
        yield str(error)
        return
    if result.settings != dump_settings(declared):
        yield f"its settings differ from those of preset {result.preset!r}"
    if not result.clean:
        yield "the tree had uncommitted changes when it started"
    now = fingerprint(card)
    for name in ("claims", "method", "experiment"):
        if getattr(now, name) != getattr(result.hashes, name):
            yield f"the {name} changed since it started"
    for claim in card.claims:
        for data in claim.data:
            selected = select(claim, result.records, data)
            for arm in (claim.subject, *claim.baselines):
                mine = [record for record in selected if record.arm == arm]
                where = f"claim {claim.id!r} on {data}: {arm}"
                yield from _unit_objections(claim, mine, where) if mine else (f"{where} was not measured",)


def _unit_objections(claim: Claim, records: Sequence[Record], where: str) -> Iterator[str]:
    """Compare the measured seeds and units of a claim's arm with the declared ones."""
    first, declared = claim.first_seed, claim.seed_count or 0
    by_seed: dict[int | None, list[Record]] = {}
    for record in records:
        by_seed.setdefault(record.seed, []).append(record)
    unseeded = claim.replication != "seed" and declared == 1 and set(by_seed) == {None}
    if set(by_seed) != set(range(first, first + declared)) and not unseeded:
        found = ", ".join("none" if seed is None else str(seed) for seed in by_seed)
        yield f"{where} has the seeds {found}; declared are {first} to {first + declared - 1}"
    if claim.replication == "seed":
        return
    parts = [records] if claim.kind is Kind.BOUND else by_seed.values()
    wrong = [count for count in (_units_of(claim, part) for part in parts) if count != claim.units]
    if wrong:
        yield f"{where} has {wrong[0]} units ({claim.replication}); declared are {claim.units}"


def _units_of(claim: Claim, records: Sequence[Record]) -> int:
    """Trials of a bound, over all seeds; else units of a seed, each once though it has several positions."""
    if claim.kind is Kind.BOUND:
        return sum(record.trials for record in records)
    return len({record.unit for record in records if record.unit is not None}) or len(records)


# --- a fresh run against a published one --------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """One claim on one data set, published and fresh."""

    claim: str
    data: str
    published: str
    fresh: str
    outcome: Literal["confirmed", "changed", "reversed"]
    """``reversed`` only from holds to fails or back; ``changed`` where one of the two is unclear."""
    figure: float
    """The published estimate."""
    low: float
    """Lower end of the 95 % prediction interval for a fresh run's estimate."""
    high: float
    fresh_figure: float

    @property
    def as_predicted(self) -> bool:
        """Whether the fresh estimate lies in the prediction interval (NaN, where there is none, does not)."""
        return self.low <= self.fresh_figure <= self.high


def compare(published: Result, fresh: Result) -> list[Check]:
    """Compare every verdict that both results have."""
    new = {(verdict.claim, verdict.data): verdict for verdict in fresh.verdicts}
    pairs = [(old, new[old.claim, old.data]) for old in published.verdicts if (old.claim, old.data) in new]
    return [check for old, other in pairs for check in _checks(old, other)]


def _checks(old: Verdict, new: Verdict) -> Iterator[Check]:
    others = {comparison.baseline: comparison for comparison in new.comparisons}
    for comparison in old.comparisons:
        other = others.get(comparison.baseline)
        low, high = _prediction(comparison, len(other.differences) if other else 0)
        yield Check(
            claim=old.claim if comparison.baseline is None else f"{old.claim} against {comparison.baseline}",
            data=old.data,
            published=old.word,
            fresh=new.word,
            outcome=_outcome(old.word, new.word),
            figure=comparison.estimate,
            low=low,
            high=high,
            fresh_figure=other.estimate if other else math.nan,
        )


def _outcome(old: str, new: str) -> Literal["confirmed", "changed", "reversed"]:
    if old == new:
        return "confirmed"
    return "reversed" if {old, new} == {"holds", "fails"} else "changed"


def _prediction(comparison: Comparison, fresh_units: int) -> tuple[float, float]:
    """Where the mean over the fresh units should lie, from the spread of the published ones: t, n-1 degrees.

    A ratio's mean is the geometric one, so its interval is formed from logarithms. There is none (NaN) for one unit, a
    diverged one, and where the estimate is no mean of its units: the largest error, a rate of violations.
    """
    values, estimate = comparison.differences, comparison.estimate
    if len(values) < 2 or fresh_units < 1 or not all(map(math.isfinite, (estimate, *values))):
        return math.nan, math.nan
    if _is_mean(estimate, values):
        return _around(estimate, values, fresh_units)
    if min(estimate, *values) > 0:
        logs = [math.log(value) for value in values]
        if _is_mean(math.log(estimate), logs):
            low, high = _around(math.log(estimate), logs, fresh_units)
            return math.exp(low), math.exp(high)
    return math.nan, math.nan


def _is_mean(estimate: float, values: Sequence[float]) -> bool:
    return math.isclose(estimate, statistics.fmean(values), rel_tol=1e-9, abs_tol=1e-9 * max(map(abs, values)))


def _around(mean: float, values: Sequence[float], fresh_units: int) -> tuple[float, float]:
    from scipy.stats import t

    spread = statistics.stdev(values) * math.sqrt(1 / len(values) + 1 / fresh_units)
    reach = float(t.ppf(0.975, len(values) - 1)) * spread
    return mean - reach, mean + reach
