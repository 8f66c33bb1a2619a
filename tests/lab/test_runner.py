from __future__ import annotations

import contextlib
import dataclasses
import errno
import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait as futures_wait
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil
import pytest

from cenote.catalog import get_card
from cenote.catalog.card import Card
from cenote.catalog.results import Hashes, Record, Result, read_result
from cenote.errors import ArgumentError, DataFormatError, DataNotFoundError, NotRunnableError, RunError, StorageError
from cenote.lab import runner
from cenote.lab.runner import Progress, judge, run
from cenote.lab.runs import RECORDS, RunFolder

ROOMS = Path(__file__).parent / "rooms"

SMOKE = [
    "letters/clock",
    "letters/paper/seed-0",
    "letters/plain/seed-0",
    "letters/paper/seed-1",
    "letters/plain/seed-1",
]
"""Trials of the smoke preset as the experiment lists them."""

MEASURED = [*SMOKE[1:], SMOKE[0]]
"""The same in the order in which one process measures them: what wants to be alone comes last."""

Run = Callable[..., tuple[Result, RunFolder]]


@pytest.fixture
def run_tally(tally: ModuleType, desk: Any, tmp_path: Path) -> Run:
    def start(preset: str = "smoke", card: Card | None = None, **options: Any) -> tuple[Result, RunFolder]:
        options = {"root": tmp_path / "runs", "jobs": 1} | options
        return run(card or tally.card, preset, data_root=desk.path, **options)

    return start


def expected(tally: ModuleType, preset: str) -> list[float]:
    """The figures that the trials are to measure, in the order in which they are listed."""
    settings = tally.experiment.presets[preset]
    return [tally.score(trial, settings) for trial in tally.trials(settings)]


def as_text(records: tuple[Record, ...]) -> list[str]:
    return [record.model_dump_json() for record in records]


def stop_run(run_tally: Run, *options: Any, error: type[BaseException], **named: Any) -> None:
    with pytest.raises(error):
        run_tally(*options, **named)


# --- one run ------------------------------------------------------------------------------------------------------


def test_a_run_measures_every_trial_once_and_seals_what_it_found(tally: ModuleType, desk: Any, run_tally: Run) -> None:
    result, folder = run_tally()
    assert desk.ran() == MEASURED
    assert [record.trial for record in result.records] == SMOKE
    assert [record.value for record in result.records] == expected(tally, "smoke")
    assert read_result(folder.path / "result.json", figures=folder.path) == result
    assert folder.result().figure_checksums.keys() == {"tally.svg"}
    assert (result.slug, result.preset, result.settings) == (
        "tally",
        "smoke",
        {"data": ["letters"], "seeds": 2, "first_seed": 0, "offset": 0.0},
    )
    assert result.data[0].checksum == "as first seen"
    assert {path.name for path in folder.path.iterdir()} == {
        *("run.json", "records.jsonl", ".lock", "tally.svg", "report.html", "report.md", "result.json")
    }


def test_only_the_tiny_preset_gives_no_verdicts(run_tally: Run) -> None:
    assert run_tally("tiny")[0].verdicts == ()
    assert [verdict.claim for verdict in run_tally("smoke")[0].verdicts] == ["gain"]
    (verdict,) = run_tally("laptop")[0].verdicts
    assert (verdict.word, verdict.units) == ("holds", 5)  # 0.5 claimed and drawn, with deviation 0.05


def test_each_data_set_gets_its_own_verdict_and_a_designed_one_none(tally: ModuleType, run_tally: Run) -> None:
    settings = {"data": ["letters", "digits"], "seeds": 5}
    result, _ = run_tally(overrides=settings)
    assert [(verdict.data, verdict.word) for verdict in result.verdicts] == [("letters", "holds"), ("digits", "holds")]
    words = judge(tally.card, result.records, preset="smoke", designed=frozenset({"digits"}))
    assert [(verdict.data, verdict.word) for verdict in words] == [("letters", "holds"), ("digits", "designed")]


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
def test_a_diverged_trial_is_kept_as_such_and_the_result_stays_intact(desk: Any, run_tally: Run, value: str) -> None:
    desk.order(letters_paper_seed_1=f"diverge {value}")
    result, folder = run_tally("laptop")
    read = folder.result()
    diverged = [record.trial for record in read.records if math.isnan(record.value)]
    assert diverged == ["letters/paper/seed-1"]
    assert as_text(read.records) == as_text(result.records)
    assert read.verdicts[0].word == "unclear"
    assert read.verdicts[0].reason.startswith("Diverged: paper on seed 1")


