"""The runs that readers asked for, as the store keeps them: queued, running, then done, failed or cancelled."""

from __future__ import annotations

import datetime as dt
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, Update, case, delete, func, insert, null, select, update

from cenote.errors import ArgumentError, RunError
from cenote.site.store.locks import in_turn
from cenote.site.store.run_tables import runs

PRESETS = ("smoke", "laptop")
"""What a reader may ask for."""

MOST_QUEUED = 10
"""Runs that may wait."""

CANCELLED = "It was cancelled."
"""The message of a run that was stopped."""

MOST_ATTEMPTS = 3
"""How often a run is started that ends with its server each time."""


class State(StrEnum):
    """Where a run is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether it stays as it is."""
        return self not in (State.QUEUED, State.RUNNING)


@dataclass(frozen=True)
class AskedRun:
    """A run that somebody asked for."""

    id: str
    slug: str
    preset: str
    owner: str
    """Who asked for it, and so may cancel it: a reader, as ``reader_owner`` writes it, or a browser's hash."""
    state: State
    cancelling: bool
    """Whether it is to be stopped."""
    requested: dt.datetime
    started: dt.datetime | None = None
    finished: dt.datetime | None = None
    done: int | None = None
    """Trials."""
    total: int | None = None
    seconds_left: float | None = None
    trial: str | None = None
    """The trial that finished last."""
    message: str | None = None
    """One sentence about how it ended."""
    host: str | None = None
    """The machine that runs it, where its log and its folder lie."""
    attempts: int = 0
    folder: str | None = None
    """Of the finished run, below the folder of all runs."""


def ask(connection: Connection, slug: str, preset: str, owner: str, now: dt.datetime) -> AskedRun:
    """Put a run into the queue; if the same is queued or running already, return that one.

    Args:
        connection: One that may write.
        slug: A paper that runs.
        preset: One of ``PRESETS``.
        owner: Who asks.
        now: The present moment.

    Raises:
        ArgumentError: If the preset is none that a reader may ask for.
        RunError: If as many wait as may.
    """
    if preset not in PRESETS:
        raise ArgumentError(f"preset must be {' or '.join(PRESETS)}, got {preset!r:.40}")
    in_turn(connection, "ask for a run")
    there = select(runs).where(runs.c.slug == slug, runs.c.preset == preset, _unfinished())
    row = connection.execute(there).one_or_none()
    if row is not None:
        return _run(row)
    waiting = select(func.count()).select_from(runs).where(runs.c.state == State.QUEUED)
    if (connection.scalar(waiting) or 0) >= MOST_QUEUED:
        raise RunError(f"{MOST_QUEUED} runs are waiting already; try again when one of them has ended")
    values = {"id": secrets.token_hex(8), "slug": slug, "preset": preset, "owner": owner}
    asked = insert(runs).values(**values, state=State.QUEUED, requested=now, attempts=0, cancelling=False)
    return _run(connection.execute(asked.returning(runs)).one())


def find_run(connection: Connection, run_id: str) -> AskedRun | None:
    """Return a run, or None if there is none of this name."""
    row = connection.execute(select(runs).where(runs.c.id == run_id)).one_or_none()
    return None if row is None else _run(row)


def recent_runs(connection: Connection, limit: int, slug: str | None = None) -> list[AskedRun]:
    """Return the runs that were asked for last, of all papers or of one."""
    chosen = select(runs).order_by(runs.c.requested.desc(), runs.c.id).limit(limit)
    if slug is not None:
        chosen = chosen.where(runs.c.slug == slug)
    return [_run(row) for row in connection.execute(chosen)]


def runs_before(connection: Connection, run: AskedRun) -> int:
    """Return how many runs come before one that is queued, the one that is running included."""
    earlier = (runs.c.requested < run.requested) | ((runs.c.requested == run.requested) & (runs.c.id < run.id))
    ahead = (runs.c.state == State.RUNNING) | ((runs.c.state == State.QUEUED) & earlier)
    return connection.scalar(select(func.count()).select_from(runs).where(ahead)) or 0


def cancel(connection: Connection, run_id: str, now: dt.datetime) -> None:
    """End a run that is queued; of one that is running say that it is to be stopped, which its keeper will see."""
    waits = runs.c.state == State.QUEUED
    # In one statement, so that a run that is put back at this moment is not missed.
    connection.execute(
        update(runs)
        .where(runs.c.id == run_id, _unfinished())
        .values(
            state=case((waits, State.CANCELLED), else_=runs.c.state),
            finished=case((waits, now), else_=null()),
            message=case((waits, "It was cancelled before it started."), else_=runs.c.message),
            cancelling=~waits,
        )
    )


def reader_owner(reader: int) -> str:
    """Return how a reader is written as the owner of runs; unlike any hash, so that no browser can pass for one."""
    return f"reader:{reader}"


