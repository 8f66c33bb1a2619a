"""The contract of a public module or tensor function: one function a clause, which raises where it is broken.

``test_methods.py`` holds every case of every paper to every clause; ``test_checks.py`` shows that each clause catches a
module that breaks it.
"""

from __future__ import annotations

import copy
import pickle
import random
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from cenote.errors import ArgumentError
from tests.conformance.case import Case

BATCH = 3
FAR = 1e3
"""A value far outside a standard normal sample, on either side."""


def state_dict_round_trips(case: Case) -> None:
    """A module that loads another's state, strictly, gives the other's output."""
    source, target = case.build(seed=0), case.build(seed=1)
    target.load_state_dict(source.state_dict(), strict=True)
    _assert_equal(_forward(target, case.make_inputs()), _forward(source, case.make_inputs()), "after load_state_dict")


def copies_and_pickles(case: Case) -> None:
    """A deep copy and a pickled module, taken after a forward pass, give the same output."""
    module = case.build()
    expected = _forward(module, case.make_inputs())
    _assert_equal(_forward(copy.deepcopy(module), case.make_inputs()), expected, "of a deep copy")
    _assert_equal(_forward(pickle.loads(pickle.dumps(module)), case.make_inputs()), expected, "of a pickled module")


def is_deterministic(case: Case) -> None:
    """Equal seeds give equal weights, outputs and gradients, in training mode too."""
    for training in (False, True):
        first, second = (_seeded_pass(case, training) for _ in range(2))
        _assert_equal(first[0], second[0], "of a second module with the same seed")
        _assert_equal(first[1], second[1], "of a second module with the same seed (gradients)")


def leaves_the_world_alone(case: Case) -> None:
    """In eval mode neither inputs nor the global random states of torch, numpy and Python change."""
    module, inputs = case.build(), case.make_inputs()
    before = (_random_states(), [x.clone() for x in inputs])
    _pass(case, module, inputs)
    _assert_equal([x.detach() for x in inputs], before[1], "its inputs, which were changed in place")
    assert _random_states() == before[0], "a forward and backward pass drew from a global random generator"


def gradients_are_right(case: Case) -> None:
    """In float64 the gradients of inputs and weights equal central differences; what has none says so."""
    module, inputs = case.build(torch.float64), case.make_inputs(dtype=torch.float64)
    if not case.differentiable:
        outputs = _outputs(module(*(_leaf(x) for x in inputs)))
        assert not any(out.requires_grad for out in outputs), "declared as not differentiable, but an output is"
        return
    names = [name for name, _ in module.named_parameters()]
    weights = [weight.detach().clone().requires_grad_() for weight in module.parameters()]

    def function(*tensors: Tensor) -> tuple[Tensor, ...]:
        state = dict(zip(names, tensors, strict=False))
        outputs = _outputs(functional_call(module, state, tensors[len(names) :]))
        return tuple(out for out in outputs if out.is_floating_point())

    leaves = [_leaf(x) for x in inputs]
    assert any(out.requires_grad for out in function(*weights, *leaves)), "no output depends on a float input"
    assert torch.autograd.gradcheck(function, (*weights, *leaves), eps=1e-6, atol=1e-6, rtol=1e-4)


def float32_is_close_to_float64(case: Case) -> None:
    """float32 gives float32, near what float64 gives at the same input and weights."""
    narrow = case.build()
    wide = copy.deepcopy(narrow).double()
    inputs = case.make_inputs()
    _assert_close(
        _pass(case, narrow, inputs), _pass(case, wide, _cast(inputs, torch.float64)), case.float32_tolerance, "float32"
    )


def bfloat16_works(case: Case) -> None:
    """bfloat16 gives bfloat16 (float32 if so declared), forward and backward, finite and near what float32 gives."""
    narrow = case.build(torch.bfloat16)
    wide = copy.deepcopy(narrow).float()
    inputs = case.make_inputs(dtype=torch.bfloat16)
    actual = _pass(case, narrow, inputs)
    for tensor in (*actual[0], *actual[1]):
        assert not tensor.is_floating_point() or tensor.isfinite().all(), "bfloat16 gave a value that is not finite"
        expected = torch.float32 if case.widens else torch.bfloat16
        assert tensor.dtype is expected or not tensor.is_floating_point(), f"bfloat16 became {tensor.dtype}"
    _assert_close(actual, _pass(case, wide, _cast(inputs, torch.float32)), case.bfloat16_tolerance, "bfloat16")


