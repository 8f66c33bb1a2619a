from __future__ import annotations

import errno
import itertools
import math
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from scipy import stats

from cenote.catalog.results import Comparison, Verdict
from cenote.errors import ArgumentError, StorageError
from cenote.lab import labels, plots

SEEDS = np.random.default_rng(0).normal(0.7, 0.004, (8, 8))
ARMS = {
    name: SEEDS[index].tolist()
    for index, name in enumerate(
        ("poset N", "poset chain", "max", "average", "mixed", "sum (4 × average)", "poset after ReLU", "maxout")
    )
}
CONTROLS = {"sum (4 × average)", "poset after ReLU", "maxout"}
ROWS = [("max", 0.009, 0.005, 0.013), ("average", -0.02, -0.03, -0.01), ("mixed", 0.004, -0.002, 0.01)]
POWERS = [1.0, 2.0, 4.0, 8.0]
SERIES = {
    "poset N": plots.Line(POWERS, [0.60, 0.70, 0.75, 0.80], [0.58, 0.69, 0.74, 0.79], [0.62, 0.71, 0.76, 0.81]),
    "max": plots.Line(POWERS, [0.59, 0.69, 0.74, 0.799]),
    "average": plots.Line(POWERS, [0.5, 0.6, math.nan, 0.798]),
}
IMAGES = [np.arange(12.0).reshape(3, 4) - 4, np.zeros((3, 4))]

FIGURES: dict[str, Callable[[], Figure]] = {
    "strip": lambda: plots.strip(ARMS, xlabel="accuracy", unit="fraction", highlight="poset N", controls=CONTROLS),
    "forest": lambda: plots.forest(ROWS, margin=0.005, unit="fraction"),
    "lines": lambda: plots.lines(SERIES, xlabel="images per class", ylabel="accuracy", unit="fraction", log_x=True),
    "grid": lambda: plots.grid(IMAGES, titles=["input", "average"], cmap="RdBu_r", centre=0, label="gradient"),
    "bars": lambda: plots.bars(
        {"released": 52.1, "closed form": 3.4},
        xlabel="forward",
        unit="ms",
        highlight="closed form",
        limit=("one read", 1.9),
    ),
}


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text()]


def drawn(figure: Figure, marker: str) -> list[Line2D]:
    return [line for line in figure.axes[0].lines if line.get_marker() == marker]


def test_strip_shows_every_seed_and_the_t_interval() -> None:
    figure = FIGURES["strip"]()
    assert [np.asarray(line.get_xdata()).tolist() for line in drawn(figure, "o")] == [
        pytest.approx([100 * value for value in seeds]) for seeds in ARMS.values()
    ]
    for seeds, mark in zip(ARMS.values(), drawn(figure, "D"), strict=True):
        low, high = stats.t.interval(0.95, 7, loc=np.mean(seeds), scale=stats.sem(seeds))
        assert np.asarray(mark.get_xdata()) == pytest.approx(100 * np.mean(seeds))
        below = np.asarray(mark.get_ydata())[0]
        (interval,) = [line for line in drawn(figure, "None") if list(np.asarray(line.get_ydata())) == [below, below]]
        assert np.asarray(interval.get_xdata()) == pytest.approx([100 * low, 100 * high])
        assert f"{100 * np.mean(seeds):.2f} ± {50 * (high - low):.2f}" in texts(figure)
    assert figure.axes[0].get_xlabel() == "accuracy (%)"


def test_strip_keeps_a_seed_at_its_height_in_every_row() -> None:
    dots = drawn(FIGURES["strip"](), "o")
    within = [np.asarray(line.get_ydata()) - np.asarray(line.get_ydata())[0] for line in dots]
    assert all(own == pytest.approx(within[0]) for own in within)
    assert np.diff(within[0]).min() > 0


