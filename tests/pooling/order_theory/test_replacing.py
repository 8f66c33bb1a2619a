"""Poset pooling put into models of torchvision and of timm, and what is put in and reported."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision.models
from timm.layers import AvgPool2dSame
from torch import Tensor, nn
from torchvision.models.feature_extraction import create_feature_extractor

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.order_theory import PoolingReplacement, PosetPool2d, replace_pooling

from .replacement_reports import (
    ADAPTIVE,
    BY_HAND,
    SMALLER,
    STRIDE,
    behind,
    by_hand,
    fixed_weights,  # noqa: F401  pytest finds it by its name
    left,
    replaced,
    taken,
)


def feature_maps(model: nn.Module, x: Tensor) -> list[tuple[int, ...]]:
    """The shape that every layer without children returns, in the order of the calls; ReLUs may vanish."""
    shapes: list[tuple[int, ...]] = []
    hooks = [
        layer.register_forward_hook(lambda _, __, out: shapes.append(tuple(out.shape)))
        for layer in model.modules()
        if not list(layer.children()) and not isinstance(layer, nn.ReLU | nn.Identity)
    ]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return shapes


# --- torchvision and timm -----------------------------------------------------------------------------------------

MODELS: dict[str, tuple[Callable[[], nn.Module], dict[str, str], dict[str, str]]] = {
    "torchvision resnet18": (
        torchvision.models.resnet18,
        {"maxpool": taken("relu")},
        {"avgpool": ADAPTIVE},
    ),
    "torchvision vgg11_bn": (
        lambda: torchvision.models.vgg11_bn(init_weights=False),
        {f"features.{pool}": taken(f"features.{pool - 1}") for pool in (3, 7, 14, 21, 28)},
        {"avgpool": ADAPTIVE},
    ),
    "torchvision alexnet": (
        torchvision.models.alexnet,
        {},
        {f"features.{pool}": SMALLER for pool in (2, 5, 12)} | {"avgpool": ADAPTIVE},
    ),
    "torchvision densenet121": (
        torchvision.models.densenet121,
        {"features.pool0": taken("features.relu0")}
        | {f"features.transition{i}.pool": behind(f"Conv2d 'features.transition{i}.conv'") for i in (1, 2, 3)},
        {"adaptive_avg_pool2d": BY_HAND},
    ),
    "torchvision squeezenet1_1": (
        torchvision.models.squeezenet1_1,
        {"features.2": taken("features.1")}
        | {  # a Fire module joins two rectified maps
            f"features.{i}": taken(f"features.{i - 1}.expand1x1_activation", f"features.{i - 1}.expand3x3_activation")
            for i in (5, 8)
        },
        {"classifier.3": ADAPTIVE},
    ),
    "torchvision googlenet": (
        lambda: torchvision.models.googlenet(init_weights=False, aux_logits=False),
        {
            "maxpool1": by_hand("relu"),
            "maxpool2": by_hand("relu_2"),
            "maxpool3": by_hand("relu_9", "relu_11", "relu_13", "relu_14"),
            "maxpool4": by_hand("relu_39", "relu_41", "relu_43", "relu_44"),
        },
        {f"inception{block}.branch4.0": STRIDE for block in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")}
        | {"avgpool": ADAPTIVE},
    ),
    "timm resnet18": (
        lambda: timm.create_model("resnet18"),
        {"maxpool": taken("act1")},
        {"global_pool.pool": ADAPTIVE},
    ),
    "timm resnest14d": (
        lambda: timm.create_model("resnest14d"),
        {"maxpool": taken("act1")}
        # split attention adds rectified maps
        | {f"layer{i}.0.avd_last": behind(f"the call of sum_{2 * i}") for i in (2, 3, 4)}
        | {
            f"layer{i}.0.downsample.0": f"ReLU 'layer{i - 1}.0.act3' stays: other layers read it too" for i in (2, 3, 4)
        },
        {"global_pool.pool": ADAPTIVE},
    ),
    "timm resnet50d": (
        lambda: timm.create_model("resnet50d"),
        {"maxpool": taken("act1")}
        | {
            f"layer{i}.0.downsample.0": f"ReLU 'layer{i - 1}.{blocks}.act3' stays: other layers read it too"
            for i, blocks in ((2, 2), (3, 3), (4, 5))
        },
        {"global_pool.pool": ADAPTIVE},
    ),
}


@pytest.mark.parametrize("name", MODELS)
def test_known_models(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PosetPool2d, "_look_at", lambda layer, x: None)  # there are no values to look at
    build, expected, stays = MODELS[name]
    with torch.device("meta"):  # shapes without arithmetic
        model, x = build().eval(), torch.empty(1, 3, 127, 127)
    maps, parameters = feature_maps(model, x), list(model.parameters())
    report = replace_pooling(model, PosetPool2d("N"))
    assert replaced(report) == expected
    assert left(report) == stays
    for layer in expected:
        assert isinstance(model.get_submodule(layer), PosetPool2d)
    for relu in expected.values():
        if relu.endswith("taken out"):
            assert all(isinstance(model.get_submodule(path), nn.Identity) for path in relu.split("'")[1::2])
    assert feature_maps(model, x) == maps
    assert all(after is before for after, before in zip(model.parameters(), parameters, strict=True))


def test_a_changed_model_trains() -> None:
    model, x = timm.create_model("resnet18", num_classes=3), torch.randn(2, 3, 64, 64)
    replace_pooling(model, PosetPool2d("N", scale=0.25))
    model.train()(x).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in model.parameters())
    assert model.conv1.weight.grad.abs().sum() > 0


# --- what is put in -----------------------------------------------------------------------------------------------


def stem(*rest: nn.Module, relu: nn.Module | None = None) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), relu or nn.ReLU(), *rest)


def test_the_changed_model_computes_what_one_writes_by_hand() -> None:
    model = stem(nn.MaxPool2d(2), nn.Conv2d(4, 4, 1), nn.AvgPool2d(3, 2, 1)).eval()
    x = torch.randn(2, 3, 9, 10)
    by_hand = nn.Sequential(
        model[0], model[1], PosetPool2d("N", ceil_mode=False), model[4], PosetPool2d("N", ceil_mode=True)
    )
    replace_pooling(model, PosetPool2d("N"))
    with torch.no_grad():
        assert torch.equal(model(x), by_hand(x))


def test_max_pooling_before_a_replaced_layer_reads_signed_maps() -> None:
    model = stem(nn.MaxPool2d(3, 1, 1), nn.MaxPool2d(2)).eval()
    assert replaced(replace_pooling(model, PosetPool2d("diamond"))) == {"4": taken("2")}
    x = torch.randn(2, 3, 9, 9)
    with torch.no_grad():
        nn.init.constant_(model[1].bias, -1.0)
        maps = F.max_pool2d(model[1](model[0](x)), 3, 1, 1)
        assert maps.min() < 0 < maps.max()
        assert torch.equal(model(x), PosetPool2d("diamond", ceil_mode=False)(maps))


@pytest.mark.parametrize(
    ("relu", "said"),
    [
        (nn.ReLU(), taken("2")),
        (nn.ReLU(inplace=True), taken("2")),
        (nn.ReLU6(), "ReLU6 '2' taken out, and its cap at 6 with it"),
    ],
)
def test_each_kind_of_relu_is_taken_out(relu: nn.Module, said: str) -> None:
    model = stem(nn.MaxPool2d(2), relu=relu)
    assert replaced(replace_pooling(model, PosetPool2d())) == {"3": said}
    assert isinstance(model[2], nn.Identity)


def test_other_activations_stay() -> None:
    model = stem(nn.MaxPool2d(2), relu=nn.GELU())
    assert replaced(replace_pooling(model, PosetPool2d())) == {"3": behind("GELU '2'")}
    assert isinstance(model[2], nn.GELU)


def test_the_relu_stays_if_told_so() -> None:
    model = stem(nn.MaxPool2d(2))
    report = replace_pooling(model, PosetPool2d(), remove_relu=False)
    assert replaced(report) == {"3": "ReLU not looked at"}
    assert isinstance(model[2], nn.ReLU)
    assert isinstance(model[3], PosetPool2d)


@pytest.mark.parametrize("kind", [nn.MaxPool2d, nn.AvgPool2d])
@pytest.mark.parametrize(
    ("kernel", "padding", "ceil_mode"),
    list(itertools.product((2, (3, 3)), (0, 1, (0, 1), (1, 0)), (False, True))),
)
def test_a_layer_is_replaced_if_and_only_if_every_map_keeps_its_size(
    kind: type[nn.MaxPool2d | nn.AvgPool2d],
    kernel: int | tuple[int, int],
    padding: int | tuple[int, int],
    ceil_mode: bool,
) -> None:
    maps = [torch.randn(1, 2, height, width) for height, width in itertools.product(range(3, 8), repeat=2)]
    model = nn.Sequential(kind(kernel, 2, padding, ceil_mode=ceil_mode))
    sizes = [model(x).shape for x in maps]

    def keeps_sizes(layer: nn.Module) -> bool:
        return [layer(x).shape for x in maps] == sizes

    replace_pooling(model, PosetPool2d())
    possible = any(keeps_sizes(PosetPool2d("N", ceil_mode=mode)) for mode in (False, True))
    assert isinstance(model[0], PosetPool2d) == possible
    assert keeps_sizes(model)


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        (nn.MaxPool2d(2, stride=1), STRIDE),
        (nn.MaxPool2d(3), STRIDE),
        (nn.AvgPool2d(4, 2), STRIDE),
        (nn.MaxPool2d((1, 2)), STRIDE),
        (nn.MaxPool2d(2, padding=1), "its 2×2 window is padded"),
        (nn.MaxPool2d(3, 2), SMALLER),
        (
            nn.AvgPool2d(3, 2, (1, 0), ceil_mode=True),
            "its 3×3 window (padding (1, 0), ceil_mode=True) can give another size than a 2×2 window",
        ),
        (nn.MaxPool2d(2, dilation=2, stride=2), "its window is dilated"),
        (nn.MaxPool2d(2, return_indices=True), "it returns indices"),
        (nn.LPPool2d(2, 2), "LPPool2d has no poset counterpart"),
        (nn.FractionalMaxPool2d(2, output_size=2), "FractionalMaxPool2d has no poset counterpart"),
        (nn.AdaptiveMaxPool2d(1), "AdaptiveMaxPool2d has no poset counterpart"),
        (AvgPool2dSame(2, 2), "AvgPool2dSame is a subclass of AvgPool2d, and how it pads is not known"),
    ],
)
def test_layers_that_are_left_say_why(pool: nn.Module, reason: str) -> None:
    model = stem(pool)
    report = replace_pooling(model, PosetPool2d())
    assert (report.replaced, left(report)) == ((), {"3": reason})
    assert model[3] is pool
    assert isinstance(model[2], nn.ReLU)


def test_a_divisor_that_goes_is_reported() -> None:
    model = stem(nn.AvgPool2d(2, divisor_override=3))
    report = replace_pooling(model, PosetPool2d())
    assert [item.lost for item in report.replaced] == ["its divisor_override=3 went"]
    assert str(report).endswith("; ReLU '2' taken out; its divisor_override=3 went")
    assert [item.lost for item in replace_pooling(stem(nn.AvgPool2d(2)), PosetPool2d()).replaced] == [""]


def test_every_layer_gets_one_of_its_own_in_the_mode_of_the_old_one() -> None:
    layer = PosetPool2d("chain", placement=(3, 2, 1, 0), scale=0.25)
    model = stem(nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(4, 4, 1), nn.AvgPool2d(2)).eval())
    replace_pooling(model, layer)
    first, second = model[3], model[4][1]
    assert len({id(layer), id(first), id(second)}) == 3
    assert (first.training, second.training) == (True, False)
    for new in (first, second):
        assert (new.poset, new.scale) == (layer.poset, 0.25)


# --- what comes after ---------------------------------------------------------------------------------------------


def test_a_changed_model_can_be_changed_again() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.MaxPool2d(2))
    replace_pooling(model, PosetPool2d("chain"))
    model.extend([nn.Conv2d(4, 4, 1), nn.ReLU(), nn.AvgPool2d(2), nn.Dropout2d(), nn.AvgPool2d(2)])
    report = replace_pooling(model, PosetPool2d("N"))
    assert replaced(report) == {
        "5": taken("4"),
        "7": "no ReLU between it and the poset pooling '5', which has a floor of its own",
    }
    assert [model[place].poset for place in (2, 5)] == [PosetPool2d("chain").poset, PosetPool2d("N").poset]
    assert replace_pooling(model, PosetPool2d("N")) == PoolingReplacement((), ())
    model.append(nn.MaxPool2d(2))
    model[5], model[7] = nn.Identity(), PosetPool2d("N")
    assert replaced(replace_pooling(model, PosetPool2d("N"))) == {
        "8": "no ReLU between it and the poset pooling '7', which has a floor of its own"
    }


def test_features_of_a_changed_model_can_be_extracted() -> None:
    model = torchvision.models.resnet18(num_classes=3).eval()
    replace_pooling(model, PosetPool2d("N", scale=0.25))
    x = torch.randn(2, 3, 33, 34)
    with torch.no_grad():
        stem_maps = model.maxpool(model.bn1(model.conv1(x)))
        features = create_feature_extractor(model, {"maxpool": "stem", "fc": "out"})(x)
        assert torch.equal(features["stem"], stem_maps)
        assert torch.equal(features["out"], model(x))


# --- the report and the errors ------------------------------------------------------------------------------------


def test_the_report_reads_as_lines() -> None:
    report = replace_pooling(stem(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)), PosetPool2d("chain"))
    assert str(report) == (
        "replaced 3: MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False) -> "
        f"{PosetPool2d('chain', ceil_mode=False)}; ReLU '2' taken out\n"
        "left 4: AdaptiveAvgPool2d(output_size=1), AdaptiveAvgPool2d has no poset counterpart"
    )
    assert str(replace_pooling(nn.Sequential(nn.Linear(2, 2)), PosetPool2d())) == "the model has no 2-d pooling"


@pytest.mark.parametrize("layer", [PosetPool2d(stride=1), PosetPool2d(padding=1), PosetPool2d("1<2", (1, 2), 2)])
def test_the_layer_must_halve_with_a_small_window(layer: PosetPool2d) -> None:
    model = stem(nn.MaxPool2d(2))
    with pytest.raises(ArgumentError) as caught:
        replace_pooling(model, layer)
    assert str(caught.value) == f"layer must have a 2×2 window, stride 2 and no padding, got {layer}"
    assert isinstance(model[3], nn.MaxPool2d)


def test_a_model_that_is_a_pooling_layer_cannot_be_changed_in_place() -> None:
    with pytest.raises(ArgumentError, match=r"^model is itself a pooling layer, MaxPool2d\(.*\); use the poset layer "):
        replace_pooling(nn.MaxPool2d(2), PosetPool2d())


def test_arguments_of_another_type_are_refused() -> None:
    model = stem(nn.MaxPool2d(2))
    with pytest.raises(ArgumentTypeError) as caught:
        replace_pooling(model, "N")  # type: ignore[arg-type]
    assert str(caught.value) == "layer must be a PosetPool2d, such as PosetPool2d('N'), got 'N'"
    with pytest.raises(ArgumentTypeError, match=r"^model must be a torch\.nn\.Module, got str$"):
        replace_pooling("x", PosetPool2d())  # type: ignore[arg-type]
    assert isinstance(model[3], nn.MaxPool2d)
