"""Put generalised mean pooling into a vision transformer that exists, and keep weight decay off its exponents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.ggem.pooling import GGeM

NormPlace = Literal["pre", "post"]


@dataclass(frozen=True)
class VitPooling:
    """What ``replace_vit_pooling`` changed in a model."""

    before: str
    """What the classifier read before."""
    after: str
    """The layer that it reads now."""
    socket: str
    """Path of the pooling layer in the model."""
    prefix_tokens: int
    """Class and register tokens in front, which are not pooled."""
    norm: str
    """Where the last norm stands now."""

    def __str__(self) -> str:
        return (
            f"{self.socket}: {self.before} -> {self.after} without the first {self.prefix_tokens} tokens; {self.norm}"
        )


def replace_vit_pooling(model: nn.Module, pooling: nn.Module, *, norm: NormPlace = "post") -> VitPooling:
    """Let a vision transformer's classifier read its pooled patch tokens, in place.

    Takes timm's ``VisionTransformer`` and models with the same sockets (``attn_pool``, ``fc_norm``), and
    torchvision's. Class and register tokens still take part in attention and are not pooled. The weights stay; the
    last norm moves with them where ``norm`` asks for it, so the ``state_dict`` fits models changed in the same way.
    A trained model has to be trained on: its classifier has read something else.

    Source: arXiv 2212.04114. Whether the paper pools before or after the last norm is not known; timm's average
    pooling, and so the default, comes before it (``post``: the norm follows the pooling).

    Args:
        model: A vision transformer of timm or torchvision; changed in place.
        pooling: Maps (B, N, D) to (B, D), such as ``GGeM``; put in as it is, not copied.
        norm: ``post`` puts the last norm behind the pooling, ``pre`` before it, on every token.

    Returns:
        What was there before and what is there now.

    Shapes:
        The model's input and output keep their shapes.

    Raises:
        ArgumentError: If the model is none of these, it has a second classifier on another token, ``norm`` is
            unknown, or ``pooling`` is for another number of channels.

    Example:
        >>> from torchvision.models import VisionTransformer
        >>> model = VisionTransformer(32, 8, num_layers=1, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)
        >>> print(replace_vit_pooling(model, GGeM(16, groups=2)).socket)
        encoder.ln.pooling
    """
    if norm not in ("pre", "post"):
        raise ArgumentError(f"norm must be 'pre' or 'post', got {norm!r}")
    if all(hasattr(model, name) for name in ("attn_pool", "fc_norm", "norm", "num_prefix_tokens", "global_pool")):
        return _replace_in_timm(model, pooling, norm)
    if all(hasattr(model, name) for name in ("class_token", "heads")) and hasattr(
        getattr(model, "encoder", None), "ln"
    ):
        return _replace_in_torchvision(model, pooling, norm)
    raise ArgumentError(f"model must be a VisionTransformer of timm or torchvision, got {type(model).__name__}")


def no_decay_parameters(model: nn.Module) -> set[str]:
    """Return the names of the learned exponents, which no weight decay should pull to 0.

    The names are as in ``named_parameters``; timm's ``param_groups_weight_decay`` takes them as
    ``no_weight_decay_list``.

    Source: arXiv 2212.04114; the usage is that of GeM.

    Shapes:
        Nothing is computed.

    Example:
        >>> no_decay_parameters(nn.Sequential(nn.Linear(4, 4), GGeM(4, groups=2)))
        {'1.raw_p'}
    """
    return {name for name, _ in _exponents(model)}


def parameter_groups(
    model: nn.Module, *, learning_rate: float, weight_decay: float, exponent_factor: float = 1.0
) -> list[dict[str, Any]]:
    """Return two parameter groups for a torch optimizer: the weights, and the exponents without weight decay.

    Parameters that need no gradient are left out, as are groups without parameters.

    Source: arXiv 2212.04114; in GeM's usage the exponents learn ten times as fast (``exponent_factor=10``).

    Args:
        model: A model with ``GGeM`` or ``GeM`` layers.
        learning_rate: Of the weights.
        weight_decay: Of the weights.
        exponent_factor: How many times as fast the exponents learn.

    Shapes:
        Nothing is computed.

    Raises:
        ArgumentError: If the factor is not positive.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 4), GGeM(4, groups=2))
        >>> groups = parameter_groups(model, learning_rate=1e-3, weight_decay=0.05, exponent_factor=10)
        >>> print(*((len(group["params"]), group["lr"], group["weight_decay"]) for group in groups))
        (2, 0.001, 0.05) (1, 0.01, 0.0)
    """
    if not exponent_factor > 0:
        raise ArgumentError(f"exponent_factor must be positive, got {exponent_factor}")
    exponents = [parameter for _, parameter in _exponents(model)]
    others = [
        parameter
        for parameter in model.parameters()
        if parameter.requires_grad and not any(parameter is exponent for exponent in exponents)
    ]
    groups = [
        {"params": others, "lr": learning_rate, "weight_decay": weight_decay},
        {"params": exponents, "lr": learning_rate * exponent_factor, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def _exponents(model: nn.Module) -> Iterator[tuple[str, nn.Parameter]]:
    for path, module in model.named_modules():
        if isinstance(module, GGeM) and isinstance(module.raw_p, nn.Parameter) and module.raw_p.requires_grad:
            yield f"{path}.raw_p" if path else "raw_p", module.raw_p


# --- timm ---------------------------------------------------------------------------------------------------------


class _WithoutPrefix(nn.Module):
    """Pools all tokens but the first ones."""

    def __init__(self, pooling: nn.Module, prefix_tokens: int) -> None:
        super().__init__()
        self.pooling = pooling
        self.prefix_tokens = prefix_tokens

    def forward(self, x: Tensor) -> Tensor:
        pooled: Tensor = self.pooling(x[:, self.prefix_tokens :])
        return pooled


def _replace_in_timm(model: Any, pooling: nn.Module, norm: NormPlace) -> VitPooling:
    if hasattr(model, "head_dist"):
        raise ArgumentError(
            f"model {type(model).__name__} has a second classifier, on its distillation token; only models with one "
            "classifier can be changed"
        )
    _check_channels(pooling, int(model.embed_dim))
    before = f"global_pool={model.global_pool!r}"
    model.attn_pool = _WithoutPrefix(pooling, model.num_prefix_tokens)
    # What timm calls a model whose pooling is a module; its own poolings are then out of use.
    model.global_pool = "map"
    if hasattr(model, "pool_include_prefix"):
        model.pool_include_prefix = True  # newer versions cut the prefix off themselves otherwise
    wanted, other = ("fc_norm", "norm") if norm == "post" else ("norm", "fc_norm")
    if isinstance(getattr(model, wanted), nn.Identity):
        setattr(model, wanted, getattr(model, other))
        setattr(model, other, nn.Identity())
    place = "before" if norm == "pre" else "behind"
    said = f"norm {wanted} stands {place} the pooling"
    if isinstance(getattr(model, wanted), nn.Identity):
        said = "the model has no last norm"
    elif not isinstance(getattr(model, other), nn.Identity):
        said = "the model has a norm before and one behind the pooling; both stay"
    return VitPooling(before, str(pooling), "attn_pool.pooling", int(model.num_prefix_tokens), said)


# --- torchvision --------------------------------------------------------------------------------------------------


class _NormAndPooling(nn.Module):
    """Stands in the place of the encoder's last norm; returns one token, which torchvision takes for the class's."""

    def __init__(self, layer_norm: nn.Module, pooling: nn.Module, norm: NormPlace) -> None:
        super().__init__()
        self.norm = layer_norm
        self.pooling = pooling
        self.norm_place = norm

    def forward(self, x: Tensor) -> Tensor:
        patches = x[:, 1:]
        if self.norm_place == "pre":
            pooled: Tensor = self.pooling(self.norm(patches))
        else:
            pooled = self.norm(self.pooling(patches))
        return pooled.unsqueeze(1)


def _replace_in_torchvision(model: Any, pooling: nn.Module, norm: NormPlace) -> VitPooling:
    _check_channels(pooling, int(model.hidden_dim))
    encoder = model.encoder
    replaced = isinstance(encoder.ln, _NormAndPooling)
    before = str(encoder.ln.pooling) if replaced else "class token"
    encoder.ln = _NormAndPooling(encoder.ln.norm if replaced else encoder.ln, pooling, norm)
    place = "before" if norm == "pre" else "behind"
    return VitPooling(before, str(pooling), "encoder.ln.pooling", 1, f"norm encoder.ln.norm stands {place} the pooling")


def _check_channels(pooling: nn.Module, channels: int) -> None:
    if not isinstance(pooling, GGeM):
        return
    if pooling.dim not in (None, channels):
        raise ArgumentError(f"pooling is for {pooling.dim} channels, the model has {channels}")
    if channels % pooling.groups:
        raise ArgumentError(f"pooling has {pooling.groups} groups; they do not divide the model's {channels} channels")