def empty_batch_works(case: Case) -> None:
    """A batch of no samples gives no samples of the same shape, and gradients that are empty or zero."""
    if not case.batched:
        return
    module = case.build()
    some, none = (_pass(case, module, case.make_inputs(batch)) for batch in (2, 0))
    assert len(some[0]) == len(none[0]), "an empty batch gives another number of outputs"
    for full, empty in zip(some[0], none[0], strict=True):
        assert empty.shape == (0, *full.shape[1:]), f"an empty batch gives {tuple(empty.shape)}, not (0, …)"
        assert empty.dtype is full.dtype, f"an empty batch gives {empty.dtype}, not {full.dtype}"
    assert not any(gradient.count_nonzero() for gradient in none[1]), "an empty batch has a gradient that is not zero"


def samples_are_independent(case: Case) -> None:
    """A batch gives what its samples give, each as a batch of one."""
    if not case.batched:
        return
    module, inputs = case.build(), case.make_inputs(BATCH)
    singles = [_forward(module, tuple(x[index : index + 1] for x in inputs)) for index in range(BATCH)]
    together = [torch.cat(parts) for parts in zip(*singles, strict=True)]
    _assert_close(
        (_forward(module, inputs), []), (together, []), case.float32_tolerance, "a batch, against its samples"
    )


def nan_follows_the_policy(case: Case) -> None:
    """NaN in an entry that is read reaches its own sample's output, is refused, or reaches nothing, as declared."""
    module, inputs = case.build(), case.make_inputs()
    clean = _forward(module, inputs)
    reading = 0
    for position, entry in _entries_of_first_sample(case, inputs):
        if not any(_differs(_forward(module, _with(inputs, position, entry, far)), clean) for far in (FAR, -FAR)):
            continue  # outside of every window, or masked
        reading += 1
        where = f"NaN in entry {entry} of input {position}"
        damaged = _with(inputs, position, entry, float("nan"))
        if case.nan == "refused":
            assert _refuses(module, damaged), f"{where} is not refused by an ArgumentError"
            continue
        outputs = _forward(module, damaged)
        found = any(out.isnan().any() for out in outputs if out.is_floating_point())
        assert found == (case.nan == "propagates"), f"{where} {'is not seen in' if not found else 'reaches'} the output"
        if case.batched:
            _assert_equal([out[1:] for out in outputs], [out[1:] for out in clean], f"of other samples, with {where}")
    assert reading, "no entry of a float input changes the output"


def channels_last_works(case: Case) -> None:
    """4-d inputs in channels-last give the same values; 4-d outputs keep that memory format."""
    module, inputs = case.build(), case.make_inputs()
    if not any(x.dim() == 4 for x in inputs):
        return
    expected = _pass(case, module, inputs)
    last = tuple(x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in inputs)
    actual = _pass(case, module.to(memory_format=torch.channels_last), last)
    for out in actual[0]:
        kept = out.dim() != 4 or out.is_contiguous(memory_format=torch.channels_last)
        assert kept, f"channels-last input gives an output with strides {out.stride()}"
    _assert_close(actual, expected, case.float32_tolerance, "channels-last")


def compiles(case: Case) -> None:
    """``torch.compile`` takes the module as one graph, with its gradients."""
    module, inputs = case.build(), case.make_inputs()
    expected = _pass(case, module, inputs)
    torch._dynamo.reset()
    try:
        compiled = case.build()
        compiled.compile(backend="aot_eager", fullgraph=True)
        _assert_close(_pass(case, compiled, inputs), expected, case.float32_tolerance, "the compiled module")
    finally:
        torch._dynamo.reset()


def switches_modes(case: Case) -> None:
    """``train`` and ``eval`` reach every submodule, training mode runs, and eval mode is unchanged by the detour."""
    module, inputs = case.build(), case.make_inputs()
    expected = _forward(module, inputs)
    module.train()
    assert all(part.training for part in module.modules()), "train() does not reach every submodule"
    shapes = [out.shape for out in _forward(copy.deepcopy(module), inputs)]
    assert shapes == [out.shape for out in expected], f"training mode gives the shapes {shapes}"
    module.eval()
    assert not any(part.training for part in module.modules()), "eval() does not reach every submodule"
    _assert_equal(_forward(module, inputs), expected, "after train() and eval()")


CHECKS: tuple[Callable[[Case], None], ...] = (
    state_dict_round_trips,
    copies_and_pickles,
    is_deterministic,
    leaves_the_world_alone,
    gradients_are_right,
    float32_is_close_to_float64,
    bfloat16_works,
    empty_batch_works,
    samples_are_independent,
    nan_follows_the_policy,
    channels_last_works,
    compiles,
    switches_modes,
)


