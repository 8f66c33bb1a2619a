"""The layer as users meet it: shapes at the edges, copies, its warning and its errors."""

from __future__ import annotations

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn

from cenote.errors import ArgumentError, ArgumentTypeError, CenoteError
from cenote.pooling.order_theory import NonNegativeInputWarning, Poset, PosetPool2d, poset_pool2d
from cenote.pooling.order_theory.four_points import NAMES


def signed(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


# --- shapes at the edges ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stride", [2, 1])
@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("shape", [(0, 3, 4, 4), (2, 0, 4, 4), (0, 0, 4, 4)])
def test_nothing_in_nothing_out(shape: tuple[int, ...], memory_format: torch.memory_format, stride: int) -> None:
    x = torch.empty(shape, dtype=torch.float64, memory_format=memory_format).requires_grad_()
    out = PosetPool2d("N", stride=stride)(x)
    (flow,) = torch.autograd.grad(out.sum(), x)
    assert out.shape == (*shape[:2], *{2: (2, 2), 1: (3, 3)}[stride])
    assert flow.shape == shape


@pytest.mark.parametrize(("value", "expected"), [(3.0, 3.0), (-3.0, 0.0), (0.0, 0.0)])
def test_a_map_of_one_value_is_a_window_with_three_zeros(value: float, expected: float) -> None:
    x = torch.full((1, 1, 1, 1), value, dtype=torch.float64, requires_grad=True)
    assert [poset_pool2d(x, index).item() for index in (1, 12, 13)] == [expected] * 3


def test_without_ceil_mode_the_odd_row_and_column_are_dropped() -> None:
    x = signed(2, 3, 7, 5)
    assert torch.equal(poset_pool2d(x, "N", ceil_mode=False), poset_pool2d(x[:, :, :6, :4].contiguous(), "N"))


# --- the module ---------------------------------------------------------------------------------------------------


def test_the_layer_is_the_function() -> None:
    x = signed(2, 3, 7, 8)
    layer = PosetPool2d("diamond", (2, 2), 1, (1, 0), ceil_mode=False, placement=(3, 1, 2, 0), scale=0.25)
    expected = poset_pool2d(x, "diamond", 2, 1, (1, 0), ceil_mode=False, placement=(3, 1, 2, 0), scale=0.25)
    assert torch.equal(layer(x), expected)
    assert (layer.kernel_size, layer.stride) == ((2, 2), (1, 1))
    assert (layer.padding, layer.ceil_mode, layer.scale) == ((1, 0), False, 0.25)


def test_a_layer_can_be_made_again_of_its_attributes() -> None:
    x = signed(1, 2, 6, 6)
    layer = PosetPool2d("N", 2, 3, 1, placement=(1, 0, 2, 3), scale=0.5)
    again = PosetPool2d(
        layer.poset, layer.kernel_size, layer.stride, layer.padding, ceil_mode=layer.ceil_mode, scale=layer.scale
    )
    assert torch.equal(again(x), layer(x))
    assert repr(again) == repr(layer)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, copy.copy, lambda layer: pickle.loads(pickle.dumps(layer))])
@pytest.mark.parametrize("used", [True, False])
def test_copies_work_as_the_original(duplicate: object, used: bool) -> None:
    x = signed(2, 3, 6, 6)
    layer = PosetPool2d("1<2<4, 1<3<4", stride=1, padding=1, scale=0.5)
    if used:
        layer(x)
    assert callable(duplicate)
    twin = duplicate(layer)
    assert torch.equal(twin(x), layer(x))
    assert repr(twin) == repr(layer)
    assert twin.poset == layer.poset


def test_it_has_no_parameters_and_no_state() -> None:
    layer = PosetPool2d()
    assert list(layer.parameters()) == list(layer.buffers()) == []
    assert layer.state_dict() == {}
    assert str(layer.load_state_dict({})) == "<All keys matched successfully>"
    plain = nn.Sequential(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2))
    nn.Sequential(nn.Conv2d(1, 1, 3), layer).load_state_dict(plain.state_dict())  # fits the weights of max pooling


