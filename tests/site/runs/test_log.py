"""The log of a run: how much of it is kept, and what it does not tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from cenote.site.runs.log import CUT, Log, log_end, read_log

from .keeping import within_patience

HOME = Path("/srv/my cenote")


def written(path: Path, parts: Sequence[bytes], hidden: Sequence[Path] = (), largest: int = 2_000) -> bytes:
    """What a log keeps of what is printed in these parts."""
    source, sink = os.pipe()
    log = Log(os.fdopen(source, "rb"), path, hidden, largest)
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


TEXT = b"cenote: /srv/my cenote/runs/order-theory/1/records.jsonl, line 3, is damaged\n"
SHOWN = b"cenote: records.jsonl, line 3, is damaged\n"


@pytest.mark.parametrize("size", [1, 7, 12, 13, len(TEXT)])
@pytest.mark.parametrize("end", [b"", b"last words in /tmp/x"])
def test_folders_are_left_out_however_the_text_comes(tmp_path: Path, size: int, end: bytes) -> None:
    text = TEXT + end
    parts = [text[start : start + size] for start in range(0, len(text), size)]
    shown = SHOWN + end.replace(b"/tmp/", b"")
    assert written(tmp_path / "log", parts, [HOME, HOME / "runs" / "order-theory" / "1"]) == shown


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ('File "/usr/lib/python3.11/json.py", line 3', 'File "json.py", line 3'),
        ("No such file or directory: '/srv/data/mnist'", "No such file or directory: 'mnist'"),
        ("CENOTE_DATA=/srv/data, cannot read:/srv/x", "CENOTE_DATA=data, cannot read:x"),
        ("see file:///srv/x/y.html (/opt)", "see y.html (opt)"),
        ("g++ -I/usr/include/torch -o /tmp/a.so", "g++ -Itorch -o a.so"),
        ("https://arxiv.org/abs/2412.06097 and http://localhost:8000/x/y", None),
        ("trial digits/max/seed-3, 4/5 done, 3 / 4, and/or, ./runs/x, </pre>, // a comment", None),
        ("/srv/é/ü", "ü"),
    ],
)
def test_of_a_path_its_last_name_is_left(tmp_path: Path, printed: str, shown: str | None) -> None:
    assert written(tmp_path / "log", [f"{printed}\n".encode()]).decode() == f"{shown or printed}\n"


def test_a_line_without_an_end_is_not_gathered_for_ever(tmp_path: Path) -> None:
    source, sink = os.pipe()
    log = Log(os.fdopen(source, "rb"), tmp_path / "log")
    os.write(sink, b"x" * 10_000)
    within_patience(lambda: (tmp_path / "log").exists() and (tmp_path / "log").stat().st_size == 10_000)
    os.close(sink)
    log.close(30)


def test_a_log_that_grows_and_is_shortened_is_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "log"
    before = b"".join(b"line %d\n" % number for number in range(20_000))
    path.write_bytes(before)
    size, pieces = read_log(path)
    first = next(pieces)
    with path.open("ab") as file:
        file.write(b"more\n")
    (tmp_path / "other").write_bytes(b"short\n")
    (tmp_path / "other").replace(path)
    rest = list(pieces)
    assert (size, first + b"".join(rest)) == (len(before), before)
    assert max(map(len, [first, *rest])) <= 65_536


@pytest.mark.parametrize(
    ("text", "left_out"),
    [("a\nb\nc\n\n \n", 1), ("a\nb", 0), ("", 0), ("line\n" * 30_000 + "\n" * 70_000 + "end", 99_999)],
)
def test_the_end_says_how_many_lines_are_left_out(tmp_path: Path, text: str, left_out: int) -> None:
    (tmp_path / "log").write_text(text)
    first = log_end(tmp_path / "log", 2).split("\n")[0]
    assert first.startswith(f"[{left_out:,} line") if left_out else "left out" not in first
