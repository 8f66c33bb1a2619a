"""Tropical polynomials: maxima of finitely many affine functions whose slopes are non-negative integers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory.checks import need, real_numbers
from cenote.pooling.order_theory.hulls import TOLERANCE, Floats, upper_vertices
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.polytope import Polytope
from cenote.pooling.order_theory.poset import Poset

MOST_MONOMIALS = 100_000
"""Products with more monomials than this are refused rather than computed for hours."""


class TropicalPolynomial:
    """A maximum of monomials: f(x) = max_i (c_i + a_i·x), with integer exponents a_i ≥ 0.

    ``f + g`` is the tropical sum, the maximum of the two functions; ``f * g`` the tropical product, their ordinary sum;
    ``f ** k`` is f times k. Of monomials with equal exponents the one with the largest coefficient is kept. Two
    polynomials are equal if they have the same monomials; ``equals`` compares them as functions.

    Source: arXiv 2412.06097; L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091.

    Args:
        exponents: (M, N), non-negative integers; M = 0 is the tropical zero, which is -∞ everywhere.
        coefficients: (M,), finite; all 0 by default.

    Raises:
        ArgumentError: If shapes or values are not of that form.
        ArgumentTypeError: If they are no real numbers.

    Example:
        >>> x, y = TropicalPolynomial.variable(2, 0), TropicalPolynomial.variable(2, 1)
        >>> f = x * y + y + TropicalPolynomial.constant(2, 0)
        >>> f
        TropicalPolynomial: max(0, x2, x1 + x2)
        >>> f([[3, -1], [3, -5], [-1, -1]]).tolist()
        [2.0, 0.0, 0.0]
    """

    def __init__(self, exponents: npt.ArrayLike, coefficients: npt.ArrayLike | None = None) -> None:
        slopes = real_numbers("exponents", exponents)
        if slopes.ndim != 2 or not (np.isfinite(slopes).all() and (slopes >= 0).all() and (slopes % 1 == 0).all()):
            raise ArgumentError(f"exponents must be non-negative integers of shape (M, N), got {exponents!r}")
        heights = np.zeros(len(slopes)) if coefficients is None else real_numbers("coefficients", coefficients)
        if heights.shape != (len(slopes),) or not np.isfinite(heights).all():
            raise ArgumentError(f"coefficients must be {len(slopes)} finite numbers, one a monomial, got {heights}")
        self.exponents, self.coefficients = _merged(slopes.astype(np.int64), heights + 0.0)

    @classmethod
    def zero(cls, variables: int) -> TropicalPolynomial:
        """Return the tropical zero, without monomials: -∞ everywhere, and neutral for ``+``."""
        return cls(np.zeros((0, need("variables", variables, int)), np.int64))

    @classmethod
    def constant(cls, variables: int, value: float) -> TropicalPolynomial:
        """Return a constant; the constant 0 is the tropical one, neutral for ``*``."""
        return cls(np.zeros((1, need("variables", variables, int)), np.int64), [value])

    @classmethod
    def variable(cls, variables: int, index: int) -> TropicalPolynomial:
        """Return one variable, counted from 0.

        Raises:
            ArgumentError: If there is no such variable.
        """
        if not 0 <= need("index", index, int) < need("variables", variables, int):
            raise ArgumentError(f"index must be 0 to {variables - 1}, got {index}")
        return cls(np.eye(variables, dtype=np.int64)[[index]])

    @property
    def variables(self) -> int:
        """Number of variables, N."""
        return int(self.exponents.shape[1])

    # --- values ---------------------------------------------------------------------------------------------------

    @overload
    def __call__(self, x: Tensor) -> Tensor: ...
    @overload
    def __call__(self, x: npt.ArrayLike) -> Floats: ...
    def __call__(self, x: Tensor | npt.ArrayLike) -> Tensor | Floats:
        """Evaluate: (…, N) to (…). A tensor gives a tensor of its dtype, with the gradient of one largest monomial."""
        if not isinstance(x, Tensor):
            x = real_numbers("x", x)
        shape = tuple(x.shape)
        if shape[-1:] != (self.variables,):
            raise ArgumentError(f"x must have shape (…, {self.variables}), got {shape}")
        if not isinstance(x, Tensor):
            values = x @ self.exponents.T + self.coefficients
            return np.asarray(values.max(-1, initial=-np.inf))
        if not len(self):
            return torch.full(shape[:-1], -torch.inf, dtype=x.dtype, device=x.device)
        if not x.is_floating_point():
            raise ArgumentTypeError(f"x must be a floating-point tensor, got {x.dtype}")
        monomials = x @ torch.from_numpy(self.exponents.T).to(x) + torch.from_numpy(self.coefficients).to(x)
        return monomials.max(-1).values

    # --- arithmetic -----------------------------------------------------------------------------------------------

    def __add__(self, other: TropicalPolynomial) -> TropicalPolynomial:
        self._check(other)
        return TropicalPolynomial(
            np.concatenate([self.exponents, other.exponents]), np.concatenate([self.coefficients, other.coefficients])
        )

    def __mul__(self, other: TropicalPolynomial) -> TropicalPolynomial:
        self._check(other)
        if len(self) * len(other) > MOST_MONOMIALS:
            raise ArgumentError(
                f"the product of {len(self):,} and {len(other):,} monomials has more than {MOST_MONOMIALS:,}; "
                "simplify the factors first"
            )
        exponents = self.exponents[:, None] + other.exponents[None]
        coefficients = self.coefficients[:, None] + other.coefficients[None]
        return TropicalPolynomial(exponents.reshape(-1, self.variables), coefficients.ravel())

    def __pow__(self, power: int) -> TropicalPolynomial:
        if not isinstance(power, int) or power < 0:
            raise ArgumentError(f"power must be a non-negative integer, got {power!r}")
        if power == 1:
            return self
        if not power:
            return TropicalPolynomial.constant(self.variables, 0.0)
        return TropicalPolynomial(power * self.exponents, power * self.coefficients)

    # --- as a function --------------------------------------------------------------------------------------------

    @cached_property
    def _essential(self) -> TropicalPolynomial:
        if self.exponents.max(initial=0) <= 1:  # the corners of a cube: each is the largest somewhere far out
            return self
        kept = upper_vertices(self.exponents.astype(np.float64), self.coefficients)
        if kept.all():
            return self
        simple = TropicalPolynomial(self.exponents[kept], self.coefficients[kept])
        simple._essential = simple
        return simple

    def simplified(self) -> TropicalPolynomial:
        """Return the same function without the monomials that are nowhere the single largest one.

        What remains has one monomial for each linear region.
        """
        return self._essential

    def equals(self, other: TropicalPolynomial, tolerance: float = TOLERANCE) -> bool:
        """Return whether the two are the same function, coefficients compared up to ``tolerance``."""
        mine, yours = self.simplified(), need("other", other, TropicalPolynomial).simplified()
        return np.array_equal(mine.exponents, yours.exponents) and np.allclose(
            mine.coefficients, yours.coefficients, rtol=tolerance, atol=tolerance
        )

    def newton_polytope(self) -> Polytope:
        """Return the convex hull of the exponents.

        Raises:
            ArgumentError: If there is no monomial.
        """
        if not len(self):
            raise ArgumentError("the tropical zero has no monomial, so no Newton polytope")
        return Polytope(self.exponents)

    # --- as an object ---------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.exponents)

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], float]]:
        """Yield exponents and coefficient of each monomial, in lexicographic order of the exponents."""
        for exponents, coefficient in zip(self.exponents.tolist(), self.coefficients.tolist(), strict=True):
            yield tuple(exponents), coefficient

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TropicalPolynomial)
            and np.array_equal(self.exponents, other.exponents)
            and np.array_equal(self.coefficients, other.coefficients)
        )

    def __hash__(self) -> int:
        return hash((self.exponents.shape, self.exponents.tobytes(), self.coefficients.tobytes()))

    def __str__(self) -> str:
        texts = [_monomial(exponents, coefficient) for exponents, coefficient in self]
        return texts[0] if len(texts) == 1 else f"max({', '.join(texts)})" if texts else "-∞"

    def __repr__(self) -> str:
        return f"TropicalPolynomial: {self}"

    def _check(self, other: TropicalPolynomial) -> None:
        if not isinstance(other, TropicalPolynomial):
            raise ArgumentTypeError(f"tropical polynomials go with each other, got {type(other).__name__}")
        if other.variables != self.variables:
            raise ArgumentError(
                f"the polynomials have {self.variables} and {other.variables} variables; make them equal"
            )


def _merged(exponents: npt.NDArray[np.int64], coefficients: Floats) -> tuple[npt.NDArray[np.int64], Floats]:
    """Sort monomials by their exponents and keep the largest coefficient of equal ones."""
    if not exponents.shape[1]:  # constants; lexsort wants a column
        return exponents[:1], coefficients[:0] if not len(coefficients) else coefficients.max(keepdims=True)
    order = np.lexsort((coefficients, *exponents.T[::-1]))
    exponents, coefficients = exponents[order], coefficients[order]
    last = np.ones(len(order), bool)
    last[:-1] = (exponents[1:] != exponents[:-1]).any(1)
    return exponents[last], coefficients[last]


def _monomial(exponents: tuple[int, ...], coefficient: float) -> str:
    parts = [f"{coefficient:g}"] if coefficient else []
    parts += [f"{'' if power == 1 else power}x{index + 1}" for index, power in enumerate(exponents) if power]
    return " + ".join(parts).replace("+ -", "- ") or "0"


# --- posets -------------------------------------------------------------------------------------------------------


def poset_polynomial(poset: Poset) -> TropicalPolynomial:
    """Return the polynomial of a poset: one monomial, with coefficient 0, for every up-set.

        f_P(x) = max over up-sets F of Σ_{i in F} x_i

    Its Newton polytope is the order polytope, and the function is the poset's filter.

    Source: arXiv 2412.06097.

    Raises:
        ArgumentError: If the poset has more than ``bitmasks.MAX_UP_SETS`` up-sets.

    Example:
        >>> poset_polynomial(Poset.chain(3))
        TropicalPolynomial: max(0, x3, x2 + x3, x1 + x2 + x3)
    """
    return TropicalPolynomial(OrderPolytope(poset).vertices)


def poset_of_polynomial(polynomial: TropicalPolynomial) -> Poset:
    """Return the poset whose polynomial this is, as a function; there is at most one.

    Source: arXiv 2412.06097: posets, order polytopes and these polynomials correspond one to one.

    Raises:
        ArgumentError: If it is no poset's polynomial; the error says why.

    Example:
        >>> poset_of_polynomial(TropicalPolynomial([[0, 0], [0, 1], [1, 1]]))
        Poset.from_hasse('1<2')
    """
    simple = need("polynomial", polynomial, TropicalPolynomial).simplified()
    if np.abs(simple.coefficients).max(initial=0) > TOLERANCE:
        raise ArgumentError(f"polynomial {polynomial} is no poset's: a coefficient is not 0")
    if simple.exponents.max(initial=0) > 1:
        raise ArgumentError(f"polynomial {polynomial} is no poset's: an exponent is more than 1")
    try:
        return OrderPolytope.from_vertices(simple.exponents).poset
    except ArgumentError as error:
        raise ArgumentError(f"polynomial {polynomial} is no poset's: its exponents as {error}") from None
