"""The classifier's head, in the order of the paper's released code and in timm's."""

from __future__ import annotations

from torch import Tensor, nn

from cenote.pooling.poolformer.linear import linear
from cenote.pooling.poolformer.norms import build_norm


class OfficialHead(nn.Module):
    """Normalise the map, average it over positions, classify: the order of the paper's released code.

    Args:
        dim: C, the number of channels.
        classes: K; 0 returns the averages.
        norm: Name of the norm, that of the last stage.

    Shapes:
        (B, C, H, W) → (B, K), or (B, C) without classes.
    """

    def __init__(self, dim: int, classes: int, norm: str = "gn1") -> None:
        super().__init__()
        self.norm = build_norm(norm, dim)
        self.fc = _classifier(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a map."""
        logits: Tensor = self.fc(self.norm(x).mean((2, 3)))
        return logits


class TimmHead(nn.Module):
    """Average the map over positions, normalise the average over channels, classify: the order of timm.

    The weights are those of ``OfficialHead`` in name and shape, the logits are not: averaging first leaves out how
    much the positions differ, so that the norm divides by less.

    Args:
        dim: C, the number of channels.
        classes: K; 0 returns the normalised averages.

    Shapes:
        (B, C, H, W) → (B, K), or (B, C) without classes.
    """

    def __init__(self, dim: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.fc = _classifier(dim, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of a map."""
        logits: Tensor = self.fc(self.norm(x.mean((2, 3))))
        return logits


def _classifier(dim: int, classes: int) -> nn.Module:
    return linear(dim, classes) if classes else nn.Identity()
