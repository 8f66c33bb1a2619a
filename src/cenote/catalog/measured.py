"""What a run measured, arm by arm, as finished texts."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cenote.catalog.card import Card
from cenote.catalog.numbers import Scale, counted, decimals_of, level_scale, write_number, write_with_unit
from cenote.catalog.results import Record

_MOST_POSITIONS = 12


@dataclass(frozen=True)
class Measured:
    """One metric of one arm on one data set."""

    arm: str
    role: str
    value: str
    over: str


def measured_values(card: Card, records: Iterable[Record]) -> dict[str, dict[str, list[Measured]]]:
    """Return mean ± sd over seeds by data set, metric and arm; the claims' subjects first, controls last."""
    groups: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        groups.setdefault((record.data, record.metric, record.arm), []).append(record)
    units = {claim.metric: claim.metric_unit for claim in card.claims}
    roles = dict.fromkeys((name for claim in card.claims for name in claim.baselines), "baseline")
    roles |= dict.fromkeys((claim.subject for claim in card.claims), "subject")
    rank = ("subject", "baseline", "control")
    tables: dict[str, dict[str, list[Measured]]] = {}
    for data, metric, arm in sorted(groups, key=lambda key: rank.index(roles.get(key[2], "control"))):
        rows = tables.setdefault(data, {}).setdefault(metric.replace("_", " "), [])
        for at, some in _by_position(groups[data, metric, arm]):
            value, over = _summary(some, level_scale(units.get(metric, "")))
            rows.append(Measured(arm + at, roles.get(arm, "control"), value, over))
    return tables


def _by_position(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Split a trend's records by their place on its axis, unless there are many."""
    positions = {record.x for record in records if record.x is not None}
    if not 1 < len(positions) <= _MOST_POSITIONS:
        yield "", list(records)
        return
    for x in sorted(positions):
        yield f" at {x:g}", [record for record in records if record.x == x]


def _summary(records: Sequence[Record], scale: Scale) -> tuple[str, str]:
    """Mean ± sd over seeds, and over what; a bound's trials are summed instead."""
    if any(record.trials > 1 for record in records):
        trials = sum(record.trials for record in records)
        return write_number(sum(record.value for record in records), Scale(signed=False)), counted(trials, "trial")
    seeds: dict[object, list[float]] = {}
    for index, record in enumerate(records):
        seeds.setdefault(index if record.seed is None else ("seed", record.seed), []).append(record.value)
    over = counted(len(seeds), "value" if records[0].seed is None else "seed")
    if len(records) > len(seeds):
        over += f", {counted(len(records), 'value')}"
    diverged = sum(not all(map(math.isfinite, values)) for values in seeds.values())
    if diverged:
        return f"diverged in {diverged} of {len(seeds)}", over
    means = [statistics.fmean(values) for values in seeds.values()]
    if len(means) < 2:
        return write_with_unit(means[0], scale), over
    spread = statistics.stdev(means)
    decimals = decimals_of(scale.factor * spread)
    return (
        f"{write_number(statistics.fmean(means), scale, decimals)} ± {write_with_unit(spread, scale, decimals)}",
        over,
    )
