"""The vision transformers of the experiment; only how they pool their tokens differs between arms."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError, MissingExtraError


class PooledVit(nn.Module):
    """A transformer's tokens, a pooling, one last norm and a linear classifier.

    Shapes:
        (B, C, H, W) → (B, K).
    """

    pooling: nn.Module
    """Maps (B, N, D) to (B, D)."""
    norm: nn.Module
    head: nn.Module

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (B, K) of images."""
        logits: Tensor = self.head(self.norm(self.pooling(self.tokens(x))))
        return logits

    def tokens(self, x: Tensor) -> Tensor:
        """Return what is pooled, (B, N, D): the patches in row-major order, or all tokens for ``ClassToken``."""
        raise NotImplementedError


class SmallVit(PooledVit):
    """Patches and pre-norm transformer blocks, from scratch.

    Every arm has a class token's parameter, so that equal seeds give equal weights; only with ``ClassToken`` does it
    stand in front of the patches and learn.

    Args:
        pooling: Maps (B, N, D) to (B, D).
        image_size: Height and width in pixels, multiples of ``patch``.
        channels: Channels of the images.
        classes: Number of classes.
        patch: Height and width of a patch.
        dim: D, the width of a token.
        heads: Attention heads.
        layers: Transformer blocks.

    Raises:
        ArgumentError: If the patches do not tile the image.
    """

    def __init__(
        self,
        pooling: nn.Module,
        *,
        image_size: tuple[int, int],
        channels: int,
        classes: int,
        patch: int,
        dim: int,
        heads: int,
        layers: int,
    ) -> None:
        super().__init__()
        if image_size[0] % patch or image_size[1] % patch:
            raise ArgumentError(f"patch must divide the images' {image_size[0]} x {image_size[1]} pixels, got {patch}")
        self.embed = nn.Conv2d(channels, dim, patch, stride=patch)
        self.positions = nn.Parameter(0.02 * torch.randn(image_size[0] // patch * (image_size[1] // patch), dim))
        self.class_token = nn.Parameter(0.02 * torch.randn(dim), requires_grad=isinstance(pooling, ClassToken))
        self.blocks = nn.Sequential(*(_block(dim, heads) for _ in range(layers)))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, classes)
        self.pooling = pooling

    def tokens(self, x: Tensor) -> Tensor:
        """Return the patches, behind the class token where it is read."""
        tokens = self.embed(x).flatten(2).transpose(1, 2) + self.positions
        if isinstance(self.pooling, ClassToken):
            tokens = torch.cat([self.class_token.expand(len(x), 1, -1), tokens], dim=1)
        blocks: Tensor = self.blocks(tokens)
        return blocks


def _block(dim: int, heads: int) -> nn.Module:
    return nn.TransformerEncoderLayer(
        dim, heads, dim_feedforward=2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


class TimmVit(PooledVit):
    """A vision transformer of timm, whose last norm stands behind the pooling in every arm.

    Args:
        backbone: What ``timm_backbone`` returned.
        pooling: Maps (B, N, D) to (B, D).

    Raises:
        ArgumentError: If the class token is wanted of a model that has none.
    """

    def __init__(self, backbone: Any, pooling: nn.Module) -> None:
        super().__init__()
        if isinstance(pooling, ClassToken) and not backbone.has_class_token:
            raise ArgumentError("backbone must have a class token, since one arm reads it")
        self.norm, self.head = backbone.fc_norm, backbone.head
        self.prefix_tokens = int(backbone.num_prefix_tokens)
        # Both are held here now, and twice would make every weight appear twice.
        backbone.fc_norm, backbone.head = nn.Identity(), nn.Identity()
        self.backbone = backbone
        self.pooling = pooling

    def tokens(self, x: Tensor) -> Tensor:
        """Return the patches, behind the class token where it is read."""
        tokens: Tensor = self.backbone.forward_features(x)
        return tokens if isinstance(self.pooling, ClassToken) else tokens[:, self.prefix_tokens :]


def timm_backbone(name: str, *, image_size: int, channels: int, classes: int, pretrained: bool) -> Any:
    """Return a vision transformer of timm for images of this size, with its last norm behind the pooling.

    Raises:
        ArgumentError: If timm has no such vision transformer.
        MissingExtraError: If timm is not installed.
    """
    try:
        import timm
    except ModuleNotFoundError as error:
        raise MissingExtraError("a backbone 'timm:…' needs timm; install it with: pip install timm") from error
    if not timm.is_model(name.partition(".")[0]):
        raise ArgumentError(f"backbone: timm has no model {name!r}")
    options: dict[str, Any] = {"img_size": image_size, "in_chans": channels, "num_classes": classes}
    try:
        model = timm.create_model(name, pretrained=pretrained, global_pool="avg", fc_norm=True, **options)
    except TypeError as error:  # convolutional networks take neither a size nor fc_norm
        raise ArgumentError(f"backbone: {name!r} is not a vision transformer of timm ({error})") from error
    if not hasattr(model, "num_prefix_tokens") or not hasattr(model, "blocks"):
        raise ArgumentError(f"backbone: {name!r} is not a vision transformer of timm")
    return model


class ClassToken(nn.Module):
    """The first token."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one vector (B, D) of tokens (B, N, D)."""
        return tokens[:, 0]


class Average(nn.Module):
    """The mean of the tokens."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one vector (B, D) of tokens (B, N, D)."""
        return tokens.mean(1)


class Maximum(nn.Module):
    """The largest value of each channel."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Return one vector (B, D) of tokens (B, N, D)."""
        return tokens.amax(1)
