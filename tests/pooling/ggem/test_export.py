"""ONNX Runtime against eager mode, for batches and numbers of tokens that the export has not seen."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from cenote.pooling import GeM, GGeM

LAYERS: dict[str, GGeM] = {
    "groups": GGeM(6, 3, (0.5, 2.0, 8.0)),
    "maximum": GeM(torch.inf, learn_p=False),
    "negative exponent": GGeM(6, 2, -2.0, eps=1e-2, allow_negative_p=True),
    "shift": GGeM(6, 2, negative="shift"),
    "signed": GGeM(6, 2, negative="signed", parametrization="softplus"),
}


def tokens(batch: int, count: int) -> Tensor:
    return torch.randn(batch, count, 6, generator=torch.Generator().manual_seed(count))


def session(layer: GGeM, file: Path, *example: Tensor) -> Any:
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("tokens")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own deprecations
        import onnxruntime

        torch.onnx.export(
            layer.eval(), example, file, dynamo=True, dynamic_shapes=(sizes,) * len(example), verbose=False
        )
        return onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("name", LAYERS)
def test_onnx_runtime_gives_what_eager_mode_gives(name: str, tmp_path: Path) -> None:
    exported = session(LAYERS[name], tmp_path / "pool.onnx", tokens(2, 5))
    for x in (tokens(1, 3), tokens(4, 9)):
        (out,) = exported.run(None, {exported.get_inputs()[0].name: x.numpy()})
        np.testing.assert_allclose(out, LAYERS[name](x).detach().numpy(), rtol=1e-5, atol=1e-6)


def test_a_mask_is_an_input_of_the_exported_layer(tmp_path: Path) -> None:
    layer, mask = LAYERS["groups"], torch.rand(3, 7, generator=torch.Generator().manual_seed(0)) > 0.4
    mask[:, 0] = True
    exported = session(layer, tmp_path / "pool.onnx", tokens(2, 5), torch.ones(2, 5, dtype=torch.bool))
    names = [each.name for each in exported.get_inputs()]
    (out,) = exported.run(None, dict(zip(names, (tokens(3, 7).numpy(), mask.numpy()), strict=True)))
    np.testing.assert_allclose(out, layer(tokens(3, 7), mask).detach().numpy(), rtol=1e-5, atol=1e-6)
    assert not np.allclose(out, layer(tokens(3, 7)).detach().numpy(), atol=1e-3)
