"""The contract's clauses catch what they are there for: each is given modules that break it, and some that do not."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd.gradcheck import GradcheckError

from cenote.errors import ArgumentError
from tests.conformance import checks
from tests.conformance.case import Case, constant_parameters, normal


class Kept(nn.Module):
    """Keeps the contract though it has weights, a mode and an output with two parts."""

    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        self.mix = nn.Conv2d(channels, channels, 3, padding=1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        mixed = self.drop(self.mix(x))
        return mixed, {"mean": mixed.mean((1, 2, 3))}


class ForgetsState(Kept):
    def __init__(self) -> None:
        super().__init__()
        self.shift = torch.randn(1)  # neither a parameter nor a buffer

    def forward(self, x: Tensor) -> Any:
        return self.mix(x) + self.shift.to(x.dtype)


class HoldsLambda(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.twice: Callable[[Tensor], Tensor] = lambda x: x * 2

    def forward(self, x: Tensor) -> Tensor:
        return self.twice(x)


class Counts(nn.Module):
    """Gives another output at every call of any instance."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        Counts.calls += 1
        return x * Counts.calls


class KeepsMode(nn.Module):
    def train(self, mode: bool = True) -> KeepsMode:
        return self

    def forward(self, x: Tensor) -> Tensor:
        return x * 2


class WrongGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x * 2

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * 3


def changes_in_place(x: Tensor) -> Tensor:
    with torch.no_grad():
        x.mul_(2)
    return x * 1


def draws(x: Tensor) -> Tensor:
    random.random()
    return x * 1


def widens(x: Tensor) -> Tensor:
    return x.double()


def coarse(x: Tensor) -> Tensor:
    return x + 1e4 - 1e4


def overflows(x: Tensor) -> Tensor:
    return x * 1e30 * 1e30


def normalises_over_batch(x: Tensor) -> Tensor:
    return x - x.mean(0, keepdim=True)


def drops_batch_when_empty(x: Tensor) -> Tensor:
    return x.sum((1, 2, 3)) if len(x) else x.sum().reshape(1)


def mends_nan(x: Tensor) -> Tensor:
    return torch.nan_to_num(x)


def loses_late_nan(x: Tensor) -> Tensor:
    """A running maximum with ``>``, in which NaN stays only if it comes first."""
    best, *others = x.flatten(1).unbind(1)
    for value in others:
        best = torch.where(value > best, value, best)
    return best


def refuses_nan(x: Tensor) -> Tensor:
    if x.isnan().any():
        raise ArgumentError("x must not be NaN")
    return x * 2


def makes_contiguous(x: Tensor) -> Tensor:
    return (x * 2).contiguous(memory_format=torch.contiguous_format)


def reads_storage(x: Tensor) -> Tensor:
    """Takes the memory order for the logical order, as code with raw pointers does."""
    return x.as_strided(x.shape, (x.shape[1] * 9, 9, 3, 1)).flatten(1) * 2


def breaks_graph(x: Tensor) -> Tensor:
    torch._dynamo.graph_break()
    return x * 2


def chosen(x: Tensor) -> Tensor:
    return x.flatten(1).argmax(1)


def case(target: Callable[..., Any], **options: Any) -> Case:
    return Case("toy", target, normal(2, 3, 3), **options)


@pytest.mark.parametrize("check", checks.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize(
    "good",
    [
        case(Kept),
        case(mends_nan, nan="ignored"),
        case(chosen, nan="ignored", differentiable=False),
        case(normalises_over_batch, batched=False),
    ],
    ids=str,
)
def test_what_keeps_the_contract_passes(good: Case, check: Callable[[Case], None]) -> None:
    check(good)


def test_refusing_nan_keeps_the_policy_refused() -> None:
    checks.nan_follows_the_policy(case(refuses_nan, nan="refused"))


@pytest.mark.parametrize(
    ("check", "broken", "message"),
    [
        (checks.state_dict_round_trips, case(ForgetsState), "after load_state_dict"),
        (checks.copies_and_pickles, case(Counts), "of a deep copy"),
        (checks.is_deterministic, case(Counts), "same seed"),
        (checks.leaves_the_world_alone, case(changes_in_place), "changed in place"),
        (checks.leaves_the_world_alone, case(draws), "global random generator"),
        (checks.gradients_are_right, case(chosen), "no output depends on"),
        (checks.gradients_are_right, case(Kept, differentiable=False), "declared as not differentiable"),
        (checks.float32_is_close_to_float64, case(coarse), "off by"),
        (checks.bfloat16_works, case(widens), "became torch.float64"),
        (checks.bfloat16_works, case(overflows), "not finite"),
        (checks.bfloat16_works, case(Kept, bfloat16_tolerance=1e-7), "off by"),
        (checks.empty_batch_works, case(drops_batch_when_empty), r"gives \(1,\)"),
        (checks.samples_are_independent, case(normalises_over_batch), "against its samples"),
        (checks.nan_follows_the_policy, case(mends_nan), "not seen in"),
        (checks.nan_follows_the_policy, case(loses_late_nan), r"entry \(0, 0, 0, 1\) of input 0 is not seen"),
        (checks.nan_follows_the_policy, case(Kept, nan="ignored"), "reaches the output"),
        (checks.nan_follows_the_policy, case(Kept, nan="refused"), "not refused"),
        (checks.nan_follows_the_policy, case(normalises_over_batch), "other samples"),
        (checks.channels_last_works, case(makes_contiguous), "strides"),
        (checks.channels_last_works, case(reads_storage), "off by"),
        (checks.switches_modes, case(KeepsMode), "does not reach"),
        (checks.switches_modes, case(Counts), "after train"),
    ],
    ids=lambda value: value.__name__ if callable(value) else str(value) if isinstance(value, Case) else "",
)
def test_what_breaks_a_clause_is_caught(check: Callable[[Case], None], broken: Case, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check(broken)


def test_what_cannot_be_pickled_differentiated_or_traced_is_caught() -> None:
    with pytest.raises(AttributeError, match="pickle"):
        checks.copies_and_pickles(case(HoldsLambda))
    with pytest.raises(GradcheckError):
        checks.gradients_are_right(case(WrongGradient.apply))
    with pytest.raises(torch._dynamo.exc.Unsupported):
        checks.compiles(case(breaks_graph))


def test_a_parameter_that_no_case_varies_is_named() -> None:
    def scaled(x: Tensor, factor: float = 1.0, *, shift: float = 0.0) -> Tensor:
        return x * factor + shift

    cases = [case(scaled), case(scaled, arguments={"factor": 2.0}), case(Kept, arguments={"channels": 2})]
    assert constant_parameters(scaled, cases, inputs=1) == ["shift"]
    assert constant_parameters(Kept, cases, inputs=0) == ["channels"]
