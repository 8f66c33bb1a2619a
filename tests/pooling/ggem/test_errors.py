"""Bad input gives one error that names the argument, what came and what is allowed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling import GeM, GGeM, ggem_pool, token_weights

X = torch.rand(2, 3, 6)
NONE_OF_ONE = torch.tensor([[True, False, True], [False, False, False]])

WRONG: dict[str, tuple[Callable[[], Any], type[Exception], str]] = {
    "groups": (lambda: GGeM(6, 4), ArgumentError, "groups must divide the 6 channels, got 4; allowed are 1, 2, 3, 6"),
    "no groups": (lambda: GGeM(6, 0), ArgumentError, "groups must be at least 1, got 0"),
    "groups of a call": (lambda: ggem_pool(X, torch.ones(5)), ArgumentError, "allowed are 1, 2, 3, 6"),
    "groups below zero": (lambda: GGeM(6, -2), ArgumentError, "groups must be at least 1, got -2"),
    "a fraction of groups": (lambda: GGeM(6, 2.0), ArgumentTypeError, "groups must be a whole number, got 2.0"),  # type: ignore[arg-type]
    "dim below zero": (lambda: GGeM(-6, 2), ArgumentError, "dim must be at least 1, got -6"),
    "no dim": (lambda: GGeM(0, 1), ArgumentError, "dim must be at least 1, got 0"),
    "dim true": (lambda: GGeM(True, 1), ArgumentTypeError, "dim must be a whole number, got True"),
    "text": (lambda: GGeM(6, 2, p="3"), ArgumentTypeError, "p must be a number, got '3'"),  # type: ignore[arg-type]
    "true": (lambda: GeM(p=True), ArgumentTypeError, "p must be a number, got True"),
    "text of a call": (lambda: ggem_pool(X, p="x"), ArgumentTypeError, "p must be a number, got 'x'"),  # type: ignore[arg-type]
    "text weights": (lambda: token_weights(X, "x"), ArgumentTypeError, "p must be a number, got 'x'"),  # type: ignore[arg-type]
    "complex": (lambda: ggem_pool(X, torch.ones(2) * 1j), ArgumentTypeError, "real numbers, got torch.complex64"),
    "eps text": (lambda: GeM(eps="a"), ArgumentTypeError, "eps must be a positive number, got 'a'"),  # type: ignore[arg-type]
    "eps infinite": (lambda: GeM(eps=torch.inf), ArgumentError, "eps must be a positive number, got inf"),
    "dimension beyond": (lambda: ggem_pool(X, dim=7), ArgumentError, "must be (1,) or (2,) for 3 dimensions, got 7"),
    "dimension before": (lambda: ggem_pool(X, dim=-5), ArgumentError, "must be (1,) or (2,) for 3 dimensions, got -5"),
    "dimension text": (lambda: ggem_pool(X, dim="1"), ArgumentTypeError, "dim must be a whole number or a sequence"),  # type: ignore[arg-type]
    "dimension real": (lambda: ggem_pool(X, dim=1.0), ArgumentTypeError, "dim must be a whole number or a sequence"),  # type: ignore[arg-type]
    "exponents": (lambda: GGeM(6, 3, (1.0, 2.0)), ArgumentError, "p must be one number or 3"),
    "matrix of exponents": (lambda: ggem_pool(X, torch.ones(2, 3)), ArgumentError, "p must be one number or a vector"),
    "zero": (lambda: ggem_pool(X, 0.0), ArgumentError, "p must be positive, got [0.0]; pass allow_negative_p=True"),
    "negative": (lambda: GeM(-1.0), ArgumentError, "p must be positive, got [-1.0]"),
    "negative weights": (lambda: token_weights(X, -1.0), ArgumentError, "p must be positive"),
    "nan": (lambda: ggem_pool(X, torch.nan, allow_negative_p=True), ArgumentError, "p must not be NaN"),
    "signed": (lambda: GeM(negative="signed", allow_negative_p=True), ArgumentError, "'signed'"),
    "signed and infinite": (lambda: ggem_pool(X, torch.inf, negative="signed"), ArgumentError, "finite"),
    "way": (lambda: GeM(negative="abs"), ArgumentError, "negative must be one of 'clamp', 'relu'"),  # type: ignore[arg-type]
    "eps": (lambda: GeM(eps=0.0), ArgumentError, "eps must be a positive number, got 0.0"),
    "eps of a call": (lambda: ggem_pool(X, eps=torch.nan), ArgumentError, "eps must be a positive number, got nan"),
    "parametrization": (lambda: GeM(parametrization="exp"), ArgumentError, "'free' or 'softplus', got 'exp'"),  # type: ignore[arg-type]
    "integers": (lambda: ggem_pool(X.int()), ArgumentTypeError, "x must be a floating-point tensor, got torch.int32"),
    "no tensor": (lambda: ggem_pool([1.0]), ArgumentTypeError, "got list"),  # type: ignore[arg-type]
    "dimensions": (lambda: ggem_pool(X[0]), ArgumentError, "or maps (B, D, H, W), got shape (3, 6)"),
    "no token": (lambda: ggem_pool(X[:, :0]), ArgumentError, "x must have at least one token, got shape (2, 0, 6)"),
    "pooled dimension": (lambda: ggem_pool(X, dim=0), ArgumentError, "must be (1,) or (2,) for 3 dimensions, got 0"),
    "channels": (lambda: GGeM(8, 2)(X), ArgumentError, "x must have 8 channels, got 6 in shape (2, 3, 6)"),
    "mask type": (lambda: ggem_pool(X, mask=torch.ones(2, 3)), ArgumentTypeError, "mask must be a boolean tensor"),
    "mask shape": (lambda: ggem_pool(X, mask=torch.ones(2, 6).bool()), ArgumentError, "shape (2, 3), got (2, 6)"),
    "empty row": (lambda: ggem_pool(X, mask=NONE_OF_ONE), ArgumentError, "it keeps none of sample 1"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(name: str) -> None:
    call, error, words = WRONG[name]
    with pytest.raises(error, match=re.escape(words)):
        call()


def test_an_exponent_that_learning_drove_below_zero_is_noticed() -> None:
    layer = GGeM(6, 2)
    with torch.no_grad():
        layer.raw_p[1] = -0.1
    with pytest.raises(ArgumentError, match=r"p must be positive, got \[3.0, -0.1"):
        layer(X)
    layer.allow_negative_p = True
    assert layer(X).isfinite().all()


def test_where_values_cannot_be_looked_at_a_sample_without_tokens_is_nan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    pooled = ggem_pool(X, 3.0, NONE_OF_ONE)
    assert pooled[0].isfinite().all()
    assert pooled[1].isnan().all()
