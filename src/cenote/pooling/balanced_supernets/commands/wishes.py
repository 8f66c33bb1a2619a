"""What a search on one's own images is asked for, and what of it can be seen to be wrong at once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple, cast, get_args

from cenote.errors import ArgumentError
from cenote.pooling.balanced_supernets.configurations import Blocks, blocks_to_config
from cenote.pooling.balanced_supernets.search import Select
from cenote.pooling.devices import check_device

MOST_TEMPERATURE = 1_000
"""Accuracies that differ by a hundredth are then ten e-folds apart; balancing would take thousands of turns beyond."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for: the command's options but for folders."""

    model: str
    pools: int
    data: str
    budget: str | None
    supernets: int
    pooling: str
    default: str | None
    brute_force: bool
    select: str
    epochs: int
    retrain_epochs: int
    retrainings: int
    images: int | None
    image_size: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    temperature: float
    ema: float
    flip: bool
    shift: int
    seed: int
    device: str

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything is read."""
        if self.select not in get_args(Select):
            raise ArgumentError(f"--select must be {', '.join(get_args(Select))}, got {self.select!r}")
        for name, value, least in (
            ("--learning-rate", self.learning_rate, 1e-12),
            ("--weight-decay", self.weight_decay, 0.0),
            ("--temperature", self.temperature, 0.0),
            ("--ema", self.ema, 0.0),
        ):
            if not least <= value < math.inf:
                raise ArgumentError(f"{name} must be {'positive' if least else '0 or more'}, got {value}")
        if self.temperature > MOST_TEMPERATURE:
            raise ArgumentError(f"--temperature must be at most {MOST_TEMPERATURE:,}, got {self.temperature:g}")
        if self.ema >= 1:
            raise ArgumentError(f"--ema must be below 1, got {self.ema:g}")
        check_device(self.device)
        self.read_budget()

    def read_budget(self) -> Limit | None:
        """Return the limit of the budget, in operations or seconds."""
        if self.budget is None:
            return None
        match = re.fullmatch(r"(flops|latency)=(\d+(?:\.\d*)?(?:e\d+)?)\s*(\w*)", self.budget.strip())
        if match is None or match[3] not in _UNITS[match[1]] or not float(match[2]) > 0:
            raise ArgumentError(
                f"--budget must be flops=40M (with k, M, G or none) or latency=2.5ms (with us, ms or s), got "
                f"{self.budget!r}"
            )
        kind = cast(Literal["flops", "latency"], match[1])
        return Limit(kind, float(match[2]) * _UNITS[kind][match[3]])

    def read_default(self) -> Blocks | None:
        """Return the usual placement, if one was named."""
        if self.default is None:
            return None
        parts = self.default.strip(" []").split(",")
        if not all(part.strip().isdecimal() for part in parts):
            raise ArgumentError(f"--default must be numbers of units such as 4,3,3, got {self.default!r}")
        blocks = tuple(int(part) for part in parts)
        blocks_to_config(blocks)
        if len(blocks) != self.pools + 1:
            raise ArgumentError(
                f"--default must be {self.pools + 1} numbers for --pools {self.pools}, got {self.default}"
            )
        return blocks


class Limit(NamedTuple):
    """Of a budget."""

    kind: Literal["flops", "latency"]
    value: float
    """Operations, or seconds an image."""


_UNITS = {
    "flops": {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9},
    "latency": {"us": 1e-6, "ms": 1e-3, "s": 1.0},
}