def runs_on(case: Case, device: torch.device) -> None:
    """A device gives what the CPU gives, forward and backward. Not among the checks: it needs the device."""
    inputs = case.make_inputs()
    actual = _pass(case, case.build().to(device), tuple(x.to(device) for x in inputs))
    assert all(tensor.device.type == device.type for part in actual for tensor in part), f"left {device}"
    outputs, gradients = ([tensor.cpu() for tensor in part] for part in actual)
    _assert_close((outputs, gradients), _pass(case, case.build(), inputs), case.float32_tolerance, f"on {device}")


# --- running a module ---------------------------------------------------------------------------------------------

Tensors = Sequence[Tensor]


def _pass(case: Case, module: nn.Module, inputs: Tensors) -> tuple[list[Tensor], list[Tensor]]:
    """Outputs, and the gradients of inputs and weights for a fixed random cotangent (none if not differentiable)."""
    leaves = [_leaf(x) for x in inputs]
    outputs = _outputs(module(*leaves))
    if not case.differentiable:
        return outputs, []
    wanted = [tensor for tensor in (*leaves, *module.parameters()) if tensor.requires_grad]
    flowing = [out for out in outputs if out.requires_grad]
    assert flowing, "no output has a gradient; if that is right, the case says differentiable=False"
    cotangents = [_cotangent(out) for out in flowing]
    gradients = torch.autograd.grad(flowing, wanted, cotangents, allow_unused=True, materialize_grads=True)
    return [out.detach() for out in outputs], list(gradients)


def _forward(module: nn.Module, inputs: Tensors) -> list[Tensor]:
    with torch.no_grad():
        return _outputs(module(*inputs))


def _outputs(value: Any) -> list[Tensor]:
    """The tensors of an output, which is a tensor or a tuple, list or mapping of outputs; None has none."""
    if isinstance(value, Tensor):
        return [value]
    if value is None:
        return []
    assert isinstance(value, tuple | list | dict), f"an output is {type(value).__name__}, not made of tensors"
    parts = value.values() if isinstance(value, dict) else value
    return [tensor for part in parts for tensor in _outputs(part)]


def _leaf(x: Tensor) -> Tensor:
    return x.detach().requires_grad_() if x.is_floating_point() else x


def _cotangent(out: Tensor) -> Tensor:
    values = torch.randn(out.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    # Representable in bfloat16, so that all dtypes are given the same one.
    return values.bfloat16().to(out.device, out.dtype)


def _cast(inputs: Tensors, dtype: torch.dtype) -> tuple[Tensor, ...]:
    return tuple(x.to(dtype) if x.is_floating_point() else x for x in inputs)


def _seeded_pass(case: Case, training: bool) -> tuple[list[Tensor], list[Tensor]]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return _pass(case, case.build().train(training), case.make_inputs())


def _random_states() -> tuple[bytes, ...]:
    states = (np.random.get_state(), random.getstate())  # noqa: NPY002  # the global state is what is looked at
    return (torch.get_rng_state().numpy().tobytes(), *(pickle.dumps(state) for state in states))


def _entries_of_first_sample(case: Case, inputs: Tensors) -> Iterator[tuple[int, tuple[int, ...]]]:
    for position, x in enumerate(inputs):
        if x.is_floating_point():
            sample = x[:1] if case.batched else x
            yield from ((position, tuple(entry)) for entry in np.ndindex(*sample.shape))


def _with(inputs: Tensors, position: int, entry: tuple[int, ...], value: float) -> tuple[Tensor, ...]:
    changed = [x.clone() for x in inputs]
    changed[position][entry] = value
    return tuple(changed)


def _refuses(module: nn.Module, inputs: Tensors) -> bool:
    try:
        _forward(module, inputs)
    except ArgumentError:
        return True
    return False


# --- comparing ----------------------------------------------------------------------------------------------------


def _differs(actual: Tensors, expected: Tensors) -> bool:
    return any(not torch.equal(a, b) for a, b in zip(actual, expected, strict=True))


def _assert_equal(actual: Tensors, expected: Tensors, what: str) -> None:
    assert not _differs(actual, expected), f"not equal: the output {what}"


def _assert_close(
    actual: tuple[Tensors, Tensors], expected: tuple[Tensors, Tensors], tolerance: float, what: str
) -> None:
    """Compare outputs and gradients, as (outputs, gradients), relative to the largest expected value (or to 1)."""
    for part, mine, others in zip(("output", "gradient"), actual, expected, strict=True):
        for index, (a, b) in enumerate(zip(mine, others, strict=True)):
            where = f"{what}: {part} {index}"
            assert a.shape == b.shape, f"{where} has shape {tuple(a.shape)}, expected {tuple(b.shape)}"
            if a.numel():
                scale = max(1.0, b.double().abs().max().item())
                distance = (a.double() - b.double()).abs().max().item() / scale
                assert distance <= tolerance, f"{where} is off by {distance:.2e}, more than {tolerance:.2e}"
