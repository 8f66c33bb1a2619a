"""What is generated from cards and results, against numbers worked out by hand."""

from __future__ import annotations

import datetime as dt
import math
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import markdown
import pytest

from cenote.catalog import Card, Result, Verdict, get_card, load_cards
from cenote.catalog.fingerprint import fingerprint
from cenote.catalog.results import (
    Comparison,
    Environment,
    Figure,
    Hashes,
    Index,
    IndexEntry,
    file_checksum,
)

ROOT = Path(__file__).resolve().parents[2]
DAY = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
CHANGED = Hashes(claims="0", method="0", experiment="0")


@pytest.fixture
def card() -> Card:
    return get_card("order-theory")


def compared(baseline: str | None, estimate: float, low: float, high: float) -> Comparison:
    return Comparison(baseline=baseline, estimate=estimate, low=low, high=high, test_low=low, test_high=high)


def result_with(card: Card, *verdicts: Verdict, hashes: Hashes | None = None, **more: object) -> Result:
    values = {
        "slug": card.slug,
        "run_id": "20260102-030405-laptop-0000",
        "preset": "laptop",
        "started": DAY,
        "finished": DAY,
        "seconds": 3600.0,
        "commit": "c0ffee" * 7,
        "clean": True,
        "hashes": hashes or fingerprint(card),
        "settings": {"seeds": 8},
        "environment": Environment(
            python="3.12.1", platform="Linux", processor="A processor", cores=2, memory_gib=8.0, packages={}
        ),
        "data": (),
        "differs": ("It is smaller.",),
        "records": (),
        "verdicts": verdicts,
    }
    return Result.model_validate({**values, **more}).seal()


def verdict(claim: str, word: str, *comparisons: Comparison, data: str = "cifar10", note: str = "") -> Verdict:
    return Verdict.model_validate(
        {
            "claim": claim,
            "data": data,
            "word": word,
            "reason": "The interval stands there.",
            "note": note,
            "units": 8,
            "seeds": 8,
            "comparisons": comparisons,
        }
    )


def cells(page: str, start: str) -> list[str]:
    """The cells of the first table row that starts with this text."""
    row = next(line for line in page.splitlines() if line.startswith(f"| {start} |"))
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize("card", load_cards(), ids=lambda card: card.slug)
def test_every_paper_has_a_page_that_says_how_far_it_is(card: Card, generate: ModuleType) -> None:
    page = generate.paper_page(card, None)
    assert f'"{card.status.capitalize()}"' in page
    assert page.count("not measured") == len(card.claims)
    assert f"https://arxiv.org/abs/{card.arxiv}" in page
    assert ("::: cenote." in page) == card.runs
    assert not re.search(r"verdict (holds|fails)", page)


def test_numbers_are_points_with_sign_interval_and_the_papers_beside(card: Card, generate: ModuleType) -> None:
    claim = card.claim("accuracy").model_copy(update={"figure": 0.02})
    claimed = card.model_copy(update={"claims": (claim,)})
    measured = verdict("accuracy", "holds", compared("max", 0.012, 0.004, 0.020), note="smaller than claimed")
    page = generate.paper_page(claimed, result_with(claimed, measured))
    on, against, ours, interval, paper, word = cells(page, "cifar10")
    assert (on, against, ours, interval, paper) == ("cifar10", "max", "+1.2 points", "+0.4 to +2.0 points", "+2 points")
    assert word == '<span class="verdict holds">✓ holds, smaller than claimed</span>'
    assert "margin 1 point " in page
    assert "Note: smaller than claimed." in page


@pytest.mark.parametrize(
    ("claim", "comparison", "ours", "interval"),
    [
        ({"kind": "ratio", "margin": 2.0}, compared("max", 2.5, 2.25, 2.75), "2.50", "2.25 to 2.75"),
        ({"kind": "equal"}, compared(None, 1.5e-7, 1.5e-7, 1.5e-7), "1.5e−07", "–"),
        ({"kind": "bound"}, compared(None, 0.0, 0.0, 0.003), "0.00 %", "0.00 to 0.30 %"),
        ({"kind": "trend"}, compared(None, 0.5, 0.3, 0.7), "+0.50 per unit of x", "+0.30 to +0.70 per unit of x"),
        ({"kind": "better"}, compared("max", math.nan, math.nan, math.nan), "diverged", "no interval"),
        ({"kind": "better"}, compared("max", -0.25, math.nan, math.nan), "−0.25", "no interval"),
        ({"kind": "better"}, compared("max", 0.0, 0.0, 0.0), "0", "exactly +0"),
    ],
)
def test_numbers_of_every_kind(
    claim: dict[str, object], comparison: Comparison, ours: str, interval: str, card: Card, generate: ModuleType
) -> None:
    plain = card.claim("reaches-more-than-max")
    changed = plain.model_copy(
        update={"margin": None, "kind": type(plain.kind)(claim["kind"])}
        | {key: value for key, value in claim.items() if key != "kind"}
    )
    claimed = card.model_copy(update={"claims": (changed,)})
    page = generate.paper_page(claimed, result_with(claimed, verdict(changed.id, "unclear", comparison)))
    assert cells(page, "cifar10")[2:4] == [ours, interval]


def test_a_result_whose_code_changed_is_marked_stale_everywhere(card: Card, generate: ModuleType) -> None:
    fresh = result_with(card, verdict("accuracy", "fails", compared("max", -0.02, -0.03, -0.01)))
    stale = result_with(card, *fresh.verdicts, hashes=CHANGED)
    assert '"Stale"' not in generate.paper_page(card, fresh)
    assert '"Stale"' in generate.paper_page(card, stale)
    assert cells(generate.readme_table([card], {card.slug: fresh}), "Pooling")[4] == "✗ 1 fails"
    assert cells(generate.readme_table([card], {card.slug: stale}), "Pooling")[4] == "✗ 1 fails (stale)"
    assert "✗ 1 fails (stale)" in generate.papers_index([card], {card.slug: stale})


