"""The paper's own network: images of 127 pixels to a grid of 32³, without the aggregation between its two halves."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from cenote.pooling.attsets.networks import SLOPE, initialize

FEATURES = 1024
"""Features of a view, which are aggregated."""

IMAGE_SIDE, GRID_SIDE = 127, 32

_WIDTHS = (96, 128, 256, 256, 256, 256)
_WITH_SKIP = (False, True, True, False, True, True)


class R2N2Encoder(nn.Sequential):
    """Six blocks of two convolutions that end in a pooling, and a layer: (B, 3, 127, 127) to (B, 1024).

    Source: arXiv 1808.00758, after 3D-R2N2 (arXiv 1604.00449). No batch norm: with one, a view would depend on the
    others of its batch.
    """

    def __init__(self) -> None:
        blocks = [
            _ImageBlock(before, width, kernel=7 if before == 3 else 3, skip=skip)
            for before, width, skip in zip((3, *_WIDTHS), _WIDTHS, _WITH_SKIP, strict=False)
        ]
        super().__init__(*blocks, nn.Flatten(), nn.Linear(2 * 2 * _WIDTHS[-1], FEATURES), nn.LeakyReLU(SLOPE))
        initialize(self)


class R2N2Decoder(nn.Module):
    """A layer to 4³ and five blocks of transposed convolutions: (B, 1024) to logits (B, 32, 32, 32).

    Source: arXiv 1808.00758. The block at 32³ adds a third convolution of 3³ where the others add a skip of 1³, as in
    the released code.
    """

    def __init__(self) -> None:
        super().__init__()
        self.start = nn.Linear(FEATURES, 128 * 4**3)
        self.doublings = nn.Sequential(_VolumeBlock(128, 128), _VolumeBlock(128, 128), _VolumeBlock(128, 64))
        self.first, self.second = nn.Conv3d(64, 32, 3, padding=1), nn.Conv3d(32, 32, 3, padding=1)
        self.beside = nn.Conv3d(64, 32, 3, padding=1)
        self.last = nn.Conv3d(32, 1, 3, padding=1)
        initialize(self)

    def forward(self, vector: Tensor) -> Tensor:
        """Return the logits."""
        volume = F.leaky_relu(self.start(vector), SLOPE).reshape(-1, 128, 4, 4, 4)
        volume = self.doublings(volume)
        deeper = F.leaky_relu(self.second(F.leaky_relu(self.first(volume), SLOPE)), SLOPE)
        volume = deeper + F.leaky_relu(self.beside(volume), SLOPE)
        logits: Tensor = self.last(volume)
        return logits.squeeze(1)


class _ImageBlock(nn.Module):
    def __init__(self, channels: int, width: int, *, kernel: int, skip: bool) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.skip = nn.Conv2d(channels, width, 1) if skip else None

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.second(F.leaky_relu(self.first(x), SLOPE)), SLOPE)
        if self.skip is not None:
            y = y + self.skip(x)
        pooled: Tensor = F.max_pool2d(y, 2, ceil_mode=True)  # TensorFlow's SAME
        return pooled


class _VolumeBlock(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.first = nn.ConvTranspose3d(channels, width, 3, stride=2, padding=1, output_padding=1)
        self.second = nn.ConvTranspose3d(width, width, 3, padding=1)
        self.skip = nn.ConvTranspose3d(channels, width, 1, stride=2, output_padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = F.leaky_relu(self.second(F.leaky_relu(self.first(x), SLOPE)), SLOPE)
        summed: Tensor = y + self.skip(x)
        return summed
