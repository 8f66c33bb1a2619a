"""Sums and maxima written down in any order, and laid out in layers afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt


class Form:
    """A linear form: integer multiples of a circuit's units, and a constant."""

    def __init__(self, terms: Mapping[int, int] | None = None, constant: float = 0.0) -> None:
        self.terms = {unit: weight for unit, weight in (terms or {}).items() if weight}
        self.constant = constant

    def __add__(self, other: Form) -> Form:
        terms = dict(self.terms)
        for unit, weight in other.terms.items():
            terms[unit] = terms.get(unit, 0) + weight
        return Form(terms, self.constant + other.constant)

    def __sub__(self, other: Form) -> Form:
        return self + -1 * other

    def __rmul__(self, factor: int) -> Form:
        return Form({unit: factor * weight for unit, weight in self.terms.items()}, factor * self.constant)


class Layer(NamedTuple):
    """max(weight @ x + bias, threshold), in the order of an ``IntegerLayer``'s arguments."""

    weight: npt.NDArray[np.int64]
    bias: npt.NDArray[np.float64]
    threshold: npt.NDArray[np.float64]


class Circuit:
    """Units, each an input or a linear form of earlier units with a floor under it.

    A unit stands one layer above the highest unit it reads. ``layers`` puts units of one height into one layer, with
    copies of lower ones that are read further up.

    Args:
        inputs: Number of inputs.
    """

    def __init__(self, inputs: int) -> None:
        self.inputs = tuple(Form({unit: 1}) for unit in range(inputs))
        self._reads: list[Form] = list(self.inputs)
        self._floors = [-math.inf] * inputs
        self._heights = [0] * inputs

    def floored(self, form: Form, threshold: float = 0.0) -> Form:
        """Return max(form, threshold); without a unit where the threshold is -∞ or the form is constant."""
        if threshold == -math.inf:
            return form
        if not form.terms:
            return Form(constant=max(form.constant, threshold))
        self._reads.append(form)
        self._floors.append(threshold)
        self._heights.append(self.height(form) + 1)
        return Form({len(self._reads) - 1: 1})

    def maximum(self, forms: Sequence[Form]) -> Form:
        """Return the maximum of at least one form by a balanced tree of max(u, v) = v + ReLU(u - v)."""
        if len(forms) == 1:
            return forms[0]
        middle = len(forms) // 2
        u, v = self.maximum(forms[:middle]), self.maximum(forms[middle:])
        return v + self.floored(u - v)

    def height(self, form: Form) -> int:
        """Return how many layers of floors lie under a form."""
        return max((self._heights[unit] for unit in form.terms), default=0)

    def layers(self, outputs: Sequence[Form]) -> list[Layer]:
        """Return the layers that compute these forms, the last one linear."""
        top = max(self.height(form) for form in outputs)
        last_read = self._last_reads(outputs, top)
        units = list(range(len(self.inputs)))
        layers = []
        for height in range(1, top + 1):
            kept = [unit for unit, last in last_read.items() if self._heights[unit] <= height < last]
            made = [self._heights[unit] == height for unit in kept]
            forms = [self._reads[unit] if new else Form({unit: 1}) for unit, new in zip(kept, made, strict=True)]
            floors = [self._floors[unit] if new else -math.inf for unit, new in zip(kept, made, strict=True)]
            layers.append(_layer(forms, floors, units))
            units = kept
        return [*layers, _layer(outputs, [-math.inf] * len(outputs), units)]

    def _last_reads(self, outputs: Sequence[Form], top: int) -> dict[int, int]:
        """The highest layer that reads each unit on which an output depends."""
        last = {unit: top + 1 for form in outputs for unit in form.terms}
        for unit in reversed(range(len(self.inputs), len(self._reads))):
            if unit in last:
                for read in self._reads[unit].terms:
                    last[read] = max(last.get(read, 0), self._heights[unit])
        return dict(sorted(last.items()))


def _layer(forms: Sequence[Form], floors: Sequence[float], units: Sequence[int]) -> Layer:
    column = {unit: index for index, unit in enumerate(units)}
    weight = np.zeros((len(forms), len(units)), np.int64)
    for row, form in enumerate(forms):
        for unit, factor in form.terms.items():
            weight[row, column[unit]] = factor
    return Layer(weight, np.array([form.constant for form in forms]), np.array(floors))
