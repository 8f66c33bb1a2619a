"""Generalised mean pooling put into vision transformers of timm and torchvision."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import timm
import torch
import torchvision.models
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling import GeM, GGeM, no_decay_parameters, parameter_groups, replace_vit_pooling

IMAGES = (2, 3, 32, 32)
CLOSE = {"rtol": 1e-5, "atol": 1e-6}


def timm_vit(**options: Any) -> Any:
    sizes = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 1, "num_heads": 3, "num_classes": 5}
    return timm.models.VisionTransformer(**{**sizes, **options}).eval()


def torchvision_vit() -> Any:
    return torchvision.models.VisionTransformer(32, 8, 1, 3, 24, 48, num_classes=5).eval()


class Mean(nn.Module):
    """What average pooling does, as a layer that can be put in."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(1)


# --- timm ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("prefix", [{}, {"reg_tokens": 3}, {"class_token": False}], ids=["class", "registers", "none"])
def test_the_mean_put_in_is_timms_own_average_pooling(prefix: dict[str, Any]) -> None:
    model = timm_vit(global_pool="avg", **prefix)
    x = torch.randn(IMAGES)
    expected = model(x)
    report = replace_vit_pooling(model, Mean())
    assert report.prefix_tokens == model.num_prefix_tokens
    assert report.before == "global_pool='avg'"
    torch.testing.assert_close(model(x), expected, **CLOSE)


@pytest.mark.parametrize("global_pool", ["token", "avg", "max", "map"])
@pytest.mark.parametrize("norm", ["pre", "post"])
def test_timm_computes_what_one_writes_by_hand(global_pool: str, norm: Any) -> None:
    model = timm_vit(global_pool=global_pool)
    last = model.norm if isinstance(model.fc_norm, nn.Identity) else model.fc_norm
    nn.init.normal_(last.weight)
    x, pooling = torch.randn(IMAGES), GGeM(24, 3, (1.0, 3.0, 9.0))
    tokens = model.blocks(model._pos_embed(model.patch_embed(x)))[:, 1:]
    pooled = pooling(last(tokens)) if norm == "pre" else last(pooling(tokens))
    report = replace_vit_pooling(model, pooling, norm=norm)
    torch.testing.assert_close(model(x), model.head(pooled), **CLOSE)
    torch.testing.assert_close(model.forward_head(model.forward_features(x), pre_logits=True), pooled, **CLOSE)
    assert ("behind" if norm == "post" else "before") in report.norm
    assert model.get_submodule(report.socket) is pooling


def test_one_as_exponent_is_average_pooling_of_positive_tokens() -> None:
    model = timm_vit(global_pool="avg")
    model.blocks.append(nn.Softplus())
    x = torch.randn(IMAGES)
    expected = model(x)
    replace_vit_pooling(model, GGeM(24, 3, 1.0))
    torch.testing.assert_close(model(x), expected, **CLOSE)


def test_timm_keeps_the_pooling_for_a_new_classifier_and_gives_it_back_for_its_own() -> None:
    model = timm_vit()
    replace_vit_pooling(model, GeM())
    model.reset_classifier(7)
    assert model(torch.randn(IMAGES)).shape == (2, 7)
    assert no_decay_parameters(model) == {"attn_pool.pooling.raw_p"}
    model.reset_classifier(7, "avg")
    assert not no_decay_parameters(model)


# --- torchvision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_torchvision_computes_what_one_writes_by_hand(norm: Any) -> None:
    model = torchvision_vit()
    nn.init.normal_(model.heads.head.weight)
    nn.init.normal_(model.encoder.ln.weight)
    x, pooling, last = torch.randn(IMAGES), GGeM(24, 3, (1.0, 3.0, 9.0)), model.encoder.ln
    model.encoder.ln = nn.Identity()
    tokens = model.encoder(torch.cat([model.class_token.expand(2, -1, -1), model._process_input(x)], 1))[:, 1:]
    model.encoder.ln = last
    pooled = pooling(last(tokens)) if norm == "pre" else last(pooling(tokens))
    report = replace_vit_pooling(model, pooling, norm=norm)
    torch.testing.assert_close(model(x), model.heads(pooled), **CLOSE)
    assert (report.before, report.prefix_tokens) == ("class token", 1)
    assert model.get_submodule(report.socket) is pooling
    assert report.socket in str(report)


