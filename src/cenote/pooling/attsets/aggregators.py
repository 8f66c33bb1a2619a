"""The other ways to make one vector of a set: maximum, mean, sum, GRU, second order, Set Transformer."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.attsets.attention import AttSets
from cenote.pooling.attsets.sets import SetAggregation, beside, can_look_at, check_count, finite

_ANY = (0, 1, 2, 3)
"""Vectors, sequences, maps and volumes: what works on every feature alone does not ask."""

_ROOT_FLOOR = 1e-6
"""Added under the signed square root, whose slope at 0 is infinite without it."""

_MOST_RANK = 32
"""Features that products are formed of, at most, where no number is given: the layer back has rank² · D weights."""


class MaxAggregation(SetAggregation):
    """Pool a set by the maximum of each feature over its members, a baseline of arXiv 1808.00758.

    Shapes:
        x: (B, N, D) or with up to three more dimensions. mask: (B, N). Returns x without its dimension N.

    Example:
        >>> MaxAggregation()(torch.tensor([[[1.0, 5.0], [3.0, 2.0]]])).tolist()
        [[3.0, 5.0]]
    """

    def __init__(self) -> None:
        super().__init__(maps=_ANY)

    def aggregate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Take the maximum over the members that count."""
        if can_look_at(x):
            finite(x.detach().amin(1), x)  # a maximum hides -inf
        return (x if mask is None else x.masked_fill(~beside(mask, x), float("-inf"))).amax(1)


class MeanAggregation(SetAggregation):
    """Pool a set by the mean of its members, a baseline of arXiv 1808.00758.

    Shapes:
        x: (B, N, D) or with up to three more dimensions. mask: (B, N). Returns x without its dimension N.

    Example:
        >>> MeanAggregation()(torch.tensor([[[1.0, 5.0], [3.0, 2.0]]])).tolist()
        [[2.0, 3.5]]
    """

    def __init__(self) -> None:
        super().__init__(maps=_ANY)

    def aggregate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Take the mean of the members that count."""
        if mask is None:
            return x.mean(1)
        # Half-precision sums of many members overflow where their mean does not.
        wide = x.sum(1, dtype=torch.promote_types(x.dtype, torch.float32))
        return (wide / beside(mask, x).sum(1)).to(x.dtype)


class SumAggregation(SetAggregation):
    """Pool a set by the sum of its members, a baseline of arXiv 1808.00758; it grows with their number.

    Shapes:
        x: (B, N, D) or with up to three more dimensions. mask: (B, N). Returns x without its dimension N.

    Example:
        >>> SumAggregation()(torch.tensor([[[1.0, 5.0], [3.0, 2.0]]])).tolist()
        [[4.0, 7.0]]
    """

    def __init__(self) -> None:
        super().__init__(maps=_ANY)

    def aggregate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Take the sum, in which masked members are 0."""
        return x.sum(1)


class GRUAggregation(SetAggregation):
    """Read a set with torch's GRU and return its last state, as 3D-R2N2 does: a baseline of arXiv 1808.00758.

    The only one here that depends on the order of the members.

    Args:
        dim: Features D of a member, and of the state.

    Shapes:
        x: (B, N, D). mask: (B, N); masked members are passed over. Returns (B, D).

    Raises:
        ArgumentError: If ``dim`` is below 1.
        ArgumentTypeError: If it is not a whole number.

    Example:
        >>> GRUAggregation(4)(torch.randn(2, 3, 4)).shape
        torch.Size([2, 4])
    """

    def __init__(self, dim: int) -> None:
        super().__init__(dim)
        # The weights of an nn.GRU under its own names, and its kernel; the module itself is what torch.compile refuses.
        like = nn.GRU(dim, dim)
        for name, weight in like.named_parameters():
            self.register_parameter(name, weight)

    def aggregate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Return the state behind the last member that counts."""
        finite(x, x)  # gates close at infinity, so the state would hide it
        if mask is None:
            return self._states(x)[:, -1]
        # Members that count go first, in their order; a state does not depend on what comes after it.
        order = torch.argsort((~mask).long(), dim=1, stable=True)
        states = self._states(x.gather(1, order.unsqueeze(2).expand_as(x)))
        last = (mask.sum(1) - 1).clamp(min=0).reshape(-1, 1, 1).expand(-1, 1, states.shape[2])
        return states.gather(1, last).squeeze(1)

    def _states(self, x: Tensor) -> Tensor:
        weights: list[Tensor] = list(self.parameters())
        if x.shape[0] == 0:  # refused by torch's kernel; this has gradients too, all of them 0
            return x + 0 * torch.stack([weight.sum() for weight in weights]).sum()
        start = x.new_zeros(1, x.shape[0], x.shape[2])
        states: Tensor = torch.gru(
            x, start, weights, has_biases=True, num_layers=1, dropout=0.0, train=self.training, bidirectional=False,
            batch_first=True,
        )[0]  # fmt: skip
        return states


class BilinearAggregation(SetAggregation):
    """Pool a set by second order: the mean of P x_n (P x_n)ᵀ, signed root, unit length, and a layer back to D.

    A baseline of arXiv 1808.00758, after bilinear CNNs (arXiv 1504.07889).

    Differs from the papers: features are projected to a lower ``rank`` first, without which the layer back from D²
    products would have D³ weights.

    Args:
        dim: Features D of a member.
        rank: Features the products are formed of; 32, or D where that is less, if left out.

    Shapes:
        x: (B, N, D). mask: (B, N). Returns (B, D).

    Raises:
        ArgumentError: If a number is below 1, or ``rank`` above ``dim``.
        ArgumentTypeError: If one is not a whole number.

    Example:
        >>> BilinearAggregation(8, rank=4)(torch.randn(2, 3, 8)).shape
        torch.Size([2, 8])
    """

    def __init__(self, dim: int, rank: int | None = None) -> None:
        super().__init__(dim)
        if rank is None:
            rank = min(dim, _MOST_RANK)
        check_count("rank", rank)
        if rank > dim:
            raise ArgumentError(f"rank must be at most dim ({dim}), got {rank}")
        self.project = nn.Linear(dim, rank, bias=False)
        self.back = nn.Linear(rank**2, dim)

    def aggregate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Average the products over the members that count; those of masked ones are 0."""
        projected = self.project(x)
        wide = projected.to(torch.promote_types(x.dtype, torch.float32))  # half-precision squares overflow at 256
        products = wide.transpose(1, 2) @ wide
        count = x.shape[1] if mask is None else mask.sum(1).reshape(-1, 1, 1)
        second = (products / count).flatten(1)
        rooted = second.sign() * ((second.abs() + _ROOT_FLOOR).sqrt() - _ROOT_FLOOR**0.5)
        pooled: Tensor = self.back(F.normalize(rooted, dim=1).to(projected.dtype))
        return pooled


