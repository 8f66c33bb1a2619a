"""Networks of integer weights: layers x ↦ max(Ax + b, t), their tropical rational functions, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory.checks import real_numbers
from cenote.pooling.order_theory.circuits import Circuit, Form
from cenote.pooling.order_theory.rational import TropicalRational
from cenote.pooling.order_theory.tropical import TropicalPolynomial


class IntegerLayer(nn.Module):
    """A linear map with integer weights and a floor under each output: max(Ax + b, t).

    A threshold of -∞ is no floor: that output is linear. Networks of integer weights are ``nn.Sequential``s of these
    layers. Weight, bias and threshold are buffers: the networks are made, not trained. The weight stays integer under
    ``.to(dtype)``; values are computed in the dtype of the input, so float64 input of moderate size gives exact
    sums of integers.

    Source: arXiv 2412.06097 (integer-valued networks); L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091.

    Args:
        weight: A, integers, (O, I).
        bias: b, (O,); 0 by default.
        threshold: t, one number or (O,), each a real number or -∞.

    Shapes:
        x: (…, I).
        returns: (…, O).

    Raises:
        ArgumentError: If weights are no integers, or shapes do not fit, or a bias or threshold is NaN or +∞.
        ArgumentTypeError: If one is not made of real numbers.

    Example:
        >>> maximum = nn.Sequential(IntegerLayer([[1, -1], [0, 1]], threshold=[0, -torch.inf]),
        ...                         IntegerLayer([[1, 1]], threshold=-torch.inf))
        >>> maximum(torch.tensor([[2.0, 5.0], [4.0, 3.0]])).tolist()
        [[5.0], [4.0]]
    """

    weight: Tensor
    bias: Tensor
    threshold: Tensor

    def __init__(
        self,
        weight: npt.ArrayLike | Tensor,
        bias: npt.ArrayLike | Tensor | None = None,
        threshold: npt.ArrayLike | Tensor = 0.0,
    ) -> None:
        super().__init__()
        matrix = real_numbers("weight", weight)
        if matrix.ndim != 2 or not np.isfinite(matrix).all() or not (matrix % 1 == 0).all():
            raise ArgumentError(f"weight must be integers of shape (O, I), got {weight!r}")
        outputs = len(matrix)
        offsets = np.zeros(outputs) if bias is None else real_numbers("bias", bias)
        if offsets.shape != (outputs,) or not np.isfinite(offsets).all():
            raise ArgumentError(f"bias must be {outputs} finite numbers, one an output, got {bias!r}")
        floors = real_numbers("threshold", threshold)
        if floors.shape not in ((), (outputs,)) or np.isnan(floors).any() or (floors == np.inf).any():
            raise ArgumentError(f"threshold must be a number or {outputs} numbers, real or -∞, got {threshold!r}")
        self.register_buffer("weight", torch.from_numpy(matrix.astype(np.int64)))
        self.register_buffer("bias", torch.from_numpy(offsets))
        self.register_buffer("threshold", torch.from_numpy(np.broadcast_to(floors, (outputs,)).copy()))

    def forward(self, x: Tensor) -> Tensor:
        """Return max(Ax + b, t).

        Raises:
            ArgumentError: If the last dimension of ``x`` is not I.
            ArgumentTypeError: If ``x`` is not floating point.
        """
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise ArgumentTypeError(f"x must be a floating-point tensor, got {getattr(x, 'dtype', type(x).__name__)}")
        if x.shape[-1:] != self.weight.shape[1:]:
            raise ArgumentError(f"x must have shape (…, {self.weight.shape[1]}), got {tuple(x.shape)}")
        values = F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))
        return torch.maximum(values, self.threshold.to(x.dtype))

    def extra_repr(self) -> str:
        """Say the layer's size and how many outputs have a floor."""
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, floors={int((self.threshold > -torch.inf).sum())}"


def layers_of(network: nn.Module) -> list[IntegerLayer]:
    """Return the layers of a network: one ``IntegerLayer``, or a sequence of them whose sizes fit.

    Raises:
        ArgumentError: If there is none, or two that follow each other do not fit.
        ArgumentTypeError: If a part is something else.
    """
    parts = list(network) if isinstance(network, nn.Sequential) else [network]
    layers = []
    for part in parts:
        if not isinstance(part, IntegerLayer):
            raise ArgumentTypeError(f"network must be made of IntegerLayer, got a {type(part).__name__}")
        layers.append(part)
    if not layers:
        raise ArgumentError("network must have at least one layer, got none")
    for number, (before, after) in enumerate(pairwise(layers), start=1):
        if len(before.weight) != after.weight.shape[1]:
            raise ArgumentError(
                f"network: layer {number} has {len(before.weight)} outputs, but layer {number + 1} has "
                f"{after.weight.shape[1]} inputs"
            )
    return layers


