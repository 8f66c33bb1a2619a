"""PoolFormer: stages of MetaFormer blocks, with a strided convolution before each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, Literal, TypedDict, Unpack

import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.poolformer.block import MetaFormerBlock
from cenote.pooling.poolformer.checks import check_choice, check_map
from cenote.pooling.poolformer.heads import OfficialHead, TimmHead
from cenote.pooling.poolformer.mixers import Mixer
from cenote.pooling.poolformer.norms import build_norm

Head = Literal["official", "timm"]
Patch = tuple[int, int, int]


class BlockOptions(TypedDict, total=False):
    """What a network hands on to every ``MetaFormerBlock``."""

    mlp_ratio: float | None
    dropout: float
    activation: Callable[[], nn.Module]
    skip: bool
    pool_size: int
    head_dim: int


class PoolFormer(nn.Module):
    """A MetaFormer: a strided convolution and some blocks, stage after stage, then a classifier.

    Inside, maps have their channels last in memory, whatever the layout of the images: pooling and the 1×1
    convolutions are several times faster so. The state has the names of timm's ``poolformer_*`` models.

    Source: arXiv 2111.11418, Section 3, and its released code.

    Differs from the paper: any number of stages and any first convolution; mixer and norm may be given for each stage,
    as the paper's hybrids have them; any module or function can be the mixer.

    Args:
        depths: Blocks of each stage.
        dims: Channels of each stage.
        num_classes: K; 0 leaves the classifier out and gives its input.
        mixer: As of ``MetaFormerBlock``, one for all stages or a list with one for each. Every block has its own.
        norm: ``gn1``, ``ln``, ``bn`` or ``none``, one for all stages or a list with one for each.
        layer_scale: What the λ of the blocks start from; None has none.
        drop_path: Probability that a sample leaves out a branch of the last block in training; it rises linearly
            from 0 at the first.
        features_only: Whether to return the maps of all stages instead of logits.
        image_size: Height and width of the images, where mixers or position embeddings are built for one size.
        positions: Whether a stage begins with a learned position embedding, 0 at first; one for all stages or a list.
        in_channels: Channels of the images.
        patch: Kernel, stride and padding of the first convolution.
        head: ``official`` is norm, mean, linear as released; ``timm`` is mean, norm, linear.
        feature_norms: With ``features_only``, whether each map passes a norm of its own, as the released code has it
            for detection and segmentation.
        **block: ``mlp_ratio``, ``dropout``, ``activation``, ``skip``, ``pool_size`` and ``head_dim`` of every
            ``MetaFormerBlock``.

    Shapes:
        (B, in_channels, H, W) → (B, K); with ``features_only`` a tuple of maps (B, dims[k], H_k, W_k), H_k about
        H / strides[k].

    Raises:
        ArgumentError: If lists differ in length, a name is unknown or a number is out of range; in a forward pass, if
            the images have another number of dimensions or channels, or are smaller than the network's stride.
        ArgumentTypeError: If a mixer is no mixer, or the images are no floating-point tensor.

    Example:
        >>> network = PoolFormer((2, 2), (32, 64), num_classes=10, mixer=("pool", "attention"), layer_scale=0.1)
        >>> network(torch.randn(4, 3, 40, 32)).shape
        torch.Size([4, 10])
    """

    def __init__(
        self,
        depths: Sequence[int],
        dims: Sequence[int],
        num_classes: int = 1000,
        mixer: Mixer | Sequence[Mixer] = "pool",
        norm: str | Sequence[str] = "gn1",
        layer_scale: float | None = 1e-5,
        drop_path: float = 0.1,
        features_only: bool = False,
        *,
        image_size: int | tuple[int, int] | None = None,
        positions: bool | Sequence[bool] = False,
        in_channels: int = 3,
        patch: Patch = (7, 4, 2),
        head: Head = "official",
        feature_norms: bool = False,
        **block: Unpack[BlockOptions],
    ) -> None:
        super().__init__()
        check_choice("head", head, ("official", "timm"))
        _check_sizes(depths, dims, num_classes, in_channels, patch)
        self.channels, self.in_channels, self.features_only = tuple(dims), in_channels, features_only
        self.strides = tuple(patch[1] * 2**stage for stage in range(len(depths)))
        mixers: list[Mixer] = _each("mixer", mixer, len(depths))
        norms: list[str] = _each("norm", norm, len(depths))
        embedded: list[bool] = _each("positions", positions, len(depths))
        sizes = _map_sizes(image_size, patch, len(depths))
        rates = _rising(drop_path, depths)
        self.stem = Downsampling(in_channels, dims[0], patch)
        self.stages = nn.Sequential()
        for stage, (dim, size) in enumerate(zip(dims, sizes, strict=True)):
            options: dict[str, Any] = {"layer_scale": layer_scale, "resolution": size, **block}
            blocks = [
                MetaFormerBlock(dim, mixers[stage], norms[stage], drop_path=rate, **options) for rate in rates[stage]
            ]
            down = Downsampling(dims[stage - 1], dim, (3, 2, 1)) if stage else nn.Identity()
            self.stages.append(Stage(down, blocks, _embedding(dim, size) if embedded[stage] else None))
        self.norms = nn.ModuleList(map(build_norm, norms, dims) if features_only and feature_norms else ())
        if not features_only:
            timm = head == "timm"
            self.head = TimmHead(dims[-1], num_classes) if timm else OfficialHead(dims[-1], num_classes, norms[-1])

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Return the logits of images, or with ``features_only`` the maps of all stages."""
        maps = self.forward_features(x)
        if not self.features_only:
            logits: Tensor = self.head(maps[-1])
            return logits
        if not self.norms:
            return maps
        return tuple(norm(each) for norm, each in zip(self.norms, maps, strict=True))

    def forward_features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the maps of all stages, before any norm.

        Raises:
            ArgumentError: If the images have another number of dimensions or channels, or are too small.
            ArgumentTypeError: If they are no floating-point tensor.
        """
        check_map(x, self.in_channels)
        if min(x.shape[2:]) < self.strides[-1]:
            raise ArgumentError(
                f"x must have at least {self.strides[-1]} × {self.strides[-1]} pixels, the network's stride, got shape "
                f"{tuple(x.shape)}"
            )
        # As ``contiguous`` with a memory format, which torch.func does not have.
        x = self.stem(x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2))
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return tuple(maps)


class Stage(nn.Module):
    """A strided convolution, a position embedding where there is one, and blocks.

    Args:
        downsample: The convolution; an identity in the first stage, which follows the stem.
        blocks: The blocks in their order.
        positions: The embedding (1, C, H, W), or None.
    """

    def __init__(self, downsample: nn.Module, blocks: Iterable[nn.Module], positions: nn.Parameter | None) -> None:
        super().__init__()
        self.downsample = downsample
        self.positions = positions
        self.blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        """Return the stage's map.

        Raises:
            ArgumentError: If the embedding was built for images of another size.
        """
        x = self.downsample(x)
        if self.positions is not None:
            if x.shape[1:] != self.positions.shape[1:]:
                raise ArgumentError(
                    f"x must be of the image_size that the position embeddings were built for: maps of "
                    f"{tuple(self.positions.shape[1:])}, got {tuple(x.shape[1:])}"
                )
            x = x + self.positions
        blocks: Tensor = self.blocks(x)
        return blocks


class Downsampling(nn.Module):
    """A strided convolution without norm.

    Args:
        inside: Channels of the input.
        outside: Channels of the output.
        patch: Kernel, stride and padding.
    """

    def __init__(self, inside: int, outside: int, patch: Patch) -> None:
        super().__init__()
        kernel, stride, padding = patch
        self.conv = nn.Conv2d(inside, outside, kernel, stride, padding)

    def forward(self, x: Tensor) -> Tensor:
        """Return the smaller map."""
        smaller: Tensor = self.conv(x)
        return smaller


def _embedding(dim: int, size: tuple[int, int] | None) -> nn.Parameter:
    if size is None:
        raise ArgumentError("image_size must be given where positions are embedded: an embedding has one size")
    return nn.Parameter(torch.zeros(1, dim, *size))


def _map_sizes(image_size: int | tuple[int, int] | None, patch: Patch, stages: int) -> list[tuple[int, int] | None]:
    """H and W of each stage's maps, where the images' are known."""
    if image_size is None:
        return [None] * stages
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    sizes: list[tuple[int, int] | None] = []
    for kernel, stride, padding in (patch, *[(3, 2, 1)] * (stages - 1)):
        height, width = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        if min(height, width) < 1:
            raise ArgumentError(f"image_size must leave a position in every stage, got {image_size}")
        sizes.append((height, width))
    return sizes


def _rising(last: float, depths: Sequence[int]) -> list[list[float]]:
    """Probabilities that rise linearly over the blocks of all stages, from 0 to ``last``."""
    steps = max(1, sum(depths) - 1)
    before = accumulate(depths, initial=0)
    return [
        [last * (start + index) / steps for index in range(depth)] for start, depth in zip(before, depths, strict=False)
    ]


def _each(name: str, value: Any, stages: int) -> list[Any]:
    """One value for each stage."""
    if not isinstance(value, list | tuple):
        return [value] * stages
    if len(value) != stages:
        raise ArgumentError(f"{name} must be one value or {stages}, one a stage, got {len(value)}: {value!r}")
    return list(value)


def _check_sizes(depths: Sequence[int], dims: Sequence[int], num_classes: int, in_channels: int, patch: Patch) -> None:
    if not depths or len(depths) != len(dims) or min(*depths, *dims) < 1:
        raise ArgumentError(f"depths and dims must be equally many numbers from 1, got {depths} and {dims}")
    if num_classes < 0 or in_channels < 1:
        raise ArgumentError(
            f"num_classes must be 0 or more and in_channels 1 or more, got {num_classes} and {in_channels}"
        )
    if len(patch) != 3 or patch[0] < 1 or patch[1] < 1 or patch[2] < 0:
        raise ArgumentError(f"patch must be kernel, stride and padding of a convolution, got {patch}")
