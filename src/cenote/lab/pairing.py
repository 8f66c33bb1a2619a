"""Pair a run's records: the same seeds and units for every arm of a claim, or a sentence that names what is missing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from cenote.catalog.card import Claim, Kind
from cenote.catalog.results import Record
from cenote.errors import CenoteError
from cenote.lab.intervals import FloatArray

ACROSS = frozenset({Kind.TREND, Kind.RANK})
"""The kinds whose statistic relates the value to a position x."""

_EXACT = frozenset({Kind.EQUAL, Kind.BOUND})
_SHOWN = 3  # names listed before "and 12 more"

Key: TypeAlias = tuple[str | None, float | None]
"""Unit and position of a point within its seed; None where it needs none to be told from the others."""


class UnpairedError(CenoteError, ValueError):
    """The records of a claim cannot be paired; the message is the verdict's reason."""


@dataclass(frozen=True)
class Points:
    """What one arm measured under one seed, in the same order for every arm.

    Attributes:
        seed: The seed; None where the records have none.
        keys: Unit and position that tell each point from the others of the seed, (N,).
        x: Position of each point, (N,); NaN where it has none.
        y: Value of each point, (N,); NaN where it diverged.
    """

    seed: int | None
    keys: tuple[Key, ...]
    x: FloatArray
    y: FloatArray

    @property
    def units(self) -> tuple[str | None, ...]:
        """Label of each point's unit, (N,); None where the seed itself is the unit."""
        return tuple(unit for unit, _ in self.keys)

    def where(self, mask: NDArray[np.bool_]) -> list[str]:
        """Name the points of a mask for a sentence: 'seed 3, unit img-7'."""
        return [place(self.seed, self.keys[row]) for row in np.flatnonzero(mask)]

    def labels(self) -> tuple[str, ...]:
        """Name each point for a table, unique in the run: '3/img-7'."""
        return tuple(label(self.seed, key) for key in self.keys)


@dataclass(frozen=True)
class Paired:
    """Records of a claim on one data set, paired.

    Attributes:
        seeds: The seeds in order; None stands for records without a seed.
        arms: For each arm its points under each seed.
        shared: Whether all seeds have the same units.
    """

    seeds: tuple[int | None, ...]
    arms: Mapping[str, tuple[Points, ...]]
    shared: bool

    def of(self, arm: str) -> tuple[Points, ...]:
        """Return the points of an arm under each seed."""
        return self.arms[arm]


def select(claim: Claim, records: Iterable[Record], data: str) -> list[Record]:
    """Return the records a verdict of the claim on one data set is made of.

    Controls and seeds below the claim's first are left out: the latter were used before the claim was declared anew.
    """
    arms = {claim.subject, *claim.baselines}
    return [
        record
        for record in records
        if record.data == data
        and record.metric == claim.metric
        and record.arm in arms
        and (record.seed is None or record.seed >= claim.first_seed)
    ]


def pair(claim: Claim, records: Sequence[Record], data: str) -> Paired:
    """Pair the selected records of a claim by seed and unit.

    Raises:
        UnpairedError: If an arm has no records, a seed or unit is missing in one arm or measured twice, or a record
            lacks what the claim's unit of replication or kind needs.
    """
    keyed = _keyed(claim, records, data, (claim.subject, *claim.baselines))
    _check_same(keyed)
    subject = keyed[claim.subject]
    seeds = sorted({seed for seed, _ in subject}, key=_in_order)
    order = {seed: sorted((key for own, key in subject if own == seed), key=_natural) for seed in seeds}
    shared = _shared(claim, {seed: [key[0] for key in keys] for seed, keys in order.items()})
    arms = {arm: tuple(_points(found, seed, order[seed]) for seed in seeds) for arm, found in keyed.items()}
    return Paired(tuple(seeds), arms, shared)


def unpaired(claim: Claim, records: Sequence[Record], data: str) -> list[Record]:
    """Return the subject's selected records in order, for a claim that compares it with nothing.

    Raises:
        UnpairedError: If there are none, or a place was measured twice.
    """
    found = _keyed(claim, [record for record in records if record.arm == claim.subject], data, (claim.subject,))
    ordered = sorted(found[claim.subject].items(), key=lambda item: (_in_order(item[0][0]), _natural(item[0][1])))
    return [only for _, (only,) in ordered]


def place(seed: int | None, key: Key) -> str:
    """Name a place in the run for a sentence: 'seed 3, unit img-7, x = 0.5'."""
    unit, x = key
    parts = [f"seed {seed}"] if seed is not None else []
    parts += [f"unit {unit}"] if unit is not None else []
    parts += [f"x = {x:g}"] if x is not None else []
    return ", ".join(parts) or "its only place"


def label(seed: int | None, key: Key) -> str:
    """Name a place in the run for a table: '3/img-7'."""
    unit, x = key
    parts = [None if seed is None else str(seed), unit, None if x is None else f"x={x:g}"]
    return "/".join(part for part in parts if part is not None) or "all"


