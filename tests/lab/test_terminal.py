"""Tables of the terminal, read as a person reads them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from rich.console import Console

from cenote.errors import StorageError
from cenote.lab.progress import ProgressFile
from cenote.lab.publishing import Check
from cenote.lab.runner import Progress
from cenote.lab.terminal import Pace, _check_table, report_progress


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


# --- the time left ------------------------------------------------------------------------------------------------


def finish(pace: Pace, *moments: float, total: int, resumed: int = 0) -> list[float | None]:
    """Let a trial finish at each moment; return the seconds left after each."""
    steps = enumerate((0.0, *moments))
    return [pace.seconds_left(Progress(resumed + done, total, resumed, elapsed)) for done, elapsed in steps]


def test_the_first_trial_does_not_set_the_pace_where_there_are_others() -> None:
    # It took 40 s, each further one 5 s: after two there are 8 to go.
    assert finish(Pace(1), 40, 45, 50, total=10) == [None, 9 * 40, 8 * 5, 7 * 5]


def test_the_first_trial_of_each_worker_is_left_out() -> None:
    # Two workers: 40 s for their first trials, then two trials every 10 s.
    assert finish(Pace(2), 40, 40, 50, 50, total=10)[-1] == pytest.approx(6 * 5)


def test_a_resumed_run_counts_its_own_trials() -> None:
    assert finish(Pace(1), 40, 45, total=10, resumed=6) == [None, 3 * 40, 2 * 5]


def test_with_fewer_trials_than_workers_all_count() -> None:
    assert finish(Pace(8), 30, 36, total=4)[-1] == 2 * 18


# --- for other programs -------------------------------------------------------------------------------------------


def test_the_progress_is_written_as_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "progress"
    file = ProgressFile(path)
    assert path.read_bytes() == b""
    with report_progress(1, file) as on_progress:
        on_progress(Progress(1, 4, 1, 0.0))
        on_progress(Progress(2, 4, 1, 10.5, "digits/max/seed-0"))
    file.finish(tmp_path / "x")
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        {"done": 1, "total": 4, "elapsed": 0.0, "seconds_left": None, "trial": ""},
        {"done": 2, "total": 4, "elapsed": 10.5, "seconds_left": 21.0, "trial": "digits/max/seed-0"},
        {"folder": str(tmp_path / "x")},
    ]


def test_a_progress_file_that_cannot_be_written_is_said_before_anything_is_run(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=f"--progress {tmp_path} cannot be written: Is a directory"):
        ProgressFile(tmp_path)
