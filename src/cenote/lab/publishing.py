"""Publish a finished run as a result of the package, and check a published result against a fresh run."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cenote.catalog.card import Card, Claim
from cenote.catalog.files import write_files_atomic, write_text_atomic
from cenote.catalog.fingerprint import fingerprint
from cenote.catalog.results import RESULTS, Comparison, IndexEntry, Record, Result, Verdict, read_index
from cenote.errors import PublishError
from cenote.lab.experiment import PUBLISHABLE, load_experiment
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
        ResultError: If the run's result was edited.
        StorageError: If it cannot be written; the index then does not name the run.
    """
    result = folder.result()
    for objection in objections(card, result):
        raise PublishError(f"run {result.run_id} is not published: {objection}")
    index = read_index(card.slug, root)
    home = root / card.slug
    target = home / f"{result.run_id}.json"
    if any(entry.run_id == result.run_id for entry in index.runs):
        return target
    (home / result.run_id).mkdir(parents=True, exist_ok=True)
    figures = {
        home / result.run_id / figure.file: (folder.path / figure.file).read_bytes() for figure in result.figures
    }
    write_files_atomic(figures)
    write_text_atomic(target, result.model_dump_json(indent=1) + "\n")
    entry = IndexEntry(**result.model_dump(include=set(IndexEntry.model_fields)))
    grown = index.model_copy(update={"runs": (*index.runs, entry)})
    write_text_atomic(home / "index.json", grown.model_dump_json(indent=1) + "\n")
    return target


def objections(card: Card, result: Result) -> Iterator[str]:
    """Yield what keeps a run from being published."""
    if result.preset not in PUBLISHABLE:
        yield f"preset {result.preset!r} is not published, only {' and '.join(sorted(PUBLISHABLE))}"
        return
    if result.settings != dump_settings(load_experiment(card).resolve(result.preset)):
        yield f"its settings differ from those of preset {result.preset!r}"
    if not result.clean:
        yield "the tree had uncommitted changes when it started"
    now = fingerprint(card)
    for name in ("claims", "method", "experiment"):
        if getattr(now, name) != getattr(result.hashes, name):
            yield f"the {name} changed since it started"
    for claim in card.claims:
        for data in claim.data:
            yield from _unit_objections(claim, data, result.records)


def _unit_objections(claim: Claim, data: str, records: Iterable[Record]) -> Iterator[str]:
    """Compare the measured seeds and units of a claim with the declared ones."""
    mine = [r for r in records if (r.data, r.metric, r.arm) == (data, claim.metric, claim.subject)]
    where = f"claim {claim.id!r} on {data}"
    if not mine:
        yield f"{where} was not measured"
        return
    seeds = {record.seed for record in mine if record.seed is not None}
    declared = claim.seed_count or 0
    if seeds and seeds != set(range(claim.first_seed, claim.first_seed + declared)):
        yield f"{where} declares the seeds {claim.first_seed} to {claim.first_seed + declared - 1}, got {sorted(seeds)}"
    if claim.replication != "seed":
        units = Counter(record.seed for record in mine)
        wrong = [count for count in units.values() if count != claim.units]
        if wrong:
            yield f"{where} declares {claim.units} units, got {wrong[0]}"


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
    """Where the mean over the fresh units should lie, from the spread of the published ones: t, n-1 degrees."""
    from scipy.stats import t

    values, count = comparison.differences, len(comparison.differences)
    if count < 2 or fresh_units < 1:
        return comparison.estimate, comparison.estimate
    spread = statistics.stdev(values) * math.sqrt(1 / count + 1 / fresh_units)
    reach = float(t.ppf(0.975, count - 1)) * spread
    return comparison.estimate - reach, comparison.estimate + reach
