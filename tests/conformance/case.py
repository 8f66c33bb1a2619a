"""What a paper's ``conformance_cases.py`` lists: its public modules and tensor functions, with arguments and inputs.

The contract that every case is held to stands in ``checks.py``. A paper that runs has
``tests/<shelf>/<paper>/conformance_cases.py`` with ``CASES``, a tuple of ``Case``; nothing else has to be written.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from cenote.catalog.card import Card

TESTS = Path(__file__).resolve().parent.parent

Inputs = Callable[[int], tuple[Tensor, ...]]
"""Returns the inputs for a batch of this size: equal ones for equal sizes, floating-point ones in float64."""


@dataclass(frozen=True)
class Case:
    """A public module or tensor function with arguments and inputs."""

    name: str
    """What the case varies; unique among the cases of its target."""
    target: Callable[..., Any]
    """The public name: a subclass of ``nn.Module``, or a function whose first arguments are the inputs."""
    inputs: Inputs
    """Small: every entry is differentiated numerically."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """Keyword arguments of the constructor or the function. Each parameter takes two values over the cases."""
    float32_tolerance: float = 1e-5
    """Largest distance of float32 from float64, relative to the largest value (or to 1)."""
    bfloat16_tolerance: float = 2**-6
    """Largest distance of bfloat16 from float32 at the same input, relative likewise; one rounding is 2⁻⁸."""
    nan: Literal["propagates", "refused", "ignored"] = "propagates"
    """What a NaN that is read does: reaches the output of its sample, raises an ArgumentError, or does not reach it."""
    differentiable: bool = True
    widens: bool = False
    """Whether half precision comes out as float32, as of a function that counts."""
    batched: bool = True
    """Whether dimension 0 of inputs and outputs is a batch whose samples do not see each other."""

    def __str__(self) -> str:
        return f"{self.target.__name__}-{self.name}"

    def build(self, dtype: torch.dtype = torch.float32, seed: int = 0) -> nn.Module:
        """Return the module in eval mode, its weights drawn under a seed; a function is wrapped in one."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            is_module = isinstance(self.target, type)
            module: nn.Module = self.target(**self.arguments) if is_module else _Function(self.target, self.arguments)
        return module.to(dtype).eval()

    def make_inputs(self, batch: int = 2, dtype: torch.dtype = torch.float32) -> tuple[Tensor, ...]:
        """Return the inputs, the floating-point ones in this dtype."""
        return tuple(x.to(dtype) if x.is_floating_point() else x for x in self.inputs(batch))


class _Function(nn.Module):
    """A function as a module without weights, so that both are held to one contract."""

    def __init__(self, function: Callable[..., Any], arguments: Mapping[str, Any]) -> None:
        super().__init__()
        self.function = function
        self.arguments = dict(arguments)

    def forward(self, *inputs: Tensor) -> Any:
        return self.function(*inputs, **self.arguments)


def normal(*shape: int) -> Inputs:
    """Inputs of one tensor (batch, *shape) of standard normal values; sample i is the same in every batch size."""

    def make(batch: int) -> tuple[Tensor, ...]:
        samples = [
            torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(index))
            for index in range(batch)
        ]
        return (torch.stack(samples) if samples else torch.empty(0, *shape, dtype=torch.float64),)

    return make


def cases_of(card: Card) -> tuple[Case, ...]:
    """Return the cases of a paper; none where it has no ``conformance_cases.py``, which the contract then says."""
    if not cases_file(card).is_file():
        return ()
    cases = importlib.import_module(f"tests.{card.shelf}.{card.folder}.conformance_cases").CASES
    assert all(isinstance(case, Case) for case in cases)
    return tuple(cases)


def cases_file(card: Card) -> Path:
    """Return where the cases of a paper are listed."""
    return TESTS / card.shelf / card.folder / "conformance_cases.py"


def constant_parameters(target: Callable[..., Any], cases: Iterable[Case], inputs: int) -> list[str]:
    """Return the parameters of a target to which its cases give fewer than two values, defaults among them.

    The first ``inputs`` parameters of a function are its inputs and do not count.
    """
    parameters = list(inspect.signature(target).parameters.values())[inputs:]
    named = [p for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
    mine = [case for case in cases if case.target is target]
    return [p.name for p in named if len({repr(case.arguments.get(p.name, p.default)) for case in mine}) < 2]
