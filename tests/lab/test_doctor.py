"""What doctor finds, and that it can be read and copied in a narrow terminal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from rich.console import Console

from cenote.catalog import Card, get_card
from cenote.catalog.loading import PACKAGE, DamagedCard
from cenote.errors import ResultError
from cenote.lab import doctor


def examined(monkeypatch: pytest.MonkeyPatch) -> tuple[str, bool]:
    """Let doctor look, without loading the data sets, and print its table in 80 columns."""
    monkeypatch.setattr(doctor, "_data", lambda _: ())
    table, sound = doctor.examine()
    console = Console(width=80)
    with console.capture() as capture:
        console.print(table)
    return capture.get(), sound


def put(monkeypatch: pytest.MonkeyPatch, *cards: Card, damaged: tuple[DamagedCard, ...] = ()) -> None:
    monkeypatch.setattr(doctor, "read_cards", lambda: (cards, damaged))


def test_the_package_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    shown, sound = examined(monkeypatch)
    assert sound
    assert "✗" not in shown


def test_a_damaged_file_is_named_whole_by_its_place_in_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    place = Path("results") / "order-theory" / f"{'20260102-030405-laptop-0000' * 3}.json"

    def broken(slug: str) -> None:
        raise ResultError(f"{PACKAGE / place}: its content does not match its checksum")

    monkeypatch.setattr(doctor, "published", broken)
    put(monkeypatch, get_card("order-theory"))
    shown, sound = examined(monkeypatch)
    assert not sound
    assert "…" not in shown
    text = re.sub(r"\s", "", shown)
    assert f"cenote/{place.as_posix()}:itscontent" in text
    assert str(PACKAGE.parent) not in text


def test_a_damaged_card_is_found_and_the_others_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    path = PACKAGE / "filters" / "deeplab" / "card.toml"
    put(monkeypatch, get_card("order-theory"), damaged=(DamagedCard(path, f"{path}: x: this key is not known"),))
    shown, sound = examined(monkeypatch)
    assert not sound
    assert "✗  cards" in shown
    assert "2 papers, 1 of them run" in shown
    assert "card of deeplab" in shown
    assert "cenote/filters/deeplab/card.toml: x: this key is not known" in " ".join(shown.split())
    assert "results of order-theory" in shown


def test_what_the_skeleton_left_to_write_is_flagged(monkeypatch: pytest.MonkeyPatch) -> None:
    card = get_card("deeplab")
    claim = card.claims[0].model_copy(update={"id": "main", "sentence": "Write here one falsifiable sentence."})
    put(monkeypatch, card.model_copy(update={"claims": (claim, *card.claims[1:])}))
    shown, sound = examined(monkeypatch)
    assert not sound
    assert "card of deeplab" in shown
    assert "still to be written: claims.main.sentence" in shown


@pytest.mark.skipif(torch.cuda.is_available(), reason="names the GPU instead")
@pytest.mark.parametrize(("threads", "said"), [(1, "CPU with 1 thread"), (2, "CPU with 2 threads")])
def test_threads_are_counted_in_words(monkeypatch: pytest.MonkeyPatch, threads: int, said: str) -> None:
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    (line,) = [line for line in examined(monkeypatch)[0].splitlines() if "CPU" in line]
    assert line.rstrip().endswith(said)
