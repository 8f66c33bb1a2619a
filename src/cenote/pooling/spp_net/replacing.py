"""Put a spatial pyramid into a torchvision network that has fully connected layers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from torchvision.models import VGG, AlexNet

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.spp_net.pyramid import LEVELS, Mode, SpatialPyramidPool2d


class NewWeightsWarning(UserWarning):
    """A layer has new random weights and must be trained."""


@dataclass(frozen=True)
class HeadReplacement:
    """What ``replace_head_with_spp`` changed in a model."""

    before: str
    """The pooling that was there."""
    after: str
    """The pyramid that is there now."""
    layer: str
    """Path of the linear layer with new weights."""
    in_features: tuple[int, int]
    """Its input features before and now."""

    def __str__(self) -> str:
        before, now = self.in_features
        return f"avgpool: {self.before} -> {self.after}; {self.layer}: {before} -> {now} input features, new weights"


def replace_head_with_spp(
    model: nn.Module, levels: Sequence[int] = LEVELS, mode: Mode = "max", *, keep_last_pooling: bool = False
) -> HeadReplacement:
    """Let a torchvision VGG or AlexNet take images of any size, by a pyramid before its first linear layer, in place.

    The pyramid takes the place of the adaptive average pooling and of the max pooling before it, as in the paper (arXiv
    1406.4729, Section 2.2: it replaces the last pooling layer). Average pooling there lets the model take other sizes
    too, but at one resolution of bins. The first linear layer sees other features, so it gets new weights, and a
    warning says so; train the model on. All other weights are kept.

    Args:
        model: A ``torchvision.models.VGG`` or ``AlexNet``; changed in place.
        levels: Bins along a side of each grid.
        mode: What a bin gives.
        keep_last_pooling: Whether the max pooling before the head stays, so that the pyramid sees a smaller map.

    Returns:
        What was changed.

    Shapes:
        The model then takes (B, 3, H, W) with any H and W that its convolutions allow.

    Raises:
        ArgumentError: If ``levels`` or ``mode`` is not allowed, or the model has a pyramid already.
        ArgumentTypeError: If the model is neither a VGG nor an AlexNet.

    Warns:
        NewWeightsWarning: Always; names the layer.

    Example:
        >>> import torch, warnings
        >>> from torchvision.models import alexnet
        >>> model = alexnet(num_classes=5)
        >>> with warnings.catch_warnings():
        ...     warnings.simplefilter("ignore")
        ...     print(replace_head_with_spp(model, (3, 2, 1)).in_features)
        (9216, 3584)
        >>> tuple(model.eval()(torch.randn(1, 3, 150, 201)).shape)
        (1, 5)
    """
    if not isinstance(model, VGG | AlexNet):
        raise ArgumentTypeError(f"model must be a torchvision VGG or AlexNet, got {type(model).__name__}")
    if isinstance(model.avgpool, SpatialPyramidPool2d):
        raise ArgumentError(f"model has a pyramid already: {model.avgpool}")
    pyramid = SpatialPyramidPool2d(levels, mode)
    features, classifier = model.features, model.classifier
    channels = [layer.out_channels for layer in features if isinstance(layer, nn.Conv2d)][-1]
    place, old = next((index, layer) for index, layer in enumerate(classifier) if isinstance(layer, nn.Linear))
    before = str(model.avgpool)
    if not keep_last_pooling and isinstance(features[-1], nn.MaxPool2d):
        before = f"{features[-1]} and {before}"
        model.features = features[:-1]
    new = nn.Linear(pyramid.out_features(channels), old.out_features, bias=old.bias is not None)
    classifier[place] = new.to(old.weight.device, old.weight.dtype).train(old.training)
    model.avgpool = pyramid.train(model.training)
    report = HeadReplacement(before, str(pyramid), f"classifier.{place}", (old.in_features, new.in_features))
    warnings.warn(f"{report.layer} has new random weights: train the model on", NewWeightsWarning, stacklevel=2)
    return report
