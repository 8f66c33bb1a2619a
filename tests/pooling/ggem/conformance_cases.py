"""Cases of generalised mean pooling for the contract every paper inherits."""

from __future__ import annotations

import torch
from torch import Tensor

from cenote.pooling import GeM, GGeM, ggem_pool, token_weights
from tests.conformance.case import Case, Inputs, normal

MASKED = torch.tensor([True, False, True, True])


def masked(*shape: int) -> Inputs:
    """Tokens, and a mask that leaves one of every sample's out."""

    def make(batch: int) -> tuple[Tensor, ...]:
        (tokens,) = normal(*shape)(batch)
        return tokens, MASKED[: shape[0]].expand(batch, -1).clone()

    return make


MODULES = (
    Case("tokens", GGeM, normal(4, 6), {"dim": 6, "groups": 2}),
    Case("masked-tokens", GGeM, masked(4, 6), {"dim": 6, "groups": 3, "p": (0.5, 2.0, 8.0), "eps": 1e-2}),
    Case("maps", GGeM, normal(4, 2, 3), {"dim": None, "groups": 4, "negative": "shift", "parametrization": "softplus"}),
    Case("fixed-minimum", GGeM, normal(4, 2), {"dim": 2, "groups": 1, "p": -torch.inf, "learn_p": False,
                                               "allow_negative_p": True, "negative": "shift"}),
    Case("tokens", GeM, normal(4, 3), {}),
    Case("maps", GeM, normal(2, 3, 3), {"p": 5.0, "eps": 1e-3, "negative": "signed", "parametrization": "softplus"}),
    Case("fixed-near-the-geometric-mean", GeM, normal(3, 2),
         {"p": -5e-4, "eps": 0.1, "learn_p": False, "allow_negative_p": True, "negative": "relu"},
         float32_tolerance=1e-4),
)  # fmt: skip

FUNCTIONS = (
    Case("tokens", ggem_pool, normal(4, 6), {"p": torch.tensor([1.5, 3.0])}),
    Case("columns", ggem_pool, normal(2, 4), {"p": 2.0, "dim": 2, "eps": 1e-2, "negative": "relu"}),
    Case("maximum-of-maps", ggem_pool, normal(3, 2, 2), {"p": torch.inf, "allow_negative_p": True}),
    Case("tokens", token_weights, normal(4, 6), {"p": torch.tensor([1.5, 3.0])}),
    Case("maps", token_weights, normal(2, 3, 2), {"p": -2.0, "dim": (1, 2), "eps": 1e-1, "allow_negative_p": True}),
)

CASES = MODULES + FUNCTIONS
