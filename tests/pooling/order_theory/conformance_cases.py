"""Cases of poset pooling for the contract every paper inherits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cenote.pooling import IntegerLayer, Poset, PosetPool2d, poset_pool2d
from tests.conformance.case import Case, Inputs, normal

VARIANTS: Mapping[str, tuple[Inputs, Mapping[str, Any]]] = {
    "default": (normal(2, 4, 4), {}),
    "placed-on-an-odd-map": (normal(2, 5, 3), {"poset": "diamond", "placement": (3, 1, 2, 0)}),
    "overlapping-and-padded": (
        normal(2, 4, 3),
        {"poset": "chain", "kernel_size": (3, 2), "stride": (2, 1), "padding": (1, 0), "scale": 0.5},
    ),
    "floor-with-gaps": (normal(2, 5, 5), {"poset": Poset.antichain(4), "stride": 3, "ceil_mode": False}),
}

POOLING = tuple(
    Case(name, target, inputs, arguments)
    for target in (PosetPool2d, poset_pool2d)
    for name, (inputs, arguments) in VARIANTS.items()
)

LAYERS = (
    Case("relu", IntegerLayer, normal(3), {"weight": [[1, -1, 2], [0, 1, 1]]}),
    Case(
        "two-floors",
        IntegerLayer,
        normal(2, 3),
        {"weight": [[1, 0, -2], [-1, 1, 1]], "bias": [0.25, -0.5], "threshold": [-float("inf"), 0.1]},
    ),
)

CASES = POOLING + LAYERS
