"""Which ReLUs stand before a pooling, in models that make it hard to say."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
import torch.fx
import torch.nn.functional as F
from timm.layers import AvgPool2dSame
from torch import Tensor, nn

from cenote.pooling.order_theory import NonNegativeInputWarning, PosetPool2d, replace_pooling

from .replacement_reports import (
    ADAPTIVE,
    BY_HAND,
    STRIDE,
    fixed_weights,  # noqa: F401  pytest finds it by its name
    left,
    replaced,
    taken,
)


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


class SharedByPools(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.relu(self.second(self.pool(self.relu(self.first(x))))))


class NoReLU(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.pool(self.first(x)))


class NamedArgument(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(input=self.relu(input=self.first(x)))


class Input(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(x)


class Product(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.relu(self.first(x)) * self.second(x[:, :3]))


class PoolAfterPool(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(F.dropout2d(self.pool(self.relu(self.first(x)))))


class Dropout(Net):
    def __init__(self) -> None:
        super().__init__()
        self.dropout = nn.Dropout2d()

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(F.dropout(self.dropout(self.relu(self.first(x))), training=self.training).contiguous())


class MaxPool(Net):
    def __init__(self) -> None:
        super().__init__()
        self.three = nn.MaxPool2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(F.max_pool2d(self.three(self.relu(self.first(x))), 3, 1))


class Average(Net):
    def __init__(self) -> None:
        super().__init__()
        self.three = nn.AvgPool2d(3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.three(self.relu(self.first(x))))


class Concatenation(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.pool(torch.cat([self.relu(self.first(x)), F.relu(self.second(x)), x], 1))


class ConcatenationReadTwice(Net):
    def forward(self, x: Tensor) -> Tensor:
        joined = torch.cat([self.relu(self.first(x)), F.relu(self.second(x))], 1)
        return self.pool(joined) + joined[:, :, ::2, ::2]


class Unused(Net):
    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.first(x))


@pytest.mark.parametrize(
    ("kind", "said", "stays"),
    [
        (SharedReLU, "ReLU 'relu' stays: other layers read it too", {}),
        (SecondReader, "ReLU 'relu' stays: other layers read it too", {}),
        (FunctionalReLU, "the ReLU before it, relu, is a function call; take it out by hand", {}),
        (MethodReLU, "the ReLU before it, relu, is a function call; take it out by hand", {}),
        (
            FunctionalPool,
            "ReLU 'relu' taken out",
            dict.fromkeys(("avg_pool2d", "adaptive_avg_pool2d"), BY_HAND),
        ),
        (SharedPool, "ReLU 'relu' taken out; no ReLU between it and Conv2d 'second'", {}),
        (SharedByPools, "ReLU 'relu' taken out", {}),
        (NoReLU, "no ReLU between it and Conv2d 'first'", {}),
        (NamedArgument, "ReLU 'relu' taken out", {}),
        (Input, "no ReLU between it and the model's input", {}),
        (Product, "no ReLU between it and the call of mul", {}),
        (
            PoolAfterPool,
            "ReLU 'relu' taken out; no ReLU between it and the poset pooling 'pool', which has a floor of its own",
            {},
        ),
        (Dropout, "ReLU 'relu' taken out", {}),
        (MaxPool, "ReLU 'relu' taken out", {"three": STRIDE, "max_pool2d": BY_HAND}),
        (Average, "no ReLU between it and AvgPool2d 'three'", {"three": STRIDE}),
        (
            Concatenation,
            "ReLU 'relu' taken out; the ReLU before it, relu_1, is a function call; take it out by hand; "
            "no ReLU between it and the model's input",
            {},
        ),
        (
            ConcatenationReadTwice,
            "ReLU 'relu' stays: other layers read it too; "
            "the ReLU before it, relu_1, is a function call; other layers read it too",
            {},
        ),
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


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda x: F.lp_pool2d(x, 2, 2), "lp_pool2d"),
        (lambda x: F.fractional_max_pool2d(x, 2, output_size=4), "fractional_max_pool2d"),
        (lambda x: F.max_pool2d(x, 2, return_indices=True)[0], "max_pool2d_with_indices"),
        (lambda x: F.adaptive_max_pool2d(x, 2), "adaptive_max_pool2d"),
        (lambda x: torch.max_pool2d(x, 2), "max_pool2d"),
    ],
)
def test_pooling_called_as_a_function_is_named(call: Callable[[Tensor], Tensor], name: str) -> None:
    class Model(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return call(x)

    (item,) = replace_pooling(Model(), PosetPool2d()).left
    assert (item.layer.removeprefix("boolean_dispatch.<locals>."), item.reason) == (name, BY_HAND)


# --- layers used in several places --------------------------------------------------------------------------------


def test_a_pool_and_a_relu_used_twice_are_replaced_in_both_places() -> None:
    pool, relu, first, second = nn.MaxPool2d(2), nn.ReLU(), nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 4, 1)
    model = nn.Sequential(first, relu, pool, second, relu, pool)
    said = "ReLU '1' and '4' taken out"
    assert replaced(replace_pooling(model, PosetPool2d("chain"))) == {"2": said, "5": said}
    assert model[2] is model[5]
    assert isinstance(model[1], nn.Identity)
    assert isinstance(model[4], nn.Identity)
    x, chain = torch.randn(2, 3, 8, 8), PosetPool2d("chain")
    assert torch.equal(model(x), chain(second(chain(first(x)))))


def test_a_relu_before_a_replaced_and_a_left_pool_stays() -> None:
    relu = nn.ReLU()
    model = nn.Sequential(nn.Conv2d(3, 4, 3), relu, nn.MaxPool2d(2), nn.Conv2d(4, 4, 1), relu, nn.MaxPool2d(3))
    report = replace_pooling(model, PosetPool2d())
    stays = "ReLU '1' and '4' stays: other layers read it too"
    assert (replaced(report), left(report)) == ({"2": stays}, {"5": STRIDE})
    assert model[1] is model[4] is relu


def test_a_block_used_twice() -> None:
    block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.AvgPool2d(2), nn.AdaptiveAvgPool2d(4))
    model = nn.Sequential(block, nn.Conv2d(3, 3, 1), block)
    report = replace_pooling(model, PosetPool2d())
    said = "ReLU '0.1' and '2.1' taken out"
    assert (replaced(report), left(report)) == ({"0.2": said, "2.2": said}, {"0.3": ADAPTIVE, "2.3": ADAPTIVE})
    assert [type(layer) for layer in block] == [nn.Conv2d, nn.Identity, PosetPool2d, nn.AdaptiveAvgPool2d]


# --- a ReLU that works in place -----------------------------------------------------------------------------------


class InPlace(Net):
    def __init__(self) -> None:
        super().__init__()
        self.relu, self.identity = nn.ReLU(inplace=True), nn.Identity()


class ReadsItsInput(InPlace):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.first(x)
        active = self.relu(maps)
        return self.pool(active) + self.second(maps)[:, :, ::2, ::2]


class ReadsItsInputFurtherBack(InPlace):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.first(x)
        active = self.relu(self.identity(maps).contiguous())
        return self.pool(active) + self.second(maps)[:, :, ::2, ::2]


class DropsItsResult(InPlace):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.first(x)
        self.relu(maps)
        return self.pool(maps)


class CallDropsItsResult(InPlace):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.first(x)
        F.relu(maps, inplace=True)
        return self.pool(maps)


class RectifiesLater(InPlace):
    def forward(self, x: Tensor) -> Tensor:
        maps = self.first(x)
        return self.pool(maps) + self.relu(maps)[:, :, ::2, ::2]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (ReadsItsInput, "ReLU 'relu' stays: it works in place, and other layers read its input too"),
        (ReadsItsInputFurtherBack, "ReLU 'relu' stays: it works in place, and other layers read its input too"),
        (DropsItsResult, "ReLU 'relu' stays: it works in place, and other layers read its input too"),
        (CallDropsItsResult, "the ReLU before it, relu, is a function call; other layers read it too"),
        (RectifiesLater, "no ReLU between it and Conv2d 'first'"),
    ],
)
def test_a_relu_in_place_stays_if_its_input_is_read_elsewhere(kind: type[InPlace], said: str) -> None:
    model = kind()
    assert replaced(replace_pooling(model, PosetPool2d())) == {"pool": said}
    assert isinstance(model.relu, nn.ReLU)


def test_a_graph_module_can_be_changed() -> None:
    model = torch.fx.symbolic_trace(SharedByPools())
    assert replaced(replace_pooling(model, PosetPool2d("chain"))) == {"pool": taken("relu")}
    x, chain = torch.randn(2, 3, 8, 8), PosetPool2d("chain")
    assert torch.equal(model(x), chain(model.second(chain(model.first(x)))))


# --- models that cannot be traced ---------------------------------------------------------------------------------


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
        "features.2": "ReLU 'features.1' taken out",
        "features.4": unknown,
        "pool": unknown,
    }
    assert isinstance(model.features[1], nn.Identity)
    assert isinstance(model.relu, nn.ReLU)
    with pytest.warns(NonNegativeInputWarning):  # by the layer whose ReLU was not found
        model(torch.randn(1, 3, 16, 16))


class Untraceable(nn.Sequential):
    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.row = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.row(x if x.sum() > 0 else -x)


def test_without_a_trace_a_layer_used_twice_is_replaced_in_both_places() -> None:
    pool, relu = nn.MaxPool2d(2), nn.ReLU()
    model = Untraceable(nn.Conv2d(3, 4, 1), relu, nn.Dropout(), pool, nn.Conv2d(4, 4, 1), relu, pool, relu)
    report = replace_pooling(model, PosetPool2d())
    assert replaced(report) == {"row.3": taken("row.1"), "row.6": taken("row.5")}
    assert model.row[3] is model.row[6]
    assert [type(model.row[place]) for place in (1, 5, 7)] == [nn.Identity, nn.Identity, nn.ReLU]


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ((nn.Conv2d(3, 4, 1), nn.ReLU(inplace=True)), taken("row.1")),
        (
            (nn.Dropout(), nn.ReLU(inplace=True)),
            "ReLU 'row.1' stays: it works in place, and what else reads its input is not known",
        ),
        (
            (nn.ReLU(), nn.MaxPool2d(2)),
            "no ReLU between it and the poset pooling 'row.1', which has a floor of its own",
        ),
        ((nn.ReLU(), nn.AvgPool2d(3, 1)), "no ReLU found before it (the model cannot be traced: TraceError)"),
    ],
)
def test_what_neighbours_in_a_sequence_say(layers: tuple[nn.Module, ...], said: str) -> None:
    report = replace_pooling(Untraceable(*layers, nn.AvgPool2d(2)), PosetPool2d())
    assert replaced(report)["row.2"] == said


class Backwards(nn.Sequential):
    """Its neighbours do not read each other, and it cannot be traced."""

    def forward(self, x: Tensor) -> Tensor:
        return self[0](self[1](x if x.sum() > 0 else -x))


def test_neighbours_in_a_sequence_with_an_order_of_its_own_say_nothing() -> None:
    model = Backwards(nn.ReLU(), nn.MaxPool2d(2))
    unknown = "no ReLU found before it (the model cannot be traced: TraceError)"
    assert replaced(replace_pooling(model, PosetPool2d())) == {"1": unknown}
    assert isinstance(model[0], nn.ReLU)


class DecidesBySize(Net):
    def __init__(self) -> None:
        super().__init__()
        self.same = AvgPool2dSame(3, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.pool(self.relu(self.same(self.first(x))))


def test_a_pooling_that_decides_by_the_size_of_a_map_does_not_prevent_a_trace() -> None:
    model = DecidesBySize()
    with pytest.raises(torch.fx.proxy.TraceError):
        torch.fx.symbolic_trace(model)
    report = replace_pooling(model, PosetPool2d())
    assert replaced(report) == {"pool": taken("relu")}
    assert left(report) == {"same": "AvgPool2dSame is a subclass of AvgPool2d, and how it pads is not known"}


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
