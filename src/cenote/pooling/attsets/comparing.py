"""One network with several aggregations: trained on single views, then on sets, and tested with few views and many."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Adam

from cenote.pooling.attsets.aggregators import aggregate
from cenote.pooling.attsets.faset import step
from cenote.pooling.attsets.networks import ViewNetwork
from cenote.pooling.attsets.overlap import voxel_iou
from cenote.pooling.attsets.sets import NotFiniteError


def train_sets(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], steps: int, rate: float) -> bool:
    """Train all weights on batches of sets with Adam and binary cross-entropy.

    Args:
        model: Takes views (B, N, …) and returns logits.
        batches: Views with the probabilities wanted.
        steps: Batches that are taken.
        rate: Learning rate.

    Returns:
        Whether loss, features and weights stayed finite; training ends where they do not.
    """
    model.train()
    weights = list(model.parameters())
    optimizer = Adam(weights, rate)
    try:
        for _, (views, targets) in zip(range(steps), batches, strict=False):
            if not math.isfinite(step(weights, optimizer, loss(model(views), targets))):
                return False
    except NotFiniteError:
        return False
    return all(bool(weight.isfinite().all()) for weight in weights)


def with_aggregation(base: ViewNetwork, name: str) -> ViewNetwork:
    """Return a copy of a network on AttSets with another aggregation, a new one; ``attsets`` keeps its weights."""
    model = copy.deepcopy(base)
    if name != "attsets":
        dim = base.aggregation.dim
        assert isinstance(dim, int)
        model.aggregation = aggregate(name, dim)
    return model


def loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the binary cross-entropy of a batch, mean over cells."""
    return F.binary_cross_entropy_with_logits(logits, targets)


@torch.no_grad()
def encode_all(model: ViewNetwork, views: Tensor, batch: int = 32) -> Tensor:
    """Return the features (T, V, D) of all views (T, V, …)."""
    model.eval()
    return torch.cat([model.encode(part) for part in torch.split(views, batch)])


@torch.no_grad()
def probabilities(model: ViewNetwork, features: Tensor, batch: int = 64) -> Tensor:
    """Return the predicted probability of each cell of sets of features (T, N, D)."""
    model.eval()
    return torch.cat([model.decode(part).sigmoid() for part in torch.split(features, batch)])


def overlaps(
    model: ViewNetwork, features: Tensor, truth: Tensor, counts: Sequence[int], threshold: float
) -> dict[int, float]:
    """Return the mean intersection over union with the first N views, for each N."""
    return {
        count: float(voxel_iou(probabilities(model, features[:, :count]), truth, threshold).mean()) for count in counts
    }


def permutation_spread(model: ViewNetwork, features: Tensor, orders: int, seed: int = 0) -> float:
    """Return the largest change of a predicted probability over random orders of the views.

    Computed in float64, in which the order of a sum changes nothing that is worth a mention.
    """
    generator = torch.Generator().manual_seed(seed)
    exact, wide = copy.deepcopy(model).double(), features.double()
    reference = probabilities(exact, wide)
    largest = 0.0
    for _ in range(orders):
        order = torch.randperm(features.shape[1], generator=generator)
        changed = (probabilities(exact, wide[:, order]) - reference).abs().max()
        largest = max(largest, float(changed))
    return largest
