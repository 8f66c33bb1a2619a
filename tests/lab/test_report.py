from __future__ import annotations

import base64
import datetime as dt
import errno
import math
import os
import re
from html.parser import HTMLParser
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from cenote.catalog.card import Card
from cenote.catalog.files import write_bytes_atomic, write_files_atomic, write_text_atomic
from cenote.catalog.results import (
    Comparison,
    DataSource,
    Environment,
    Figure,
    Hashes,
    Record,
    Result,
    Verdict,
)
from cenote.errors import ArgumentError, ResultError, StorageError
from cenote.lab.report import terminal_summary, write_report

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
HOSTILE = (
    """<script>alert(1)</script> "><img src=x onerror=alert(2)> | `code` | *a* _b_ [c](http://example.com/d)\n\n# e"""
)

GAIN: dict[str, Any] = {
    "id": "gain",
    "sentence": "Poset pooling is more accurate than max pooling.",
    "kind": "better",
    "metric": "accuracy",
    "metric_unit": "fraction",
    "subject": "poset",
    "baselines": ("max", "average"),
    "margin": 0.003,
    "figure": 0.006,
    "figure_text": "77.2 against 76.6",
    "where": "Table 3",
}


def make_card(*claims: dict[str, Any], **facts: Any) -> Card:
    return Card.model_validate(
        {
            "slug": "order-theory",
            "title": "Order Theory in the Context of Machine Learning",
            "shelf": "pooling",
            "status": "listed",
            "arxiv": "2412.06097",
            "published": "2024-12-08",
            "authors": 5,
            "summary": "Pools a window by the best up-set of a partial order. " * 5,
            "topics": ("pooling", "posets"),
            "claims": claims or (GAIN,),
        }
        | facts
    )


def make_comparison(baseline: str | None = "max", **changes: Any) -> Comparison:
    values: dict[str, Any] = {
        "estimate": 0.0111,
        "low": 0.0049,
        "high": 0.0173,
        "test_low": 0.0049,
        "test_high": 0.0173,
    }
    values |= {"units": ("0", "1", "2"), "differences": (0.0052, 0.0111, 0.017)} | changes
    return Comparison(baseline=baseline, **values)


def make_verdict(**changes: Any) -> Verdict:
    values: dict[str, Any] = {
        "claim": "gain",
        "data": "fashion-mnist",
        "word": "holds",
        "reason": "Both 95 % intervals lie above 0.",
        "note": "smaller than claimed",
        "units": 3,
        "seeds": 3,
        "comparisons": (make_comparison("max"), make_comparison("average", estimate=0.0237, low=0.0204, high=0.027)),
    }
    return Verdict.model_validate(values | changes)


def make_records() -> tuple[Record, ...]:
    values = {
        "max": (0.70, 0.71, 0.72),
        "poset": (0.71, 0.72, 0.73),
        "average": (0.69, 0.69, 0.69),
        "sum": (0.7, 0.7, 0.9),
    }
    return tuple(
        Record(trial=f"{arm}/{seed}", data="fashion-mnist", arm=arm, metric="accuracy", value=value, seed=seed)
        for arm, by_seed in values.items()
        for seed, value in enumerate(by_seed)
    )


def make_result(**changes: Any) -> Result:
    values: dict[str, Any] = {
        "slug": "order-theory",
        "run_id": "run-1",
        "preset": "laptop",
        "started": dt.datetime(2026, 2, 3, 10, 0, tzinfo=dt.UTC),
        "finished": dt.datetime(2026, 2, 3, 13, 0, tzinfo=dt.timezone(dt.timedelta(hours=2))),
        "seconds": 3712.4,
        "commit": "3f2c9a7be1d0",
        "clean": True,
        "hashes": Hashes(claims="c1a1", method="3e7d", experiment="e59e"),
        "settings": {"epochs": 8, "optimizer": {"name": "sgd", "rate": 0.02}, "arms": ["poset", "max"]},
        "environment": Environment(
            python="3.13.1",
            platform="Linux-6.1",
            processor="Xeon",
            cores=2,
            memory_gib=7.7,
            packages={"torch": "2.14.1", "numpy": "2.4.6"},
        ),
        "data": (DataSource(name="fashion-mnist", checksum="d4d4", size="10,000 training images", note="MIT licence"),),
        "differs": ("8 epochs instead of 80.",),
        "records": make_records(),
        "verdicts": (make_verdict(),),
        "figures": (
            Figure(file="accuracy.png", title="Accuracy", caption="Every seed a dot.", alt="Four rows of dots."),
        ),
    }
    return Result.model_validate(values | changes)


