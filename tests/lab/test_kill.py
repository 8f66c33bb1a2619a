"""A run that is killed again and again ends as one that was not: the first method's experiment, real processes."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from cenote.catalog.results import Result, read_result
from cenote.lab.runs import HEADER, RECORDS, RESULT

pytestmark = pytest.mark.slow

SEEDS = 2
TRIALS = SEEDS * (8 + 2) + 2
"""Eight arms and two theorems a seed, the timing of all arms, and the theorem that is tested on every poset."""

RUN = f"""
import sys
from pathlib import Path
from cenote.catalog import get_card
from cenote.lab.runner import run
run(get_card("order-theory"), "tiny", overrides={{"seeds": {SEEDS}}}, root=Path(sys.argv[1]), jobs=int(sys.argv[2]))
"""

PATIENCE = 300.0
"""Seconds after which what should have happened is given up; on an idle machine the whole test takes about 40."""


def test_a_run_killed_at_any_moment_is_resumed_and_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    whole = finish(tmp_path / "whole", jobs=1)
    root = tmp_path / "killed"
    rng = random.Random(0)
    # Before a trial is finished, in the middle, and when all are: while the figures and the report are written.
    for finished, at_most, jobs in ((0, 0.5, 1), (rng.randrange(2, TRIALS - 2), 0.05, 2), (TRIALS, 2.0, 1)):
        with started(root, jobs) as run:
            wait_until(lambda count=finished: finished_trials(root) >= count, run)  # type: ignore[misc]
            time.sleep(rng.uniform(0, at_most))
    (folder,) = {path.parent for path in root.glob(f"*/*/{HEADER}")}
    if not (folder / RESULT).exists():
        finish(root, jobs=2)
    resumed = read_result(folder / RESULT, figures=folder)
    assert deterministic(resumed) == deterministic(whole)
    # Three figures an arm, the parameters of one and two theorems a seed; the other theorem at four numbers of points.
    assert len(deterministic(whole)) == SEEDS * (8 * 3 + 1 + 2) + 4
    assert [record.trial for record in resumed.records] == [record.trial for record in whole.records]
    assert [path.parent.name for path in root.glob("*/*/")] == ["order-theory"]
    assert list(root.rglob("*.tmp")) == []
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in next((tmp_path / "whole").glob("*/*/")).iterdir()
    }


def deterministic(result: Result) -> list[str]:
    """The records that are the same in every run, as they are written: all but timings."""
    return [record.model_dump_json() for record in result.records if record.metric != "forward_backward_ms"]


def finished_trials(root: Path) -> int:
    """Number of complete lines; −1 before the run has its folder."""
    if not list(root.glob(f"*/*/{HEADER}")):
        return -1
    return sum(path.read_bytes().count(b"\n") for path in root.glob(f"*/*/{RECORDS}"))


def finish(root: Path, jobs: int) -> Result:
    subprocess.run([sys.executable, "-c", RUN, str(root), str(jobs)], check=True, timeout=PATIENCE)
    (path,) = root.glob(f"*/*/{RESULT}")
    return read_result(path, figures=path.parent)


@contextmanager
def started(root: Path, jobs: int) -> Iterator[subprocess.Popen[bytes]]:
    """A run in a process of its own, killed at the end of the block; its workers must then leave by themselves."""
    run = subprocess.Popen([sys.executable, "-c", RUN, str(root), str(jobs)])
    try:
        yield run
        workers = psutil.Process(run.pid).children(recursive=True) if run.poll() is None else []
    finally:
        run.kill()
        run.wait()
    _, orphans = psutil.wait_procs(workers, timeout=20)
    for orphan in orphans:
        orphan.kill()
    assert orphans == []


def wait_until(reached: Callable[[], bool], run: subprocess.Popen[bytes]) -> None:
    given_up = time.monotonic() + PATIENCE
    while not reached() and run.poll() is None:
        assert time.monotonic() < given_up
        time.sleep(0.005)
    assert reached()