def test_repr_says_what_it_does() -> None:
    assert repr(PosetPool2d()) == (
        "PosetPool2d('N', kernel_size=(2, 2), stride=(2, 2), padding=(0, 0), ceil_mode=True, scale=1)"
    )
    assert repr(PosetPool2d(Poset.chain(6), (2, 3), 1, (1, 0), ceil_mode=False, scale=0.25)) == (
        "PosetPool2d('1<2, 2<3, 3<4, 4<5, 5<6', kernel_size=(2, 3), stride=(1, 1), padding=(1, 0), ceil_mode=False, "
        "scale=0.25)"
    )


def test_training_and_evaluation_are_the_same() -> None:
    x, layer = signed(1, 2, 4, 4), PosetPool2d("N")
    with torch.inference_mode():
        evaluated = layer.eval()(x)
    assert torch.equal(layer.train()(x.clone().requires_grad_()), evaluated)


# --- the warning --------------------------------------------------------------------------------------------------


def test_non_negative_input_is_warned_of_once_a_layer() -> None:
    x = signed(1, 1, 4, 4).abs()
    for layer in (PosetPool2d(), PosetPool2d("chain", stride=1)):
        with pytest.warns(NonNegativeInputWarning) as caught:
            layer(x)
        assert len(caught) == 1
        assert caught[0].filename == __file__, "the caller's line, not torch's"
        assert str(caught[0].message) == (
            "the input of PosetPool2d is non-negative: every poset filter equals sum pooling there, because the full "
            "window is then the largest up-set; put the layer before the activation"
        )
        layer(x)  # silent: a warning would be an error


@pytest.mark.parametrize(
    "x",
    [
        pytest.param(signed(1, 1, 4, 4), id="signed"),
        pytest.param(-signed(1, 1, 4, 4).abs(), id="negative"),
        pytest.param(torch.zeros(1, 1, 4, 4), id="zero"),
        pytest.param(torch.ones(0, 1, 4, 4), id="no images"),
        pytest.param(torch.full((1, 1, 4, 4), float("nan")), id="NaN"),
    ],
)
def test_other_input_is_not_warned_of(x: torch.Tensor) -> None:
    PosetPool2d(stride=1)(x)  # a warning would be an error


def test_an_empty_batch_does_not_use_the_warning_up() -> None:
    layer = PosetPool2d(stride=1)
    layer(torch.ones(0, 1, 4, 4))
    with pytest.warns(NonNegativeInputWarning):
        layer(torch.ones(1, 1, 4, 4))


def test_the_function_does_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert poset_pool2d(torch.ones(1, 1, 2, 2), "chain", stride=1).item() == 4


# --- errors -------------------------------------------------------------------------------------------------------


def message_of(error: type[CenoteError], *args: object, **kwargs: object) -> str:
    """The message that function and layer share."""
    with pytest.raises(error) as by_function:
        poset_pool2d(torch.randn(1, 1, 4, 4), *args, **kwargs)  # type: ignore[arg-type]
    with pytest.raises(error) as by_layer:
        PosetPool2d(*args, **kwargs)  # type: ignore[arg-type]
    assert str(by_function.value) == str(by_layer.value)
    return str(by_layer.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"poset": "1<2<3<1, 4"}, "relations contain the cycle 1 < 2 < 3 < 1; an order has none"),
        ({"poset": 16}, "poset index must be 0 to 15, got 16"),
        (
            {"poset": "N", "kernel_size": 3},
            "poset '1<2, 3<2, 3<4' has 4 points, but the window has 9; in a Hasse string name points without relations "
            "too, as in '1<2, 3, 4'",
        ),
        (
            {"poset": "antichain", "kernel_size": 4},
            "poset on 16 points has 65,536 up-sets; at most 4,096 can be listed",
        ),
        ({"poset": "chain", "kernel_size": 8}, "kernel_size (8, 8) has 64 points; at most 63 are possible"),
        ({"padding": 2}, "padding must be at most half of the window (2, 2), got (2, 2)"),
        ({"padding": (0, 2)}, "padding must be at most half of the window (2, 2), got (0, 2)"),
        ({"padding": -1}, "padding must be one or two integers of at least 0, got -1"),
        ({"kernel_size": 0}, "kernel_size must be one or two integers of at least 1, got 0"),
        ({"kernel_size": (2, 2, 1)}, "kernel_size must be one or two integers of at least 1, got (2, 2, 1)"),
        ({"kernel_size": (2, 2.0)}, "kernel_size must be one or two integers of at least 1, got (2, 2.0)"),
        ({"kernel_size": "22"}, "kernel_size must be one or two integers of at least 1, got '22'"),
        ({"stride": 0}, "stride must be one or two integers of at least 1, got 0"),
        ({"scale": float("nan")}, "scale must be a finite number, got nan"),
        ({"scale": "a"}, "scale must be a finite number, got 'a'"),
        ({"poset": "1<2<4"}, "poset '1<2<4' leaves out point 3; name points without relations too, as in '1<2, 3, 4'"),
        ({"placement": (0, 1, 2)}, "placement must be a permutation of 0 to 3, got (0, 1, 2)"),
        ({"placement": (1, 2, 3, 4)}, "placement must be a permutation of 0 to 3, got (1, 2, 3, 4)"),
        ({"placement": (0, 0, 1, 2)}, "placement must be a permutation of 0 to 3, got (0, 0, 1, 2)"),
    ],
)
def test_bad_arguments(arguments: dict[str, object], message: str) -> None:
    assert message_of(ArgumentError, **arguments) == message