def test_strip_groups_the_controls_below_and_lights_the_subject() -> None:
    figure = FIGURES["strip"]()
    axes = figure.axes[0]
    labels = {label.get_text(): label for label in axes.get_yticklabels()}
    heights = dict(zip(labels, axes.get_yticks(), strict=True))
    assert min(heights[name] for name in CONTROLS) > max(heights[name] for name in set(ARMS) - CONTROLS) + 1
    assert list(labels) == list(ARMS)
    assert "controls" in [note.get_text() for note in axes.texts]
    assert {to_hex(labels[name].get_color()) for name in CONTROLS} == {plots.QUIET}
    assert to_hex(labels["poset N"].get_color()) == plots.SUBJECT
    colours = [to_hex(line.get_color()) for line in drawn(figure, "D")]
    assert colours == [plots.SUBJECT, *[plots.BASELINE] * 4, *[plots.CONTROL] * 3]


def test_strip_says_diverged_and_shows_no_mean() -> None:
    figure = plots.strip({"a": [0.5, math.nan, 0.7], "b": [0.6, 0.6, 0.7]}, xlabel="accuracy", highlight="a")
    assert "diverged (1 of 3)" in texts(figure)
    assert len(drawn(figure, "D")) == 1
    assert not any("nan" in text for text in texts(figure))


def test_one_seed_has_no_interval() -> None:
    figure = plots.strip({"a": [0.5], "b": [0.75]}, xlabel="loss")
    assert "0.50" in texts(figure)
    assert not any("0.50 ±" in text for text in texts(figure))
    assert figure.axes[0].get_xlabel() == "loss"


def test_forest_fills_the_marks_whose_interval_leaves_zero_out() -> None:
    figure = FIGURES["forest"]()
    marks = drawn(figure, "o")
    assert [np.asarray(mark.get_xdata())[0] for mark in marks] == pytest.approx([0.9, -2.0, 0.4])
    assert [to_hex(mark.get_markerfacecolor()) for mark in marks] == [plots.SUBJECT, plots.SUBJECT, "#ffffff"]
    upright = [
        float(np.asarray(line.get_xdata())[0])
        for line in figure.axes[0].lines
        if list(np.asarray(line.get_ydata())) == [0, 1]
    ]
    assert upright == pytest.approx([0.0, 0.5])
    for text in (
        "+0.90 [+0.50, +1.30]",
        "−2.00 [−3.00, −1.00]",
        "margin +0.5",
        "favours the paper →",
        "difference (points)",
    ):
        assert text in texts(figure)


def test_forest_of_a_verdict_is_the_forest_of_its_comparisons(tmp_path: Path) -> None:
    comparisons = tuple(
        Comparison(baseline=name, estimate=estimate, low=low, high=high, test_low=low, test_high=high)
        for name, estimate, low, high in ROWS
    )
    verdict = Verdict(claim="c", data="d", word="unclear", reason="r", units=8, seeds=8, comparisons=comparisons)
    one = plots.save(plots.forest(verdict, margin=0.005, unit="fraction"), tmp_path / "one.png")
    two = plots.save(FIGURES["forest"](), tmp_path / "two.png")
    assert one.read_bytes() == two.read_bytes()


def test_forest_shows_what_diverged_and_what_has_no_end() -> None:
    rows = [("a", math.nan, math.nan, math.nan), ("b", 1.0, 0.5, math.inf), ("c", 2.0, math.nan, math.nan)]
    figure = plots.forest(rows, reference=1.0, margin=1.5)
    shown = texts(figure)
    assert "diverged" in shown
    assert any(text.endswith("+∞]") for text in shown)
    assert "margin 1.5" in shown
    assert len(drawn(figure, ">")) == 1
    assert np.isfinite(figure.axes[0].get_xlim()).all()


def test_lines_name_each_curve_at_its_end_without_overlap() -> None:
    figure = FIGURES["lines"]()
    figure.draw_without_rendering()
    notes = [note for note in figure.axes[0].texts if note.get_text() in SERIES]
    assert {note.get_text() for note in notes} == set(SERIES)
    # The box of the letters alone; an annotation's own box takes in its leader.
    boxes = sorted((Text.get_window_extent(note) for note in notes), key=lambda box: box.y0)
    assert all(below.y1 <= above.y0 for below, above in itertools.pairwise(boxes))