def disown(connection: Connection, reader: int) -> None:
    """Forget whose the runs of a reader are; those under way go on, and operators may still cancel them."""
    connection.execute(update(runs).where(runs.c.owner == reader_owner(reader)).values(owner=""))


def forget_owners(connection: Connection, before: dt.datetime) -> int:
    """Forget whose the runs are that ended before a moment; return how many."""
    old = update(runs).where(runs.c.finished < before, runs.c.owner != "", ~_unfinished())
    return connection.execute(old.values(owner="")).rowcount


def hand_over(connection: Connection, old_owner: str, new_owner: str) -> None:
    """Give the runs of an owner that have not ended to another one, as when a visitor signs in."""
    connection.execute(update(runs).where(runs.c.owner == old_owner, _unfinished()).values(owner=new_owner))


# --- for keepers --------------------------------------------------------------------------------------------------


def is_work_left(connection: Connection) -> bool:
    """Whether a run is queued, or running at whatever keeper."""
    return connection.scalar(select(runs.c.id).where(_unfinished()).limit(1)) is not None


def claim(connection: Connection, host: str, now: dt.datetime) -> AskedRun | None:
    """Take the run that waited longest; of several that claim at once, each gets another one or None."""
    first = (
        select(runs.c.id)
        .where(runs.c.state == State.QUEUED)
        .order_by(runs.c.requested, runs.c.id)
        .limit(1)
        .with_for_update(skip_locked=True)  # SQLite, whose writers take turns, leaves it out
    )
    taken = (
        update(runs)
        .where(runs.c.id == first.scalar_subquery(), runs.c.state == State.QUEUED)
        .values(
            state=State.RUNNING,
            started=func.coalesce(runs.c.started, now),
            host=host,
            attempts=runs.c.attempts + 1,
            seconds_left=None,
        )
    )
    row = connection.execute(taken.returning(runs)).one_or_none()
    return None if row is None else _run(row)


def still_ours(connection: Connection, run: AskedRun) -> AskedRun | None:
    """Return a run that was claimed as it is now; None if another keeper has taken it over since."""
    row = connection.execute(select(runs).where(*_claimed(run))).one_or_none()
    return None if row is None else _run(row)


def tell(connection: Connection, run: AskedRun, **progress: Any) -> None:
    """Write how far a run is: ``done``, ``total``, ``seconds_left``, ``trial``."""
    connection.execute(_ours(run).values(**progress))


def end(
    connection: Connection,
    run: AskedRun,
    state: State,
    message: str | None,
    now: dt.datetime,
    folder: str | None = None,
) -> None:
    """Say how a run ended."""
    connection.execute(
        _ours(run).values(
            state=state, message=message, finished=now, folder=folder, seconds_left=None, cancelling=False
        )
    )


def put_back(connection: Connection, run: AskedRun, now: dt.datetime, *, counts: bool) -> None:
    """Put a run back into its place in the queue; one that was to be stopped has ended instead.

    Args:
        connection: One that may write.
        run: As it was claimed.
        now: The present moment.
        counts: Whether this attempt counts: not if it was ended in an orderly way, with its server.
    """
    attempts = run.attempts if counts else run.attempts - 1
    stopped = runs.c.cancelling
    connection.execute(
        _ours(run).values(
            state=case((stopped, State.CANCELLED), else_=State.QUEUED),
            finished=case((stopped, now), else_=null()),
            message=case((stopped, CANCELLED), else_=null()),
            host=case((stopped, runs.c.host), else_=null()),
            cancelling=False,
            attempts=attempts,
            seconds_left=None,
        )
    )


def left_running(connection: Connection) -> list[AskedRun]:
    """Return what is said to be running; whoever has the lock of the runs knows that nobody keeps these any more."""
    return [_run(row) for row in connection.execute(select(runs).where(runs.c.state == State.RUNNING))]


def forget_runs(connection: Connection, keep: int) -> list[AskedRun]:
    """Take out the runs that ended longest ago and return them; the newest ones are kept."""
    ended = runs.c.state.not_in([State.QUEUED, State.RUNNING])
    newest = select(runs.c.id).where(ended).order_by(runs.c.finished.desc(), runs.c.id).limit(keep)
    gone = delete(runs).where(ended, runs.c.id.not_in(newest.subquery().select())).returning(runs)
    return [_run(row) for row in connection.execute(gone)]


def _unfinished() -> Any:
    return runs.c.state.in_([State.QUEUED, State.RUNNING])


def _ours(run: AskedRun) -> Update:
    return update(runs).where(*_claimed(run))


def _claimed(run: AskedRun) -> tuple[Any, ...]:
    """Each claim has another number, so what a keeper writes after it lost a run changes nothing."""
    return (runs.c.id == run.id, runs.c.state == State.RUNNING, runs.c.attempts == run.attempts)


def _run(row: Row[Any]) -> AskedRun:
    values = row._asdict()
    return AskedRun(**{**values, "state": State(values["state"])})