def test_an_unknown_name_lists_all_names() -> None:
    message = message_of(ArgumentError, "bow")
    assert message.startswith("unknown poset 'bow'")
    assert all(name in message for name in NAMES)


@pytest.mark.parametrize("poset", [None, 1.5, True, ["1<2"]])
def test_a_poset_of_another_type(poset: object) -> None:
    message = message_of(ArgumentTypeError, poset)
    assert message == f"poset must be a Poset, an index, a name or a Hasse string, got {poset!r}"


@pytest.mark.parametrize(
    ("x", "kind"),
    [
        (torch.zeros(1, 1, 4, 4, dtype=torch.int64), "torch.int64"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.uint8), "torch.uint8"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.bool), "torch.bool"),
        (torch.zeros(1, 1, 4, 4, dtype=torch.complex64), "torch.complex64"),
        (torch.zeros(1, 1, 4, 4).to(torch.float8_e4m3fn), "torch.float8_e4m3fn"),
        ([[[[1.0]]]], "list"),
        (None, "NoneType"),
    ],
)
def test_input_of_another_type(x: object, kind: str) -> None:
    for pool in (PosetPool2d(), poset_pool2d):
        with pytest.raises(ArgumentTypeError) as caught:
            pool(x)  # type: ignore[arg-type,operator]
        assert str(caught.value) == f"x must be a tensor of float16, bfloat16, float32 or float64, got {kind}"


@pytest.mark.parametrize("shape", [(3, 4, 4), (4, 4), (1, 1, 2, 4, 4), ()])
def test_input_without_four_dimensions(shape: tuple[int, ...]) -> None:
    with pytest.raises(ArgumentError) as caught:
        PosetPool2d()(-torch.ones(shape))
    assert str(caught.value) == f"x must have four dimensions (B, C, H, W), got shape {shape}"


@pytest.mark.parametrize(
    ("shape", "arguments", "message"),
    [
        ((1, 1, 0, 4), {}, "x has height 0, too small for kernel_size (2, 2) and padding (0, 0)"),
        ((1, 1, 4, 0), {}, "x has width 0, too small for kernel_size (2, 2) and padding (0, 0)"),
        ((1, 1, 1, 4), {"ceil_mode": False}, "x has height 1, too small for kernel_size (2, 2) and padding (0, 0)"),
        (
            (1, 1, 4, 1),
            {"poset": "chain", "kernel_size": (1, 5), "stride": 1, "padding": (0, 1)},
            "x has width 1, too small for kernel_size (1, 5) and padding (0, 1)",
        ),
    ],
)
def test_maps_smaller_than_the_window(shape: tuple[int, ...], arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        poset_pool2d(torch.randn(shape), **arguments)  # type: ignore[arg-type]
    assert str(caught.value) == message