def test_lines_break_at_nan_and_write_the_positions_measured() -> None:
    axes = FIGURES["lines"]().axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "4", "8"]
    assert np.isnan(np.asarray(axes.lines[2].get_ydata())[2])
    assert np.asarray(axes.lines[0].get_ydata()) == pytest.approx([60, 70, 75, 80])
    assert len(axes.collections) == 1  # one band, of the only series that has one


def test_whole_numbers_have_no_fractions_between_them() -> None:
    for positions, expected in (([1.0, 2.0], [1, 2]), ([0.0, 1.0, 2.0, 3.0], [0, 1, 2, 3])):
        line = plots.Line(positions, positions)
        axes = plots.lines({"a": line}, xlabel="epoch", ylabel="y").axes[0]
        low, high = axes.get_xlim()
        assert [tick for tick in axes.get_xticks() if low <= tick <= high] == expected
    axes = plots.lines({"a": plots.Line([0.5, 1.0], [0, 1])}, xlabel="share", ylabel="y").axes[0]
    assert any(tick % 1 for tick in axes.get_xticks())


def test_lines_can_be_told_apart_without_colour() -> None:
    series = {f"arm {index}": plots.Line([0, 1], [index, index]) for index in range(len(plots.PALETTE))}
    lines = plots.lines(series, xlabel="x", ylabel="y").axes[0].lines
    assert len({line.get_marker() for line in lines}) == len(series)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_labels_are_spread_in_order(heights: list[float]) -> None:
    moved = labels._spread_out({str(index): height for index, height in enumerate(heights)}, gap=0.05)
    order = sorted(range(len(heights)), key=heights.__getitem__)
    ordered = [moved[str(index)] for index in order]
    assert all(after - before >= 0.05 - 1e-3 for before, after in itertools.pairwise(ordered))
    assert np.mean(ordered) == pytest.approx(np.mean(heights), abs=1e-9)


def test_grid_shares_one_scale_and_centres_it() -> None:
    figure = FIGURES["grid"]()
    images = [axes.images[0] for axes in figure.axes[:2]]
    assert [image.get_clim() for image in images] == [(-7.0, 7.0)] * 2  # values reach from −4 to 7
    assert [axes.get_title() for axes in figure.axes[:2]] == ["input", "average"]
    assert [axes.images[0].get_clim() for axes in plots.grid(IMAGES, titles=["a", "b"]).axes[:2]] == [(-4.0, 7.0)] * 2


def test_grid_shows_pictures_as_they_are() -> None:
    picture = np.zeros((4, 4, 3), dtype=np.uint8)
    picture[0, 0] = (255, 128, 0)
    figure = plots.grid([picture] * 5, titles=list("abcde"), columns=3)
    assert len(figure.axes) == 5  # no colour bar
    assert np.array_equal(np.asarray(figure.axes[0].images[0].get_array()), picture)


def test_bars_are_as_long_as_the_cost() -> None:
    figure = plots.bars(
        {"a": 0.5, "b": 0.25, "c": math.nan},
        xlabel="share",
        unit="fraction",
        intervals={"b": (0.2, 0.3)},
        limit=("floor", 0.1),
    )
    axes = figure.axes[0]
    bars = [
        patch for patch in axes.patches if isinstance(patch, Rectangle) and patch.get_height() == pytest.approx(0.62)
    ]
    assert [bar.get_width() for bar in bars] == pytest.approx([50, 25])
    assert [np.asarray(line.get_xdata()).tolist() for line in axes.lines] == [
        pytest.approx([20, 30]),
        pytest.approx([10, 10]),
    ]
    for text in ("50", "25", "diverged", "floor", "share (%)"):
        assert text in texts(figure)


