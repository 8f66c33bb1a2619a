"""From the views of an object to a grid: what encodes a view, what decodes the vector of the set, and both in one."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.attsets.sets import check_count

SLOPE = 0.2
"""Of the leaky ReLU, as in the paper's network."""


def initialize(module: nn.Module) -> None:
    """Give all layers the weights that the paper's network starts with: Xavier's, and biases of 0.

    Behind an encoder that started with torch's own weights, a GRU did not learn in 6 of 8 published trainings.
    """
    for part in module.modules():
        if isinstance(part, nn.Linear | nn.Conv2d | nn.Conv3d | nn.ConvTranspose3d):
            nn.init.xavier_uniform_(part.weight)
            assert part.bias is not None
            nn.init.zeros_(part.bias)


class ViewNetwork(nn.Module):
    """Encodes each view alone, makes one vector of them, and decodes it: views (B, N, …) to logits (B, …).

    Nothing in it may mix the samples of a batch, as a batch norm would: a single view is trained as a set of one.

    Args:
        encoder: From views (B·N, …) to features (B·N, D).
        aggregation: From features (B, N, D) and optionally a mask (B, N) to (B, D).
        decoder: From (B, D) to logits.
    """

    def __init__(self, encoder: nn.Module, aggregation: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.aggregation = aggregation
        self.decoder = decoder

    def encode(self, views: Tensor) -> Tensor:
        """Return the features (B, N, D) of views (B, N, …)."""
        features: Tensor = self.encoder(views.flatten(0, 1))
        return features.reshape(*views.shape[:2], *features.shape[1:])

    def decode(self, features: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits (B, …) of sets of features (B, N, D)."""
        logits: Tensor = self.decoder(self.aggregation(features, mask))
        return logits

    def forward(self, views: Tensor, mask: Tensor | None = None) -> Tensor:
        """Return the logits of sets of views, of which the mask (B, N) says which count."""
        return self.decode(self.encode(views), mask)


def small_halves(
    view: tuple[int, ...], target: tuple[int, ...], *, dim: int, hidden: int, widths: tuple[int, ...]
) -> tuple[nn.Module, nn.Module]:
    """Return a small encoder and decoder for views and targets of these shapes.

    Args:
        view: (C, S, S): encoded by convolutions where a target is a body (X, Y, Z), else by layers.
        target: Shape of the grid.
        dim: Features D between the two.
        hidden: Width of their hidden layers.
        widths: Channels of the convolutions.
    """
    decoder = GridDecoder(dim, hidden, target)
    if len(target) == 3:
        return ImageEncoder(view[1], view[0], widths, dim), decoder
    return nn.Sequential(nn.Flatten(), VectorEncoder(math.prod(view), hidden, dim)), decoder


class ImageEncoder(nn.Sequential):
    """Convolutions of stride 2 and a layer: images (B, C, S, S) to features (B, D).

    Args:
        side: Side S of an image in pixels.
        channels: Channels C of an image.
        widths: Channels behind each convolution.
        dim: Features D.

    Raises:
        ArgumentError: If the last map would be empty, or a number is below 1.
    """

    def __init__(self, side: int, channels: int, widths: tuple[int, ...], dim: int) -> None:
        for name, number in (("side", side), ("channels", channels), ("dim", dim)):
            check_count(name, number)
        if not widths or side < 2 ** len(widths):
            raise ArgumentError(
                f"widths must be 1 to {side.bit_length() - 1} numbers for a side of {side}, got {widths}"
            )
        layers: list[nn.Module] = []
        for width in widths:
            layers += [nn.Conv2d(channels, width, 3, stride=2, padding=1), nn.LeakyReLU(SLOPE)]
            channels, side = width, (side + 1) // 2
        super().__init__(*layers, nn.Flatten(), nn.Linear(channels * side * side, dim), nn.LeakyReLU(SLOPE))
        initialize(self)


class VectorEncoder(nn.Sequential):
    """Two layers: vectors (B, E) to features (B, D).

    Args:
        entries: Entries E of a vector.
        hidden: Width between the layers.
        dim: Features D.
    """

    def __init__(self, entries: int, hidden: int, dim: int) -> None:
        super().__init__(nn.Linear(entries, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, dim), nn.LeakyReLU(SLOPE))
        initialize(self)


class GridDecoder(nn.Sequential):
    """Two layers: a vector (B, D) to the logits of a grid of any shape, (B, H, W) or (B, X, Y, Z).

    Args:
        dim: Features D.
        hidden: Width between the layers.
        shape: Shape of the grid.
    """

    def __init__(self, dim: int, hidden: int, shape: tuple[int, ...]) -> None:
        entries = 1
        for side in shape:
            check_count("shape", side)
            entries *= side
        super().__init__(
            nn.Linear(dim, hidden), nn.LeakyReLU(SLOPE), nn.Linear(hidden, entries), nn.Unflatten(1, shape)
        )
        initialize(self)


class VolumeDecoder(nn.Module):
    """A layer to a volume of 4³ and transposed convolutions that double it: (B, D) to logits (B, R, R, R).

    Args:
        dim: Features D.
        resolution: Side R of the grid: 8, 16, 32, …
        widths: Channels at 4³ and behind each doubling but the last, which gives the logits.

    Raises:
        ArgumentError: If the widths do not lead to the resolution.
    """

    def __init__(self, dim: int, resolution: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        if not widths or resolution != 4 * 2 ** len(widths):
            raise ArgumentError(f"widths must double 4 to the resolution of {resolution}, got {len(widths)} of them")
        self.start = nn.Linear(dim, widths[0] * 4**3)
        self.doublings = nn.ModuleList(
            nn.ConvTranspose3d(channels, width, 4, stride=2, padding=1)
            for channels, width in zip(widths, (*widths[1:], 1), strict=True)
        )
        initialize(self)

    def forward(self, vector: Tensor) -> Tensor:
        """Return the logits."""
        volume = self.start(vector).unflatten(1, (-1, 4, 4, 4))
        for doubling in self.doublings:
            volume = doubling(F.leaky_relu(volume, SLOPE))
        logits: Tensor = volume.squeeze(1)
        return logits
