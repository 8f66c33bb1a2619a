"""One network with several aggregations, and how well each rebuilds objects from few views and from many."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from cenote.pooling.attsets.aggregators import aggregate
from cenote.pooling.attsets.networks import ViewNetwork
from cenote.pooling.attsets.overlap import voxel_iou
from cenote.pooling.attsets.tasks import as_numbers

_ENCODED = 2**22
"""Numbers in the views that are encoded at once, at most."""


def with_aggregation(base: ViewNetwork, name: str) -> ViewNetwork:
    """Return a copy of a network on AttSets with another aggregation, a new one; ``attsets`` keeps its weights."""
    model = copy.deepcopy(base)
    if name != "attsets":
        dim = base.aggregation.dim
        assert isinstance(dim, int)
        model.aggregation = aggregate(name, dim)
    return model


class SingleAnswers(ViewNetwork):
    """Answers each view alone and averages the answers: what many views give without an aggregation of features."""

    def decode(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits of the mean probability over the views (B, N, D) that count."""
        counts = torch.ones_like(features[:, :, 0]) if mask is None else mask.to(features.dtype)
        shares = counts / counts.sum(1, keepdim=True)
        mean = torch.zeros(())
        # One view after the other, since the grids of all of them at once may not fit into memory.
        for view, share in zip(features.unbind(1), shares.unbind(1), strict=True):
            answer = self.decoder(view).sigmoid()
            mean = mean + share.reshape(-1, *(1,) * (answer.dim() - 1)) * answer
        return torch.logit(mean, eps=torch.finfo(mean.dtype).eps)  # a rounding may lead beyond 1


@torch.no_grad()
def encode_all(model: ViewNetwork, views: Tensor, batch: int = 32) -> Tensor:
    """Return the features (T, V, D) of all views (T, V, …), bytes or numbers, some objects at a time."""
    model.eval()
    batch = max(1, min(batch, _ENCODED // views[0].numel()))
    return torch.cat([model.encode(as_numbers(part)) for part in torch.split(views, batch)])


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
