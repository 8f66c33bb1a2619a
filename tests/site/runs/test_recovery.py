"""Killed with its server at any moment, a run is not lost, not doubled, and leaves nothing behind."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cenote.catalog.results import read_result
from cenote.site.runs import queue
from cenote.site.runs.process import processes_of
from cenote.site.runs.queue import State

from .keeping import PATIENCE, Place, Servers, within_patience

KILLS = 50

GONE_WITHIN = 5.0
"""Seconds within which nothing of a run is left when its server was killed."""


@pytest.fixture
def servers() -> Iterator[Servers]:
    opened = Servers()
    yield opened
    opened.close()


def kill(server: Any) -> None:
    server.kill()
    server.join(PATIENCE)
    assert server.exitcode == -signal.SIGKILL


def check_nothing_is_left(*run_ids: str) -> None:
    given_up = time.monotonic() + GONE_WITHIN
    while left := [process for run_id in run_ids for process in processes_of(run_id)]:
        assert time.monotonic() < given_up, left
        time.sleep(0.01)


def test_a_run_whose_server_was_killed_goes_on_with_the_next(servers: Servers, place: Place) -> None:
    url = f"sqlite:///{place.home}/store.sqlite3"
    run_id = place.ask()
    server = servers.start(url, place.home, "keeping.fake(home / 'journal', 'work', 8, 0.05)")
    within_patience(lambda: (place.run(run_id).done or 0) >= 2)
    kill(server)
    check_nothing_is_left(run_id)
    assert place.run(run_id).state is State.RUNNING  # nobody was there to write it down
    place.keeper("work", 8, 0.05)
    run = place.wait(run_id, State.DONE)
    assert (run.attempts, run.done) == (2, 8)
    assert [entry[0] for entry in place.entries()] == ["start", "start", "end"]


def test_what_outlives_its_run_is_ended_before_the_run_goes_on(servers: Servers, place: Place) -> None:
    url = f"sqlite:///{place.home}/store.sqlite3"
    run_id = place.ask()
    server = servers.start(url, place.home, "keeping.fake(home / 'journal', 'family', 600)")
    within_patience(lambda: len(processes_of(run_id)) == 2)
    leader = place.wait_for_start(run_id)
    kill(server)
    within_patience(lambda: leader not in [process.pid for process in processes_of(run_id)])
    (orphan,) = processes_of(run_id)
    place.keeper("work", 1, 0)
    place.wait(run_id, State.DONE)
    assert orphan.pid not in [process.pid for process in processes_of(run_id)]
    assert place.nothing_is_left_of(run_id)


def test_a_run_that_was_finished_when_its_server_ended_is_not_run_again(place: Place) -> None:
    run_id = place.ask()
    with place.database.write() as connection:
        assert queue.claim(connection, "here", place.now())
    (place.home / "run-logs").mkdir()
    folder = place.home / "runs" / "a" / "x"
    folder.mkdir(parents=True)
    (place.home / "run-logs" / f"{run_id}.progress").write_text(
        f'{{"done": 4, "total": 4}}\n{{"folder": "{folder}"}}\n'
    )
    place.keeper("work", 1, 0)
    run = place.wait(run_id, State.DONE)
    assert (run.folder, run.done, run.total) == ("a/x", 4, 4)
    assert place.entries() == []


def test_a_run_is_not_tried_for_ever(place: Place) -> None:
    run_id = place.ask()
    for _ in range(2):
        with place.database.write() as connection:
            claimed = queue.claim(connection, "here", place.now())
            assert claimed is not None
            queue.put_back(connection, claimed, place.now(), counts=True)
    with place.database.write() as connection:
        queue.claim(connection, "here", place.now())
    place.keeper("work", 1, 0)
    assert place.wait(run_id, State.FAILED).message == "It was started 3 times, and the server ended each time."
    assert place.entries() == []


def test_a_run_that_was_to_be_stopped_when_its_server_ended_is(place: Place) -> None:
    run_id = place.ask()
    with place.database.write() as connection:
        queue.claim(connection, "here", place.now())
    place.cancel(run_id)
    place.keeper("work", 1, 0)
    place.wait(run_id, State.CANCELLED)
    assert place.entries() == []


@pytest.mark.slow
def test_killed_at_any_moment(servers: Servers, either_place: Place, address: str) -> None:
    place, chance = either_place, random.Random(0)
    call = "keeping.fake(home / 'journal', 'work', 4, 0.03)"
    asked = [place.ask("whole")]
    server = servers.start(address, place.home, call)
    whole = place.wait(asked[0], State.DONE)
    kill(server)
    assert whole.started is not None
    assert whole.finished is not None
    longest = (whole.finished - whole.started).total_seconds()
    kills = 0
    while kills < KILLS:
        while sum(not place.run(each).state.ended for each in asked) < 2:
            asked.append(place.ask(f"paper-{len(asked)}"))
        before = attempts(place, asked)
        # Often a second server waits for the first to go, as where several serve one site.
        several = [servers.start(address, place.home, call) for _ in range(chance.choice((1, 1, 2)))]
        within_patience(lambda before=before: attempts(place, asked) > before)  # type: ignore[misc]
        time.sleep(chance.uniform(0, longest))
        for server in several:
            kill(server)
        kills += any(place.run(each).state is State.RUNNING for each in asked)
        check_nothing_is_left(*asked)
    server = servers.start(address, place.home, call)
    for run_id in asked:
        run = place.wait(run_id, State.DONE)
        assert (run.done, run.total, run.folder) == (4, 4, f"{run.slug}/fake-smoke")
        assert len(list((place.home / "runs" / run.slug / "fake-smoke").iterdir())) == 4
    kill(server)
    check_journal(place, asked)


def attempts(place: Place, asked: list[str]) -> int:
    """How often a run was started."""
    return sum(place.run(each).attempts for each in asked)


def check_journal(place: Place, asked: list[str]) -> None:
    entries = place.entries()
    assert [entry for entry in entries if entry[0] == "clash"] == []
    starts = [entry[1] for entry in entries if entry[0] == "start"]
    ends = [entry[1] for entry in entries if entry[0] == "end"]
    assert set(starts) == set(ends) == set(asked)
    # One that had ended when its server was killed is not run again, unless it was killed while it said so.
    assert len(ends) <= len(asked) + 2
    assert len(starts) > len(asked) + KILLS // 4


@pytest.mark.slow
def test_a_real_run_goes_on_where_its_server_was_killed(
    servers: Servers, either_place: Place, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = either_place
    monkeypatch.setattr(queue, "PRESETS", ("tiny",))
    run_id = place.ask("order-theory", "tiny")
    server = servers.start(address, place.home, "run_command")
    within_patience(lambda: (place.run(run_id).done or 0) >= 1)
    assert len(processes_of(run_id)) >= 1
    kill(server)
    check_nothing_is_left(run_id)
    server = servers.start(address, place.home, "run_command")
    run = place.wait(run_id, State.DONE)
    kill(server)
    assert run.attempts == 2
    assert run.done == run.total
    (folder,) = Path(place.home, "runs", "order-theory").iterdir()
    assert run.folder == f"order-theory/{folder.name}"
    result = read_result(folder / "result.json", figures=folder)
    assert (result.slug, result.preset) == ("order-theory", "tiny")
    assert (folder / "report.html").is_file()
    log = (place.home / "run-logs" / f"{run_id}.log").read_text()
    assert f"report: order-theory/{folder.name}/report.html" in log
    assert str(place.home) not in log
    assert "from before" in log
