"""What tests say of the report of ``replace_pooling``."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from cenote.pooling.order_theory import PoolingReplacement

ADAPTIVE = "AdaptiveAvgPool2d has no poset counterpart"
BY_HAND = "called as a function; put a layer there by hand"
SMALLER = "its 3×3 window (padding (0, 0), ceil_mode=False) can give another size than a 2×2 window"
STRIDE = "only 2×2 and 3×3 windows with stride 2 are replaced"


@pytest.fixture(autouse=True)
def fixed_weights() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def taken(*names: str) -> str:
    return "; ".join(f"ReLU {name!r} taken out" for name in names)


def behind(what: str) -> str:
    return f"no ReLU between it and {what}"


def by_hand(*calls: str) -> str:
    return "; ".join(f"the ReLU before it, {call}, is a function call; take it out by hand" for call in calls)


def replaced(report: PoolingReplacement) -> dict[str, str]:
    """What was done with the ReLU, by the name of the replaced layer."""
    return {item.name: item.relu for item in report.replaced}


def left(report: PoolingReplacement) -> dict[str, str]:
    return {item.name: item.reason for item in report.left}
