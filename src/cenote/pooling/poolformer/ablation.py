"""The networks of the ablation: one small MetaFormer, of which each arm changes one thing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from cenote.pooling.order_theory.pooling import PosetPool2d
from cenote.pooling.poolformer.network import Patch, PoolFormer


@dataclass(frozen=True)
class Shape:
    """What all arms have in common."""

    depths: tuple[int, ...]
    """Blocks of each stage."""
    dims: tuple[int, ...]
    """Channels of each stage."""
    patch: Patch
    """Kernel, stride and padding of the first convolution."""
    head_dim: int
    """Channels of a head, where an arm has attention."""
    layer_scale: float
    """What the factors of the branches start from."""
    drop_path: float = 0.0
    """Probability of dropping a branch of the last block."""


class PosetMixing(nn.Module):
    """Mix positions by a filter of another paper here: the largest mean-like sum around a position, minus it.

    The nine positions of a 3×3 window form a chain: corners below edges below the centre. The filter of a chain is the
    largest sum over its upper ends, so each position chooses how far around itself it sums, or 0 if all are negative.

    Source: arXiv 2412.06097 for the filter; arXiv 2111.11418 for "minus its input".
    """

    def __init__(self) -> None:
        super().__init__()
        outside_in = (0, 2, 6, 8, 1, 3, 5, 7, 4)
        self.pool = PosetPool2d("chain", 3, 1, 1, placement=outside_in, scale=1 / 9)

    def forward(self, x: Tensor) -> Tensor:
        """Return the filtered map minus ``x``."""
        filtered: Tensor = self.pool(x)
        return filtered - x


def _late_attention(stages: int) -> dict[str, Any]:
    """Attention with LayerNorm and a position embedding in the last half of the stages, as the paper's hybrids."""
    late = [stage >= (stages + 1) // 2 for stage in range(stages)]
    return {
        "mixer": ["attention" if each else "pool" for each in late],
        "norm": ["ln" if each else "gn1" for each in late],
        "positions": late,
    }


CLAIMED: Mapping[str, dict[str, Any]] = {
    "pool-mixer": {},
    "identity-mixer": {"mixer": "identity"},
    "depthwise-mixer": {"mixer": "dwconv"},
    "attention-mixer": {"mixer": "attention"},
    "spatial-mixer": {"mixer": "spatial"},
    "pool-without-skip": {"skip": False},
    "pool-without-channel-mlp": {"mlp_ratio": None},
}
"""Arms that claims are about, and how they differ from the first."""

CONTROLS: Mapping[str, dict[str, Any]] = {
    "random matrix": {"mixer": "random"},
    "pool 5": {"pool_size": 5},
    "pool 7": {"pool_size": 7},
    "chain of a 3×3 window": {"mixer": PosetMixing()},
    "pool, then attention": {},
    "LayerNorm": {"norm": "ln"},
    "BatchNorm": {"norm": "bn"},
    "no norm": {"norm": "none"},
}
"""Arms without a verdict."""

ARMS = (*CLAIMED, *CONTROLS)


def build(arm: str, shape: Shape, *, image_shape: tuple[int, int, int], classes: int, seed: int) -> PoolFormer:
    """Return an arm's untrained network; equal seeds give equal weights wherever arms share them.

    Args:
        arm: One of ``ARMS``.
        shape: What all arms have in common.
        image_shape: H, W and C of the images.
        classes: Number of classes.
        seed: Decides the initial weights.
    """
    height, width, channels = image_shape
    common: dict[str, Any] = {
        "num_classes": classes, "layer_scale": shape.layer_scale, "drop_path": shape.drop_path, "patch": shape.patch,
        "in_channels": channels, "head_dim": shape.head_dim, "image_size": (height, width),
    }  # fmt: skip
    own = _late_attention(len(shape.dims)) if arm == "pool, then attention" else {**CLAIMED, **CONTROLS}[arm]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        shared = PoolFormer(shape.depths, shape.dims, **common).state_dict()
        model = PoolFormer(shape.depths, shape.dims, **common, **own)
    # A mixer with weights draws some, which would shift all that is drawn after it.
    known = model.state_dict()
    fitting = {name: weight for name, weight in shared.items() if name in known and weight.shape == known[name].shape}
    model.load_state_dict(fitting, strict=False)
    return model
