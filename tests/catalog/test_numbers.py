"""Numbers in tables show what their spread allows, and nothing that is there is written as nothing."""

from __future__ import annotations

import math

import pytest

from cenote.catalog.numbers import Scale, decimals_apart, decimals_of, write_number, write_with_unit

PLAIN = Scale(signed=False)


@pytest.mark.parametrize(
    ("spread", "decimals"),
    [(250.0, 0), (30.0, 0), (3.0, 1), (0.3, 2), (0.099, 3), (1e-7, 8), (1e-12, 8), (0.0, None), (math.nan, None)],
)
def test_two_digits_of_the_spread(spread: float, decimals: int | None) -> None:
    assert decimals_of(spread) == decimals


@pytest.mark.parametrize(
    ("value", "decimals", "text"),
    [
        (0.65432, 2, "0.65"),
        (-0.65432, 2, "−0.65"),
        (1234.5, 1, "1,234.5"),
        (0.001, 2, "0.00"),  # nothing beside its spread
        (7.9e-16, 8, "7.9e−16"),
        (-7.9e-16, 8, "−7.9e−16"),
        (4.9e-9, 8, "4.9e−09"),
        (5.1e-9, 8, "0.00000001"),
        (0.0, 8, "0.00000000"),
        (0.65432, None, "0.6543"),
        (12.0, None, "12"),
        (1.44e-15, None, "1.44e−15"),
        (math.nan, 3, "diverged"),
        (math.inf, 3, "∞"),
    ],
)
def test_a_value_with_decimals(value: float, decimals: int | None, text: str) -> None:
    assert write_number(value, PLAIN, decimals) == text


def test_a_fraction_is_written_in_points_with_its_sign() -> None:
    scale = Scale(100.0, "points")
    assert write_with_unit(0.0123, scale, 1) == "+1.2 points"
    assert write_with_unit(0.01, scale) == "+1 point"
    assert write_with_unit(-0.01, scale) == "−1 point"


def test_ends_show_their_side_of_a_threshold() -> None:
    assert decimals_apart((0.996, 1.4), (1.0,), PLAIN, 1) == 3
    assert decimals_apart((0.9, 1.4), (1.0,), PLAIN, 1) == 1
    assert decimals_apart((0.9999999, 1.4), (1.0,), PLAIN, 1) == 4, "no finer than three decimals more"
    assert decimals_apart((0.5, 0.5), (0.5,), PLAIN, None) is None
