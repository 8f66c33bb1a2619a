"""The exact laws of set aggregations, against closed forms and PyTorch Geometric."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from cenote.pooling import AttSets, BilinearAggregation, GRUAggregation, SetTransformerAggregation, aggregate
from cenote.pooling.attsets.sets import SetAggregation

EXACT = {"rtol": 1e-12, "atol": 1e-12}
NAMES = ("attsets", "max", "mean", "sum", "gru", "bilinear", "set-transformer")
INERT = ("attsets", "max", "mean", "sum")
SHAPES = {"fc": (5,), "conv2d": (5, 3, 4), "conv3d": (5, 2, 3, 2)}


def double(name: str, dim: int = 8) -> SetAggregation:
    return aggregate(name, dim).double()


def sets(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


# --- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in NAMES if name != "gru"])
def test_the_order_does_not_matter(name: str) -> None:
    pool, x = double(name), sets(3, 7, 8)
    expected = pool(x)
    for _ in range(10):
        torch.testing.assert_close(pool(x[:, torch.randperm(7)]), expected, **EXACT)


def test_the_order_matters_to_the_gru() -> None:
    pool, x = double("gru"), sets(3, 7, 8)
    assert (pool(x.flip(1)) - pool(x)).abs().max() > 1e-3


@pytest.mark.parametrize("kind", SHAPES)
@settings(max_examples=15, deadline=None)
@given(order=st.permutations(range(5)), seed=st.integers(0, 2**16))
def test_the_order_does_not_matter_to_maps(kind: str, order: list[int], seed: int) -> None:
    torch.manual_seed(seed)
    pool, x = AttSets(5, kind=kind).double(), sets(2, 5, *SHAPES[kind])  # type: ignore[arg-type]
    torch.testing.assert_close(pool(x[:, order]), pool(x), **EXACT)


@pytest.mark.parametrize("name", ["attsets", "max", "mean", "bilinear", "set-transformer"])
def test_a_set_that_comes_twice_is_the_set(name: str) -> None:
    pool, x = double(name), sets(3, 4, 8)
    torch.testing.assert_close(pool(torch.cat([x, x], 1)), pool(x), **EXACT)


def test_a_sum_counts_copies() -> None:
    x = sets(3, 4, 8)
    torch.testing.assert_close(double("sum")(torch.cat([x, x], 1)), 2 * double("sum")(x), **EXACT)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("kind", SHAPES)
def test_one_member_comes_out_bit_for_bit(kind: str, dtype: torch.dtype) -> None:
    x = (100 * torch.randn(4, 1, *SHAPES[kind])).to(dtype)
    pool = AttSets(5, kind=kind, bias=True).to(dtype)  # type: ignore[arg-type]
    assert torch.equal(pool(x), x[:, 0])
    twice = AttSets(5, out_elems=2, kind=kind).to(dtype)  # type: ignore[arg-type]
    assert torch.equal(twice(x), torch.cat([x[:, 0], x[:, 0]], 1))


@pytest.mark.parametrize("name", INERT)
def test_one_member_that_counts_comes_out_bit_for_bit(name: str) -> None:
    x, mask = torch.randn(4, 3, 8), torch.zeros(4, 3, dtype=torch.bool)
    mask[:, 1] = True
    assert torch.equal(aggregate(name, 8)(x, mask), x[:, 1])


@pytest.mark.parametrize("kind", SHAPES)
def test_weights_of_zero_give_the_mean(kind: str) -> None:
    pool, x = AttSets(5, kind=kind).double(), sets(3, 6, *SHAPES[kind])  # type: ignore[arg-type]
    nn.init.zeros_(pool.scores.weight)
    torch.testing.assert_close(pool(x), x.mean(1), **EXACT)


def test_a_large_multiple_of_the_identity_gives_the_maximum() -> None:
    pool, x = AttSets(5).double(), sets(3, 6, 5)
    with torch.no_grad():
        pool.scores.weight.copy_(1e4 * torch.eye(5))
    torch.testing.assert_close(pool(x), x.amax(1), **EXACT)


def test_the_formula_by_hand() -> None:
    pool, x = AttSets(4, out_elems=3).double(), sets(2, 5, 4)
    weight = pool.scores.weight.reshape(3, 4, 4)
    activations = torch.einsum("mde,bne->bnmd", weight, x).exp()
    expected = (activations / activations.sum(1, keepdim=True) * x.unsqueeze(2)).sum(1).flatten(1)
    pooled, weights = pool(x, return_weights=True)
    torch.testing.assert_close(pooled, expected, **EXACT)
    assert weights.shape == (2, 5, 12)
    torch.testing.assert_close(weights.sum(1), torch.ones(2, 12, dtype=torch.float64), **EXACT)


def test_a_bias_changes_nothing_and_has_no_gradient() -> None:
    pool, x = AttSets(5, bias=True).double(), sets(3, 6, 5)
    before = pool(x)
    bias = pool.scores.bias
    assert bias is not None
    (gradient,) = torch.autograd.grad(before.square().sum(), bias)
    torch.testing.assert_close(gradient, torch.zeros_like(gradient), **EXACT)
    nn.init.normal_(bias)
    torch.testing.assert_close(pool(x), before, **EXACT)


# --- masks --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_a_masked_member_is_a_member_that_is_not_there(name: str) -> None:
    pool, x = double(name), sets(3, 6, 8)
    mask = torch.tensor([[1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 1, 0], [1, 1, 1, 1, 1, 1]]).bool()
    dirty = x.masked_fill(~mask.unsqueeze(2), float("nan")).requires_grad_()
    pooled = pool(dirty, mask)
    expected = torch.cat([pool(one[rows].unsqueeze(0)) for one, rows in zip(x, mask, strict=True)])
    torch.testing.assert_close(pooled, expected, **EXACT)
    (gradient,) = torch.autograd.grad(pooled.square().sum(), dirty)
    assert gradient.isfinite().all()
    assert not gradient[~mask].any()


@pytest.mark.parametrize("kind", SHAPES)
def test_masked_maps(kind: str) -> None:
    pool, x = AttSets(5, kind=kind).double(), sets(2, 4, *SHAPES[kind])  # type: ignore[arg-type]
    mask = torch.tensor([True, False, True, True]).expand(2, -1)
    pooled, weights = pool(x, mask, return_weights=True)
    torch.testing.assert_close(pooled, pool(x[:, [0, 2, 3]]), **EXACT)
    assert not weights[:, 1].any()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_a_mask_that_keeps_all_leaves_the_mean_as_it_is(dtype: torch.dtype) -> None:
    """40 times 5,000 is beyond the largest number of float16, 65,504; its mean is not."""
    x, all_of_them = (5000 + torch.rand(3, 40, 8)).to(dtype), torch.ones(3, 40, dtype=torch.bool)
    pool = aggregate("mean", 8)
    torch.testing.assert_close(pool(x, all_of_them), pool(x), rtol=torch.finfo(dtype).eps, atol=0)
    assert pool(x, all_of_them).dtype is dtype


# --- other people's aggregations ----------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_diagonal_weights_are_pygs_softmax_aggregation() -> None:
    aggr = pytest.importorskip("torch_geometric.nn.aggr")
    x, temperatures = torch.randn(3, 7, 6), torch.linspace(-2, 3, 6)
    theirs = aggr.SoftmaxAggregation(learn=True, channels=6)
    pool = AttSets(6)
    with torch.no_grad():
        theirs.t.copy_(temperatures)
        pool.scores.weight.copy_(temperatures.diag())
    index = torch.arange(3).repeat_interleave(7)
    torch.testing.assert_close(pool(x), theirs(x.flatten(0, 1), index), rtol=1e-6, atol=1e-6)


def test_the_gru_is_torchs() -> None:
    pool, theirs, x = GRUAggregation(6), nn.GRU(6, 6, batch_first=True), torch.randn(3, 7, 6)
    theirs.load_state_dict(pool.state_dict())
    assert torch.equal(pool(x), theirs(x)[1][0])


def test_attention_to_one_query_is_torchs() -> None:
    pool, x = SetTransformerAggregation(8, heads=2).double(), sets(3, 5, 8)
    theirs = nn.MultiheadAttention(8, 2, batch_first=True).double()
    parts = (pool.to_query, pool.to_key, pool.to_value)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(pool.mix.state_dict())
    members, query = pool.before(x), pool.query.expand(3, -1, -1)
    state = pool.norm(query + theirs(query, members, members)[0])
    torch.testing.assert_close(pool(x), pool.last_norm(state + pool.after(state)).squeeze(1), **EXACT)


def test_second_order_by_a_loop() -> None:
    pool, x = BilinearAggregation(5, rank=3).double(), sets(2, 4, 5)
    project = pool.project
    rows = []
    for one in x:
        mean = sum(torch.outer(project(member), project(member)) for member in one) / 4
        rooted = mean.sign() * ((mean.abs() + 1e-6).sqrt() - 1e-3)
        rows.append(pool.back(rooted.flatten() / rooted.norm()))
    torch.testing.assert_close(pool(x), torch.stack(rows), **EXACT)


def test_second_order_has_no_more_than_32_features_unless_asked() -> None:
    for dim, rank in ((8, 8), (64, 32)):
        pool = BilinearAggregation(dim)
        assert (pool.project.out_features, pool.back.in_features) == (rank, rank**2)


def test_parameters_are_those_of_the_paper() -> None:
    """D² for the attention of 1,024 features; 6·D² + 6·D for the GRU."""
    assert sum(weight.numel() for weight in AttSets(1024).parameters()) == 1_048_576
    assert sum(weight.numel() for weight in GRUAggregation(1024).parameters()) == 6_297_600


def test_second_order_of_half_precision_does_not_overflow() -> None:
    """Squares of features of a few hundred are beyond float16."""
    torch.manual_seed(0)
    pool = aggregate("bilinear", 8, rank=8)
    x = 300 * torch.rand(2, 3, 8)
    torch.testing.assert_close(pool.half()(x.half()).float(), pool.float()(x), rtol=1e-2, atol=1e-2)