def listed(names: Sequence[str]) -> str:
    """Join names for a sentence, the first few of many."""
    if len(names) > _SHOWN:
        return f"{'; '.join(names[:_SHOWN])} and {len(names) - _SHOWN:,} more"
    return "; ".join(names)


_Keyed: TypeAlias = dict[str, dict[tuple[int | None, Key], list[Record]]]


def _keyed(claim: Claim, records: Sequence[Record], data: str, arms: Sequence[str]) -> _Keyed:
    """Group the records of each arm by seed and place; the position counts where it is needed to tell them apart."""
    _check_present(claim, records, data, arms)
    for record in records:
        _check_fields(claim, record)
    times = Counter((record.arm, record.seed, record.unit) for record in records)
    by_position = claim.kind in ACROSS | _EXACT and any(
        record.unit is None or times[record.arm, record.seed, record.unit] > 1 for record in records
    )
    keyed: _Keyed = {arm: {} for arm in arms}
    for record in records:
        key = (record.unit, record.x if by_position else None)
        keyed[record.arm].setdefault((record.seed, key), []).append(record)
    _check_once(keyed)
    if claim.replication == "seed" and claim.kind not in ACROSS | _EXACT:
        _check_one_a_seed(keyed)
    return keyed


def _check_present(claim: Claim, records: Sequence[Record], data: str, arms: Sequence[str]) -> None:
    if not records:
        raise UnpairedError(f"There are no records of {claim.metric} on {data}.")
    present = {record.arm for record in records}
    missing = [arm for arm in arms if arm not in present]
    if missing:
        raise UnpairedError(f"There are no records of {claim.metric} on {data} for {listed(missing)}.")


def _check_fields(claim: Claim, record: Record) -> None:
    """A record has what the claim's kind and unit of replication need."""
    if claim.kind in _EXACT:
        return
    if claim.kind in ACROSS and (record.x is None or not math.isfinite(record.x)):
        lacks, needs = "position x", f"the kind of the claim is {claim.kind}"
    elif claim.replication == "seed" and record.seed is None:
        lacks, needs = "seed", "the unit of replication is the seed"
    elif claim.replication != "seed" and record.unit is None:
        lacks, needs = "unit", f"the unit of replication is the {claim.replication}"
    else:
        return
    at = place(record.seed, (record.unit, record.x))
    raise UnpairedError(f"{record.arm} has a record without a {lacks} ({at}), but {needs}.")


def _check_one_a_seed(keyed: _Keyed) -> None:
    for arm, found in keyed.items():
        for seed, count in Counter(seed for seed, _ in found).items():
            if count > 1:
                raise UnpairedError(
                    f"{arm} has {count} values for seed {seed}, but the seed is the unit: one is expected."
                )


def _check_once(keyed: _Keyed) -> None:
    twice = [
        f"{arm} on {place(*at)}" for arm, found in keyed.items() for at, records in found.items() if len(records) > 1
    ]
    if twice:
        raise UnpairedError(f"There is more than one record of {listed(twice)}.")


def _check_same(keyed: _Keyed) -> None:
    places = list(dict.fromkeys(at for found in keyed.values() for at in found))
    missing = [f"{arm} on {place(*at)}" for arm, found in keyed.items() for at in places if at not in found]
    if missing:
        raise UnpairedError(f"There is no record of {listed(missing)}, so the arms cannot be paired.")


def _shared(claim: Claim, units: Mapping[int | None, Sequence[str | None]]) -> bool:
    """Whether all seeds have the same units; seeds that share only some of them miss the others."""
    by_seed = {seed: set(labels) for seed, labels in units.items()}
    if claim.kind in _EXACT:
        return True
    if claim.replication == "seed":
        most = max(len(labels) for labels in units.values())
        fewer = [f"seed {seed} has {len(labels)}" for seed, labels in units.items() if len(labels) < most]
        if fewer:
            raise UnpairedError(f"The seeds do not have the same number of points: {listed(fewer)}, others {most}.")
        return True
    union = set().union(*by_seed.values())
    if all(labels == union for labels in by_seed.values()):
        return True
    if sum(map(len, by_seed.values())) == len(union):
        return False
    missing = [
        f"{claim.replication} {unit} for seed {seed}"
        for seed, labels in by_seed.items()
        for unit in sorted(union - labels, key=str)
    ]
    raise UnpairedError(f"The seeds share only some of their units; missing is {listed(missing)}.")


def _in_order(seed: int | None) -> int:
    return -1 if seed is None else seed


def _natural(key: Key) -> tuple[int, str, float]:
    """Order that does not depend on when a record was written; numbers as numbers."""
    unit, x = key
    return (len(unit or ""), unit or "", -math.inf if x is None else x)


def _points(found: dict[tuple[int | None, Key], list[Record]], seed: int | None, keys: Sequence[Key]) -> Points:
    records = [found[seed, key][0] for key in keys]
    x = [math.nan if record.x is None else record.x for record in records]
    y = [record.value if math.isfinite(record.value) else math.nan for record in records]
    return Points(seed, tuple(keys), np.array(x, dtype=np.float64), np.array(y, dtype=np.float64))