def test_progress_counts_from_what_was_there(desk: Any, run_tally: Run) -> None:
    desk.order(letters_plain_seed_1="fail")
    seen: list[Progress] = []
    stop_run(run_tally, error=RunError, on_progress=seen.append)
    assert [(step.done, step.total, step.resumed, step.trial) for step in seen] == [
        (0, 5, 0, ""),
        *((count + 1, 5, 0, MEASURED[count]) for count in range(3)),
    ]
    desk.order()
    seen.clear()
    run_tally(on_progress=seen.append)
    assert [(step.done, step.total, step.resumed, step.trial) for step in seen] == [
        (3, 5, 3, ""),
        (4, 5, 3, MEASURED[3]),
        (5, 5, 3, MEASURED[4]),
    ]
    elapsed = [step.elapsed for step in seen]
    assert elapsed == sorted(elapsed)


def test_the_time_left_follows_the_pace_of_this_part_alone() -> None:
    # 10 trials, 4 of them from before; 2 new ones took 6 s, so the 4 to go take 4 × 3 s.
    assert Progress(done=6, total=10, resumed=4, elapsed=6.0).seconds_left == 12.0
    assert Progress(done=10, total=10, resumed=4, elapsed=6.0).seconds_left == 0.0
    assert Progress(done=4, total=10, resumed=4, elapsed=0.0).seconds_left is None


# --- interrupted and resumed --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "order", "error"), [(0, "fail", RunError), (3, "interrupt", KeyboardInterrupt), (4, "fail", RunError)]
)
def test_a_resumed_run_measures_the_rest_and_equals_one_that_was_not_interrupted(
    desk: Any, run_tally: Run, tmp_path: Path, stop: int, order: str, error: type[BaseException]
) -> None:
    whole, _ = run_tally(root=tmp_path / "whole")
    (desk.path / "notes").unlink()
    desk.order(**{MEASURED[stop].replace("/", "_").replace("-", "_"): order})
    stop_run(run_tally, error=error)
    assert desk.ran() == MEASURED[:stop]
    desk.order()
    resumed, folder = run_tally()
    assert desk.ran() == MEASURED
    assert as_text(resumed.records) == as_text(whole.records)
    assert [path.name for path in folder.path.parent.iterdir()] == [folder.path.name]
    assert len({trial.part for trial in folder.trials().values()}) == (2 if stop else 1)


def test_a_torn_last_line_is_measured_again(desk: Any, run_tally: Run) -> None:
    desk.order(letters_paper_seed_1="fail")
    stop_run(run_tally, error=RunError)
    (path,) = desk.path.parent.glob(f"runs/tally/*/{RECORDS}")
    path.write_bytes(path.read_bytes()[:-30])
    desk.order()
    result, _ = run_tally()
    assert desk.ran() == [*MEASURED[:2], MEASURED[1], *MEASURED[2:]]
    assert [record.trial for record in result.records] == SMOKE


def test_a_damaged_line_stops_the_run_before_anything_is_measured(desk: Any, run_tally: Run) -> None:
    desk.order(letters_plain_seed_1="fail")
    stop_run(run_tally, error=RunError)
    (path,) = desk.path.parent.glob(f"runs/tally/*/{RECORDS}")
    path.write_bytes(path.read_bytes().replace(b'"part"', b'"prat"', 1))
    desk.order()
    with pytest.raises(RunError, match=r"records\.jsonl, line 1, is damaged"):
        run_tally()
    assert desk.ran() == MEASURED[:3]


def test_two_processes_do_not_work_on_one_run(desk: Any, run_tally: Run) -> None:
    desk.order(letters_plain_seed_1="fail")
    stop_run(run_tally, error=RunError)
    (path,) = desk.path.parent.glob("runs/tally/*")
    with RunFolder(path).locked(), pytest.raises(RunError, match="is being worked on by another process"):
        run_tally()
    assert desk.ran() == MEASURED[:3]


