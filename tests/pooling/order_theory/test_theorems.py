"""The theorems hold on what is tried, and a method that is wrong is counted against them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from torch import nn

from cenote.pooling.order_theory import (
    Polytope,
    Poset,
    TropicalPolynomial,
    TropicalRational,
    compose_networks,
    compose_polynomials,
    compose_polytopes,
    labelled_posets,
    network_of_tropical,
    poset_of_polynomial,
    poset_polynomial,
    theorems,
)
from cenote.pooling.order_theory.theorems import (
    compositions_that_differ,
    networks_not_returned,
    posets_not_recovered,
    random_composition,
)

POSETS = labelled_posets(3)
SELF_DUAL_OR_NOT = sum(poset.dual() != poset for poset in POSETS)


def drawn() -> np.random.Generator:
    return np.random.default_rng(7)


def test_no_theorem_fails() -> None:
    assert [posets_not_recovered(labelled_posets(n)) for n in range(5)] == [0] * 5
    assert networks_not_returned(10, drawn()) == 0
    assert compositions_that_differ(20, drawn()) == 0


def test_draws_follow_the_generator_and_differ() -> None:
    first, again = drawn(), drawn()
    compositions = [random_composition(first) for _ in range(50)]
    assert compositions == [random_composition(again) for _ in range(50)]
    assert len({(each.poset, *each.parts) for each in compositions}) > 45
    assert {each.poset.n for each in compositions} == {2, 3, 4}
    assert max(sum(part.n for part in each.parts) for each in compositions) == 9


def test_posets_found_upside_down_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theorems, "poset_of_polynomial", lambda f: poset_of_polynomial(f).dual())
    assert posets_not_recovered(POSETS) == SELF_DUAL_OR_NOT == 18


def test_polynomials_of_the_dual_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(theorems, "poset_polynomial", lambda poset: poset_polynomial(poset.dual()))
    assert posets_not_recovered(POSETS) == SELF_DUAL_OR_NOT


def test_posets_that_are_not_found_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the empty set no polynomial is a poset's."""
    everything = theorems._up_sets
    monkeypatch.setattr(theorems, "_up_sets", lambda *args: everything(*args)[1:])
    assert posets_not_recovered(POSETS) == len(POSETS)


def test_networks_of_another_function_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    def raised(function: TropicalRational) -> nn.Sequential:
        return network_of_tropical(function * TropicalRational(TropicalPolynomial.constant(function.variables, 0.125)))

    monkeypatch.setattr(theorems, "network_of_tropical", raised)
    assert networks_not_returned(5, drawn()) == 5


def test_compositions_that_are_other_ones_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the dual poset, in each of the three actions."""

    def polynomials(poset: Poset, parts: Sequence[TropicalPolynomial]) -> TropicalPolynomial:
        return compose_polynomials(poset.dual(), parts)

    def polytopes(poset: Poset, parts: Sequence[Polytope]) -> Polytope:
        return compose_polytopes(poset.dual(), parts)

    def networks(poset: Poset, parts: Sequence[nn.Module]) -> nn.Sequential:
        return compose_networks(poset.dual(), parts)

    generator = drawn()
    wrong = []
    for name, action in {
        "compose_polynomials": polynomials,
        "compose_polytopes": polytopes,
        "compose_networks": networks,
    }.items():
        with monkeypatch.context() as patch:
            patch.setattr(theorems, name, action)
            wrong.append(compositions_that_differ(20, np.random.default_rng(7)))
    assert wrong[0] == wrong[1] == wrong[2] >= 10
    assert compositions_that_differ(20, generator) == 0
