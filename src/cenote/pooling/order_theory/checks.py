"""Arguments of the theory: of the class that is needed, or numbers; else one sentence says what came."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from cenote.errors import ArgumentTypeError

T = TypeVar("T")

_READERS = {"Poset": "; Poset.from_hasse reads text and Poset.from_graph a graph"}


def need(name: str, value: object, kind: type[T]) -> T:
    """Return a value of a class.

    Raises:
        ArgumentTypeError: If it is of another.
    """
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOaeio" else "a"
        hint = _READERS.get(kind.__name__, "")
        raise ArgumentTypeError(f"{name} must be {article} {kind.__name__}, got {value!r}{hint}")
    return value


def integer(name: str, value: Any) -> int:
    """Return an integer, numpy's too, as an ``int``.

    Raises:
        ArgumentTypeError: If it is something else; truth values are no integers.
    """
    if not isinstance(value, bool):
        try:
            return index(value)
        except TypeError:
            pass
    raise ArgumentTypeError(f"{name} must be an integer, got {value!r}")


def integers(name: str, values: Any) -> list[int]:
    """Return integers as a list of ``int``.

    Raises:
        ArgumentTypeError: If they are something else.
    """
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise ArgumentTypeError(f"{name} must be integers, got {values!r}")
    return [integer(f"each of {name}", value) for value in values]


def real_numbers(name: str, values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Return an array of real numbers as float64.

    Raises:
        ArgumentTypeError: If they are something else, or rows differ in length.
    """
    try:
        array = np.asarray(values)
    except ValueError:  # rows of different lengths
        raise ArgumentTypeError(f"{name} must be real numbers in rows of one length, got {values!r}") from None
    if array.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{name} must be real numbers, got {values!r}")
    return array.astype(np.float64)
