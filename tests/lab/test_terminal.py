"""Tables of the terminal, read as a person reads them."""

from __future__ import annotations

import math

import pytest
from rich.console import Console

from cenote.lab.publishing import Check
from cenote.lab.terminal import _check_table


def printed(*checks: Check) -> str:
    console = Console(width=160)
    with console.capture() as capture:
        console.print(_check_table(checks))
    return capture.get()


@pytest.mark.parametrize(("fresh", "word"), [(0.0123456, "inside"), (0.5, "outside")])
def test_a_fresh_figure_stands_beside_its_prediction(fresh: float, word: str) -> None:
    out = printed(Check("accuracy", "digits", "holds", "holds", "confirmed", 0.02, -0.01, 0.05, fresh))
    assert f"{fresh:.4g}" in out
    assert f"-0.01 to 0.05: {word}" in out


def test_where_there_is_no_prediction_a_dash_stands() -> None:
    nan = math.nan
    out = printed(Check("parameters", "digits", "holds", "holds", "confirmed", 0, nan, nan, 0))
    assert "nan" not in out
    assert out.rstrip().endswith("–")
    assert "nan" not in printed(Check("accuracy", "digits", "unclear", "unclear", "confirmed", nan, nan, nan, nan))
