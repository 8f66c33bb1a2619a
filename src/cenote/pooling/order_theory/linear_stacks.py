"""Stacks of ``nn.Linear`` and ``nn.ReLU`` as networks of integer weights, and the way back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory.checks import need
from cenote.pooling.order_theory.networks import IntegerLayer

Floats = npt.NDArray[np.float64]

_MOST = 2.0**53
"""Above it float64 does not hold every integer."""

_READ = "Linear, ReLU, Threshold, Identity, IntegerLayer and Sequential"


def integer_network(network: nn.Module) -> nn.Sequential:
    """Return a stack of linear maps and ReLUs as a network of integer weights, which computes the same.

    An ``nn.Linear`` and the ReLUs that follow it become one ``IntegerLayer``; a ReLU in front of the first becomes one
    too. ``nn.Threshold(t, t)`` is the ReLU_t of the paper, max(x, t). Biases and thresholds may be any real numbers.

    Source: arXiv 2412.06097 (integer-valued networks); L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091.

    Args:
        network: ``nn.Linear`` with integer weights, ``nn.ReLU``, ``nn.Threshold(t, t)``, ``nn.Identity``,
            ``IntegerLayer``, or an ``nn.Sequential`` of them.

    Shapes:
        network: Takes (…, I) to (…, O).
        returns: A network from (…, I) to (…, O).

    Raises:
        ArgumentError: If a weight is no integer, a bias or threshold is not finite, two layers do not fit together, or
            there is no linear map.
        ArgumentTypeError: If a module is of another kind.

    Example:
        >>> stack = nn.Sequential(nn.Linear(2, 1, bias=False), nn.ReLU())
        >>> _ = stack[0].weight.data.copy_(torch.tensor([[2.0, -1.0]]))
        >>> integer_network(stack)
        Sequential(
          (0): IntegerLayer(2, 1, floors=1)
        )
    """
    return nn.Sequential(*_integer_layers(network))


def linear_network(network: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Sequential:
    """Return a network of integer weights as a stack of ``nn.Linear`` and ``nn.ReLU``, which computes the same.

    The stack can be trained, exported and read like any other; its weights are integers until it is trained. A floor
    at t is the ReLU of what is above t, max(v, t) = t + ReLU(v - t); an output without a floor in a layer that has
    floors becomes ReLU(v) - ReLU(-v), or ReLU(v) where v cannot be negative. The next layer takes up what is left.

    Source: arXiv 2412.06097 (integer-valued networks); L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091.

    Args:
        network: A network of integer weights, such as ``poset_network`` or ``network_of_tropical`` return.
        dtype: Of the weights and biases.

    Shapes:
        network: Takes (…, I) to (…, O).
        returns: A network from (…, I) to (…, O).

    Raises:
        ArgumentError: As ``integer_network``, or if ``dtype`` does not hold one of the integers.
        ArgumentTypeError: As ``integer_network``, or if ``dtype`` is no floating-point type.

    Example:
        >>> maximum = nn.Sequential(IntegerLayer([[1, -1], [0, 1]], threshold=[0, -torch.inf]),
        ...                         IntegerLayer([[1, 1]], threshold=-torch.inf))
        >>> linear_network(maximum)
        Sequential(
          (0): Linear(in_features=2, out_features=3, bias=True)
          (1): ReLU()
          (2): Linear(in_features=3, out_features=1, bias=True)
        )
        >>> linear_network(maximum)(torch.tensor([[2.0, 5.0], [4.0, 3.0]])).tolist()
        [[5.0], [4.0]]
    """
    if not need("dtype", dtype, torch.dtype).is_floating_point:
        raise ArgumentTypeError(f"dtype must be a floating-point type, got {dtype}")
    layers = _integer_layers(network)
    inputs = layers[0].weight.shape[1]
    values = _Affine(np.eye(inputs), np.zeros(inputs))
    parts: list[nn.Module] = []
    for number, layer in enumerate(layers, start=1):
        values = values.then(layer.weight.numpy(force=True), layer.bias.numpy(force=True))
        floors = layer.threshold.numpy(force=True)
        if np.isneginf(floors).all():
            continue
        units, values = _floored(values, floors, after_relu=bool(parts))
        parts += [_linear(units, dtype, number), nn.ReLU()]
    if not parts or not values.is_identity:
        parts.append(_linear(values, dtype, len(layers)))
    return nn.Sequential(*parts)


def _integer_layers(network: nn.Module) -> list[IntegerLayer]:
    """Return the layers of a network of integer weights; see ``integer_network``.

    Raises:
        ArgumentError: As ``integer_network``.
        ArgumentTypeError: As ``integer_network``.
    """
    layers = list(_layers(list(_modules(need("network", network, nn.Module)))))
    if not layers:
        raise ArgumentError("network must have at least one layer, got none")
    for number, (before, after) in enumerate(pairwise(layers), start=1):
        if len(before.weight) != after.weight.shape[1]:
            raise ArgumentError(
                f"network: layer {number} has {len(before.weight)} outputs, but layer {number + 1} has "
                f"{after.weight.shape[1]} inputs"
            )
    return layers


# --- reading a stack ----------------------------------------------------------------------------------------------


def _modules(network: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The modules of a stack in the order they are called, with the names of its state dict."""
    if isinstance(network, nn.Sequential):
        for child, module in network.named_children():
            yield from _modules(module, f"{name}.{child}" if name else child)
    elif not isinstance(network, nn.Identity):
        yield name, network


