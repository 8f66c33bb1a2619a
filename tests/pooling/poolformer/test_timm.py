"""PoolFormer against timm's, with the same weights: features of every stage, logits, counts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from timm.models.metaformer import checkpoint_filter_fn
from torch import Tensor, nn

from cenote.pooling import (
    PoolFormer,
    load_official_state_dict,
    load_timm_state_dict,
    poolformer_m36,
    poolformer_m48,
    poolformer_s12,
    poolformer_s24,
    poolformer_s36,
)

VARIANTS: dict[str, tuple[Callable[..., PoolFormer], int]] = {
    "poolformer_s12": (poolformer_s12, 11_915_176),
    "poolformer_s24": (poolformer_s24, 21_388_968),
    "poolformer_s36": (poolformer_s36, 30_862_760),
    "poolformer_m36": (poolformer_m36, 56_172_520),
    "poolformer_m48": (poolformer_m48, 73_473_448),
}


def disturbed(model: nn.Module) -> nn.Module:
    """Give every weight a size at which it counts: layer scales of 1e-5 would hide whatever a block does."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "scale" in name:
                weight.uniform_(-1, 1)
            elif weight.dim() == 1:
                weight.uniform_(0.5, 1.5)
    return model


@pytest.fixture(scope="module")
def peer() -> Any:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return disturbed(timm.create_model("poolformer_s12")).eval()


@torch.no_grad()
@pytest.mark.parametrize("size", [(224, 224), (192, 256)])
def test_features_of_every_stage_are_timms(peer: Any, size: tuple[int, int]) -> None:
    model = load_timm_state_dict(poolformer_s12(features_only=True), peer.state_dict()).eval()
    images = torch.randn(2, 3, *size)
    maps = model(images)
    expected = peer.forward_intermediates(images, intermediates_only=True)
    assert len(maps) == len(expected) == 4
    for ours, theirs in zip(maps, expected, strict=True):
        assert float(theirs.abs().max()) > 1
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)


@torch.no_grad()
def test_logits_are_timms_with_its_head(peer: Any) -> None:
    model = load_timm_state_dict(poolformer_s12(head="timm"), peer.state_dict()).eval()
    images = torch.randn(2, 3, 96, 64)
    torch.testing.assert_close(model(images), peer(images), rtol=0, atol=1e-4)


@torch.no_grad()
def test_the_order_of_the_head_decides_about_the_logits(peer: Any) -> None:
    """Same weights, same features; the official order normalises the map before it averages."""
    official = load_timm_state_dict(poolformer_s12(), peer.state_dict()).eval()
    images = torch.randn(1, 3, 64, 64)
    last = peer.forward_features(images)
    torch.testing.assert_close(official.forward_features(images)[-1], last, rtol=0, atol=1e-4)
    by_hand = nn.functional.group_norm(last, 1, peer.head.norm.weight, peer.head.norm.bias).mean((2, 3))
    torch.testing.assert_close(official(images), peer.head.fc(by_hand), rtol=0, atol=1e-4)
    assert float((official(images) - peer(images)).abs().max()) > 0.1


def test_a_training_step_has_timms_gradients() -> None:
    peer = disturbed(timm.create_model("poolformer_s12", num_classes=5))
    model = load_timm_state_dict(poolformer_s12(num_classes=5, drop_path=0.0, head="timm"), peer.state_dict())
    images = torch.randn(2, 3, 64, 64)
    gradients = []
    for network in (model, peer):
        network.train()(images).square().sum().backward()
        gradients.append({name: weight.grad for name, weight in network.named_parameters()})
    ours, theirs = gradients
    assert ours.keys() == theirs.keys()
    for name, gradient in ours.items():
        scale = float(theirs[name].abs().max())
        if name.endswith("norm1.bias"):
            scale = float(theirs[name.replace("bias", "weight")].abs().max())  # 0 but for rounding: see test_findings
        assert float((gradient - theirs[name]).abs().max()) <= 2e-4 * scale, name


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_have_the_papers_parameters_and_timms_names(name: str) -> None:
    make, count = VARIANTS[name]
    with torch.device("meta"):
        model, peer = make(), timm.create_model(name)
    assert sum(weight.numel() for weight in model.parameters()) == count
    ours, theirs = ({key: value.shape for key, value in each.state_dict().items()} for each in (model, peer))
    assert ours == theirs


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_drop_paths_as_timm(name: str) -> None:
    with torch.device("meta"):
        model = VARIANTS[name][0]()
        peer = timm.create_model(name, drop_path_rate=model.stages[-1].blocks[-1].drop_path1.probability)  # type: ignore[union-attr]
    rates = [block.drop_path2.probability for stage in model.stages for block in stage.blocks]  # type: ignore[union-attr]
    theirs = [getattr(block.drop_path2, "drop_prob", 0.0) for stage in peer.stages for block in stage.blocks]
    assert rates == pytest.approx(theirs)
    assert rates[0] == 0


# --- the released code's names ------------------------------------------------------------------------------------


def official(state: dict[str, Tensor], depths: tuple[int, ...] = (2, 2, 6, 2)) -> dict[str, Tensor]:
    """A state in the released code's names, written out stage by stage, with the tensors of one in timm's."""
    names = {"stem.conv": "patch_embed.proj", "head.norm": "norm", "head.fc": "head"}
    for stage, depth in enumerate(depths):
        names |= {f"stages.{stage}.blocks.{block}": f"network.{2 * stage}.{block}" for block in range(depth)}
        names |= {f"stages.{stage}.downsample.conv": f"network.{2 * stage - 1}.proj"} if stage else {}
    renamed = {}
    for name, tensor in state.items():
        head = max((each for each in names if name.startswith(f"{each}.")), key=len)
        rest = name.removeprefix(head)
        rest = rest.replace(".layer_scale1.scale", ".layer_scale_1").replace(".layer_scale2.scale", ".layer_scale_2")
        renamed[names[head] + rest] = tensor
    return renamed


@torch.no_grad()
def test_released_weights_are_those_timm_makes_of_them(peer: Any) -> None:
    state = official(peer.state_dict())
    assert "network.6.1.layer_scale_2" in state
    assert "network.5.proj.weight" in state
    converted = checkpoint_filter_fn(state, peer)
    model = load_official_state_dict(poolformer_s12(), state)
    loaded = model.state_dict()
    assert loaded.keys() == converted.keys()
    assert all(torch.equal(loaded[name], converted[name]) for name in loaded)


@torch.no_grad()
def test_the_detection_codes_norms_become_those_of_the_features(peer: Any) -> None:
    state = {name: tensor for name, tensor in official(peer.state_dict()).items() if name.startswith(("net", "patch"))}
    for place, channels in zip((0, 2, 4, 6), (64, 128, 320, 512), strict=True):
        state |= {f"norm{place}.weight": torch.rand(channels), f"norm{place}.bias": torch.rand(channels)}
    model = load_official_state_dict(poolformer_s12(features_only=True, feature_norms=True), state).eval()
    images = torch.randn(1, 3, 64, 64)
    maps = peer.forward_intermediates(images, intermediates_only=True)
    for place, ours, theirs in zip((0, 2, 4, 6), model(images), maps, strict=True):
        norm = nn.functional.group_norm(theirs, 1, state[f"norm{place}.weight"], state[f"norm{place}.bias"])
        torch.testing.assert_close(ours, norm, rtol=0, atol=1e-4)
