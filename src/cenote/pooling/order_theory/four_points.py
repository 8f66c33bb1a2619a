"""The sixteen posets on four points, numbered as in the paper's released code, and their names."""

from __future__ import annotations

import difflib
from functools import cache
from typing import Final

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory.poset import Poset

HASSE: Final = (
    "1<4, 2<4, 3<4",
    "1, 2, 3, 4",
    "1<2, 3, 4",
    "1<3<4, 2<3",
    "1<3, 2<3, 4",
    "1<2, 1<3, 4",
    "1<2, 3<4",
    "1<2<3, 2<4",
    "1<2<3, 4",
    "1<2, 1<3, 1<4",
    "1<2, 1<3<4",
    "1<3, 1<4, 2<3, 2<4",
    "1<2>3<4",
    "1<2<3<4",
    "1<2<4, 1<3<4",
    "1<3<4, 2<4",
)
"""Hasse strings by index; point 1 is the window's top left, 2 top right, 3 bottom left, 4 bottom right."""

NAMES: Final = (
    "dual claw",
    "antichain",
    "2+1+1",
    "dual Y",
    "wedge+1",
    "V+1",
    "2+2",
    "Y",
    "3+1",
    "claw",
    "1*(2+1)",
    "bowtie",
    "N",
    "chain",
    "diamond",
    "(2+1)*1",
)
"""Names by index; ``+`` is the disjoint union, ``*`` puts its right side above its left."""

_ALIASES: Final = {
    "total order": "chain",
    "boolean": "diamond",
    "2-crown": "bowtie",
    "butterfly": "bowtie",
    "parallel": "antichain",
    "1+1+1+1": "antichain",
    "λ+1": "wedge+1",
    "1+3": "3+1",
}


def resolve_poset(poset: Poset | int | str, points: int = 4) -> Poset:
    """Return the poset that an index, a name, a Hasse string or a poset stands for.

    Args:
        poset: A ``Poset``; an index 0…15 of the paper's sixteen; a name such as ``"N"`` or ``"diamond"`` in any case
            (``"chain"`` and ``"antichain"`` exist for any number of points); or a Hasse string, ``"1<2<4, 1<3<4"``.
        points: Number of points it must have.

    Raises:
        ArgumentError: If the index or name is unknown (the error lists the names) or the number of points differs.
        ArgumentTypeError: If ``poset`` is of another type.

    Example:
        >>> resolve_poset("N") == resolve_poset(12) == resolve_poset("1<2>3<4")
        True
    """
    if isinstance(poset, bool) or not isinstance(poset, Poset | int | str):
        raise ArgumentTypeError(f"poset must be a Poset, an index, a name or a Hasse string, got {poset!r}")
    if isinstance(poset, int):
        poset = _from_index(poset)
    elif isinstance(poset, str):
        poset = _from_text(poset, points)
    if poset.n != points:
        raise ArgumentError(
            f"poset {poset.hasse()!r} has {poset.n} points, but the window has {points}; "
            "in a Hasse string name points without relations too, as in '1<2, 3, 4'"
        )
    return poset


def name_of(poset: Poset) -> str:
    """Return the name of one of the sixteen posets as placed in the paper's code, or a Hasse string."""
    for index, name in enumerate(NAMES):
        if poset == _from_index(index):
            return name
    return poset.hasse()


@cache
def _from_index(index: int) -> Poset:
    if not 0 <= index < len(HASSE):
        raise ArgumentError(f"poset index must be 0 to {len(HASSE) - 1}, got {index}")
    return Poset.from_hasse(HASSE[index])


def _from_text(text: str, points: int) -> Poset:
    name = text.strip().casefold()
    name = _ALIASES.get(name, name)
    if name in ("chain", "antichain"):
        return Poset.chain(points) if name == "chain" else Poset.antichain(points)
    known = {entry.casefold(): index for index, entry in enumerate(NAMES)}
    if name in known:
        return _from_index(known[name])
    if any(sign in text for sign in "<>,;") or text.strip().isdigit():
        return Poset.from_hasse(text)
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"the nearest is {NAMES[known[near[0]]]!r}; " if near else ""
    raise ArgumentError(
        f"unknown poset {text!r}; {hint}the names are {', '.join(NAMES)}; or give a Hasse string such as '1<2, 3<4'"
    )
