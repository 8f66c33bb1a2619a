"""Poset pooling put into models of torchvision, of timm, and into models that make it hard."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator

import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision.models
from torch import Tensor, nn

from cenote.errors import ArgumentError
from cenote.pooling.order_theory import NonNegativeInputWarning, PoolingReplacement, PosetPool2d, replace_pooling

ADAPTIVE = "AdaptiveAvgPool2d has no poset counterpart"
NOT_BEFORE = "no ReLU before it"


@pytest.fixture(autouse=True)
def fixed_weights() -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield


def taken(name: str) -> str:
    return f"ReLU {name!r} taken out"


def replaced(report: PoolingReplacement) -> dict[str, str]:
    """What was done with the ReLU, by the name of the replaced layer."""
    return {item.name: item.relu for item in report.replaced}


def left(report: PoolingReplacement) -> dict[str, str]:
    return {item.name: item.reason for item in report.left}


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
        {f"features.{pool}": taken(f"features.{pool - 1}") for pool in (2, 5, 12)},
        {"avgpool": ADAPTIVE},
    ),
    "torchvision densenet121": (
        torchvision.models.densenet121,
        {"features.pool0": taken("features.relu0")} | {f"features.transition{i}.pool": NOT_BEFORE for i in (1, 2, 3)},
        {"adaptive_avg_pool2d": "called as a function; put a layer there by hand"},
    ),
    "torchvision squeezenet1_1": (
        torchvision.models.squeezenet1_1,
        {"features.2": taken("features.1"), "features.5": NOT_BEFORE, "features.8": NOT_BEFORE},
        {"classifier.3": ADAPTIVE},
    ),
    "timm resnet18": (
        lambda: timm.create_model("resnet18"),
        {"maxpool": taken("act1")},
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
            assert isinstance(model.get_submodule(relu.split("'")[1]), nn.Identity)
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


@pytest.mark.parametrize("relu", [nn.ReLU(), nn.ReLU(inplace=True), nn.ReLU6()])
def test_each_kind_of_relu_is_taken_out(relu: nn.Module) -> None:
    model = stem(nn.MaxPool2d(2), relu=relu)
    assert replaced(replace_pooling(model, PosetPool2d())) == {"3": taken("2")}
    assert isinstance(model[2], nn.Identity)


def test_other_activations_stay() -> None:
    model = stem(nn.MaxPool2d(2), relu=nn.GELU())
    assert replaced(replace_pooling(model, PosetPool2d())) == {"3": NOT_BEFORE}
    assert isinstance(model[2], nn.GELU)


def test_the_relu_stays_if_told_so() -> None:
    model = stem(nn.MaxPool2d(2))
    report = replace_pooling(model, PosetPool2d(), remove_relu=False)
    assert replaced(report) == {"3": "ReLU not looked at"}
    assert isinstance(model[2], nn.ReLU)
    assert isinstance(model[3], PosetPool2d)


@pytest.mark.parametrize(
    ("pool", "size"),
    [
        (nn.MaxPool2d(2), 9),
        (nn.MaxPool2d(2), 8),
        (nn.MaxPool2d(2, ceil_mode=True), 9),
        (nn.AvgPool2d(2, 2), 9),
        (nn.AvgPool2d((2, 2), ceil_mode=True), 9),
        (nn.MaxPool2d(3, 2, 1), 8),
        (nn.MaxPool2d(3, 2, 1), 9),
        (nn.AvgPool2d(3, 2, 1), 8),
        (nn.MaxPool2d((3, 3), (2, 2)), 9),
        (nn.MaxPool2d(3, 2, ceil_mode=True), 8),
        (nn.MaxPool2d(3, 2, ceil_mode=True), 9),
    ],
)
def test_the_map_keeps_its_size(pool: nn.Module, size: int) -> None:
    x = torch.randn(1, 3, size, size)
    model = stem(pool)
    expected = model(x).shape
    replace_pooling(model, PosetPool2d())
    assert isinstance(model[3], PosetPool2d)
    assert model(x).shape == expected


@pytest.mark.parametrize(
    ("pool", "reason"),
    [
        (nn.MaxPool2d(2, stride=1), "only 2×2 and 3×3 windows with stride 2 are replaced"),
        (nn.MaxPool2d(3), "only 2×2 and 3×3 windows with stride 2 are replaced"),
        (nn.AvgPool2d(4, 2), "only 2×2 and 3×3 windows with stride 2 are replaced"),
        (nn.MaxPool2d((1, 2)), "only 2×2 and 3×3 windows with stride 2 are replaced"),
        (nn.MaxPool2d(2, padding=1), "its 2×2 window is padded"),
        (nn.MaxPool2d(2, dilation=2, stride=2), "its window is dilated"),
        (nn.MaxPool2d(2, return_indices=True), "it returns indices"),
        (nn.LPPool2d(2, 2), "LPPool2d has no poset counterpart"),
        (nn.FractionalMaxPool2d(2, output_size=2), "FractionalMaxPool2d has no poset counterpart"),
        (nn.AdaptiveMaxPool2d(1), "AdaptiveMaxPool2d has no poset counterpart"),
    ],
)
def test_layers_that_are_left_say_why(pool: nn.Module, reason: str) -> None:
    model = stem(pool)
    report = replace_pooling(model, PosetPool2d())
    assert (report.replaced, left(report)) == ((), {"3": reason})
    assert model[3] is pool
    assert isinstance(model[2], nn.ReLU)


def test_every_place_gets_a_layer_of_its_own_in_the_mode_of_the_old_one() -> None:
    layer = PosetPool2d("chain", placement=(3, 2, 1, 0), scale=0.25)
    model = stem(nn.MaxPool2d(2), nn.Sequential(nn.Conv2d(4, 4, 1), nn.AvgPool2d(2)).eval())
    replace_pooling(model, layer)
    first, second = model[3], model[4][1]
    assert len({id(layer), id(first), id(second)}) == 3
    assert (first.training, second.training) == (True, False)
    for new in (first, second):
        assert (new.poset, new.scale) == (layer.poset, 0.25)


# --- models that make it hard -------------------------------------------------------------------------------------


class Net(nn.Module):
    """Two convolutions, one ReLU, one pool; subclasses connect them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.relu, self.pool = nn.ReLU(), nn.MaxPool2d(2)


