"""A strip shows the values of one metric on one data set, arm by arm."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cenote.catalog.results import Record
from cenote.errors import ArgumentError
from cenote.lab import plots
from cenote.lab.strips import Shown, draw_strip

ACCURACY = Shown("accuracy", "accuracy", "test accuracy", "Accuracy")


def record(arm: str, value: float, *, data: str = "digits", metric: str = "accuracy") -> Record:
    return Record(trial=f"{data}/{arm}", data=data, arm=arm, metric=metric, value=value)


RECORDS = [
    record("b", 0.5),
    record("a", 0.25),
    record("a", 0.75),
    record("a", 0.0, data="elsewhere"),
    record("a", 9.0, metric="loss"),
    record("unknown", 1.0),
]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was handed to the plot."""
    kept: dict[str, Any] = {}
    strip = plots.strip

    def watched(values: Any, **options: Any) -> Any:
        kept.update(values=values, **options)
        return strip(values, **options)

    monkeypatch.setattr(plots, "strip", watched)
    return kept


def draw(folder: Path, shown: Shown = ACCURACY, records: list[Record] | None = None) -> Any:
    return draw_strip(
        shown, "digits", records or RECORDS, folder,
        subject="a", order=("a", "b", "c"), controls=("b", "c"), caption="As said.",
    )  # fmt: skip


def test_arms_with_values_are_drawn_in_their_order(tmp_path: Path, drawn: dict[str, Any]) -> None:
    figure = draw(tmp_path)
    assert list(drawn["values"].items()) == [("a", [0.25, 0.75]), ("b", [0.5])]
    assert (drawn["highlight"], drawn["controls"], drawn["unit"]) == ({"a"}, {"b"}, "fraction")
    assert (tmp_path / figure.file).is_file()
    assert (figure.file, figure.title, figure.caption) == ("accuracy-digits.png", "Accuracy on digits", "As said.")
    assert figure.alt == "Means of the test accuracy: a 50.0%, b 50.0%."


def test_what_is_no_fraction_is_written_as_a_number(tmp_path: Path) -> None:
    figure = draw(tmp_path, Shown("loss", "loss", "loss", "Loss", unit=""))
    assert figure.alt == "Means of the loss: a 9.000."


def test_a_diverged_arm_says_so(tmp_path: Path, drawn: dict[str, Any]) -> None:
    figure = draw(tmp_path, records=[record("a", float("nan")), record("a", 0.5)])
    assert figure.alt == "Means of the test accuracy: a diverged."
    assert np.isnan(drawn["values"]["a"][0])
    assert drawn["controls"] == frozenset()


def test_no_value_at_all_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="at least one arm is needed"):
        draw(tmp_path, records=[record("unknown", 1.0)])