def test_a_run_that_another_process_finished_meanwhile_is_taken_as_it_is(
    desk: Any, run_tally: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.order(figures="fail")
    stop_run(run_tally, error=RunError)
    desk.order()
    hold, finished = RunFolder.locked, []

    def finish_first(folder: RunFolder) -> Any:
        monkeypatch.setattr(RunFolder, "locked", hold)
        finished.append((run_tally()[0], (folder.path / "result.json").read_bytes()))
        return folder.locked()

    monkeypatch.setattr(RunFolder, "locked", finish_first)
    result, folder = run_tally()
    assert [(result, (folder.path / "result.json").read_bytes())] == finished


def changed_claims(card: Any) -> dict[str, Any]:
    claim = card.claims[0].model_copy(update={"margin": 0.2, "margin_reason": "it is what a user would act on"})
    return {"card": card.model_copy(update={"claims": (claim,)})}


@pytest.mark.parametrize("change", ["nothing", "wording", "settings", "claims", "code", "data", "preset", "fresh"])
def test_only_a_run_of_the_same_work_is_resumed(
    tally: ModuleType, desk: Any, run_tally: Run, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    desk.order(letters_plain_seed_1="fail")
    stop_run(run_tally, error=RunError)
    (first,) = desk.path.parent.glob("runs/tally/*")
    records = (first / RECORDS).read_bytes()
    (desk.path / "notes").unlink()
    desk.order(sources="anew" if change == "data" else "")
    reworded = tally.card.claims[0].model_copy(update={"sentence": "The paper scores higher than plain counting."})
    if change == "code":
        monkeypatch.setattr(runner, "fingerprint", lambda card: Hashes(claims="c", method="m", experiment="e"))
    options: dict[str, dict[str, Any]] = {
        "wording": {"card": tally.card.model_copy(update={"claims": (reworded,)})},
        "claims": changed_claims(tally.card),
        "settings": {"overrides": {"offset": 1.0}},
        "preset": {"preset": "tiny"},
        "fresh": {"fresh": True},
    }
    _, folder = run_tally(**options.get(change, {}))
    if change in ("nothing", "wording"):
        assert folder.path == first
        assert desk.ran() == MEASURED[3:]
        return
    assert folder.path != first
    assert len(desk.ran()) == (3 if change == "preset" else 5)
    assert (first / RECORDS).read_bytes() == records
    assert not (first / "result.json").exists()


def test_a_finished_run_is_not_taken_up_unless_one_will_do(desk: Any, run_tally: Run) -> None:
    first, folder = run_tally()
    again, second = run_tally()
    assert second.path != folder.path
    assert desk.ran() == MEASURED * 2
    reused, third = run_tally(reuse_finished=True)
    assert (reused.run_id, third.path) == max((first.run_id, folder.path), (again.run_id, second.path))
    assert desk.ran() == MEASURED * 2


# --- what goes wrong ----------------------------------------------------------------------------------------------


def test_a_full_disk_stops_the_run_at_its_last_good_byte_and_it_can_be_resumed(
    desk: Any, run_tally: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, written = os.fsync, []

    def fsync(descriptor: int) -> None:
        if Path(f"/proc/self/fd/{descriptor}").readlink().name == RECORDS:
            written.append(descriptor)
            if len(written) == 3:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(
        StorageError, match=r"records\.jsonl could not be written: No space left on device; the run can"
    ):
        run_tally()
    (path,) = desk.path.parent.glob(f"runs/tally/*/{RECORDS}")
    assert path.read_bytes().count(b"\n") == 2
    assert path.read_bytes().endswith(b"\n")
    result, _ = run_tally()
    assert [record.trial for record in result.records] == SMOKE
    assert desk.ran() == [*MEASURED[:3], *MEASURED[2:]]


def test_a_failing_trial_is_named_with_the_cause(desk: Any, run_tally: Run) -> None:
    desk.order(letters_plain_seed_0="fail")
    message = r"trial letters/plain/seed-0 failed: ZeroDivisionError: asked to fail; the same command resumes the run"
    with pytest.raises(RunError, match=message) as caught:
        run_tally()
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_what_follows_from_all_trials_is_derived_once_and_judged(
    tally: ModuleType, run_tally: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The records of a trial alone cannot say how far it lies from the mean of all."""
    seen: list[int] = []

    def derive(settings: Any, records: Sequence[Record]) -> Iterator[Record]:
        seen.append(len(records))
        mean = sum(record.value for record in records) / len(records)
        for record in records:
            yield record.model_copy(update={"metric": "distance", "value": record.value - mean})

    monkeypatch.setattr(tally, "experiment", dataclasses.replace(tally.experiment, derive=derive))
    claim = tally.card.claims[0].model_copy(update={"metric": "distance"})
    result, folder = run_tally(card=tally.card.model_copy(update={"claims": (claim,)}))
    measured, derived = result.records[: len(SMOKE)], result.records[len(SMOKE) :]
    assert seen == [len(SMOKE)]
    assert [record.metric for record in measured + derived] == ["score"] * len(SMOKE) + ["distance"] * len(SMOKE)
    assert sum(record.value for record in derived) == pytest.approx(0, abs=1e-12)
    assert [verdict.claim for verdict in result.verdicts] == ["gain"]
    assert all(record.metric == "score" for trial in folder.trials().values() for record in trial.records)


def test_a_failing_derivation_says_that_the_trials_are_kept(
    tally: ModuleType, run_tally: Run, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(settings: Any, records: Sequence[Record]) -> Iterator[Record]:
        raise ZeroDivisionError("asked to fail")

    whole = tally.experiment
    monkeypatch.setattr(tally, "experiment", dataclasses.replace(whole, derive=fail))
    with pytest.raises(RunError, match="derived from the records: ZeroDivisionError: asked to fail; the same command"):
        run_tally()
    monkeypatch.setattr(tally, "experiment", whole)
    run_tally()
    assert desk.ran() == MEASURED


def test_an_error_that_says_it_all_keeps_its_type(desk: Any, run_tally: Run) -> None:
    desk.order(letters_plain_seed_0="refuse")
    with pytest.raises(DataFormatError, match=r"^asked to refuse$"):
        run_tally()


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        ("full", StorageError, "figures could not be written to .*: No space left on device; the run can be resumed"),
        ("fail", RunError, "the figures could not be drawn: ZeroDivisionError: asked to fail; the same command"),
    ],
)
def test_figures_that_cannot_be_drawn_cost_no_trial(
    desk: Any, run_tally: Run, order: str, error: type[Exception], message: str
) -> None:
    desk.order(figures=order)
    with pytest.raises(error, match=message):
        run_tally()
    desk.order()
    result, _ = run_tally()
    assert desk.ran() == MEASURED
    assert [record.trial for record in result.records] == SMOKE


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"jobs": 0}, ArgumentError, "jobs must be at least 1, got 0"),
        ({"preset": "huge"}, ArgumentError, "preset must be one of tiny, smoke, laptop, got 'huge'"),
        ({"overrides": {"sedes": 2}}, ArgumentError, "setting 'sedes' is unknown; the settings are data, seeds, first"),
        (
            {"overrides": {"seeds": 0}},
            ArgumentError,
            "setting 'seeds': Input should be greater than or equal to 1, got",
        ),
        (
            {"overrides": {"data": ["letters", "letters"]}},
            ArgumentError,
            r"setting 'data': each data set may be named once",
        ),
    ],
)
def test_a_wrong_argument_is_refused_before_a_folder_is_made(
    run_tally: Run, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run_tally(**options)
    assert not (tmp_path / "runs").exists()


def test_missing_data_is_an_error_before_a_folder_is_made(desk: Any, run_tally: Run, tmp_path: Path) -> None:
    desk.order(sources="missing")
    with pytest.raises(DataNotFoundError, match="letters is nowhere"):
        run_tally()
    assert not (tmp_path / "runs").exists()


def test_trials_that_cannot_be_told_apart_are_refused(
    tally: ModuleType, run_tally: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    twice = dataclasses.replace(tally.experiment, trials=lambda settings: [*tally.trials(settings)] * 2)
    monkeypatch.setattr(runner, "load_experiment", lambda card: twice)
    with pytest.raises(RunError, match="trial letters/clock is listed twice"):
        run_tally()
    assert not (tmp_path / "runs").exists()


def test_a_listed_paper_cannot_be_run(tmp_path: Path) -> None:
    card = get_card("order-theory").model_copy(update={"slug": "not-here", "status": "listed"})
    with pytest.raises(NotRunnableError, match="not-here is listed: its method is not here yet"):
        run(card, root=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


# --- side by side -------------------------------------------------------------------------------------------------


def workers() -> list[psutil.Process]:
    """Worker processes that are still there after they had time to leave."""
    deadline = time.monotonic() + 60
    while (found := living_workers()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return found


def living_workers() -> list[psutil.Process]:
    """Processes that this one started and that still live, multiprocessing's resource tracker aside."""
    found = []
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end while it is looked at
            if child.status() != psutil.STATUS_ZOMBIE and "spawn_main" in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.fixture
def light_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers find a stand-in for torch first; this process has the real one."""
    import torch

    assert torch.__version__
    monkeypatch.syspath_prepend(ROOMS / "light")


def test_trials_side_by_side_give_the_same_records_and_leave_alone_what_wants_to_be(
    desk: Any, run_tally: Run, tmp_path: Path
) -> None:
    whole, _ = run_tally(root=tmp_path / "whole")
    (desk.path / "notes").unlink()
    # The first trial is slow, so that others finish before it; one worker is sent what Ctrl-C sends.
    desk.order(letters_paper_seed_0="sleep 1", letters_plain_seed_0="signal", letters_clock="sleep 0.1")
    seen: list[Progress] = []
    result, _ = run_tally(root=tmp_path / "side", jobs=2, on_progress=seen.append)
    assert as_text(result.records) == as_text(whole.records)
    assert [step.done for step in seen] == [0, 1, 2, 3, 4, 5]
    *others, clock = desk.notes()
    assert clock.trial == "letters/clock"
    assert clock.process == os.getpid()
    assert max(note.ended for note in others) <= clock.began
    assert sorted(note.trial for note in others) == sorted(SMOKE[1:])
    assert os.getpid() not in {note.process for note in others}
    assert len({note.process for note in others}) <= 2
    assert seen[-1].trial == "letters/clock"
    assert workers() == []


@pytest.mark.usefixtures("light_workers")
def test_a_worker_that_dies_stops_the_run_and_the_rest_can_be_resumed(desk: Any, run_tally: Run) -> None:
    desk.order(letters_paper_seed_1="die")
    with pytest.raises(
        RunError, match=r"a worker process was killed, that of trial .*letters/paper/seed-1.*; the same"
    ):
        run_tally(jobs=2)
    assert workers() == []
    (path,) = desk.path.parent.glob("runs/tally/*")
    kept = set(RunFolder(path).trials())
    desk.order()
    run_tally()
    ran = desk.ran()
    assert sorted(set(ran)) == sorted(SMOKE)
    assert all(ran.count(trial) == 1 for trial in kept)  # what was on the disk is not measured again


@pytest.mark.usefixtures("light_workers")
def test_a_failing_trial_ends_the_other_workers_at_once(desk: Any, run_tally: Run) -> None:
    desk.order(letters_paper_seed_0="sleep 1000", letters_plain_seed_0="fail")
    began = time.monotonic()
    with pytest.raises(RunError, match="trial letters/plain/seed-0 failed: ZeroDivisionError: asked to fail"):
        run_tally(jobs=2)
    assert time.monotonic() - began < 500
    assert workers() == []


@pytest.mark.usefixtures("light_workers")
def test_trials_that_end_together_with_a_failing_one_are_kept(
    desk: Any, run_tally: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "wait", lambda futures, return_when: futures_wait(futures))  # until all are done
    desk.order(letters_paper_seed_0="fail")
    stop_run(run_tally, error=RunError, jobs=2)
    (path,) = desk.path.parent.glob("runs/tally/*")
    assert set(RunFolder(path).trials()) == {*SMOKE} - {"letters/paper/seed-0", "letters/clock"}


@pytest.mark.usefixtures("light_workers")
def test_an_interrupt_ends_the_workers_at_once_and_keeps_what_was_measured(desk: Any, run_tally: Run) -> None:
    def interrupt(step: Progress) -> None:
        if step.done:
            raise KeyboardInterrupt

    desk.order(letters_paper_seed_0="sleep 1000")
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_tally(jobs=2, on_progress=interrupt)
    assert time.monotonic() - began < 500
    assert workers() == []
    (path,) = desk.path.parent.glob("runs/tally/*")
    (kept,) = RunFolder(path).trials()
    assert kept in SMOKE
    assert kept != "letters/paper/seed-0"