class SetTransformerAggregation(SetAggregation):
    """Pool a set by multi-head attention of a learned query, the PMA of Set Transformer (arXiv 1810.00825).

    With the query S, H = LN(S + MHA(S, rFF(x), rFF(x))) and y = LN(H + rFF(H)). Not in arXiv 1808.00758, but what
    its module is compared with today.

    Args:
        dim: Features D of a member, a multiple of ``heads``.
        heads: Attention heads.

    Shapes:
        x: (B, N, D). mask: (B, N). Returns (B, D).

    Raises:
        ArgumentError: If ``heads`` does not divide ``dim``, or a number is below 1.
        ArgumentTypeError: If one is not a whole number.

    Example:
        >>> SetTransformerAggregation(8, heads=2)(torch.randn(2, 3, 8)).shape
        torch.Size([2, 8])
    """

    def __init__(self, dim: int, heads: int = 4) -> None:
        super().__init__(dim)
        check_count("heads", heads)
        if dim % heads:
            raise ArgumentError(f"heads must divide the {dim} features, got {heads}")
        self.heads = heads
        self.query = nn.Parameter(torch.empty(1, 1, dim))
        nn.init.xavier_uniform_(self.query)
        self.before = _row_wise(dim)
        self.to_query, self.to_key, self.to_value, self.mix = (nn.Linear(dim, dim) for _ in range(4))
        self.norm = nn.LayerNorm(dim)
        self.after = _row_wise(dim)
        self.last_norm = nn.LayerNorm(dim)

    def aggregate(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Let the query attend to the members that count."""
        members, query = self.before(x), self.query.expand(len(x), -1, -1)
        keep = None if mask is None else mask[:, None, None]
        attended = F.scaled_dot_product_attention(
            self._by_head(self.to_query(query)),
            self._by_head(self.to_key(members)),
            self._by_head(self.to_value(members)),
            attn_mask=keep,
        )
        state = self.norm(query + self.mix(attended.transpose(1, 2).flatten(2)))
        pooled: Tensor = self.last_norm(state + self.after(state))
        return pooled.squeeze(1)

    def _by_head(self, vectors: Tensor) -> Tensor:
        """(B, N, D) to (B, heads, N, D / heads)."""
        return vectors.reshape(*vectors.shape[:2], self.heads, vectors.shape[2] // self.heads).transpose(1, 2)


def aggregate(name: str, dim: int, *, rank: int | None = None, heads: int = 4) -> SetAggregation:
    """Return an aggregation by its name: what arXiv 1808.00758 compares behind one interface.

    Args:
        name: ``attsets``, ``max``, ``mean``, ``sum``, ``gru``, ``bilinear`` or ``set-transformer``.
        dim: Features D of a member.
        rank: Of ``bilinear``; the others have none.
        heads: Of ``set-transformer``; the others have none.

    Returns:
        A module that takes ``x`` and optionally ``mask``.

    Shapes:
        Of the module: x (B, N, D), mask (B, N), returns (B, D).

    Raises:
        ArgumentError: If there is no aggregation of this name, or a number does not fit.
        ArgumentTypeError: If a number is not a whole one.

    Example:
        >>> aggregate("mean", 3)(torch.tensor([[[1.0, 0.0, 2.0], [3.0, 4.0, 2.0]]])).tolist()
        [[2.0, 2.0, 2.0]]
    """
    makers: dict[str, Callable[[], SetAggregation]] = {
        "attsets": lambda: AttSets(dim),
        "max": MaxAggregation,
        "mean": MeanAggregation,
        "sum": SumAggregation,
        "gru": lambda: GRUAggregation(dim),
        "bilinear": lambda: BilinearAggregation(dim, rank),
        "set-transformer": lambda: SetTransformerAggregation(dim, heads),
    }
    if name not in makers:
        raise ArgumentError(f"name must be one of {', '.join(makers)}, got {name!r}")
    return makers[name]()


def _row_wise(dim: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(dim, dim), nn.ReLU())
