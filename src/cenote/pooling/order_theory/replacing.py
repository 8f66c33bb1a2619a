"""Put poset pooling into a model that exists."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import torch
import torch.fx
import torch.nn.functional as F
from torch import nn

from cenote.errors import ArgumentError
from cenote.pooling.order_theory.pooling import PosetPool2d

_POOLS_2D = (
    nn.MaxPool2d,
    nn.AvgPool2d,
    nn.LPPool2d,
    nn.FractionalMaxPool2d,
    nn.AdaptiveMaxPool2d,
    nn.AdaptiveAvgPool2d,
)
_RELUS = (nn.ReLU, nn.ReLU6)
_RELU_CALLS = (F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, "relu", "relu_")
_POOL_CALLS = (F.max_pool2d, F.avg_pool2d, torch.max_pool2d, F.adaptive_avg_pool2d, F.adaptive_max_pool2d)


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
        lines = [f"replaced {item.name}: {item.before} -> {item.after}; {item.relu}" for item in self.replaced]
        lines += [f"left {item.name}: {item.layer}, {item.reason}" for item in self.left]
        return "\n".join(lines) or "the model has no 2-d pooling"


def replace_pooling(model: nn.Module, layer: PosetPool2d, *, remove_relu: bool = True) -> PoolingReplacement:
    """Replace a model's 2-d max and average pooling by poset pooling, in place.

    Layers with a 2×2 window and stride 2 are replaced as they are; 3×3 windows with stride 2 become 2×2 windows with
    stride 2, which keeps the size of the map for padding 1 and for odd maps without padding. All others, adaptive
    ones among them, are left. The ReLU right before a replaced layer is taken out, since on non-negative input every
    poset filter is sum pooling (arXiv 2412.06097; the filter has its own floor at 0); where it cannot be taken out,
    the report says why. Weights are kept, but a trained model has to be trained on: its maps change.

    Args:
        model: A model such as torchvision's or timm's; changed in place.
        layer: The layer to put in, with a 2×2 window and stride 2; copied for each place.
        remove_relu: Whether to take out the ReLU before a replaced layer.

    Returns:
        What was replaced and what was left.

    Shapes:
        The model's input and output keep their shapes.

    Raises:
        ArgumentError: If ``layer`` does not have a 2×2 window and stride 2, or the model itself is a pooling layer.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2))
        >>> print(replace_pooling(model, PosetPool2d("N")).replaced[0].relu)
        ReLU '2' taken out
    """
    if layer.kernel_size != (2, 2) or layer.stride != (2, 2):
        raise ArgumentError(f"layer must have a 2×2 window and stride 2, got {layer}")
    if isinstance(model, _POOLS_2D):
        raise ArgumentError(f"model is itself a pooling layer, {model}; use the poset layer in its place")
    flow = _DataFlow.of(model)
    replaced, left = [], []
    for name, pool in list(model.named_modules()):
        if not isinstance(pool, _POOLS_2D):
            continue
        if reason := _reason_to_leave(pool):
            left.append(Left(name, str(pool), reason))
            continue
        new = layer.with_ceil_mode(_ceil_mode(pool)).train(pool.training)
        relu = _remove_relu(model, flow, name) if remove_relu else "ReLU not looked at"
        _put(model, name, new)
        replaced.append(Replaced(name, str(pool), str(new), relu))
    left += [Left(name, call, "called as a function; put a layer there by hand") for name, call in flow.pool_calls]
    return PoolingReplacement(tuple(replaced), tuple(left))


def _reason_to_leave(pool: nn.Module) -> str:
    """Why a layer is not replaced; empty if it is."""
    if type(pool) not in (nn.MaxPool2d, nn.AvgPool2d):
        return f"{type(pool).__name__} has no poset counterpart"
    kernel, stride, padding = _pair(pool.kernel_size), _pair(pool.stride), _pair(pool.padding)
    if _pair(getattr(pool, "dilation", 1)) != (1, 1):
        return "its window is dilated"
    if getattr(pool, "return_indices", False):
        return "it returns indices"
    if stride != (2, 2) or kernel not in ((2, 2), (3, 3)):
        return "only 2×2 and 3×3 windows with stride 2 are replaced"
    if kernel == (2, 2) and padding != (0, 0):
        return "its 2×2 window is padded"
    return ""


def _ceil_mode(pool: nn.Module) -> bool:
    """The mode in which a 2×2 window gives maps of the replaced layer's size.

    A 3×3 window with stride 2 gives ⌈H/2⌉ with padding 1, and ⌊H/2⌋ (for odd H, or with ceil_mode) with none.
    """
    if _pair(pool.kernel_size) == (3, 3):
        return _pair(pool.padding) == (1, 1)
    return bool(pool.ceil_mode)


def _pair(value: object) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)  # type: ignore[arg-type,return-value]


def _put(model: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(model.get_submodule(parent), child, layer)


# --- what comes before a layer ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _DataFlow:
    """Which ReLU feeds which pooling layer, as far as the model can be traced."""

    calls: dict[str, list[torch.fx.Node]] = field(default_factory=dict)
    """Calls of each module, by its path."""
    pool_calls: list[tuple[str, str]] = field(default_factory=list)
    """Pooling called as a function: name of the node and of the function."""
    untraced: str = ""
    """Why the model could not be traced; empty if it could."""

    @classmethod
    def of(cls, model: nn.Module) -> _DataFlow:
        try:
            # A copy: tracing runs the model's Python code, which may set attributes.
            graph = torch.fx.Tracer().trace(copy.deepcopy(model))
        except Exception as error:  # any code may stand in a forward method, so anything may be raised
            return cls(untraced=f"{type(error).__name__}")
        calls: dict[str, list[torch.fx.Node]] = {}
        pool_calls = []
        for node in graph.nodes:
            if node.op == "call_module":
                calls.setdefault(str(node.target), []).append(node)
            elif node.op == "call_function" and node.target in _POOL_CALLS:
                pool_calls.append((node.name, getattr(node.target, "__name__", str(node.target))))
        return cls(calls, pool_calls)


def _remove_relu(model: nn.Module, flow: _DataFlow, pool: str) -> str:
    """Take out the ReLU that feeds a pooling layer, if nothing else needs it; say what was done."""
    if flow.untraced:
        return _remove_relu_in_sequence(model, pool, flow.untraced)
    done = [_remove_relu_before(model, flow, call) for call in flow.calls.get(pool, [])]
    return "; ".join(dict.fromkeys(done)) or "the layer is never called"


def _remove_relu_before(model: nn.Module, flow: _DataFlow, call: torch.fx.Node) -> str:
    source = call.args[0] if call.args else None
    if not isinstance(source, torch.fx.Node):
        return "no ReLU before it"
    if source.op in ("call_function", "call_method") and source.target in _RELU_CALLS:
        return f"the ReLU before it, {source.name}, is a function call; take it out by hand"
    name = str(source.target)
    if source.op != "call_module" or not isinstance(model.get_submodule(name), _RELUS):
        return "no ReLU before it"
    if len(flow.calls[name]) > 1:
        return f"ReLU {name!r} stays: it is called {len(flow.calls[name])} times"
    if len(source.users) > 1:
        return f"ReLU {name!r} stays: other layers read it too"
    _put(model, name, nn.Identity())
    return f"ReLU {name!r} taken out"


def _remove_relu_in_sequence(model: nn.Module, pool: str, why: str) -> str:
    """Without a trace, a ReLU is only known to feed a layer if both stand side by side in a Sequential."""
    parent, _, child = pool.rpartition(".")
    siblings = model.get_submodule(parent)
    before = _previous(siblings, child) if isinstance(siblings, nn.Sequential) else None
    if before is None or not isinstance(siblings.get_submodule(before), _RELUS):
        return f"no ReLU found before it (the model cannot be traced: {why})"
    setattr(siblings, before, nn.Identity())
    return f"ReLU {before!r} of {parent!r} taken out"


def _previous(siblings: nn.Sequential, child: str) -> str | None:
    names = [name for name, _ in siblings.named_children()]
    position = names.index(child)
    return names[position - 1] if position else None