# --- network to functions -----------------------------------------------------------------------------------------


def tropical_of_network(network: nn.Module) -> tuple[TropicalRational, ...]:
    """Return, for each output of a network of integer weights, its tropical rational function.

    With A = A₊ - A₋, both ≥ 0, and the outputs so far F - G, a layer makes

        G' = A₊G + A₋F,  F' = max(A₊F + A₋G + b, G' + t)

    and the outputs F' - G'. Functions are simplified after each layer, as far as ``TropicalRational.simplified`` does.

    Source: L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091; arXiv 2412.06097.

    Shapes:
        network: Takes (…, I) to (…, O).
        returns: O functions of I variables.

    Raises:
        ArgumentError: If the network is empty, or sizes do not fit, or polynomials become too large.
        ArgumentTypeError: If it is made of something else than ``IntegerLayer``.

    Example:
        >>> tropical_of_network(nn.Sequential(IntegerLayer([[1], [-1]]), IntegerLayer([[1, 1]])))
        (TropicalRational: max(0, 2x1) ⊘ x1,)
    """
    layers = layers_of(network)
    inputs = layers[0].weight.shape[1]
    values = [TropicalRational(TropicalPolynomial.variable(inputs, index)) for index in range(inputs)]
    for layer in layers:
        rows = zip(layer.weight.tolist(), layer.bias.tolist(), layer.threshold.tolist(), strict=True)
        values = [_output(values, inputs, *row) for row in rows]
    return tuple(values)


def _output(
    values: Sequence[TropicalRational], variables: int, weights: Sequence[int], bias: float, threshold: float
) -> TropicalRational:
    read = [value**weight for weight, value in zip(weights, values, strict=True) if weight]
    if len(read) == 1 and not bias and threshold == -np.inf:
        return read[0]
    top, bottom = TropicalPolynomial.constant(variables, bias), TropicalPolynomial.constant(variables, 0.0)
    for value in read:
        top = (top * value.numerator).simplified()
        bottom = (bottom * value.denominator).simplified()
    if threshold > -np.inf:
        top = top + bottom * TropicalPolynomial.constant(variables, threshold)
    return TropicalRational(top, bottom).simplified()


# --- functions to network -----------------------------------------------------------------------------------------


def network_of_tropical(*functions: TropicalPolynomial | TropicalRational) -> nn.Sequential:
    """Return a network of integer weights that computes tropical functions, one output each.

    Monomials are linear; a balanced tree of maxima, max(u, v) = v + ReLU(u - v), leads to each polynomial, and the last
    layer subtracts denominators. For M monomials the depth is ⌈log₂ M⌉ + 1.

    Source: L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091 (the converse direction); arXiv 2412.06097.

    Shapes:
        returns: A network from (…, N) to (…, number of functions).

    Raises:
        ArgumentError: If no function is given, or one is the tropical zero, or the numbers of variables differ.

    Example:
        >>> f = TropicalPolynomial([[0, 0], [2, 1]], [1.5, 0])
        >>> tropical_of_network(network_of_tropical(f))[0].polynomial() == f
        True
    """
    rationals = [each if isinstance(each, TropicalRational) else TropicalRational(each) for each in functions]
    sizes = {each.variables for each in rationals}
    if len(sizes) != 1:
        raise ArgumentError(f"functions must have one number of variables, got {sorted(sizes) or 'no function'}")
    circuit = Circuit(sizes.pop())
    outputs = [_maximum(circuit, each.numerator) - _maximum(circuit, each.denominator) for each in rationals]
    return network_of_circuit(circuit, outputs)


def _maximum(circuit: Circuit, polynomial: TropicalPolynomial) -> Form:
    forms = []
    for exponents, coefficient in polynomial:
        terms = [power * x for power, x in zip(exponents, circuit.inputs, strict=True) if power]
        forms.append(sum(terms, Form(constant=coefficient)))
    return circuit.maximum(forms)


def network_of_circuit(circuit: Circuit, outputs: Sequence[Form]) -> nn.Sequential:
    """Return the network that computes linear forms of a circuit."""
    return nn.Sequential(*(IntegerLayer(*layer) for layer in circuit.layers(outputs)))
