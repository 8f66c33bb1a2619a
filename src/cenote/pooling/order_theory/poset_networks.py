"""The network that a poset's structure suggests, and whether the poset is series-parallel."""

from __future__ import annotations

from functools import cache

from torch import nn

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import bitmasks
from cenote.pooling.order_theory.bitmasks import Above, components, neighbours, points
from cenote.pooling.order_theory.checks import need
from cenote.pooling.order_theory.circuits import Circuit, Form
from cenote.pooling.order_theory.networks import network_of_circuit
from cenote.pooling.order_theory.poset import Poset


def poset_network(poset: Poset) -> nn.Sequential:
    """Return the network of integer weights that computes a poset's filter along its structure.

    A disjoint union adds, an ordinal sum (P below Q) takes a maximum, and a part that is neither is conditioned on one
    point p, which an up-set has together with all above it, or lacks together with all below it:

        f_{P⊔Q} = f_P + f_Q
        f_{P*Q} = max(f_Q, s_Q + f_P), where s_Q is the sum over all of Q
        f_P     = max(f of P less p and all below, s of p and all above + f of the rest)

    with max(u, v) = v + ReLU(u - v). An ordinal sum of several parts is split in halves, so a chain of n points has
    depth ⌈log₂ n⌉ + 2: a ReLU on each point, the maxima, and a linear last layer. For a series-parallel poset the depth
    is 2 plus the number of ordinal sums on the longest path of its binary decomposition tree. Biases are 0, thresholds
    0 or -∞. ``network_of_tropical(poset_polynomial(P))`` is the other way, a tree of maxima over all up-sets.

    Source: arXiv 2412.06097 (poset networks); the construction from a poset's structure is ours.
    Differs from the paper: Its figure of a poset's network could not be compared.

    Shapes:
        returns: A network from (…, n) to (…, 1).

    Raises:
        ArgumentError: If a part that is neither a disjoint union nor an ordinal sum has more than
            ``bitmasks.MAX_UP_SETS`` up-sets.
        ArgumentTypeError: If ``poset`` is no ``Poset``.

    Example:
        >>> import torch
        >>> network = poset_network(Poset.from_hasse("1<2>3<4"))
        >>> network(torch.tensor([3.0, -2.0, 1.0, -5.0])).tolist()
        [1.0]
        >>> len(poset_network(Poset.chain(8)))
        5
    """
    circuit = Circuit(need("poset", poset, Poset).n)
    above = bitmasks.closure(poset.n, poset.covers)
    return network_of_circuit(circuit, [_filter_form(above, circuit)])


def is_series_parallel(poset: Poset) -> bool:
    """Return whether a poset is built from points by disjoint unions and ordinal sums: whether it contains no N.

    Source: arXiv 2412.06097; J. Valdes, R. Tarjan, E. Lawler, The recognition of series parallel digraphs, 1982.

    Raises:
        ArgumentTypeError: If it is no poset.

    Example:
        >>> is_series_parallel(Poset.from_hasse("1<2>3<4"))
        False
    """
    above = bitmasks.closure(need("poset", poset, Poset).n, poset.covers)
    related, unrelated = neighbours(above)
    waiting = [(1 << poset.n) - 1]
    while waiting:
        inside = waiting.pop()
        if inside & (inside - 1):  # two points or more
            parts = components(inside, related)
            if len(parts) == 1:
                parts = components(inside, unrelated)
            if len(parts) == 1:
                return False
            waiting += parts
    return True


def _filter_form(above: Above, circuit: Circuit) -> Form:
    related, unrelated = neighbours(above)
    under = bitmasks.below(above)

    def everything(inside: int) -> Form:
        return sum((circuit.inputs[point] for point in points(inside)), Form())

    @cache
    def best(inside: int) -> Form:
        if not inside & (inside - 1):  # no point or one
            return circuit.floored(everything(inside))
        parts = components(inside, related)
        if len(parts) > 1:
            return sum(map(best, parts), Form())
        parts = components(inside, unrelated)
        if len(parts) > 1:
            parts.sort(key=lambda part: (under[part.bit_length() - 1] & inside).bit_count())
            lower, upper = (bitmasks.union(half) for half in (parts[: len(parts) // 2], parts[len(parts) // 2 :]))
            return circuit.maximum([everything(upper) + best(lower), best(upper)])
        _check_size(bitmasks.restrict(above, inside))
        pivot = max(points(inside), key=lambda point: (related[point] & inside).bit_count())
        raised = (above[pivot] | 1 << pivot) & inside
        without = best(inside & ~(under[pivot] | 1 << pivot))
        return circuit.maximum([everything(raised) + best(inside & ~raised), without])

    return best((1 << len(above)) - 1)


def _check_size(part: Above) -> None:
    count = bitmasks.count_up_sets(part)
    if count > bitmasks.MAX_UP_SETS:
        raise ArgumentError(
            f"poset has a part of {len(part)} points that is neither a disjoint union nor an ordinal sum, with "
            f"{count:,} up-sets; a network is made for parts with at most {bitmasks.MAX_UP_SETS:,}"
        )