def _layers(modules: Sequence[tuple[str, nn.Module]]) -> Iterator[IntegerLayer]:
    """Maps, each with the highest of the floors that follow it, since max(max(v, s), t) = max(v, max(s, t))."""
    waiting: IntegerLayer | None = None
    for index, (name, module) in enumerate(modules):
        linear = _map(name, module)
        if linear is None:
            floor = _floor(name, module)
            raised = waiting or _identity(modules[index:])
            threshold = np.maximum(raised.threshold.numpy(force=True), floor)
            waiting = IntegerLayer(raised.weight.cpu(), raised.bias.cpu(), threshold)
        else:
            if waiting is not None:
                yield waiting
            waiting = linear
    if waiting is not None:
        yield waiting


def _map(name: str, module: nn.Module) -> IntegerLayer | None:
    """The linear map a module is, or None for one that may be a floor."""
    if isinstance(module, IntegerLayer):
        return module
    if not isinstance(module, nn.Linear):
        return None
    weight = _float64(module.weight)
    wrong = np.argwhere(~_is_integer(weight))
    if len(wrong):
        row, column = wrong[0].tolist()
        raise ArgumentError(
            f"network: {_said(name, module)} must have integer weights, but {len(wrong):,} of {weight.size:,} are not: "
            f"weight[{row}, {column}] is {weight[row, column]:g}"
        )
    bias = None if module.bias is None else _float64(module.bias)
    if bias is not None and not np.isfinite(bias).all():
        raise ArgumentError(f"network: {_said(name, module)} must have a finite bias, got {bias.tolist()}")
    return IntegerLayer(weight, bias, -np.inf)


def _floor(name: str, module: nn.Module) -> float:
    """The t of a ReLU_t."""
    if isinstance(module, nn.ReLU):
        return 0.0
    if not isinstance(module, nn.Threshold):
        raise ArgumentTypeError(f"network must be made of {_READ}, got {_said(name, module)}")
    if module.threshold != module.value or not np.isfinite(module.value):
        raise ArgumentError(
            f"network: {_said(name, module)} must have a value equal to its threshold and finite, as max(x, t) has; "
            f"got threshold {module.threshold} and value {module.value}"
        )
    return float(module.threshold)


def _identity(modules: Sequence[tuple[str, nn.Module]]) -> IntegerLayer:
    """The map in front of a floor that comes first; the next linear map says how wide it is."""
    maps = (_map(name, module) for name, module in modules)
    first = next((each for each in maps if each is not None), None)
    if first is None:
        raise ArgumentError("network must have a linear map, since a ReLU does not say how many inputs there are")
    return IntegerLayer(np.eye(first.weight.shape[1]), None, -np.inf)


def _said(name: str, module: nn.Module) -> str:
    kind = type(module).__name__
    return f"the {kind} {name!r}" if name else f"the {kind}"


def _float64(values: Tensor) -> Floats:
    array: Floats = values.detach().to("cpu", torch.float64).numpy()
    return array


# --- writing a stack ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Affine:
    """Values as a linear map of units, and an offset."""

    weight: Floats
    bias: Floats

    def then(self, weight: npt.NDArray[np.int64], bias: Floats) -> _Affine:
        return _Affine(weight @ self.weight, weight @ self.bias + bias)

    @property
    def is_identity(self) -> bool:
        rows, columns = self.weight.shape
        return rows == columns and bool((self.weight == np.eye(rows)).all()) and not self.bias.any()


def _floored(values: _Affine, floors: Floats, *, after_relu: bool) -> tuple[_Affine, _Affine]:
    """Return the ReLUs a layer needs, and its outputs as a map of them."""
    floored = ~np.isneginf(floors)
    offsets = np.where(floored, floors, 0.0)
    # What adds up ReLUs with positive factors is its own ReLU.
    nonnegative = after_relu & (values.weight >= 0).all(1) & (values.bias >= 0)
    both = np.flatnonzero(~floored & ~nonnegative)
    units = _Affine(
        np.concatenate([values.weight, -values.weight[both]]),
        np.concatenate([values.bias - offsets, -values.bias[both]]),
    )
    outputs = np.eye(len(floors), len(units.bias))
    outputs[both, len(floors) + np.arange(len(both))] = -1
    return units, _Affine(outputs, offsets)


def _linear(affine: _Affine, dtype: torch.dtype, number: int) -> nn.Linear:
    outputs, inputs = affine.weight.shape
    weight = torch.from_numpy(affine.weight).to(dtype)
    if not torch.equal(weight.double(), torch.from_numpy(affine.weight)):
        largest = np.abs(affine.weight).max()
        raise ArgumentError(f"dtype must hold the weights of layer {number}, up to {largest:,.0f}, got {dtype}")
    layer = nn.utils.skip_init(nn.Linear, inputs, outputs, dtype=dtype)  # type: ignore[no-untyped-call]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.copy_(torch.from_numpy(affine.bias))
    return layer


def _is_integer(values: Floats) -> npt.NDArray[np.bool_]:
    """Which numbers are integers that float64 holds exactly."""
    whole: npt.NDArray[np.bool_] = (np.abs(values) <= _MOST) & (np.rint(values) == values)
    return whole