class SharedReLU(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.second(self.pool(self.relu(self.first(x)))))


class SecondReader(Net):
    def forward(self, x: Tensor) -> Tensor:
        active = self.relu(self.first(x))
        return self.pool(active) + self.second(active)[:, :, ::2, ::2]


class FunctionalReLU(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(F.relu(self.first(x)))


class MethodReLU(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.first(x).relu())


class FunctionalPool(Net):
    def forward(self, x: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(F.avg_pool2d(self.pool(self.relu(self.first(x))), 2), 1)


class SharedPool(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.second(self.pool(self.relu(self.first(x)))))


class NoReLU(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.pool(self.first(x)))


class Unused(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.first(x))


@pytest.mark.parametrize(
    ("kind", "said", "stays"),
    [
        (SharedReLU, "ReLU 'relu' stays: it is called 2 times", {}),
        (SecondReader, "ReLU 'relu' stays: other layers read it too", {}),
        (FunctionalReLU, "the ReLU before it, relu, is a function call; take it out by hand", {}),
        (MethodReLU, "the ReLU before it, relu, is a function call; take it out by hand", {}),
        (
            FunctionalPool,
            "ReLU 'relu' taken out",
            dict.fromkeys(("avg_pool2d", "adaptive_avg_pool2d"), "called as a function; put a layer there by hand"),
        ),
        (SharedPool, "ReLU 'relu' taken out; no ReLU before it", {}),
        (NoReLU, "no ReLU before it", {}),
        (Unused, "the layer is never called", {}),
    ],
)
def test_a_relu_is_taken_out_only_where_nothing_else_needs_it(
    kind: type[Net], said: str, stays: dict[str, str]
) -> None:
    model = kind()
    report = replace_pooling(model, PosetPool2d())
    assert replaced(report) == {"pool": said}
    assert left(report) == stays
    assert isinstance(model.pool, PosetPool2d)
    assert isinstance(model.relu, nn.Identity if "taken out" in said else nn.ReLU)


class DataDependent(nn.Module):
    """Cannot be traced: which way it goes depends on its input."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 1), nn.MaxPool2d(2)
        )
        self.relu, self.pool = nn.ReLU(), nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        return self.pool(self.relu(x)) if x.sum() > 0 else x


def test_without_a_trace_neighbours_in_a_sequence_are_known() -> None:
    model = DataDependent()
    report = replace_pooling(model, PosetPool2d())
    unknown = "no ReLU found before it (the model cannot be traced: TraceError)"
    assert replaced(report) == {
        "features.2": "ReLU '1' of 'features' taken out",
        "features.4": unknown,
        "pool": unknown,
    }
    assert isinstance(model.features[1], nn.Identity)
    assert isinstance(model.relu, nn.ReLU)
    with pytest.warns(NonNegativeInputWarning):  # by the layer whose ReLU was not found
        model(torch.randn(1, 3, 16, 16))


class Counting(Net):
    """Its forward method changes the module itself."""

    calls = 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.pool(self.relu(self.first(x)))


def test_looking_at_a_model_does_not_run_it() -> None:
    model = Counting()
    weights = copy.deepcopy(model.state_dict())
    assert replaced(replace_pooling(model, PosetPool2d())) == {"pool": taken("relu")}
    assert model.calls == 0
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


# --- the report and the errors ------------------------------------------------------------------------------------


def test_the_report_reads_as_lines() -> None:
    report = replace_pooling(stem(nn.MaxPool2d(2), nn.AdaptiveAvgPool2d(1)), PosetPool2d("chain"))
    assert str(report) == (
        "replaced 3: MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False) -> "
        "PosetPool2d('1<2, 2<3, 3<4', kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=False, scale=1); "
        "ReLU '2' taken out\n"
        "left 4: AdaptiveAvgPool2d(output_size=1), AdaptiveAvgPool2d has no poset counterpart"
    )
    assert str(replace_pooling(nn.Sequential(nn.Linear(2, 2)), PosetPool2d())) == "the model has no 2-d pooling"


@pytest.mark.parametrize("layer", [PosetPool2d(stride=1), PosetPool2d("chain", 3, 2)])
def test_the_layer_must_halve_with_a_small_window(layer: PosetPool2d) -> None:
    model = stem(nn.MaxPool2d(2))
    with pytest.raises(ArgumentError) as caught:
        replace_pooling(model, layer)
    assert str(caught.value) == f"layer must have a 2×2 window and stride 2, got {layer}"
    assert isinstance(model[3], nn.MaxPool2d)


def test_a_model_that_is_a_pooling_layer_cannot_be_changed_in_place() -> None:
    with pytest.raises(ArgumentError, match=r"^model is itself a pooling layer, MaxPool2d\(.*\); use the poset layer "):
        replace_pooling(nn.MaxPool2d(2), PosetPool2d())
