"""Put poset pooling into a model that exists."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory.pooling import PosetPool2d
from cenote.pooling.order_theory.tracing import POOLS_2D, Before, data_flow

_NOT_LOOKED = Before((), "ReLU not looked at")
_CEIL_MODES = {((1, 1), False): True, ((0, 0), True): False}
"""Of a 2×2 window, by padding and ``ceil_mode`` of a 3×3 one with as large a map: ⌈H/2⌉ and ⌊H/2⌋ for every H."""


@dataclass(frozen=True)
class Replaced:
    """A pooling layer that was replaced."""

    name: str
    """Path of the layer in the model."""
    before: str
    """The layer that was there."""
    after: str
    """The layer that is there now."""
    relu: str
    """What was done with the ReLU before it."""
    lost: str = ""
    """What the old layer did and the new one does not; empty if nothing."""


@dataclass(frozen=True)
class Left:
    """A pooling layer that was left as it is."""

    name: str
    layer: str
    reason: str


@dataclass(frozen=True)
class PoolingReplacement:
    """What ``replace_pooling`` changed in a model, and what it left."""

    replaced: tuple[Replaced, ...]
    left: tuple[Left, ...]

    def __str__(self) -> str:
        lines = [
            f"replaced {item.name}: {item.before} -> {item.after}; {item.relu}" + (item.lost and f"; {item.lost}")
            for item in self.replaced
        ]
        lines += [f"left {item.name}: {item.layer}, {item.reason}" for item in self.left]
        return "\n".join(lines) or "the model has no 2-d pooling"


def replace_pooling(model: nn.Module, layer: PosetPool2d, *, remove_relu: bool = True) -> PoolingReplacement:
    """Replace a model's 2-d max and average pooling by poset pooling, in place.

    Layers with a 2×2 window and stride 2 are replaced as they are; 3×3 windows with stride 2 become 2×2 windows with
    stride 2 where that gives maps of the same size whatever came in: with padding 1, or with ``ceil_mode`` and no
    padding. All others, adaptive ones among them, are left. A ReLU before a replaced layer is taken out, since on
    non-negative input every poset filter is sum pooling (arXiv 2412.06097; the filter has its own floor at 0, but no
    cap as ReLU6 has); it is looked for through dropout, identities, max pooling and concatenations, and stays where
    anything else needs it. The report says what was found. A layer used in several places is replaced by one layer,
    used in the same places. Weights are kept, but a trained model has to be trained on: its maps change.

    Args:
        model: A model such as torchvision's or timm's; changed in place. It is traced (torch.fx) in the mode it is
            in, training or not, and not run.
        layer: The layer to put in, with a 2×2 window, stride 2 and no padding; copied for each layer that it
            replaces, with the ``ceil_mode`` that keeps the size.
        remove_relu: Whether to take out the ReLUs before replaced layers.

    Returns:
        What was replaced and what was left, by the path of the layer; a layer with several paths stands under each.

    Shapes:
        The model's input and output keep their shapes, and so do the maps between, which need a batch dimension.

    Raises:
        ArgumentError: If ``layer`` is padded or does not have a 2×2 window and stride 2, or the model itself is a
            pooling layer.
        ArgumentTypeError: If ``model`` is not a module or ``layer`` not a ``PosetPool2d``.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        >>> print(replace_pooling(model, PosetPool2d("N")).replaced[0].relu)
        ReLU '2' taken out
    """
    _check(model, layer)
    # A layer used in two places has two paths.
    pools = [item for item in model.named_modules(remove_duplicate=False) if isinstance(item[1], POOLS_2D)]
    new = {pool: _counterpart(pool, layer) for pool in dict.fromkeys(pool for _, pool in pools) if not _reason(pool)}
    places = [(name, pool) for name, pool in pools if pool in new]
    left = [Left(name, str(pool), _reason(pool)) for name, pool in pools if pool not in new]
    flow = data_flow(model, list(new))
    # All is looked at before anything is changed: what stands before one layer depends on the others.
    before = {name: flow.before(name) if remove_relu else _NOT_LOOKED for name, _ in places}
    for name, pool in places:
        _put(model, name, new[pool])
    for relu in dict.fromkeys(relu for found in before.values() for relu in found.relus):
        _put(model, relu, nn.Identity())
    replaced = [Replaced(name, str(pool), str(new[pool]), before[name].said, _lost(pool)) for name, pool in places]
    left += [Left(name, call, "called as a function; put a layer there by hand") for name, call in flow.pool_calls]
    return PoolingReplacement(tuple(replaced), tuple(left))


def _check(model: nn.Module, layer: PosetPool2d) -> None:
    if not isinstance(model, nn.Module):
        raise ArgumentTypeError(f"model must be a torch.nn.Module, got {type(model).__name__}")
    if not isinstance(layer, PosetPool2d):
        raise ArgumentTypeError(f"layer must be a PosetPool2d, such as PosetPool2d('N'), got {layer!r}")
    if (layer.kernel_size, layer.stride, layer.padding) != ((2, 2), (2, 2), (0, 0)):
        raise ArgumentError(f"layer must have a 2×2 window, stride 2 and no padding, got {layer}")
    if isinstance(model, POOLS_2D):
        raise ArgumentError(f"model is itself a pooling layer, {model}; use the poset layer in its place")


def _reason(pool: nn.Module) -> str:
    """Why a layer is not replaced; empty if it is."""
    kind = type(pool).__name__
    if type(pool) not in (nn.MaxPool2d, nn.AvgPool2d):
        for base in (nn.MaxPool2d, nn.AvgPool2d):
            if isinstance(pool, base):
                return f"{kind} is a subclass of {base.__name__}, and how it pads is not known"
        return f"{kind} has no poset counterpart"
    kernel, stride, padding = _pair(pool.kernel_size), _pair(pool.stride), _pair(pool.padding)
    if _pair(getattr(pool, "dilation", 1)) != (1, 1):
        return "its window is dilated"
    if getattr(pool, "return_indices", False):
        return "it returns indices"
    if stride != (2, 2) or kernel not in ((2, 2), (3, 3)):
        return "only 2×2 and 3×3 windows with stride 2 are replaced"
    if kernel == (2, 2) and padding != (0, 0):
        return "its 2×2 window is padded"
    if kernel == (3, 3) and (padding, bool(pool.ceil_mode)) not in _CEIL_MODES:
        return f"its 3×3 window (padding {padding}, ceil_mode={pool.ceil_mode}) can give another size than a 2×2 window"
    return ""


def _counterpart(pool: nn.Module, layer: PosetPool2d) -> PosetPool2d:
    """A new layer that gives maps of the old one's size."""
    ceil_mode = bool(pool.ceil_mode)
    if _pair(pool.kernel_size) == (3, 3):
        ceil_mode = _CEIL_MODES[_pair(pool.padding), ceil_mode]
    new = type(layer)(
        layer.poset, layer.kernel_size, layer.stride, layer.padding, ceil_mode=ceil_mode, scale=layer.scale
    )
    return new.train(pool.training)


def _lost(pool: nn.Module) -> str:
    divisor = getattr(pool, "divisor_override", None)
    return "" if divisor is None else f"its divisor_override={divisor} went"


def _pair(value: object) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)  # type: ignore[arg-type,return-value]


def _put(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, layer)