@pytest.mark.parametrize("name", FIGURES)
def test_type_is_large_enough_and_inside_the_picture(name: str) -> None:
    figure = FIGURES[name]()
    figure.draw_without_rendering()
    page = figure.bbox
    shown = [text for text in figure.findobj(Text) if isinstance(text, Text) and text.get_text() and text.get_visible()]
    assert min(float(text.get_fontsize()) for text in shown) >= 9
    for axes in figure.axes:
        box = axes.get_tightbbox()
        assert box is not None
        assert box.x0 >= page.x0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y0 >= page.y0 - 1
        assert box.y1 <= page.y1 + 1
    assert figure.get_figwidth() <= plots.WIDTH + 1e-9


@pytest.mark.parametrize("name", FIGURES)
def test_equal_figures_give_equal_bytes_without_metadata(name: str, tmp_path: Path) -> None:
    one = plots.save(FIGURES[name](), tmp_path / "one.png").read_bytes()
    with mpl.rc_context({"font.size": 31, "lines.linewidth": 9, "savefig.dpi": 30, "image.cmap": "gray"}):
        two = plots.save(FIGURES[name](), tmp_path / "two.png").read_bytes()
    assert one == two
    assert {kind for kind, _ in chunks(one)} == {b"IHDR", b"pHYs", b"IDAT", b"IEND"}


def test_pictures_are_sharp_at_700_pixels(tmp_path: Path) -> None:
    data = plots.save(FIGURES["strip"](), tmp_path / "strip.png").read_bytes()
    (header,) = [content for kind, content in chunks(data) if kind == b"IHDR"]
    assert struct.unpack(">I", header[:4])[0] == 7 * 160


def chunks(png: bytes) -> list[tuple[bytes, bytes]]:
    """The parts of a PNG file: signature, then length, kind, content and checksum of each."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    found, at = [], 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        found.append((png[at + 4 : at + 8], png[at + 8 : at + 8 + length]))
        at += length + 12
    return found


def test_the_callers_matplotlib_is_left_alone(tmp_path: Path) -> None:
    script = f"""
import sys
import matplotlib
matplotlib.use("svg")
matplotlib.rcParams["font.size"] = 17
before = dict(matplotlib.rcParams)
from pathlib import Path
from cenote.lab import labels, plots
plots.save(plots.strip({{"a": [1.0, 2.0, 4.0]}}, xlabel="loss"), Path({str(tmp_path / "a.png")!r}))
assert dict(matplotlib.rcParams) == before
assert matplotlib.get_backend() == "svg"
assert "matplotlib.pyplot" not in sys.modules
assert "torch" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.png").is_file()


def test_a_full_disk_leaves_no_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    figure = FIGURES["bars"]()
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match=r"bars\.png could not be written: No space left"):
        plots.save(figure, tmp_path / "bars.png")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: plots.strip({}, xlabel="x"), "values: at least one"),
        (lambda: plots.strip({"a": []}, xlabel="x"), "values: 'a' has no value"),
        (lambda: plots.strip({"a": [1.0]}, xlabel="x", highlight="b"), "highlight: 'b' not in values; it has a"),
        (lambda: plots.strip({"a": [1.0]}, xlabel="x", controls={"c"}), "controls: 'c' not in values"),
        (lambda: plots.forest([]), "rows: at least one"),
        (lambda: plots.lines({}, xlabel="x", ylabel="y"), "series: at least one"),
        (lambda: plots.lines({"a": plots.Line([1], [1, 2])}, xlabel="x", ylabel="y"), r"'a' have lengths \[1, 2\]"),
        (lambda: plots.grid([], titles=[]), "got 0 images"),
        (lambda: plots.grid(IMAGES, titles=["a"]), "got 2 images, 1 titles"),
        (lambda: plots.grid(IMAGES, titles=["a", "b"], columns=0), "0 columns"),
        (lambda: plots.grid([np.zeros(3)], titles=["a"]), r"got \(3,\)"),
        (lambda: plots.bars({}, xlabel="x"), "values: at least one"),
        (lambda: plots.bars({"a": 1.0}, xlabel="x", intervals={"b": (0, 1)}), "intervals: 'b' not in values"),
        (lambda: plots.save(FIGURES["bars"](), Path("bars.svg")), r"saved as \.png, got 'bars\.svg'"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ArgumentError, match=message):
        call()