class Page(HTMLParser):
    """A strict reader: every element that is opened is closed, in order."""

    VOID = frozenset({"meta", "img", "br", "hr", "link", "input"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not self.open or self.open[-1] != "style":
            self.words.append(data)


def write(folder: Path, card: Card | None = None, **changes: Any) -> tuple[Page, str]:
    """Write a report and return its page and its Markdown."""
    (folder / "accuracy.png").write_bytes(PNG)
    path = write_report(card or make_card(), make_result(**changes), folder)
    assert path == folder / "report.html"
    return Page(path.read_text(encoding="utf-8")), (folder / "report.md").read_text(encoding="utf-8")


def tables(markdown: str) -> list[list[list[str]]]:
    """The Markdown's tables, as cells; a backslash keeps a bar from ending a cell."""
    found: list[list[list[str]]] = []
    inside = False
    for line in markdown.splitlines():
        if line.startswith("|"):
            if not inside:
                found.append([])
            found[-1].append([cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]])
        inside = line.startswith("|")
    return found


def in_terminal(card: Card, result: Result, width: int = 160) -> str:
    console = Console(width=width, file=StringIO(), color_system=None)
    for part in terminal_summary(card, result):
        console.print(part)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_page_says_everything(tmp_path: Path) -> None:
    page, _ = write(tmp_path)
    for text in (
        "Order Theory in the Context of Machine Learning",
        "laptop: the declared run",
        "Poset pooling is more accurate than max pooling.",
        "✓ holds, smaller than claimed on fashion-mnist · 3 seeds",
        "Both 95 % intervals lie above 0.",
        "max +1.11 points +0.49 to +1.73 +0.6 points 0.3 points",
        "average +2.37 points +2.04 to +2.70 +0.6 points 0.3 points",
        "In the paper: 77.2 against 76.6, Table 3",
        "Every seed, in points seed max average 0 +0.52 +0.52 1 +1.11 +1.11 2 +1.70 +1.70",
        "Accuracy Every seed a dot.",
        "8 epochs instead of 80.",
        "epochs 8 optimizer.name sgd optimizer.rate 0.02 arms [\"poset\", \"max\"]",
        "name fashion-mnist size 10,000 training images SHA-256 d4d4 note MIT licence",
        "commit 3f2c9a7be1d0 tree clean at the start hash of the claims c1a1 hash of the method 3e7d "
        "hash of the experiment e59e started 2026-02-03 10:00:00 UTC finished 2026-02-03 11:00:00 UTC "
        "time spent computing 1 h 1 min machine Xeon, 2 cores, 7.7 GiB system Linux-6.1 Python 3.13.1 "
        "numpy 2.4.6 torch 2.14.1",
    ):  # fmt: skip
        assert text in page.text


def test_markdown_says_the_same_in_tables_of_equal_rows(tmp_path: Path) -> None:
    _, markdown = write(tmp_path)
    found = tables(markdown)
    assert [len({len(row) for row in table}) for table in found] == [1] * 6
    verdicts, units, measured, settings, data, environment = found
    assert verdicts[2:] == [
        ["max", "+1.11 points", "+0.49 to +1.73", "+0.6 points", "0.3 points"],
        ["average", "+2.37 points", "+2.04 to +2.70", "+0.6 points", "0.3 points"],
    ]
    assert units[2:] == [["0", "+0.52", "+0.52"], ["1", "+1.11", "+1.11"], ["2", "+1.70", "+1.70"]]
    assert [row[1] for row in measured[2:]] == ["poset", "max", "average", "sum"]
    assert ["optimizer.name", "sgd"] in settings
    assert data[2] == ["fashion-mnist", "10,000 training images", "d4d4", "MIT licence"]
    assert ["time spent computing", "1 h 1 min"] in environment
    assert "### ✓ holds, smaller than claimed: Poset pooling is more accurate than max pooling." in markdown
    assert "![Four rows of dots.](accuracy.png)" in markdown


def test_the_json_is_the_result(tmp_path: Path) -> None:
    result = make_result(verdicts=(make_verdict(comparisons=(make_comparison(estimate=math.nan),)),)).seal()
    (tmp_path / "accuracy.png").write_bytes(PNG)
    write_report(make_card(), result, tmp_path)
    read = Result.model_validate_json((tmp_path / "result.json").read_bytes())
    assert read.intact()
    assert read.model_dump_json() == result.model_dump_json()


def test_nothing_is_loaded_from_elsewhere(tmp_path: Path) -> None:
    page, _ = write(tmp_path)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert not re.search(r"@import|url\(|javascript:", html)
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object", "embed", "base"})
    for tag, attributes in page.elements:
        assert not any(name.startswith("on") for name in attributes)
        if tag != "a":
            assert not any((value or "").startswith(("http:", "https:", "//")) for value in attributes.values())
    (source,) = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert source is not None
    assert source.startswith("data:image/png;base64,")
    assert base64.b64decode(source.partition(",")[2]) == PNG
    links = [attributes["href"] for tag, attributes in page.elements if tag == "a"]
    assert links == ["https://arxiv.org/abs/2412.06097"]


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    card = make_card(GAIN | {"sentence": HOSTILE, "figure_text": HOSTILE, "where": HOSTILE}, title=HOSTILE)
    page, markdown = write(
        tmp_path,
        card,
        settings={HOSTILE: {HOSTILE: HOSTILE}},
        differs=(HOSTILE,),
        data=(DataSource(name=HOSTILE, checksum=HOSTILE, size=HOSTILE, note=HOSTILE),),
        records=(*make_records(), Record(trial="t", data=HOSTILE, arm=HOSTILE, metric=HOSTILE, value=1.0)),
        verdicts=(make_verdict(data=HOSTILE, reason=HOSTILE, note=HOSTILE, comparisons=(make_comparison(HOSTILE),)),),
        figures=(Figure(file="accuracy.png", title=HOSTILE, caption=HOSTILE, alt=HOSTILE),),
    )
    tags = {tag for tag, _ in page.elements}
    assert "script" not in tags
    assert [attributes["alt"] for tag, attributes in page.elements if tag == "img"] == [HOSTILE]
    assert page.text.count("<script>alert(1)</script>") >= 15
    assert "<script" not in markdown
    assert "<img" not in markdown
    assert [len({len(row) for row in table}) for table in tables(markdown)] == [1] * 7
    assert "\n# e" not in markdown
    assert not re.search(r"(?<!\\)\[c", markdown)
    assert "<script>alert(1)</script>" in in_terminal(card, make_result())


def test_terminal_markup_in_names_is_not_obeyed() -> None:
    record = Record(trial="t", data="[bold]d[/bold]", arm="[/red]arm", metric="[link]m", value=1.0)
    shown = in_terminal(make_card(), make_result(records=(record,)))
    for text in ("[bold]d[/bold]", "[/red]arm", "[link]m"):
        assert text in shown


def test_a_diverged_arm_is_shown_as_diverged(tmp_path: Path) -> None:
    records = [record.model_copy(update={"value": math.nan}) if record.arm == "max" and record.seed == 1 else record
               for record in make_records()]  # fmt: skip
    broken = make_comparison(
        estimate=math.nan, low=math.nan, high=math.nan, differences=(0.001, math.nan, 0.002), units=("0", "1", "2")
    )
    verdict = make_verdict(word="unclear", reason="max diverged with seed 1.", comparisons=(broken,))
    page, markdown = write(tmp_path, records=tuple(records), verdicts=(verdict,))
    assert "max diverged +0.6 points 0.3 points" in page.text
    assert "1 diverged 2 +0.200" in page.text
    assert "max baseline diverged in 1 of 3 3 seeds" in page.text
    assert "nan" not in page.text.lower()
    assert ["max", "diverged", "–", "+0.6 points", "0.3 points"] in tables(markdown)[0]
    assert "max: diverged" in in_terminal(make_card(), make_result(verdicts=(verdict,)))


def test_measured_is_mean_and_deviation_over_seeds(tmp_path: Path) -> None:
    # By hand: 0.70, 0.71, 0.72 has mean 0.71 and sample deviation 0.01; 0.7, 0.7, 0.9 has √(0.04/3) = 0.1155.
    _, markdown = write(tmp_path)
    assert tables(markdown)[2][2:] == [
        ["accuracy", "poset", "subject", "72.0 ± 1.0 %", "3 seeds"],
        ["accuracy", "max", "baseline", "71.0 ± 1.0 %", "3 seeds"],
        ["accuracy", "average", "baseline", "69 ± 0 %", "3 seeds"],
        ["accuracy", "sum", "control", "77 ± 12 %", "3 seeds"],
    ]


def test_units_within_a_seed_are_averaged_before_the_seeds(tmp_path: Path) -> None:
    # Seed 0 has mean 2, seed 1 has mean 4: 3 ± √2, whatever the spread within a seed.
    values = {0: (0.0, 4.0), 1: (3.0, 5.0)}
    records = tuple(
        Record(trial="t", data="d", arm="a", metric="m", value=value, seed=seed, unit=str(unit))
        for seed, own in values.items()
        for unit, value in enumerate(own)
    )
    _, markdown = write(tmp_path, records=records)
    assert tables(markdown)[2][2:] == [["m", "a", "control", "3.0 ± 1.4", "2 seeds, 4 values"]]


def test_trials_of_a_bound_are_summed_and_positions_of_a_trend_kept_apart(tmp_path: Path) -> None:
    bound = [
        Record(trial="t", data="d", arm="a", metric="violations", value=v, trials=5000, seed=s)
        for s, v in ((0, 0), (1, 2))
    ]
    trend = [
        Record(trial="t", data="d", arm="a", metric="loss", value=v, x=x, seed=0) for x, v in ((16, 0.5), (2, 0.75))
    ]
    _, markdown = write(tmp_path, records=(*bound, *trend))
    assert tables(markdown)[2][2:] == [
        ["violations", "a", "control", "2", "10,000 trials"],
        ["loss", "a at 2", "control", "0.75", "1 seed"],
        ["loss", "a at 16", "control", "0.5", "1 seed"],
    ]


@pytest.mark.parametrize(
    ("claim", "comparison", "row"),
    [
        (
            {"kind": "no_worse", "margin": 0.005, "figure": "not known"},
            {"estimate": -0.001, "low": -0.004, "high": 0.002},
            ["max", "−0.10 points", "−0.40 to +0.20", "–", "−0.5 points"],
        ),
        (
            {"kind": "equivalent", "margin": 0.01, "figure": 0.002, "verified": False},
            {"estimate": 0.0, "low": -0.004, "high": 0.004},
            ["max", "0.00 points", "−0.40 to +0.40", "+0.2 points (unverified)", "±1 point"],
        ),
        (
            {"kind": "ratio", "margin": 10, "figure": 40.0, "metric": "time", "metric_unit": "ms"},
            {"estimate": 65.9, "low": 61.2, "high": 70.3},
            ["max", "65.9 ×", "61.2 to 70.3", "40 ×", "≥ 10 ×"],
        ),
        (
            {"kind": "ratio", "margin": 0.5, "figure": 0.4, "lower_is_better": True, "metric_unit": "ms"},
            {"estimate": 0.41, "low": 0.38, "high": 0.45},
            ["max", "0.410 ×", "0.380 to 0.450", "0.4 ×", "≤ 0.5 ×"],
        ),
        (
            {"kind": "equal", "margin": 1e-6, "figure": 0, "metric": "error", "metric_unit": ""},
            {"estimate": 2.4e-7, "low": 2.4e-7, "high": 2.4e-7},
            ["max", "2.4e−07", "–", "0", "≤ 1e−06"],
        ),
        (
            {"kind": "rank", "margin": None, "figure": 0.62, "metric_unit": "", "baselines": ()},
            {"estimate": 0.51, "low": 0.31, "high": 0.71, "baseline": None},
            ["rank correlation", "+0.51", "+0.31 to +0.71", "+0.62", "–"],
        ),
        (
            {"kind": "bound", "margin": None, "figure": "not known", "metric": "violations", "baselines": ()},
            {"estimate": 0.0, "low": 0.0, "high": 0.0003, "baseline": None},
            ["share of violations", "0.0000 %", "0.0000 to 0.0300", "–", "–"],
        ),
        (
            {"kind": "better", "metric": "latency", "metric_unit": "ms", "margin": 1, "figure": 2.0},
            {"estimate": 2.0, "low": 0.5, "high": 3.5},
            ["max", "+2.00 ms", "+0.50 to +3.50", "+2 ms", "1 ms"],
        ),
    ],
)  # fmt: skip
def test_numbers_are_written_as_their_kind_and_unit_ask(
    tmp_path: Path, claim: dict[str, Any], comparison: dict[str, Any], row: list[str]
) -> None:
    card = make_card(GAIN | {"baselines": ("max",)} | claim)
    shown = make_comparison(**({"baseline": "max", "units": (), "differences": ()} | comparison))
    _, markdown = write(tmp_path, card, verdicts=(make_verdict(comparisons=(shown,)),))
    assert tables(markdown)[0][2] == row


def test_an_end_close_to_a_threshold_is_written_on_its_side(tmp_path: Path) -> None:
    near = make_comparison(estimate=0.01, low=0.00004, high=0.02)
    _, markdown = write(tmp_path, verdicts=(make_verdict(comparisons=(near,)),))
    assert tables(markdown)[0][2][1:3] == ["+1.000 points", "+0.004 to +2.000"]


def test_one_unit_has_no_interval(tmp_path: Path) -> None:
    single = make_comparison(low=math.nan, high=math.nan, units=("0",), differences=(0.0111,))
    page, _ = write(tmp_path, verdicts=(make_verdict(comparisons=(single,)),))
    assert "max +1.11 points no interval" in page.text


@pytest.mark.parametrize(
    ("preset", "said", "label"),
    [
        ("laptop", "laptop: the declared run", "✓ holds, smaller than claimed on"),
        ("paper", "paper: the paper's own scale", "✓ holds, smaller than claimed on"),
        (
            "smoke",
            "smoke: less data than the declared run, so not a published verdict",
            "✓ holds, smaller than claimed (smoke) on",
        ),
        ("mine", "mine: not the declared run, so not a published verdict", "✓ holds, smaller than claimed (mine) on"),
    ],
)
def test_verdicts_carry_the_preset_unless_it_is_the_declared_one(
    tmp_path: Path, preset: str, said: str, label: str
) -> None:
    page, markdown = write(tmp_path, preset=preset)
    assert said in page.text
    assert label in page.text
    assert said in markdown
    assert said in in_terminal(make_card(), make_result(preset=preset))


def test_tiny_has_no_verdicts(tmp_path: Path) -> None:
    page, markdown = write(tmp_path, preset="tiny")
    shown = in_terminal(make_card(), make_result(preset="tiny"))
    for text in (page.text, markdown, shown):
        assert "tiny: shows that the experiment runs; no verdicts" in text
        assert "holds" not in text
        assert "+1.11" not in text
    assert "· not judged Poset pooling" in page.text
    assert "no verdicts 1 claim not judged Claims" in page.text
    assert "\n1 claim not judged\n" in markdown


def test_each_data_set_has_its_own_card_and_an_unmeasured_claim_none(tmp_path: Path) -> None:
    other = GAIN | {"id": "other", "sentence": "A claim this run did not measure."}
    verdicts = (make_verdict(), make_verdict(data="cifar10", word="fails", note=""))
    page, markdown = write(tmp_path, make_card(GAIN, other), verdicts=verdicts)
    kinds = [attributes["class"] for tag, attributes in page.elements if tag == "article"]
    assert kinds == ["claim holds", "claim fails", "claim not-judged"]
    assert "✗ fails on cifar10 · 3 seeds" in page.text
    assert "✓ 1 holds ✗ 1 fails 1 claim not judged" in page.text
    assert "\n✓ 1 holds, ✗ 1 fails, 1 claim not judged\n" in markdown
    assert "### · not judged: A claim this run did not measure." in markdown


def test_no_word_is_told_by_colour_alone(tmp_path: Path) -> None:
    words = {"holds": "✓", "fails": "✗", "unclear": "~", "designed": "◇"}
    verdicts = tuple(make_verdict(word=word, data=word, note="") for word in words)
    page, _ = write(tmp_path, verdicts=verdicts)
    for word, icon in words.items():
        assert f"{icon} {word} on {word}" in page.text


def test_the_terminal_shows_verdicts_and_arms(tmp_path: Path) -> None:
    shown = in_terminal(make_card(), make_result())
    for text in ("✓ holds", "max: +1.11 points", "+0.49 to +1.73", "on fashion-mnist, 3 seeds", "0.3 points"):
        assert text in shown
    rows = [line.split() for line in shown.splitlines() if line.rstrip().endswith("3 seeds") and "±" in line]
    assert [row[0] for row in rows] == ["poset", "max", "average", "sum"]
    assert rows[0][1:4] == ["72.0", "±", "1.0"]


def test_the_terminal_says_what_is_smaller_than_claimed() -> None:
    assert "✓ holds, smaller than claimed" in in_terminal(make_card(), make_result())
    assert "smaller" not in in_terminal(make_card(), make_result(verdicts=(make_verdict(note=""),)))


def test_80_columns_cut_nothing() -> None:
    """Many metrics with long names, of which each has its own number of values."""
    more = [
        Record(trial="t", data="fashion-mnist", arm=arm, metric=metric, value=0.5, unit=str(unit))
        for arm in ("poset", "strided convolution")
        for metric, units in {"entries_with_gradient": 1, "windows_without_gradient": 1, "forward_ms": 2}.items()
        for unit in range(units)
    ]
    shown = in_terminal(make_card(), make_result(records=(*make_records(), *more)), width=80)
    assert max(map(len, shown.splitlines())) <= 80
    assert "…" not in shown
    lines = [line.strip() for line in shown.splitlines()]
    for name in ("accuracy", "entries with gradient", "windows without gradient", "forward ms"):
        assert name in lines
    rows = {line.partition("  ")[0]: line for line in lines[lines.index("forward ms") :]}
    assert rows["strided convolution"].endswith("2 values")
    rows = {line.partition("  ")[0]: line for line in lines[lines.index("accuracy") : lines.index("forward ms")]}
    assert "72.0 ± 1.0 %   3 seeds" in " ".join(lines)
    assert rows["strided convolution"].endswith("1 value")


def test_svg_figures_are_embedded_and_never_inline(tmp_path: Path) -> None:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    (tmp_path / "plot.svg").write_bytes(svg)
    page, _ = write(tmp_path, figures=(Figure(file="plot.svg", title="t", caption="c", alt="a"),))
    (source,) = [attributes["src"] for tag, attributes in page.elements if tag == "img"]
    assert source == f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    assert "script" not in {tag for tag, _ in page.elements}


@pytest.mark.parametrize("file", ["missing.png", "../outside.png", "/etc/hostname", "notes.txt"])
def test_a_figure_that_is_not_a_picture_in_the_folder_is_an_error(tmp_path: Path, file: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (tmp_path / "outside.png").write_bytes(PNG)
    (folder / "notes.txt").write_text("text", encoding="utf-8")
    result = make_result(figures=(Figure(file=file, title="t", caption="c", alt="a"),))
    with pytest.raises(ResultError, match=re.escape(repr(file))):
        write_report(make_card(), result, folder)
    assert {path.name for path in folder.iterdir()} == {"notes.txt"}


def test_card_and_result_must_fit(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="'spp-net', but the card is of 'order-theory'"):
        write_report(make_card(), make_result(slug="spp-net"), tmp_path)
    with pytest.raises(ResultError, match="'speed': the card of order-theory has gain"):
        terminal_summary(make_card(), make_result(verdicts=(make_verdict(claim="speed"),)))
    assert list(tmp_path.iterdir()) == []


def _full_disk(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("call", ["replace", "fsync"])
def test_a_full_disk_leaves_nothing_of_a_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    (tmp_path / "accuracy.png").write_bytes(PNG)
    monkeypatch.setattr(os, call, _full_disk)
    with pytest.raises(StorageError, match="No space left on device"):
        write_report(make_card(), make_result(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"accuracy.png"}


def test_a_full_disk_keeps_the_older_report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    monkeypatch.setattr(os, "fsync", _full_disk)
    with pytest.raises(StorageError):
        write_report(make_card(), make_result(preset="smoke"), tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_files_are_written_whole_and_readable_as_others_are(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "a.txt", "größer ≥ 0\n")
    assert (tmp_path / "a.txt").read_bytes() == "größer ≥ 0\n".encode()
    write_bytes_atomic(tmp_path / "a.txt", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == b"\x00\xff"
    (tmp_path / "usual.txt").touch()
    assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "usual.txt").stat().st_mode
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "usual.txt"}


def test_files_that_belong_together_get_their_names_together(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="missing"):
        write_files_atomic({tmp_path / "a.txt": b"a", tmp_path / "missing" / "b.txt": b"b"})
    assert list(tmp_path.iterdir()) == []


def test_settings_of_any_type_are_shown(tmp_path: Path) -> None:
    page, _ = write(tmp_path, settings={"root": Path("runs"), "empty": {}, "none": None})
    assert 'root "runs" empty {} none null' in page.text