def test_what_is_smaller_than_claimed_is_counted_apart(card: Card, generate: ModuleType) -> None:
    small = verdict("accuracy", "holds", note="smaller than claimed")
    result = result_with(card, verdict("accuracy", "fails"), small, verdict("accuracy", "holds"), small)
    counted = "✓ 1 holds · ✓ 2 holds, smaller than claimed · ✗ 1 fails"
    assert cells(generate.readme_table([card], {card.slug: result}), "Pooling")[4] == counted
    assert counted in generate.papers_index([card], {card.slug: result})
    assert f"{counted} in the published run" in generate.paper_page(card, result)


def test_readme_has_a_row_for_every_paper(generate: ModuleType) -> None:
    cards = load_cards()
    rows = generate.readme_table(cards, {}).splitlines()[2:]
    assert len(rows) == len(cards)
    for card in cards:
        (row,) = [row for row in rows if f"`{card.slug}`" in row]
        assert row.endswith(f"| {card.status} | {'no run published yet' if card.runs else '–'} |")


def test_earlier_runs_stay_on_the_page(card: Card, generate: ModuleType) -> None:
    newest = result_with(card, verdict("accuracy", "holds"))
    older = result_with(card, verdict("accuracy", "fails"), run_id="20250101-000000-laptop-1111")
    page = generate.paper_page(card, newest, earlier=[older])
    assert cells(page, "`20250101-000000-laptop-1111`")[1:] == ["laptop", "2026-01-02", "✗ 1 fails"]


def test_findings_are_shown_with_their_test(card: Card, generate: ModuleType) -> None:
    finding = {"sentence": "Behind a ReLU all filters are one.", "test": "tests/a.py::test_b"}
    found = Card.model_validate({**card.model_dump(), "findings": [finding]})
    assert "- Behind a ReLU all filters are one. Shown by `tests/a.py::test_b`." in generate.paper_page(found, None)


@pytest.fixture
def publish(tmp_path: Path) -> Callable[[Result], None]:
    """Lay a result with one figure out as a published one under ``tmp_path / 'results'``."""

    def lay_out(result: Result) -> None:
        home = tmp_path / "results" / result.slug
        (home / result.run_id).mkdir(parents=True)
        picture = home / result.run_id / "a.png"
        picture.write_bytes(b"picture of " + result.slug.encode())
        figure = Figure(file="a.png", title="Accuracy", caption="A bar | is a mean.", alt="Poset [1.0] max.")
        update = {"figures": (figure,), "figure_checksums": {"a.png": file_checksum(picture)}}
        sealed = result.model_copy(update=update).seal()
        (home / f"{result.run_id}.json").write_text(sealed.model_dump_json())
        entry = IndexEntry(**sealed.model_dump(include=set(IndexEntry.model_fields)))
        (home / "index.json").write_text(Index(slug=result.slug, runs=(entry,)).model_dump_json())

    return lay_out


def test_update_readme_fills_the_markers_and_copies_the_newest_picture(
    card: Card, generate: ModuleType, publish: Callable[[Result], None], tmp_path: Path
) -> None:
    publish(result_with(card, verdict("accuracy", "fails")))
    publish(result_with(get_card("ggem"), finished=DAY - dt.timedelta(days=1)))
    readme = tmp_path / "README.md"
    markers = "before\n<!-- {0}:start -->\nold\n<!-- {0}:end -->\nafter\n"
    readme.write_text(markers.format("picture") + markers.format("papers"))
    generate.update_readme(readme, tmp_path / "results")
    text = readme.read_text()
    assert "old" not in text
    assert text.count("before\n") == text.count("\nafter\n") == 2
    assert "![Poset \\[1.0\\] max.](docs/images/readme.png)" in text
    assert "✗ 1 fails" in text
    assert (tmp_path / "docs/images/readme.png").read_bytes() == b"picture of order-theory"
    generate.update_readme(readme, tmp_path / "results")
    assert readme.read_text() == text


def test_readme_without_a_result_has_no_picture(generate: ModuleType, tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("<!-- picture:start -->\nold\n<!-- picture:end --><!-- papers:start --><!-- papers:end -->")
    generate.update_readme(readme, tmp_path / "results")
    assert readme.read_text().startswith("<!-- picture:start -->\n<!-- picture:end -->")
    assert not (tmp_path / "docs").exists()


def test_readme_without_its_markers_is_an_error(generate: ModuleType) -> None:
    with pytest.raises(ValueError, match="papers:start"):
        generate.render_readme("<!-- picture:start --><!-- picture:end -->", [], {}, None)


def test_texts_of_a_card_are_not_taken_for_markup(card: Card, generate: ModuleType) -> None:
    """The Markdown library, asked to render the page, gives the text back as it was."""
    odd = "a_b_c * d* | <i>e</i> & `f` [g](h) \\ are shown as they are."
    claim = card.claims[0].model_copy(update={"sentence": odd})
    page = generate.paper_page(card.model_copy(update={"title": odd, "claims": (claim,)}), None)
    rendered = markdown.markdown(page, extensions=["tables"])
    shown = odd.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    assert f"<h1>{shown}</h1>" in rendered
    assert f"<td>{shown}</td>" in rendered


def test_pages_are_written_without_torch() -> None:
    program = (
        "import sys, generate\n"
        "from cenote.catalog import load_cards\n"
        "pages = [generate.paper_page(card, None) for card in load_cards()]\n"
        "sys.exit(not pages or 'torch' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "docs")}
    assert subprocess.run([sys.executable, "-c", program], env=environment, timeout=120).returncode == 0
