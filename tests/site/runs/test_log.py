"""The log of a run: how much of it is kept, and what it does not tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from cenote.site.runs.log import CUT, Log

HOME = Path("/srv/cenote")


def written(path: Path, parts: Sequence[bytes], hidden: Sequence[Path] = (), largest: int = 2_000) -> bytes:
    """What a log keeps of what is printed in these parts."""
    source, sink = os.pipe()
    log = Log(os.fdopen(source, "rb", buffering=0), path, hidden, largest)
    for part in parts:
        os.write(sink, part)
    os.close(sink)
    log.close(30)
    return path.read_bytes()


def test_a_full_log_keeps_its_newer_half(tmp_path: Path) -> None:
    lines = [f"line {number}\n".encode() for number in range(1_000)]
    kept = written(tmp_path / "log", lines)
    assert kept.startswith(CUT)
    assert kept.endswith(b"line 998\nline 999\n")
    assert len(kept) <= 2_000


TEXT = b"cenote: /srv/cenote/runs/order-theory/1/records.jsonl, line 3, is damaged; see /srv/cenote, /srv/cenotes/x\n"
SHOWN = b"cenote: order-theory/1/records.jsonl, line 3, is damaged; see /srv/cenote, /srv/cenotes/x\n"


@pytest.mark.parametrize("size", [1, 7, 12, 13, len(TEXT)])
def test_folders_are_left_out_however_the_text_comes(tmp_path: Path, size: int) -> None:
    parts = [TEXT[start : start + size] for start in range(0, len(TEXT), size)]
    assert written(tmp_path / "log", parts, [HOME, HOME / "runs"]) == SHOWN


def test_the_beginning_of_a_folder_at_the_end_is_kept(tmp_path: Path) -> None:
    assert written(tmp_path / "log", [b"see /srv/cen"], [HOME]) == b"see /srv/cen"
