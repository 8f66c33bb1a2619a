"""Weights from state dicts and files: what is read, and what an error says."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling import PoolFormer, load_official_state_dict, load_timm_state_dict


def small(**options: Any) -> PoolFormer:
    return PoolFormer((1, 1), (4, 8), 3, **options)


def state(model: PoolFormer | None = None) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in (model or small()).state_dict().items()}


def equal(model: PoolFormer, expected: dict[str, Tensor]) -> bool:
    return all(torch.equal(tensor, expected[name]) for name, tensor in model.state_dict().items())


@pytest.mark.parametrize("wrap", [lambda tensors: tensors, lambda tensors: {"state_dict": tensors, "epoch": 3}])
@pytest.mark.parametrize("name", ["weights.pth", "weights.pth.tar"])
def test_pickled_files(tmp_path: Path, name: str, wrap: Callable[[dict[str, Tensor]], Any]) -> None:
    torch.save(wrap(state()), tmp_path / name)
    model = small()
    assert load_timm_state_dict(model, tmp_path / name) is model
    assert equal(model, state(model))
    expected = torch.load(tmp_path / name, weights_only=True)
    assert equal(model, expected.get("state_dict", expected))


def test_safetensors_and_names_of_parallel_training(tmp_path: Path) -> None:
    expected = state()
    save_file({f"module.{name}": tensor.contiguous() for name, tensor in expected.items()}, tmp_path / "w.safetensors")
    assert equal(load_timm_state_dict(small(), str(tmp_path / "w.safetensors")), expected)


def test_matrices_of_linear_maps_fit_pointwise_convolutions() -> None:
    expected = state()
    flat = {
        name: tensor.flatten(1) if "mlp.fc" in name and tensor.dim() == 4 else tensor
        for name, tensor in expected.items()
    }
    assert equal(load_timm_state_dict(small(), flat), expected)


def test_a_backbone_leaves_the_classifier_out() -> None:
    expected = state()
    assert equal(load_timm_state_dict(small(features_only=True), expected), expected)


def test_what_does_not_fit_is_listed_and_changes_nothing() -> None:
    model = small()
    before, wrong = state(model), state()
    del wrong["stages.1.downsample.conv.bias"]
    wrong["extra"] = torch.zeros(1)
    wrong["head.fc.weight"] = torch.zeros(5, 8)
    words = (
        "source does not fit the model: missing: stages.1.downsample.conv.bias; unexpected: extra; of another shape: "
        "head.fc.weight (5, 8) instead of (3, 8)"
    )
    with pytest.raises(ArgumentError, match=re.escape(words)):
        load_timm_state_dict(model, wrong)
    assert equal(model, before)


def test_long_lists_are_cut() -> None:
    with pytest.raises(ArgumentError, match=r"missing: head\.fc\.bias, .* and \d+ more$"):
        load_official_state_dict(small(), {})


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "damaged.pth").write_bytes(b"no weights")
    (tmp_path / "damaged.safetensors").write_bytes(b"no weights")
    for name in ("absent.pth", "absent.safetensors", "damaged.pth", "damaged.safetensors"):
        with pytest.raises(ArgumentError, match=rf"source: .*{name} cannot be read \("):
            load_official_state_dict(small(), tmp_path / name)


class Unsafe:
    """Would run code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("code of a weight file was run",))


def test_a_file_cannot_run_code(tmp_path: Path) -> None:
    torch.save({"state_dict": Unsafe()}, tmp_path / "weights.pth")
    with pytest.raises(ArgumentError, match="cannot be read"):
        load_timm_state_dict(small(), tmp_path / "weights.pth")


def test_what_is_no_state(tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "weights.pth")
    with pytest.raises(ArgumentError, match=r"source: .*weights.pth holds no state dict of tensors"):
        load_timm_state_dict(small(), tmp_path / "weights.pth")
    with pytest.raises(ArgumentError, match="the state dict holds no state dict of tensors"):
        load_timm_state_dict(small(), {"epoch": 3})  # type: ignore[dict-item]
    with pytest.raises(ArgumentTypeError, match="source must be a state dict or a path, got int"):
        load_timm_state_dict(small(), 3)  # type: ignore[arg-type]
