"""Every public module and tensor function of a paper has cases, and every case keeps the contract."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cenote.catalog import Card
from tests.conformance import checks
from tests.conformance.case import TESTS, Case, cases_file, cases_of, constant_parameters


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
def test_contract(case: Case, check: Callable[[Case], None]) -> None:
    check(case)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_contract_on_a_gpu(case: Case) -> None:
    checks.runs_on(case, torch.device("cuda"))


def test_every_public_module_and_tensor_function_has_a_case(running_card: Card) -> None:
    needed, covered = set(_targets(running_card)), {case.target for case in cases_of(running_card)}
    file = cases_file(running_card).relative_to(TESTS.parent)
    missing = sorted(target.__name__ for target in needed - covered)
    assert not missing, f"{file} has no case of {', '.join(missing)}"
    extra = sorted(target.__name__ for target in covered - needed)
    assert not extra, f"{file} has cases of {', '.join(extra)}, which {running_card.module} does not hand on"


def test_every_parameter_is_varied(running_card: Card) -> None:
    cases = cases_of(running_card)
    constant = [
        f"{target.__name__}({name}=)"
        for target in _targets(running_card)
        for name in constant_parameters(target, cases, inputs=len(_tensor_parameters(target)))
    ]
    assert not constant, f"no two cases of {cases_file(running_card).name} differ in {', '.join(constant)}"


def test_cases_have_names_of_their_own(running_card: Card) -> None:
    names = [str(case) for case in cases_of(running_card)]
    assert len(set(names)) == len(names)


def _targets(card: Card) -> list[Callable[..., Any]]:
    """The public modules, and the public functions that take tensors."""
    package = importlib.import_module(card.module)
    names = [getattr(package, name) for name in package.__all__]
    return [
        public
        for public in names
        if (isinstance(public, type) and issubclass(public, nn.Module))
        or (inspect.isfunction(public) and _tensor_parameters(public))
    ]


def _tensor_parameters(target: Callable[..., Any]) -> list[str]:
    """The parameters of a function that are inputs; those of a module are its ``forward``'s, not the constructor's."""
    if isinstance(target, type):
        return []
    hints = typing.get_type_hints(target)
    return [name for name, hint in hints.items() if name != "return" and _mentions_tensor(hint)]


def _mentions_tensor(hint: Any) -> bool:
    return hint is Tensor or any(_mentions_tensor(part) for part in typing.get_args(hint))
