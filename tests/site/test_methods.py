"""The papers that have a card, also where a file of theirs is damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from cenote.catalog import latest
from cenote.catalog.loading import PACKAGE
from cenote.catalog.results import RESULTS
from cenote.site.methods import Methods


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Two rooms of the package."""
    for room in ("pooling/order_theory", "pooling/ggem"):
        shutil.copytree(PACKAGE / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def test_a_card_comes_with_its_results(package: Path) -> None:
    methods = Methods(package)
    method = methods.by_slug("order-theory")
    assert method is not None
    assert method is methods.by_paper("2412.06097")
    assert [each.card.slug for each in methods] == ["order-theory", "ggem"]  # the newer paper first
    assert method.result == latest("order-theory")
    assert len(method.results) >= 2
    assert methods.by_slug("no-such") is methods.by_paper("2412.99999") is None


def test_a_damaged_card_leaves_the_others_standing(package: Path, caplog: pytest.LogCaptureFixture) -> None:
    (package / "pooling" / "ggem" / "card.toml").write_text("schema_version = 0")
    assert [each.card.slug for each in Methods(package)] == ["order-theory"]
    assert "left out: " in caplog.text


def test_a_result_edited_by_hand_is_not_shown(package: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    results = tmp_path / "results"
    shutil.copytree(RESULTS, results)
    newest = results / "order-theory" / f"{latest('order-theory').run_id}.json"  # type: ignore[union-attr]
    newest.write_text(newest.read_text().replace('"fails"', '"holds"'))
    methods = Methods(package, results)
    damaged, sound = methods.by_slug("order-theory"), methods.by_slug("ggem")
    assert damaged is not None
    assert sound is not None
    assert (damaged.results, damaged.verdicts) == ((), ())
    assert sound.verdicts
    assert "order-theory" in caplog.text


def test_a_changed_method_makes_its_result_stale_also_with_kept_hashes(package: Path, tmp_path: Path) -> None:
    kept = tmp_path / "fingerprints.json"
    stale = [{each.card.slug: each.stale for each in Methods(package, kept=kept)} for _ in range(2)]
    assert stale == [{each.card.slug: each.stale for each in Methods(package)}] * 2
    assert kept.exists()
    operators = package / "pooling" / "order_theory" / "operators.py"
    with operators.open("a", encoding="utf-8") as file:
        file.write("\n_CHANGED = True\n")
    assert {each.card.slug: each.stale for each in Methods(package, kept=kept)} == stale[0] | {"order-theory": True}
