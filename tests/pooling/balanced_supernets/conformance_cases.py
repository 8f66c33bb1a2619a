"""Cases of balanced SuperNets for the contract every paper inherits."""

from __future__ import annotations

import torch

from cenote.pooling import SuperNet, resnet_units
from tests.conformance.case import Case, normal

with torch.random.fork_rng(devices=[]):
    torch.manual_seed(0)
    UNITS = resnet_units((2, 3), channels=2, classes=3)
    WIDER = resnet_units((2, 2, 3), channels=1, classes=2)


CASES = (
    Case("max", SuperNet, normal(2, 4, 4), {"units": UNITS}, batched=False, bfloat16_tolerance=2**-3,
         float32_tolerance=1e-4),
    Case("avg", SuperNet, normal(1, 4, 4), {"units": WIDER, "pool": "avg"}, batched=False, bfloat16_tolerance=2**-3,
         float32_tolerance=1e-4),
)  # fmt: skip
