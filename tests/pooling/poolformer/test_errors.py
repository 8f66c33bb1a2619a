"""Bad arguments and input get one sentence that names the argument, what came and what is allowed."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling import MetaFormerBlock, PoolFormer, Pooling, poolformer_s12

IMAGES = torch.randn(1, 3, 32, 32)


@pytest.mark.parametrize("size", [0, 2, 4, -1, 3.0])
def test_windows_must_have_a_centre(size: Any) -> None:
    with pytest.raises(ArgumentError, match=f"size must be an odd number from 1, got {size}"):
        Pooling(size)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"mixer": "pooling"}, "mixer must be one of 'pool', 'identity', 'random', 'dwconv', .*got 'pooling'"),
        ({"mixer": "random"}, "'random' is built for maps of one height and width: a network needs image_size"),
        ({"mixer": "spatial"}, "'spatial' is built for maps"),
        ({"mixer": "attention"}, "head_dim must divide the 4 channels of the map, got 32"),
        ({"mixer": "attention", "head_dim": 0}, "head_dim must divide"),
        ({"norm": "layer"}, "norm must be one of 'gn1', 'ln', 'bn', 'none', got 'layer'"),
        ({"pool_size": 4}, "size must be an odd number"),
        ({"mlp_ratio": 0}, "mlp_ratio must give at least one hidden channel of 4, got 0"),
        ({"drop_path": 1.0}, "drop_path must be a probability below 1, got 1.0"),
        ({"dropout": -0.1}, "dropout must be a probability below 1, got -0.1"),
        ({"dim": 0}, "dim must be 1 or more, got 0"),
    ],
)
def test_blocks_that_cannot_be(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        MetaFormerBlock(**{"dim": 4, **arguments})


@pytest.mark.parametrize("mixer", [3, None, lambda: nn.Identity, int])
def test_what_is_no_mixer(mixer: Any) -> None:
    if callable(mixer) and mixer is not int:
        with pytest.raises(TypeError):
            MetaFormerBlock(4, mixer)(torch.randn(1, 4, 3, 3))
        return
    with pytest.raises(ArgumentTypeError, match="mixer must be a name, a module, a class of modules or a function"):
        MetaFormerBlock(4, mixer)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"depths": (1,)}, r"depths and dims must be equally many numbers from 1, got \(1,\) and \(4, 4\)"),
        ({"depths": (1, 0)}, "depths and dims must be"),
        ({"depths": (), "dims": ()}, "depths and dims must be"),
        ({"mixer": ("pool", "pool", "pool")}, "mixer must be one value or 2, one a stage, got 3"),
        ({"norm": ["gn1"]}, "norm must be one value or 2"),
        ({"positions": True}, "image_size must be given where positions are embedded"),
        ({"positions": (True,), "image_size": 32}, "positions must be one value or 2"),
        ({"image_size": (32, 2)}, r"image_size must leave a position in every stage, got \(32, 2\)"),
        ({"num_classes": -1}, "num_classes must be 0 or more"),
        ({"in_channels": 0}, "in_channels 1 or more"),
        ({"patch": (0, 4, 2)}, "patch must be kernel, stride and padding of a convolution"),
        ({"head": "mlp"}, "head must be one of 'official', 'timm', got 'mlp'"),
        ({"drop_path": 1.5}, "drop_path must be a probability below 1"),
    ],
)
def test_networks_that_cannot_be(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        PoolFormer(**{"depths": (1, 1), "dims": (4, 4), **arguments})


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (IMAGES[0], r"x must have four dimensions \(B, C, H, W\), got shape \(3, 32, 32\)"),
        (IMAGES[:, :1], r"x must have 3 channels, got 1 in shape \(1, 1, 32, 32\)"),
        (IMAGES[:, :, :31], r"x must have at least 32 × 32 pixels, the network's stride, got shape \(1, 3, 31, 32\)"),
    ],
)
def test_images_a_network_cannot_take(images: torch.Tensor, words: str) -> None:
    with torch.device("meta"):
        network = poolformer_s12()
    with pytest.raises(ArgumentError, match=words):
        network(images)


@pytest.mark.parametrize("x", [torch.ones(1, 3, 32, 32, dtype=torch.int64), [1.0], None])
def test_what_is_no_floating_point_tensor(x: Any) -> None:
    for module in (Pooling(), MetaFormerBlock(3), PoolFormer((1,), (3,))):
        with pytest.raises(ArgumentTypeError, match="x must be a floating-point tensor, got"):
            module(x)


@pytest.mark.parametrize("mixer", ["random", "spatial"])
def test_mixers_built_for_another_resolution(mixer: str) -> None:
    network = PoolFormer((1,), (4,), mixer=mixer, image_size=32)
    network(IMAGES)
    words = rf"x must be a map of 8 × 8 positions, which mixer '{mixer}' was built for, got shape \(1, 4, 9, 8\)"
    with pytest.raises(ArgumentError, match=words):
        network(torch.randn(1, 3, 36, 32))


def test_position_embeddings_of_another_resolution() -> None:
    network = PoolFormer((1,), (4,), image_size=32, positions=True)
    with pytest.raises(
        ArgumentError, match=r"image_size that the position embeddings were built for: maps of \(4, 8, 8\)"
    ):
        network(torch.randn(1, 3, 36, 32))


def test_a_mixer_that_changes_the_shape() -> None:
    block = MetaFormerBlock(4, lambda x: x[:, :, 1:])
    with pytest.raises(
        ArgumentError, match=r"mixer must keep the shape \(1, 4, 5, 5\) of the map, it returned \(1, 4, 4"
    ):
        block(torch.randn(1, 4, 5, 5))


def test_blocks_know_their_width() -> None:
    with pytest.raises(ArgumentError, match="x must have 4 channels, got 3"):
        MetaFormerBlock(4)(IMAGES)
