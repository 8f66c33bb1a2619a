"""torch.compile, torch.export and ONNX Runtime against eager mode, for batches and sizes the export has not seen."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from cenote.pooling import MetaFormerBlock, PoolFormer, PosetPool2d

ANY_SIZE = ({0: torch.export.Dim.DYNAMIC, 2: torch.export.Dim.DYNAMIC, 3: torch.export.Dim.DYNAMIC},)
ANY_BATCH = ({0: torch.export.Dim("batch", min=1)},)


class Turned(nn.Module):
    """A mixer of one's own, with a weight a channel."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(dim, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * x.roll(1, 2)


ONE_SIZE: dict[str, dict[str, Any]] = {
    "hybrid": {"mixer": ("pool", "attention"), "norm": ("gn1", "ln"), "positions": (False, True), "head_dim": 4},
    "random": {"mixer": "random"},
    "spatial": {"mixer": "spatial", "norm": "bn"},
    "own": {"mixer": Turned},
    "poset": {"mixer": PosetPool2d("chain", 3, 1, 1, scale=1 / 9)},
}
"""Networks whose weights or arithmetic are those of one height and width, or that are exported for one here."""


@contextmanager
def others_warnings_ignored() -> Iterator[None]:
    """torch's compiler and exporter warn of their own deprecations."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@pytest.fixture(autouse=True)
def forget_compiled_code() -> Iterator[None]:
    yield
    torch.compiler.reset()


def network(**options: Any) -> PoolFormer:
    """With weights of a size at which every part of the network counts."""
    arguments: dict[str, Any] = {"patch": (2, 2, 0), "layer_scale": 0.5, **options}
    model = PoolFormer((1, 1), (4, 8), 3, **arguments).eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.normal_(std=0.5)
    return model


def exported(model: nn.Module, x: Tensor, shapes: tuple[dict[int, Any], ...]) -> nn.Module:
    with others_warnings_ignored():
        return torch.export.export(model, (x,), dynamic_shapes=shapes).module()


def session(model: nn.Module, x: Tensor, file: Path, shapes: tuple[dict[int, Any], ...]) -> Any:
    with others_warnings_ignored():
        import onnxruntime

        torch.onnx.export(model, (x,), file, dynamo=True, dynamic_shapes=shapes, verbose=False)
        return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


@torch.no_grad()
def check(exported: Any, model: nn.Module, x: Tensor) -> None:
    """Hold an ONNX session to the model."""
    expected = model(x)
    outputs = exported.run(None, {exported.get_inputs()[0].name: x.numpy()})
    for out, eager in zip(outputs, expected if isinstance(expected, tuple) else (expected,), strict=True):
        np.testing.assert_allclose(out, eager.numpy(), rtol=1e-4, atol=1e-4)


# --- torch.export -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gradients", [pytest.param(True, marks=pytest.mark.slow), False])
def test_an_exported_network_takes_images_of_any_size(gradients: bool) -> None:
    """With and without gradients, since without them the hidden values are overwritten."""
    model = network()
    with torch.set_grad_enabled(gradients):
        program = exported(model, torch.randn(3, 3, 24, 32), ANY_SIZE)
    for shape in ((1, 3, 24, 40), (2, 3, 33, 27)):
        x = torch.randn(shape)
        before = x.clone()
        torch.testing.assert_close(program(x), model(x), rtol=1e-5, atol=1e-5)
        assert torch.equal(x, before)


def test_an_exported_block_is_the_block() -> None:
    block = MetaFormerBlock(4, Turned, layer_scale=0.5).eval()
    program = exported(block, torch.randn(3, 4, 6, 5), ANY_BATCH)
    for batch in (1, 7):
        x = torch.randn(batch, 4, 6, 5)
        torch.testing.assert_close(program(x), block(x), rtol=1e-5, atol=1e-6)
    assert "token_mixer.weight" in program.state_dict()


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_SIZE)
def test_networks_of_one_size_are_exported_too(name: str) -> None:
    model = network(image_size=(24, 32), **ONE_SIZE[name])
    program = exported(model, torch.randn(3, 3, 24, 32), ANY_BATCH)
    for batch in (1, 5):
        x = torch.randn(batch, 3, 24, 32)
        torch.testing.assert_close(program(x), model(x), rtol=1e-5, atol=1e-5)


# --- ONNX ---------------------------------------------------------------------------------------------------------


def test_onnx_runtime_pools_maps_of_any_size(tmp_path: Path) -> None:
    """Borders included: the file's AveragePool must leave padding out of its means."""
    block = MetaFormerBlock(4, mlp_ratio=None, layer_scale=1.0).eval()
    runtime = session(block, torch.randn(3, 4, 6, 5), tmp_path / "block.onnx", ANY_SIZE)
    for shape in ((1, 4, 5, 8), (2, 4, 3, 2)):
        check(runtime, block, torch.randn(shape))


@pytest.mark.slow
def test_onnx_runtime_gives_the_maps_of_all_stages_at_any_size(tmp_path: Path) -> None:
    model = network(features_only=True)
    runtime = session(model, torch.randn(3, 3, 24, 32), tmp_path / "poolformer.onnx", ANY_SIZE)
    for shape in ((1, 3, 24, 40), (2, 3, 33, 27)):
        check(runtime, model, torch.randn(shape))


@pytest.mark.slow
@pytest.mark.parametrize("name", ONE_SIZE)
def test_onnx_runtime_gives_what_eager_mode_gives(name: str, tmp_path: Path) -> None:
    model = network(image_size=(24, 32), **ONE_SIZE[name])
    runtime = session(model, torch.randn(3, 3, 24, 32), tmp_path / "poolformer.onnx", ANY_BATCH)
    for batch in (1, 4):
        check(runtime, model, torch.randn(batch, 3, 24, 32))


# --- torch.compile ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["own", pytest.param("hybrid", marks=pytest.mark.slow)])
def test_a_compiled_network_is_one_graph_with_the_gradients_of_eager_mode(name: str) -> None:
    model, x = network(image_size=(24, 32), **ONE_SIZE[name]), torch.randn(2, 3, 24, 32)
    weights = list(model.parameters())
    with others_warnings_ignored():
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        outputs = compiled(x), model(x)
    torch.testing.assert_close(*outputs, rtol=1e-5, atol=1e-5)
    gradients = [torch.autograd.grad(out.square().sum(), weights) for out in outputs]
    for ours, eager in zip(*gradients, strict=True):
        scale = max(1.0, float(eager.abs().max()))
        torch.testing.assert_close(ours, eager, rtol=1e-4, atol=1e-5 * scale)
