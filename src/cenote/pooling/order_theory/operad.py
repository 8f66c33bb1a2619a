"""The operad of posets at work on polynomials, polytopes and networks.

A poset P on n points composes n posets into their lexicographic sum. It composes functions f_1, …, f_n likewise: over
the up-sets F of P, each minimal point of F contributes its function and every other point of F all of its variables:

    P(f_1, …, f_n)(x_1, …, x_n) = max over F of Σ_{i minimal in F} f_i(x_i) + Σ_{other i in F} s_i(x_i)

with s_i the sum of the entries of x_i. The antichain of two points gives the sum of functions, and the Minkowski sum of
polytopes in spaces of their own; the chain 1 < 2 gives a maximum, and a convex hull.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
from torch import nn

from cenote.errors import ArgumentError
from cenote.pooling.order_theory.bitmasks import points
from cenote.pooling.order_theory.checks import need
from cenote.pooling.order_theory.circuits import Circuit, Form
from cenote.pooling.order_theory.linear_stacks import layers_of
from cenote.pooling.order_theory.networks import network_of_circuit
from cenote.pooling.order_theory.polytope import Polytope, product_of
from cenote.pooling.order_theory.poset import Poset
from cenote.pooling.order_theory.tropical import TropicalPolynomial


def compose_polynomials(poset: Poset, parts: Sequence[TropicalPolynomial]) -> TropicalPolynomial:
    """Return P(f_1, …, f_n), a polynomial in the variables of all parts one after the other.

    The polynomial of a lexicographic sum is the composition of the polynomials: f_{P[Q_1, …, Q_n]} = P(f_{Q_1}, …,
    f_{Q_n}).

    Source: arXiv 2412.06097 (tropical polynomials as an algebra over the operad of posets); the formula is in this
    module's head.

    Args:
        poset: P, on n points.
        parts: f_1, …, f_n.

    Raises:
        ArgumentError: If there are not as many parts as points.
        ArgumentTypeError: If ``poset`` or a part is something else.

    Example:
        >>> x = TropicalPolynomial([[0], [1]])
        >>> compose_polynomials(Poset.chain(2), [x, x])
        TropicalPolynomial: max(0, x2, x1 + x2)
    """
    _check(poset, parts, TropicalPolynomial)
    blocks = _blocks([part.variables for part in parts])
    variables = sum(map(len, blocks))
    result = TropicalPolynomial.zero(variables)
    for minimal, others in _up_sets(poset):
        whole = np.zeros((1, variables), np.int64)
        for point in others:
            whole[0, blocks[point]] = 1
        term = TropicalPolynomial(whole)
        for point in minimal:
            placed = np.zeros((len(parts[point]), variables), np.int64)
            placed[:, blocks[point]] = parts[point].exponents
            term = term * TropicalPolynomial(placed, parts[point].coefficients)
        result = result + term
    return result


def compose_polytopes(poset: Poset, parts: Sequence[Polytope]) -> Polytope:
    """Return P(K_1, …, K_n), the common generalisation of Minkowski sum and convex envelope.

        P(K_1, …, K_n) = conv of the union over up-sets F of Π_{i minimal in F} K_i × Π_{other i in F} 1 × Π_{rest} 0

    O(P[Q_1, …, Q_n]) = P(O(Q_1), …, O(Q_n)); the antichain gives the product (the Minkowski sum of copies in spaces of
    their own), the chain 1 < 2 the convex hull of 0 × K_2 and K_1 × 1.

    Source: arXiv 2412.06097 (generalised Minkowski sum and convex envelope of Newton polytopes); the formula is the
    one of ``compose_polynomials`` on exponents.

    Args:
        poset: P, on n points.
        parts: K_1, …, K_n.

    Raises:
        ArgumentError: If there are not as many parts as points.
        ArgumentTypeError: If ``poset`` or a part is something else.

    Example:
        >>> segment = Polytope([[0], [1]])
        >>> compose_polytopes(Poset.chain(2), [segment, segment]).vertices.tolist()
        [[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]]
    """
    _check(poset, parts, Polytope)
    hulls = []
    for minimal, others in _up_sets(poset):
        constants = [Polytope(np.full((1, part.dimension), float(i in others))) for i, part in enumerate(parts)]
        hulls.append(product_of([parts[i] if i in minimal else constants[i] for i in range(poset.n)]))
    return Polytope(np.concatenate([hull.points for hull in hulls]))


def compose_networks(poset: Poset, parts: Sequence[nn.Module]) -> nn.Sequential:
    """Return the network of P(f_1, …, f_n): the parts side by side, and a tree of maxima over P's up-sets on top.

    Source: arXiv 2412.06097 (poset networks as an algebra over the operad of posets).

    Args:
        poset: P, on n points.
        parts: n networks of integer weights, each with one output.

    Shapes:
        parts: Network i takes (…, N_i) to (…, 1).
        returns: A network from (…, N_1 + … + N_n) to (…, 1).

    Raises:
        ArgumentError: If there are not as many parts as points, or one has more than one output.
        ArgumentTypeError: If a part is made of other modules than ``integer_network`` reads.

    Example:
        >>> from cenote.pooling.order_theory.poset_networks import poset_network
        >>> one = poset_network(Poset(1))
        >>> import torch
        >>> compose_networks(Poset.chain(2), [one, one])(torch.tensor([3.0, -1.0])).tolist()
        [2.0]
    """
    _check(poset, parts, nn.Module)
    networks = [layers_of(part) for part in parts]
    for number, layers in enumerate(networks):
        if len(layers[-1].weight) != 1:
            raise ArgumentError(f"parts must have one output each, but part {number} has {len(layers[-1].weight)}")
    blocks = _blocks([layers[0].weight.shape[1] for layers in networks])
    circuit = Circuit(sum(map(len, blocks)))
    values, totals = [], []
    for layers, block in zip(networks, blocks, strict=True):
        forms = [circuit.inputs[index] for index in block]
        totals.append(sum(forms, Form()))
        for layer in layers:
            rows = zip(layer.weight.tolist(), layer.bias.tolist(), layer.threshold.tolist(), strict=True)
            forms = [circuit.floored(_linear(weights, forms, bias), floor) for weights, bias, floor in rows]
        values.append(forms[0])
    terms = [
        sum([values[point] for point in minimal] + [totals[point] for point in others], Form())
        for minimal, others in _up_sets(poset)
    ]
    return network_of_circuit(circuit, [circuit.maximum(terms)])


def _linear(weights: Sequence[int], forms: Sequence[Form], bias: float) -> Form:
    return sum((weight * form for weight, form in zip(weights, forms, strict=True)), Form(constant=bias))


def _up_sets(poset: Poset) -> Iterator[tuple[set[int], set[int]]]:
    """The minimal points and the other points of each up-set."""
    for up_set in poset.up_set_masks():
        minimal = poset.minimal_of(up_set)
        yield set(points(minimal)), set(points(up_set & ~minimal))


def _blocks(sizes: Sequence[int]) -> list[range]:
    """Where the coordinates of each part are among all."""
    return [range(start, stop) for start, stop in pairwise(accumulate(sizes, initial=0))]


def _check(poset: Poset, parts: Sequence[object], kind: type) -> None:
    need("poset", poset, Poset)
    for number, part in enumerate(need("parts", parts, Sequence)):  # type: ignore[type-abstract]
        need(f"part {number}", part, kind)
    if len(parts) != poset.n:
        raise ArgumentError(f"parts must be as many as the points, {poset.n}, got {len(parts)}")
