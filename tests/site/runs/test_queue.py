"""The queue in the store: order, one of a kind, atomic claims, and who may still write."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from cenote.errors import ArgumentError, RunError
from cenote.site.runs import queue
from cenote.site.runs.queue import MOST_QUEUED, AskedRun, State
from cenote.site.store.database import Database
from cenote.site.store.run_tables import runs

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
LATER = NOW + dt.timedelta(hours=1)


def ask(database: Database, slug: str, preset: str = "smoke", after: float = 0) -> AskedRun:
    with database.write() as connection:
        return queue.ask(connection, slug, preset, "someone", NOW + dt.timedelta(seconds=after))


def claim(database: Database) -> AskedRun | None:
    with database.write() as connection:
        return queue.claim(connection, "here", LATER)


def found(database: Database, run: AskedRun) -> AskedRun:
    with database.read() as connection:
        now = queue.find_run(connection, run.id)
    assert now is not None
    return now


def test_runs_are_claimed_in_the_order_in_which_they_were_asked_for(database: Database) -> None:
    asked = [ask(database, "b", after=1), ask(database, "a", after=2), ask(database, "b", "laptop", after=3)]
    with database.read() as connection:
        assert [queue.runs_before(connection, run) for run in asked] == [0, 1, 2]
        assert queue.is_work_left(connection)
        assert queue.recent_runs(connection, 2) == [asked[2], asked[1]]
        assert queue.recent_runs(connection, 9, "b") == [asked[2], asked[0]]
    claimed = [claim(database) for _ in asked]
    assert [run and run.id for run in claimed] == [run.id for run in asked]
    assert [run and (run.state, run.started, run.attempts, run.host) for run in claimed] == [
        (State.RUNNING, LATER, 1, "here")
    ] * 3
    assert claim(database) is None


def test_asking_again_leads_to_the_run_that_is_there(database: Database) -> None:
    first = ask(database, "a")
    assert ask(database, "a", after=5).id == first.id
    assert ask(database, "a", "laptop", after=6).id != first.id
    claim(database)
    running = ask(database, "a", after=9)
    assert (running.id, running.state) == (first.id, State.RUNNING)
    with database.write() as connection:
        queue.end(connection, running, State.DONE, None, LATER, "a/run")
    assert ask(database, "a", after=10).id != first.id


def test_the_store_itself_takes_no_second_one(database: Database) -> None:
    first = ask(database, "a")
    with database.read() as connection:
        row = connection.execute(select(runs)).one()._asdict()
    with pytest.raises(IntegrityError), database.write() as connection:
        connection.execute(insert(runs).values({**row, "id": "other"}))
    assert found(database, first) == first


def test_only_so_many_wait(database: Database) -> None:
    asked = [ask(database, f"p{number}") for number in range(MOST_QUEUED)]
    with pytest.raises(RunError, match="10 runs are waiting already; try again when one of them has ended"):
        ask(database, "another")
    assert ask(database, "p3").id == asked[3].id
    claim(database)
    ask(database, "another")


def test_of_many_that_ask_at_once_no_more_wait_than_may(database: Database) -> None:
    def try_to_ask(number: int) -> str | None:
        try:
            return ask(database, f"p{number % 16}").id
        except RunError:
            return None

    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(try_to_ask, range(48)))
    assert len(set(ids) - {None}) == MOST_QUEUED
    with database.read() as connection:
        assert len(list(connection.execute(select(runs)))) == MOST_QUEUED


def test_of_many_that_claim_at_once_each_gets_another(database: Database) -> None:
    asked = {ask(database, f"p{number}").id for number in range(MOST_QUEUED)}
    with ThreadPoolExecutor(8) as pool:
        claimed = [run.id for run in pool.map(lambda _: claim(database), range(40)) if run]
    assert sorted(claimed) == sorted(asked)


@pytest.mark.parametrize("preset", ["paper", "", "smoke; rm -rf /", "--publish"])
def test_another_preset_is_one_sentence(database: Database, preset: str) -> None:
    with pytest.raises(ArgumentError, match="preset must be smoke or laptop, got"):
        ask(database, "a", preset)


def test_cancelling(database: Database) -> None:
    waiting, running = ask(database, "b", after=1), ask(database, "a")
    claimed = claim(database)
    assert claimed is not None
    with database.write() as connection:
        queue.cancel(connection, waiting.id, LATER)
        queue.cancel(connection, running.id, LATER)
    ended = found(database, waiting)
    assert (ended.state, ended.finished) == (State.CANCELLED, LATER)
    assert ended.state.ended
    told = found(database, running)
    assert (told.state, told.cancelling) == (State.RUNNING, True)
    with database.write() as connection:
        queue.end(connection, claimed, State.CANCELLED, "It was cancelled.", LATER)
        queue.cancel(connection, running.id, LATER)
    assert (found(database, running).state, found(database, running).cancelling) == (State.CANCELLED, False)


def test_who_lost_a_run_changes_nothing_of_it(database: Database) -> None:
    ask(database, "a")
    first = claim(database)
    assert first is not None
    with database.write() as connection:
        queue.tell(connection, first, done=3, total=8, trial="x", seconds_left=5.0)
        (left,) = queue.left_running(connection)
        queue.put_back(connection, left, LATER, counts=True)
    second = claim(database)
    assert second is not None
    assert (second.id, second.attempts, second.started, second.done) == (first.id, 2, first.started, 3)
    with database.write() as connection:
        assert queue.still_ours(connection, first) is None
        queue.tell(connection, first, done=1)
        queue.put_back(connection, first, LATER, counts=True)
        queue.end(connection, first, State.FAILED, "no", LATER)
        assert queue.still_ours(connection, second) == second


def test_a_run_that_is_put_back_keeps_its_place(database: Database) -> None:
    ask(database, "a")
    second = ask(database, "b", after=1)
    first = claim(database)
    assert first is not None
    with database.write() as connection:
        queue.put_back(connection, first, LATER, counts=False)
    again, then = claim(database), claim(database)
    assert again is not None
    assert then is not None
    assert (again.id, again.attempts, then.id) == (first.id, 1, second.id)


def test_a_run_that_was_to_be_stopped_is_not_put_back(database: Database) -> None:
    ask(database, "a")
    first = claim(database)
    assert first is not None
    with database.write() as connection:
        queue.cancel(connection, first.id, NOW)
        queue.put_back(connection, first, LATER, counts=False)
    ended = found(database, first)
    assert (ended.state, ended.finished, ended.message) == (State.CANCELLED, LATER, "It was cancelled.")
    assert claim(database) is None


def test_a_reader_takes_over_what_a_browser_asked_for(database: Database) -> None:
    theirs, others = ask(database, "a"), ask(database, "b")
    with database.write() as connection:
        queue.cancel(connection, others.id, LATER)  # what has ended stays whose it was
        queue.hand_over(connection, theirs.owner, queue.reader_owner(7))
    assert [found(database, run).owner for run in (theirs, others)] == ["reader:7", others.owner]


def test_runs_that_ended_long_ago_are_forgotten(database: Database) -> None:
    for number in range(4):
        ask(database, "a", after=number)
        claimed = claim(database)
        assert claimed is not None
        with database.write() as connection:
            queue.end(connection, claimed, State.DONE, None, NOW + dt.timedelta(hours=number), f"a/{number}")
    waiting = ask(database, "a")
    with database.write() as connection:
        gone = queue.forget_runs(connection, keep=2)
        assert sorted(run.folder or "" for run in gone) == ["a/0", "a/1"]
        assert queue.forget_runs(connection, keep=2) == []
        assert queue.find_run(connection, waiting.id) == waiting
