"""A poset's filter written out: sums, ReLUs and maxima along the poset's structure, and how such text is broken."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import bitmasks
from cenote.pooling.order_theory.bitmasks import components, neighbours, points
from cenote.pooling.order_theory.poset import Poset

MOST_CHARACTERS = 320
"""A longer formula is harder to read than the sentence that stands in its place."""

_MOST_POINTS = 64


class _TooLongError(ArgumentError):
    """A formula that is not written out."""


def filter_text(poset: Poset, names: Sequence[str] | None = None) -> str:
    """Return the filter of a poset as text, with r for the ReLU.

    It follows the poset's structure as ``poset_network`` does: a disjoint union adds, in an ordinal sum the upper part
    Q goes with or without what is below it, and a part that is neither is conditioned on one point. A single point q
    on top makes r(q + …), since f_P ≥ 0 under it:

        f_{P⊔Q} = f_P + f_Q,  f_{P*Q} = max(f_Q, s_Q + f_P),  f_{P*q} = r(q + f_P)

    A formula of more than ``MOST_CHARACTERS`` characters is not written out; the maximum over up-sets that defines the
    filter then stands in its place.

    Source: arXiv 2412.06097 (poset filters); the nested form is ours.

    Args:
        poset: The poset.
        names: What the points are called; x1, x2, … if left out.

    Raises:
        ArgumentError: If there are not as many names as points.

    Example:
        >>> filter_text(Poset.from_hasse("1<2<4, 1<3<4"))
        'r(x4 + max(r(x2) + r(x3), x2 + x3 + x1))'
        >>> filter_text(Poset.chain(200))
        'max over the 201 up-sets F of the sum of x_i over i in F'
    """
    called = [f"x{point + 1}" for point in range(poset.n)] if names is None else list(names)
    if len(called) != poset.n:
        raise ArgumentError(f"names must be as many as the points, {poset.n}, got {len(called)}")
    if poset.n <= _MOST_POINTS:
        try:
            return _nested(poset, called)
        except _TooLongError:
            pass
    return f"max over the {poset.count_up_sets():,} up-sets F of the sum of x_i over i in F"


def _nested(poset: Poset, names: Sequence[str]) -> str:
    above = bitmasks.closure(poset.n, poset.covers)
    under = bitmasks.below(above)
    related, unrelated = neighbours(above)

    def everything(inside: int) -> tuple[str, ...]:
        return tuple(names[point] for point in points(inside))

    @cache
    def terms(inside: int) -> tuple[str, ...]:
        """The summands of the filter of some points."""
        if inside.bit_count() <= 1:
            return tuple(f"r({name})" for name in everything(inside))
        parts = components(inside, related)
        if len(parts) > 1:
            return _short([term for part in parts for term in terms(part)])
        parts = components(inside, unrelated)
        if len(parts) > 1:
            top = max(parts, key=lambda part: (under[part.bit_length() - 1] & inside).bit_count())
            return _on_top(everything(top), terms(top), terms(inside & ~top))
        pivot = max(points(inside), key=lambda point: (related[point] & inside).bit_count())
        raised = (above[pivot] | 1 << pivot) & inside
        without = terms(inside & ~(under[pivot] | 1 << pivot))
        return _maximum(without, (*everything(raised), *terms(inside & ~raised)))

    return " + ".join(terms((1 << poset.n) - 1)) or "0"


def _on_top(whole: tuple[str, ...], alone: tuple[str, ...], below: tuple[str, ...]) -> tuple[str, ...]:
    """max(f_Q, s_Q + f_P) for Q on top of P."""
    if len(whole) == 1:
        return _short([f"r({' + '.join((*whole, *below))})"])
    if len(below) == 1 and below[0].startswith("r("):  # s_Q + r(…) adds to s_Q + … only s_Q, and f_Q is no less
        below = (below[0][2:-1],)
    return _maximum(alone, (*whole, *below))


def _maximum(*sums: tuple[str, ...]) -> tuple[str, ...]:
    # A maximum among the arguments of another is one with them.
    inner = [terms[0][4:-1] if len(terms) == 1 and terms[0].startswith("max(") else None for terms in sums]
    arguments = [flat or " + ".join(terms) or "0" for flat, terms in zip(inner, sums, strict=True)]
    return _short([f"max({', '.join(arguments)})"])


def _short(terms: Sequence[str]) -> tuple[str, ...]:
    if sum(map(len, terms)) > MOST_CHARACTERS:
        raise _TooLongError(f"the formula has more than {MOST_CHARACTERS} characters")
    return tuple(terms)


# --- breaking -----------------------------------------------------------------------------------------------------


def broken(formula: str, width: int) -> list[str]:
    """Break a formula into lines: behind commas, and before a sign only where a line would be too long otherwise.

    Signs inside the fewest brackets come first. A piece without a place to break is left as it is, however long.

    Example:
        >>> broken("max(r(b) + r(c), a + b + c) + r(d)", 20)
        ['max(r(b) + r(c),', 'a + b + c) + r(d)']
    """
    pieces = [formula]
    for depth in range(-1, formula.count("(") + 1):
        pieces = _pieces(formula, depth)
        if all(len(piece) <= width for piece in pieces):
            break
    lines = pieces[:1]
    for piece in pieces[1:]:
        if len(lines[-1]) + 1 + len(piece) <= width:
            lines[-1] += f" {piece}"
        else:
            lines.append(piece)
    return lines


def _pieces(formula: str, depth: int) -> list[str]:
    """Cut behind commas, and before signs that lie inside at most ``depth`` brackets."""
    pieces, start, level = [], 0, 0
    for place, character in enumerate(formula):
        level += (character == "(") - (character == ")")
        sign = character in "+-" and formula[place - 1 : place] == " " and level <= depth
        if character == " " and formula[place - 1] == ",":
            pieces.append(formula[start:place])
            start = place + 1
        elif sign and place > start:
            pieces.append(formula[start : place - 1])
            start = place
    return [*pieces, formula[start:]]
