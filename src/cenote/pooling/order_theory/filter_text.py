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
        'r(x4 + max(r(x2) + r(x3), x1 + x2 + x3))'
        >>> filter_text(Poset.chain(200))
        'max over the 201 up-sets F of the sum of x_i over i in F'
    """
    called = [f"x{point + 1}" for point in range(poset.n)] if names is None else list(names)
    if len(called) != poset.n:
        raise ArgumentError(f"names must be as many as the points, {poset.n}, got {len(called)}")
    if poset.n <= _MOST_POINTS:
        try:
            return " + ".join(_Formula(poset, called).terms((1 << poset.n) - 1)) or "0"
        except _TooLongError:
            pass
    return f"max over the {poset.count_up_sets():,} up-sets F of the sum of x_i over i in F"


class _Formula:
    """The filter of a poset; sets of points are bit masks."""

    def __init__(self, poset: Poset, names: Sequence[str]) -> None:
        self._names = names
        self._above = bitmasks.closure(poset.n, poset.covers)
        self._under = bitmasks.below(self._above)
        self._related, self._unrelated = neighbours(self._above)
        self.terms = cache(self._terms)

    def _terms(self, inside: int) -> tuple[str, ...]:
        """The summands of the filter of some points."""
        if not inside:
            return ()
        parts = components(inside, self._related)
        if len(parts) > 1:
            return _short([term for part in parts for term in self.terms(part)])
        under_relu = self._under_relu(inside)
        if under_relu is not None:
            return _short([f"r({' + '.join(under_relu)})"])
        top = self._highest(inside)
        if top != inside:
            return _maximum(self.terms(top), self._with_all_of(top, inside & ~top))
        pivot = max(points(inside), key=lambda point: (self._related[point] & inside).bit_count())
        raised = (self._above[pivot] | 1 << pivot) & inside
        without = self.terms(inside & ~(self._under[pivot] | 1 << pivot))
        return _maximum(without, (*self._every(raised), *self.terms(inside & ~raised)))

    def _under_relu(self, inside: int) -> tuple[str, ...] | None:
        """The summands of g where the filter of connected points is r(g): where a single point is on top."""
        top = self._highest(inside)
        return (*self._every(top), *self.terms(inside & ~top)) if top.bit_count() == 1 else None

    def _with_all_of(self, top: int, low: int) -> tuple[str, ...]:
        """The summands of s_Q + f_P, or of s_Q + g where f_P = r(g): max(f_Q, s_Q + g) is the same, for f_Q ≥ s_Q."""
        under_relu = self._under_relu(low) if len(components(low, self._related)) == 1 else None
        if under_relu is None:
            return (*self._every(top), *self.terms(low))
        return (*self._every(top | self._highest(low)), *under_relu[1:])

    def _highest(self, inside: int) -> int:
        """The part of an ordinal sum that is above all others; all points if they are no ordinal sum."""
        parts = components(inside, self._unrelated)
        return max(parts, key=lambda part: (self._under[part.bit_length() - 1] & inside).bit_count())

    def _every(self, inside: int) -> tuple[str, ...]:
        return tuple(self._names[point] for point in points(inside))


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
