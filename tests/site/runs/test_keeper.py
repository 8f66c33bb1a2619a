"""Runs in processes: one at a time, ended by whatever may end them, and nothing left behind."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import psutil
import pytest
from sqlalchemy import update

from cenote.site.runs import keeper as keeping
from cenote.site.runs.log import CUT, LARGEST
from cenote.site.runs.queue import State
from cenote.site.store.run_tables import runs

from .keeping import Place, within_patience


def test_a_run_is_done_and_tells_how_far_it_is(either_place: Place) -> None:
    seen = []
    keeper = either_place.keeper("work", 4, 0.1)
    run_id = either_place.ask()
    keeper.wake()

    def ended() -> bool:
        run = either_place.run(run_id)
        seen.append((run.done, run.trial))
        return run.state.ended

    within_patience(ended)
    run = either_place.run(run_id)
    assert (run.state, run.done, run.total, run.message, run.folder) == (State.DONE, 4, 4, None, "a/fake-smoke")
    assert (run.seconds_left, run.attempts, run.cancelling) == (None, 1, False)
    assert run.requested < run.started < run.finished  # type: ignore[operator]
    assert {(1, "step-1"), (2, "step-2"), (3, "step-3")} & set(seen)
    assert keeper.files.folder(run) == either_place.home / "runs" / "a" / "fake-smoke"
    assert keeper.files.log(run_id).read_text() == "step 1\nstep 2\nstep 3\nstep 4\n"
    within_patience(lambda: not keeper.files.progress(run_id).exists())
    assert either_place.nothing_is_left_of(run_id)


def test_of_two_keepers_on_one_store_only_one_works_at_a_time(either_place: Place) -> None:
    asked = [either_place.ask(slug) for slug in "abcdef"]
    for _ in range(2):
        either_place.keeper("work", 2, 0.02)
    for run_id in asked:
        either_place.wait(run_id, State.DONE)
    assert [entry[:2] for entry in either_place.entries()] == [
        [what, each] for each in asked for what in ("start", "end")
    ]


def test_cancelled_while_it_waits(place: Place) -> None:
    keeper = place.keeper("work", 1000, 0.1)
    running, waiting = place.ask("a"), place.ask("b")
    place.wait_for_start(running)
    place.cancel(waiting)
    assert place.run(waiting).state is State.CANCELLED
    keeper.close()
    assert [entry[1] for entry in place.entries()] == [running]


def test_cancelled_while_it_runs(place: Place) -> None:
    keeper = place.keeper("family", 600)
    run_id = place.ask()
    leader = place.wait_for_start(run_id)
    within_patience(lambda: "started" in _log(keeper, run_id))
    (child,) = psutil.Process(leader).children()
    place.cancel(run_id)
    run = place.wait(run_id, State.CANCELLED)
    assert run.message == "It was cancelled."
    assert not run.cancelling
    assert place.nothing_is_left_of(run_id)
    assert not is_alive(child)


def test_what_does_not_listen_is_killed(place: Place) -> None:
    keeper = place.keeper("stubborn", 600)
    run_id = place.ask()
    place.wait_for_start(run_id)
    within_patience(lambda: "nothing stops me" in _log(keeper, run_id))
    place.cancel(run_id)
    place.wait(run_id, State.CANCELLED)
    assert place.nothing_is_left_of(run_id)


def test_the_longest_time(place: Place) -> None:
    place.keeper("work", 1000, 0.1, run_minutes=0.005)
    run = place.wait(place.ask(), State.FAILED)
    assert run.message == "It was stopped after 0.005 minutes, the longest a run may take here."
    assert place.nothing_is_left_of(run.id)


def test_the_most_memory(place: Place) -> None:
    place.keeper("hungry", 300, run_memory_gib=0.125)
    run_id = place.ask()
    run = place.wait(run_id, State.FAILED)
    assert run.message == "It was stopped when it took more than 0.125 GiB of memory, the most it may here."
    assert place.nothing_is_left_of(run_id)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("dying", "trial digits/max failed: no luck"),
        ("damaged", f"a/fake-smoke/records.jsonl, line 3, is damaged; see {Path(sys.executable).name}"),
        ("silent", "It ended with exit code 7."),
        ("empty", "It ended without a result."),
        ("lying", "It ended without a result."),
    ],
)
def test_a_run_that_dies_says_its_last_words(place: Place, kind: str, message: str) -> None:
    place.keeper(kind)
    run = place.wait(place.ask(), State.FAILED)
    assert (run.message, run.folder) == (message, None)


def test_a_run_that_is_killed_from_elsewhere(place: Place) -> None:
    place.keeper("work", 1000, 0.1)
    run_id = place.ask()
    os.kill(place.wait_for_start(run_id), signal.SIGKILL)
    assert place.wait(run_id, State.FAILED).message == "Its process was ended by signal 9."


def test_what_cannot_be_started(place: Place) -> None:
    (place.home / "run-logs").write_text("a file in the place of the folder")
    place.keeper("work", 1, 0)
    assert (place.wait(place.ask(), State.FAILED).message or "").startswith("It could not be started: ")


def test_a_paper_that_does_not_run_any_more(place: Place) -> None:
    place.keeper("work", 1, 0)
    assert place.wait(place.ask("gone"), State.FAILED).message == "This paper does not run here."
    assert place.entries() == []


def test_the_log_keeps_its_newest_part(place: Place) -> None:
    keeper = place.keeper("chatty", 40_000)
    run_id = place.ask()
    place.wait(run_id, State.DONE)
    content = keeper.files.log(run_id).read_bytes()
    assert LARGEST // 2 < len(content) <= LARGEST
    assert content.startswith(CUT + b"line ")
    assert content.rstrip(b"x\n").endswith(b"line 39999 ")


def test_a_server_that_ends_in_an_orderly_way_puts_its_run_back(either_place: Place) -> None:
    first = either_place.keeper("work", 20, 0.05)
    run_id = either_place.ask()
    either_place.wait_for_start(run_id)
    within_patience(lambda: (either_place.run(run_id).done or 0) >= 2)
    first.close()
    run = either_place.run(run_id)
    assert (run.state, run.attempts, run.finished) == (State.QUEUED, 0, None)
    assert either_place.nothing_is_left_of(run_id)
    either_place.keeper("work", 20, 0.05)
    run = either_place.wait(run_id, State.DONE)
    assert (run.done, run.attempts) == (20, 1)
    steps = [int(line.split()[1]) for line in first.files.log(run_id).read_text().splitlines()]
    assert steps == sorted(set(steps))  # it went on where it was stopped


def test_what_another_keeper_took_over_is_let_go(either_place: Place) -> None:
    either_place.keeper("work", 1000, 0.05)
    run_id = either_place.ask()
    either_place.wait_for_start(run_id)
    with either_place.database.write() as connection:
        connection.execute(update(runs).values(attempts=2))
    # Its keeper ends the process; then it finds a run that nobody keeps, and begins anew.
    within_patience(lambda: either_place.run(run_id).attempts == 3)
    within_patience(lambda: len(either_place.entries()) == 2)
    first, second = (int(entry[2]) for entry in either_place.entries())
    assert not psutil.pid_exists(first)  # its keeper waits for it
    assert is_alive(psutil.Process(second))


def test_the_files_of_forgotten_runs_go(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "KEPT", 1)
    keeper = place.keeper("work", 1, 0)
    first = place.ask("a")
    place.wait(first, State.DONE)
    second = place.ask("b")
    place.wait(second, State.DONE)
    within_patience(lambda: not keeper.files.log(first).exists())
    within_patience(lambda: not (keeper.files.runs / "a" / "fake-smoke").exists())
    assert keeper.files.log(second).exists()
    assert (keeper.files.runs / "b" / "fake-smoke").exists()


def test_a_store_that_does_not_answer_for_a_while(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    keeper = place.keeper("work", 1, 0)
    broken = keeper._database
    keeper._database = None  # type: ignore[assignment]
    run_id = place.ask()
    within_patience(lambda: "the runs could not be kept" in caplog.text)
    keeper._database = broken
    place.wait(run_id, State.DONE)


def is_alive(process: psutil.Process) -> bool:
    """Whether it does anything still; where nobody waits for it, a process that ended keeps its number."""
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


def _log(keeper: keeping.RunKeeper, run_id: str) -> str:
    path = keeper.files.log(run_id)
    return path.read_text() if path.exists() else ""


def test_data_that_are_not_there_are_a_plain_sentence(place: Place) -> None:
    place.keeper("needy")
    assert place.wait(place.ask(), State.FAILED).message == (
        "The data sets this needs are not on this machine: cifar10, mnist; the operator sets CENOTE_DATA."
    )


def test_the_run_steps_back_and_is_told_no_secret(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"AWS_SECRET_ACCESS_KEY", "PGPASSWORD", "HF_TOKEN", "CENOTE_SECRET"}
    for name in secrets:
        monkeypatch.setenv(name, "x" * 40)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.delenv("CENOTE_OFFLINE", raising=False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    place.keeper("work", 1000, 0.1)
    leader = psutil.Process(place.wait_for_start(place.ask()))
    assert leader.nice() >= 10
    assert os.getsid(leader.pid) == leader.pid
    environment = leader.environ()
    assert not [name for name in environment if name.startswith("CENOTE_") and name not in _MAY_BE_KNOWN]
    assert not secrets & environment.keys()
    assert (environment["CENOTE_OFFLINE"], environment["OMP_NUM_THREADS"]) == ("1", "1")


_MAY_BE_KNOWN = {"CENOTE_DATA", "CENOTE_OFFLINE", "CENOTE_RUN_ID"}
