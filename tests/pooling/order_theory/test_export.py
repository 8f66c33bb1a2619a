"""torch.compile, torch.export and ONNX against eager mode, and torch's own checks of the operators."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from cenote.pooling.order_theory import NonNegativeInputWarning, Poset, PosetPool2d, operators, poset_pool2d

N = Poset.from_hasse("1<2>3<4")


@contextmanager
def others_warnings_ignored() -> Iterator[None]:
    """torch's compiler and exporter warn of their own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", NonNegativeInputWarning)
        yield


@pytest.fixture(autouse=True)
def forget_compiled_code() -> Iterator[None]:
    yield
    torch.compiler.reset()


def signed(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def network() -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3, padding=1),
            PosetPool2d("N"),
            nn.Conv2d(6, 4, 3),
            PosetPool2d(Poset.chain(6), (2, 3), 1, (1, 0), ceil_mode=False, scale=0.5),
        )


def value_and_gradient(model: nn.Module, x: Tensor) -> tuple[Tensor, Tensor]:
    leaf = x.clone(memory_format=torch.preserve_format).requires_grad_()
    out = model(leaf)
    (flow,) = torch.autograd.grad(out.square().sum(), leaf)
    return out, flow


# --- torch.compile ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_compiled_network_is_one_graph_and_equals_eager(memory_format: torch.memory_format) -> None:
    model, x = network(), signed(2, 3, 9, 12).contiguous(memory_format=memory_format)
    with others_warnings_ignored():
        compiled_results = value_and_gradient(torch.compile(model, fullgraph=True, backend="aot_eager"), x)
    for ours, eager in zip(compiled_results, value_and_gradient(model, x), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-5, atol=1e-6)
        assert ours.stride() == eager.stride()


def test_one_compiled_graph_serves_maps_of_every_size() -> None:
    layer, graphs = PosetPool2d("N", stride=1, padding=1), []

    def count(graph: torch.fx.GraphModule, _: list[Tensor]) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    compiled = torch.compile(layer, fullgraph=True, backend=count, dynamic=True)
    for shape in ((2, 3, 6, 8), (4, 5, 7, 5), (3, 2, 9, 9)):
        x = signed(*shape)
        with others_warnings_ignored():
            assert torch.equal(compiled(x), poset_pool2d(x, "N", stride=1, padding=1))
    assert len(graphs) == 1


def test_the_function_compiles_with_every_kind_of_poset() -> None:
    x = signed(1, 2, 5, 6)
    for poset in ("N", 12, "1<2>3<4", N):
        with others_warnings_ignored():
            compiled = torch.compile(lambda x, poset=poset: poset_pool2d(x, poset), fullgraph=True, backend="eager")
            assert torch.equal(compiled(x), poset_pool2d(x, "N"))


def test_a_compiled_layer_does_not_look_at_its_input() -> None:
    layer = PosetPool2d(stride=1)
    with others_warnings_ignored():  # its own warning is an error here
        assert torch.compile(layer, fullgraph=True, backend="eager")(torch.ones(1, 1, 2, 2)).item() == 4
    with pytest.warns(NonNegativeInputWarning):
        layer(torch.ones(1, 1, 2, 2))


@pytest.mark.slow
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_inductor_equals_eager(memory_format: torch.memory_format) -> None:
    model = network()
    x = signed(2, 3, 12, 14).contiguous(memory_format=memory_format)
    with others_warnings_ignored():
        compiled_results = value_and_gradient(torch.compile(model, fullgraph=True), x)
    for ours, eager in zip(compiled_results, value_and_gradient(model, x), strict=True):
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-5)


# --- the operators ------------------------------------------------------------------------------------------------


def test_torch_finds_no_fault_with_the_operators() -> None:
    """Schema, derivative registration, shapes on fake tensors, and tracing, for static and dynamic shapes."""
    up_sets = list(N.up_set_masks())
    square, strip = [2, 2], [1, 4]
    last = signed(2, 3, 4, 4).contiguous(memory_format=torch.channels_last)
    masks = torch.randint(0, 16, (2, 3, 2, 2), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    with others_warnings_ignored():
        for x in (signed(2, 3, 4, 4).requires_grad_(), last.requires_grad_()):
            torch.library.opcheck(operators._pool, (x, up_sets, square, square, True))
        torch.library.opcheck(operators._pool, (signed(1, 2, 3, 8), up_sets, strip, strip, False))
        torch.library.opcheck(operators._scatter, (signed(2, 3, 2, 2).requires_grad_(), masks, square, square, 4, 5))
        torch.library.opcheck(operators._gather, (signed(2, 3, 4, 4).requires_grad_(), masks, square, square))


# --- export -------------------------------------------------------------------------------------------------------


def test_an_exported_program_has_only_torchs_operators_and_a_free_batch() -> None:
    model = network().eval()
    x = signed(3, 3, 12, 14)
    with others_warnings_ignored():
        program = torch.export.export(model, (x,), dynamic_shapes=({0: torch.export.Dim("batch", min=1)},))
    called = {str(node.target) for node in program.graph.nodes if node.op == "call_function"}
    assert called
    assert not any(name.startswith("cenote") for name in called)
    for batch in (1, 7):
        x = signed(batch, 3, 12, 14, seed=batch)
        torch.testing.assert_close(program.module()(x), model(x), rtol=1e-5, atol=1e-6)


def test_onnx_runtime_gives_what_eager_mode_gives(tmp_path: Path) -> None:
    with others_warnings_ignored():
        import onnxruntime

        model = network().eval()
        file = tmp_path / "poset.onnx"
        batch = torch.export.Dim("batch", min=1)
        torch.onnx.export(model, (signed(3, 3, 9, 11),), file, dynamo=True, dynamic_shapes=({0: batch},), verbose=False)
        session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (name,) = (value.name for value in session.get_inputs())
    for batch_size in (1, 4):
        x = signed(batch_size, 3, 9, 11, seed=batch_size)
        (out,) = session.run(None, {name: x.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(out, model(x).numpy(), rtol=1e-4, atol=1e-5)


# --- torch.fx -----------------------------------------------------------------------------------------------------


def test_a_model_can_be_traced_and_its_features_taken_out() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), PosetPool2d("N", padding=1), nn.ReLU())
    x = signed(2, 3, 7, 8)
    expected = model(x)
    assert torch.equal(torch.fx.symbolic_trace(model)(x), expected)
    features = create_feature_extractor(model, {"1": "pooled"})(x)["pooled"]
    assert torch.equal(torch.relu(features), expected)


def test_the_function_can_be_traced() -> None:
    class Pooling(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return poset_pool2d(x, "diamond", scale=0.25)

    x = signed(1, 2, 6, 6)
    assert torch.equal(torch.fx.symbolic_trace(Pooling())(x), Pooling()(x))
