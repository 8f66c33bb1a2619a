"""Tropical rational functions: differences of two tropical polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

import numpy as np
import numpy.typing as npt
from torch import Tensor

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory.checks import need
from cenote.pooling.order_theory.hulls import TOLERANCE, Floats
from cenote.pooling.order_theory.tropical import TropicalPolynomial


class TropicalRational:
    """A quotient of tropical polynomials, f ⊘ g, which is the function f(x) - g(x).

    ``+``, ``*`` and ``/`` are the tropical operations: maximum, sum and difference of functions; ``** k`` is times k,
    for negative k too. These functions are exactly those that networks of integer weights compute.

    Source: arXiv 2412.06097; L. Zhang, G. Naitzat, L.-H. Lim, arXiv 1805.07091.

    Args:
        numerator: f, with at least one monomial.
        denominator: g, with at least one monomial; the constant 0 by default.

    Raises:
        ArgumentError: If one has no monomial, or the numbers of variables differ.
        ArgumentTypeError: If one is no polynomial.

    Example:
        >>> x = TropicalRational(TropicalPolynomial.variable(1, 0))
        >>> minus_x = x**-1
        >>> absolute = x + minus_x
        >>> absolute([[-2.0], [3.0]]).tolist()
        [2.0, 3.0]
        >>> absolute
        TropicalRational: max(0, 2x1) ⊘ x1
    """

    def __init__(self, numerator: TropicalPolynomial, denominator: TropicalPolynomial | None = None) -> None:
        need("numerator", numerator, TropicalPolynomial)
        if denominator is None:
            denominator = TropicalPolynomial.constant(numerator.variables, 0.0)
        need("denominator", denominator, TropicalPolynomial)
        for name, part in (("numerator", numerator), ("denominator", denominator)):
            if not len(part):
                raise ArgumentError(f"{name} must have a monomial, got the tropical zero")
        if numerator.variables != denominator.variables:
            raise ArgumentError(
                f"denominator must have {numerator.variables} variables as the numerator has, got "
                f"{denominator.variables}"
            )
        self.numerator = numerator
        self.denominator = denominator

    @property
    def variables(self) -> int:
        """Number of variables, N."""
        return self.numerator.variables

    @overload
    def __call__(self, x: Tensor) -> Tensor: ...
    @overload
    def __call__(self, x: npt.ArrayLike) -> Floats: ...
    def __call__(self, x: Tensor | npt.ArrayLike) -> Tensor | Floats:
        """Evaluate: (…, N) to (…); see ``TropicalPolynomial``."""
        if isinstance(x, Tensor):  # the same sentence for the type checker, which has to see which call it is
            return self.numerator(x) - self.denominator(x)
        return self.numerator(x) - self.denominator(x)

    def __add__(self, other: TropicalRational) -> TropicalRational:
        _check(other)
        if self.denominator == other.denominator:
            return TropicalRational(self.numerator + other.numerator, self.denominator)
        crossed = self.numerator * other.denominator + other.numerator * self.denominator
        return TropicalRational(crossed, self.denominator * other.denominator)

    def __mul__(self, other: TropicalRational) -> TropicalRational:
        _check(other)
        return TropicalRational(self.numerator * other.numerator, self.denominator * other.denominator)

    def __truediv__(self, other: TropicalRational) -> TropicalRational:
        _check(other)
        return self * TropicalRational(other.denominator, other.numerator)

    def __pow__(self, power: int) -> TropicalRational:
        if not isinstance(power, int):
            raise ArgumentError(f"power must be an integer, got {power!r}")
        top, bottom = (self.numerator, self.denominator) if power >= 0 else (self.denominator, self.numerator)
        return TropicalRational(top ** abs(power), bottom ** abs(power))

    # --- as a function --------------------------------------------------------------------------------------------

    def simplified(self) -> TropicalRational:
        """Return the same function with fewer monomials.

        Both parts are simplified and a common monomial is divided out; a common factor of several monomials is found
        where it is the whole denominator.
        """
        top, bottom = self._reduced
        quotient = divide(top, bottom)
        return TropicalRational(top, bottom) if quotient is None else TropicalRational(quotient)

    def polynomial(self) -> TropicalPolynomial:
        """Return the polynomial that is this function, simplified.

        Raises:
            ArgumentError: If no polynomial is: the function is not convex, or falls in one of its variables.

        Example:
            >>> f, g = TropicalPolynomial([[0, 0], [0, 1]]), TropicalPolynomial([[0, 0], [2, 1]], [0, 0.5])
            >>> TropicalRational(f * g, g).polynomial() == f
            True
        """
        quotient = divide(*self._reduced)
        if quotient is None:
            raise ArgumentError(f"{self} is no polynomial: the denominator does not divide the numerator")
        return quotient

    def equals(self, other: TropicalRational, tolerance: float = TOLERANCE) -> bool:
        """Return whether the two are the same function: f ⊙ g' and f' ⊙ g are the same polynomial."""
        mine, yours = self._reduced, other._reduced
        return (mine[0] * yours[1]).equals(yours[0] * mine[1], tolerance)

    @cached_property
    def _reduced(self) -> tuple[TropicalPolynomial, TropicalPolynomial]:
        top, bottom = self.numerator.simplified(), self.denominator.simplified()
        common = np.minimum(top.exponents.min(0), bottom.exponents.min(0))
        height = bottom.coefficients[0]
        return (
            TropicalPolynomial(top.exponents - common, top.coefficients - height),
            TropicalPolynomial(bottom.exponents - common, bottom.coefficients - height),
        )

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, TropicalRational)
            and self.numerator == other.numerator
            and self.denominator == other.denominator
        )

    def __hash__(self) -> int:
        return hash((self.numerator, self.denominator))

    def __str__(self) -> str:
        return f"{self.numerator} ⊘ {self.denominator}"

    def __repr__(self) -> str:
        return f"TropicalRational: {self}"


def _check(other: TropicalRational) -> None:
    if not isinstance(other, TropicalRational):
        raise ArgumentTypeError(f"tropical rationals go with each other, got {type(other).__name__}")


def divide(dividend: TropicalPolynomial, divisor: TropicalPolynomial) -> TropicalPolynomial | None:
    """Return the polynomial q with q ⊙ divisor = dividend as functions, or None if there is none.

    Where q and the divisor are linear, so is the dividend: every monomial of q is the difference of one of the
    dividend's and one of the divisor's. The maximum of the differences whose product with the divisor stays below the
    dividend is the only candidate.
    """
    top, bottom = dividend.simplified(), divisor.simplified()
    if len(bottom) == 1:
        exponents = top.exponents - bottom.exponents
        whole = (exponents >= 0).all()
        return TropicalPolynomial(exponents, top.coefficients - bottom.coefficients) if whole else None
    likely = _differences(top, bottom)
    quotient = _largest(likely)
    if quotient is None or (quotient * bottom).equals(top):
        return quotient
    # Looking at some places let a difference through that is too large elsewhere; now each is decided exactly.
    quotient = _largest([each for each in likely if (each * bottom + top).equals(top)])
    return quotient if quotient is not None and (quotient * bottom).equals(top) else None


def _largest(monomials: Sequence[TropicalPolynomial]) -> TropicalPolynomial | None:
    if not monomials:
        return None
    exponents = np.concatenate([each.exponents for each in monomials])
    return TropicalPolynomial(exponents, np.concatenate([each.coefficients for each in monomials])).simplified()


def _differences(top: TropicalPolynomial, bottom: TropicalPolynomial) -> list[TropicalPolynomial]:
    """Differences of two monomials that, times the divisor, are below the dividend wherever one looks, near and far."""
    exponents = (top.exponents[:, None] - bottom.exponents[None]).reshape(-1, top.variables)
    coefficients = (top.coefficients[:, None] - bottom.coefficients[None]).ravel()
    differences = np.unique(np.column_stack([exponents, coefficients]), axis=0)
    differences = differences[(differences[:, :-1] >= 0).all(1)]
    places = np.random.default_rng(0).standard_normal((256, top.variables))
    places *= np.logspace(-1, 3, 256)[:, None]
    room = top(places) - bottom(places)
    values = places @ differences[:, :-1].T + differences[:, -1]
    slack = TOLERANCE * (1 + np.abs(places).sum(1) * (1 + top.exponents.max(initial=0)))
    kept = differences[(values <= (room + slack)[:, None]).all(0)]
    return [TropicalPolynomial(row[None, :-1], row[-1:]) for row in kept]
