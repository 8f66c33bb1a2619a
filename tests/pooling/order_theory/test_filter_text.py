"""Filters written out, evaluated, against the largest sum over up-sets; and how formulas are broken."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import Poset, all_posets
from cenote.pooling.order_theory.filter_text import MOST_CHARACTERS, broken, filter_text

from .brute_force import Floats, best
from .test_poset_algebra import crown


def evaluated(text: str, x: Floats) -> Floats:
    """The formula read by Python, which knows nothing of posets."""
    names: dict[str, object] = {f"x{point + 1}": x[:, point] for point in range(x.shape[1])}
    names |= {"r": lambda value: np.maximum(value, 0), "max": lambda *values: np.maximum.reduce(values)}
    return np.broadcast_to(eval(text, names), len(x))


@pytest.mark.parametrize("n", range(7))
def test_every_formula_is_the_largest_sum_over_up_sets(n: int) -> None:
    """Of every poset on up to six points; eighths are exact, so the values are equal."""
    x = np.random.default_rng(n).integers(-40, 41, (60, n)) / 8
    for poset in all_posets(n):
        assert np.array_equal(evaluated(filter_text(poset), x), best(x, frozenset(poset.covers))[0])


def test_series_parallel_posets_of_many_points_are_written_out() -> None:
    x = np.random.default_rng(0).integers(-40, 41, (60, 12)) / 8
    for poset in (Poset.chain(12), Poset.antichain(12), Poset.chain(3).lexicographic([Poset.antichain(4)] * 3)):
        assert np.array_equal(evaluated(filter_text(poset), x), best(x, frozenset(poset.covers))[0])


def test_formulas_in_short() -> None:
    assert filter_text(Poset.chain(3), "abc") == "r(c + r(b + r(a)))"
    assert filter_text(Poset.from_hasse("1<2, 1<3"), "abc") == "max(r(b) + r(c), a + b + c)"
    assert filter_text(Poset.from_hasse("1<2<3, 2<4"), "abcd") == "max(r(c) + r(d), b + c + d + r(a))"
    assert filter_text(Poset(0)) == "0"
    with pytest.raises(ArgumentError, match="names must be as many as the points, 3, got 2"):
        filter_text(Poset.chain(3), "ab")


def test_what_is_too_long_is_the_definition() -> None:
    assert filter_text(crown(9)).startswith(f"max over the {crown(9).count_up_sets():,} up-sets F of the sum of x_i")
    assert filter_text(Poset.chain(65)) == "max over the 66 up-sets F of the sum of x_i over i in F"
    assert all(len(filter_text(poset)) <= MOST_CHARACTERS for poset in all_posets(5))


@pytest.mark.parametrize("width", [12, 20, 32, 60])
def test_formulas_are_broken_at_commas_and_else_before_signs(width: int) -> None:
    for poset in all_posets(6)[::7]:
        text = filter_text(poset)
        lines = broken(text, width)
        assert " ".join(lines) == text
        long = any(len(piece) > width for piece in re.split("(?<=,) ", text))
        for before, after in itertools.pairwise(lines):
            assert before.endswith(",") or (long and after.startswith("+ "))
        assert all(len(line) <= width or not re.search(", | [+] ", line) for line in lines)


def test_a_sum_is_cut_only_where_commas_do_not_do() -> None:
    assert broken("max(a + b, c + d)", 11) == ["max(a + b,", "c + d)"]
    assert broken("max(a + b + c, d)", 9) == ["max(a + b", "+ c, d)"]
    assert broken("t^3 - 2 t + 1", 9) == ["t^3 - 2 t", "+ 1"]
    assert broken("abcdef", 3) == ["abcdef"]