# --- both ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [timm_vit, torchvision_vit])
def test_state_copies_and_a_second_replacement(build: Any) -> None:
    x, model = torch.randn(IMAGES), build()
    replace_vit_pooling(model, GGeM(24, 3, (1.0, 3.0, 9.0)))
    expected = model(x)
    other = build()
    replace_vit_pooling(other, GGeM(24, 3))
    other.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(other(x), expected)
    assert torch.equal(copy.deepcopy(model)(x), expected)
    weights = sum(parameter.numel() for parameter in build().parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == weights + 3
    replace_vit_pooling(model, GGeM(24, 3, 30.0))
    replace_vit_pooling(model, GGeM(24, 3, (1.0, 3.0, 9.0)))
    assert torch.equal(model(x), expected)


@pytest.mark.parametrize("build", [timm_vit, torchvision_vit])
def test_a_changed_model_trains_its_exponents(build: Any) -> None:
    model, pooling = build(), GGeM(24, 3)
    nn.init.normal_(next(module for module in reversed(list(model.modules())) if isinstance(module, nn.Linear)).weight)
    for module in model.modules():
        if isinstance(module, nn.Linear) and module.out_features == 5:
            nn.init.normal_(module.weight)
    replace_vit_pooling(model, pooling)
    model.train()(torch.randn(IMAGES)).square().sum().backward()
    assert pooling.raw_p.grad is not None
    assert (pooling.raw_p.grad != 0).all()


def test_parameter_groups_hold_every_learned_parameter_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4), GGeM(4, 2), GeM(learn_p=False), nn.Linear(4, 2))
    model[3].bias.requires_grad_(False)
    weights, exponents = parameter_groups(model, learning_rate=0.1, weight_decay=0.5, exponent_factor=10)
    assert [id(p) for p in weights["params"]] == [id(p) for p in (*model[0].parameters(), model[3].weight)]
    assert [id(p) for p in exponents["params"]] == [id(model[1].raw_p)]
    for group in (weights, exponents):
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    before = model[0].weight.detach().clone()
    torch.optim.AdamW([weights, exponents]).step()
    assert model[1].p.tolist() == [3.0, 3.0]  # without decay a gradient of 0 moves nothing
    torch.testing.assert_close(model[0].weight, before * (1 - 0.1 * 0.5))
    assert len(parameter_groups(nn.Linear(2, 2), learning_rate=0.1, weight_decay=0.0)) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: replace_vit_pooling(nn.Linear(2, 2), GeM()), "of timm or torchvision, got Linear"),
        (lambda: replace_vit_pooling(timm_vit(), GeM(), norm="both"), "norm must be 'pre' or 'post', got 'both'"),
        (lambda: replace_vit_pooling(timm_vit(), GGeM(32, 4)), "pooling is for 32 channels, the model has 24"),
        (lambda: replace_vit_pooling(torchvision_vit(), GGeM(None, 5)), "5 groups; they do not divide the model's 24"),
        (lambda: parameter_groups(GeM(), learning_rate=1.0, weight_decay=0.0, exponent_factor=0.0), "exponent_factor"),
    ],
)
def test_what_is_wrong_is_said(call: Any, words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call()


def test_a_model_with_two_classifiers_is_refused_unchanged() -> None:
    model = timm.models.deit.VisionTransformerDistilled(
        img_size=32, patch_size=8, embed_dim=24, depth=1, num_heads=3, num_classes=5
    )
    before = str(model)
    with pytest.raises(ArgumentError, match="second classifier"):
        replace_vit_pooling(model, GeM())
    assert str(model) == before
