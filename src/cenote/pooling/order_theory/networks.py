"""Networks of integer weights: layers x ↦ max(Ax + b, t), their tropical rational functions, and the way back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import nn

from cenote.errors import ArgumentError
from cenote.pooling.order_theory.circuits import Circuit, Form
from cenote.pooling.order_theory.integer_layers import IntegerLayer
from cenote.pooling.order_theory.linear_stacks import layers_of
from cenote.pooling.order_theory.rational import TropicalRational
from cenote.pooling.order_theory.tropical import TropicalPolynomial

# --- network to functions -----------------------------------------------------------------------------------------


def tropical_of_network(network: nn.Module) -> tuple[TropicalRational, ...]:
    """Return, for each output of a network of integer weights, its tropical rational function.

    With A = A₊ - A₋, both ≥ 0, and the outputs so far F - G, a layer makes

        G' = A₊G + A₋F,  F' = max(A₊F + A₋G + b, G' + t)

    and the outputs F' - G'. Functions are simplified after each layer, as far as ``TropicalRational.simplified`` does.

    Source: L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091; arXiv 2412.06097.

    Shapes:
        network: What ``integer_network`` reads, such as a sequence of ``nn.Linear`` with integer weights and
            ``nn.ReLU``; takes (…, I) to (…, O).
        returns: O functions of I variables.

    Raises:
        ArgumentError: If the network is empty, a weight is no integer, sizes do not fit, or polynomials become too
            large.
        ArgumentTypeError: If a module is of another kind.

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
