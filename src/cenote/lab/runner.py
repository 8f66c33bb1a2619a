"""Run an experiment: its trials one after the other or side by side, resumable at every trial."""

from __future__ import annotations

import contextlib
import datetime as dt
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from cenote.catalog.card import Card
from cenote.catalog.fingerprint import fingerprint
from cenote.catalog.results import DataSource, Figure, Record, Result, Verdict, file_checksum
from cenote.errors import ArgumentError, CenoteError, RunError, StorageError
from cenote.lab.experiment import Context, Experiment, Settings, Trial, load_experiment
from cenote.lab.provenance import available_cores, commit, environment
from cenote.lab.runs import Header, RunFolder, dump_settings, new_run_id, runs_root


@dataclass(frozen=True)
class Progress:
    """How far a run is."""

    done: int
    total: int
    resumed: int
    """Trials that an earlier part of the run had finished."""
    elapsed: float
    """Seconds since this part started."""
    trial: str = ""
    """The trial that just finished."""

    @property
    def seconds_left(self) -> float | None:
        """Expected seconds to go, from the pace of this part; None before the first trial."""
        fresh = self.done - self.resumed
        return self.elapsed / fresh * (self.total - self.done) if fresh else None


def run(
    card: Card,
    preset: str = "smoke",
    *,
    overrides: Mapping[str, Any] | None = None,
    root: Path | None = None,
    data_root: Path | None = None,
    jobs: int | None = None,
    fresh: bool = False,
    reuse_finished: bool = False,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> tuple[Result, RunFolder]:
    """Run a paper's experiment and judge its claims.

    An unfinished run of the same claims, code and settings is taken up where it stopped.

    Args:
        card: The paper.
        preset: ``tiny``, ``smoke``, ``laptop`` or ``paper``.
        overrides: Settings that replace the preset's.
        root: Where runs live; ``CENOTE_RUNS`` or ``./runs`` by default.
        data_root: Where data sets lie; ``CENOTE_DATA`` by default.
        jobs: Trials side by side, each with one thread; as many as there are cores by default.
        fresh: Whether to start anew though an unfinished run is there.
        reuse_finished: Whether a finished run of the same claims, code and settings will do.
        on_progress: Called at the start and after each trial.

    Returns:
        The sealed result, and the folder of the run with result, report and figures.

    Raises:
        NotRunnableError: If the paper is listed only.
        ArgumentError: If preset, overrides or jobs are not allowed.
        DataNotFoundError: If a data set is missing.
        RunError: If a trial fails (the run can be resumed) or another process works on the run.
        StorageError: If the disk is full; the run can be resumed.
    """
    experiment = load_experiment(card)
    settings = experiment.resolve(preset, overrides)
    trials = _trials(experiment, settings)
    workers = _workers(jobs)
    context = Context(data_root)
    sources = tuple(experiment.sources(settings, context))  # missing data is an error before a folder is made
    header = _header(card, preset, settings, sources)
    found = None if fresh else RunFolder.find(runs_root(root), header, finished=reuse_finished)
    folder = found or RunFolder.create(runs_root(root), header)
    if folder.finished:
        return folder.result(), folder
    with folder.locked():
        if folder.finished:  # by another process, just before this one held the lock
            return folder.result(), folder
        _work(card, settings, trials, folder, context, workers, on_progress)
        records = _with_derived(experiment, settings, _in_order(trials, folder))
        figures = _draw(experiment, settings, records, context, folder.path)
        result = Result(
            **folder.header().model_dump(exclude={"schema_version", "data"}),
            finished=_now(),
            seconds=round(folder.seconds(), 1),
            data=sources,
            differs=tuple(experiment.differs(settings)),
            records=records,
            verdicts=judge(card, records, preset=preset, designed=experiment.designed),
            figures=figures,
            figure_checksums={figure.file: file_checksum(folder.path / figure.file) for figure in figures},
        ).seal()
        from cenote.lab.report import write_report

        write_report(card, result, folder.path)  # its last file is the result, which means that the run is finished
    return result, folder


def judge(
    card: Card, records: Sequence[Record], *, preset: str, designed: frozenset[str] = frozenset()
) -> tuple[Verdict, ...]:
    """Decide every claim on every data set that has records of its metric; ``tiny`` runs get no verdicts."""
    from cenote.lab.verdict import decide

    if preset == "tiny":
        return ()
    verdicts = []
    for claim in card.claims:
        names = dict.fromkeys(record.data for record in records if record.metric == claim.metric)
        verdicts += [decide(claim, records, data=name, designed=name in designed) for name in names]
    return tuple(verdicts)


def _trials(experiment: Experiment[Any], settings: Settings) -> list[Trial]:
    """The trials in their order, each named once: a second one of the same name would pass for finished."""
    trials = list(experiment.trials(settings))
    names: set[str] = set()
    for trial in trials:
        if trial.key in names:
            raise RunError(f"trial {trial.key} is listed twice; data, arm and seed must tell trials from each other")
        names.add(trial.key)
    return trials


def _header(card: Card, preset: str, settings: Settings, sources: tuple[DataSource, ...]) -> Header:
    head, clean = commit()
    now = _now()
    return Header(
        slug=card.slug,
        run_id=new_run_id(preset, now),
        preset=preset,
        settings=dump_settings(settings),
        started=now,
        commit=head,
        clean=clean,
        hashes=fingerprint(card),
        environment=environment(),
        data=sources,
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def _workers(jobs: int | None) -> int:
    if jobs is None:
        return available_cores()
    if jobs < 1:
        raise ArgumentError(f"jobs must be at least 1, got {jobs}")
    return jobs


def _in_order(trials: Sequence[Trial], folder: RunFolder) -> tuple[Record, ...]:
    """The records in the order of the trials, however they were finished."""
    finished = folder.trials()
    return tuple(record for trial in trials for record in finished[trial.key].records)


def _with_derived(experiment: Experiment[Any], settings: Settings, records: tuple[Record, ...]) -> tuple[Record, ...]:
    try:
        return (*records, *experiment.derive(settings, records))
    except CenoteError:
        raise
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise RunError(
            f"nothing could be derived from the records: {problem}; the same command resumes the run"
        ) from error


def _draw(
    experiment: Experiment[Any], settings: Settings, records: tuple[Record, ...], context: Context, folder: Path
) -> tuple[Figure, ...]:
    try:
        return tuple(experiment.figures(settings, records, context, folder))
    except CenoteError:
        raise
    except OSError as error:
        problem = error.strerror or str(error)
        raise StorageError(f"figures could not be written to {folder}: {problem}; the run can be resumed") from error
    except Exception as error:
        problem = f"{type(error).__name__}: {error}"
        raise RunError(f"the figures could not be drawn: {problem}; the same command resumes the run") from error


# --- trials -------------------------------------------------------------------------------------------------------


def _work(
    card: Card,
    settings: Settings,
    trials: Sequence[Trial],
    folder: RunFolder,
    context: Context,
    jobs: int,
    on_progress: Callable[[Progress], None],
) -> None:
    """Measure the trials that are not finished yet, and append each as it finishes."""
    finished = folder.trials()
    waiting = [trial for trial in trials if trial.key not in finished]
    done = resumed = len(trials) - len(waiting)
    started = time.monotonic()
    on_progress(Progress(done, len(trials), resumed, 0.0))
    together = [trial for trial in waiting if not trial.alone]
    alone = [trial for trial in waiting if trial.alone]
    with contextlib.closing(_measure(card, settings, together, alone, context, jobs)) as measured:
        for trial, records in measured:
            elapsed = time.monotonic() - started
            folder.append(trial.key, records, elapsed)
            done += 1
            on_progress(Progress(done, len(trials), resumed, elapsed, trial.key))


def _measure(
    card: Card, settings: Settings, together: list[Trial], alone: list[Trial], context: Context, jobs: int
) -> Generator[tuple[Trial, list[Record]]]:
    if jobs > 1 and len(together) > 1:
        yield from _measure_side_by_side(card, settings, together, context, jobs)
    else:
        alone = together + alone
    for trial in alone:
        yield trial, _measure_one(card, settings, trial, context)


def _measure_one(card: Card, settings: Settings, trial: Trial, context: Context) -> list[Record]:
    """Measure a trial in this process, with as many threads as in a worker, so that the figures are the same."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return list(load_experiment(card).measure(trial, settings, context))
    except CenoteError:
        raise
    except Exception as error:
        raise _failed(trial, error) from error
    finally:
        torch.set_num_threads(threads)


def _measure_side_by_side(
    card: Card, settings: Settings, trials: list[Trial], context: Context, jobs: int
) -> Generator[tuple[Trial, list[Record]]]:
    """Measure trials in worker processes; an error or an interrupt ends those that are under way."""
    spawn = multiprocessing.get_context("spawn")  # a fork would copy torch's and numba's thread pools in mid-flight
    jobs = min(jobs, len(trials))
    todo = iter(trials)
    running: dict[Future[list[Record]], Trial] = {}
    leash, end = spawn.Pipe(duplex=False)
    with leash, end, ProcessPoolExecutor(jobs, spawn, _start_worker, (leash,)) as pool:
        try:
            while True:
                while len(running) < 2 * jobs and (trial := next(todo, None)) is not None:
                    running[pool.submit(_measure_in_worker, card, settings, trial, context.data_root)] = trial
                if not running:
                    return
                done = wait(running, return_when=FIRST_COMPLETED).done
                for future in sorted(done, key=_has_failed):  # what was measured is kept before an error is raised
                    records = _outcome(future, running[future])
                    yield running.pop(future), records
        except BaseException as error:
            end.close()  # the workers leave at once, and the pool waits until they are gone
            if isinstance(error, BrokenProcessPool):
                raise _killed(list(running.values())[:jobs]) from None  # those behind them were in the queue
            raise


def _has_failed(future: Future[list[Record]]) -> bool:
    return future.exception() is not None


def _outcome(future: Future[list[Record]], trial: Trial) -> list[Record]:
    try:
        return future.result()
    except (CenoteError, BrokenProcessPool):
        raise
    except Exception as error:
        raise _failed(trial, error) from error


def _killed(trials: Sequence[Trial]) -> RunError:
    names = " or ".join(trial.key for trial in trials)
    return RunError(f"a worker process was killed, that of trial {names}; the same command resumes the run")


def _failed(trial: Trial, error: Exception) -> RunError:
    return RunError(f"trial {trial.key} failed: {type(error).__name__}: {error}; the same command resumes the run")


_worker_context: Context | None = None


def _measure_in_worker(card: Card, settings: Settings, trial: Trial, data_root: Path | None) -> list[Record]:
    global _worker_context
    if _worker_context is None:
        _worker_context = Context(data_root)
    return list(load_experiment(card).measure(trial, settings, _worker_context))


def _start_worker(leash: Connection) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run hears Ctrl-C too, and lets go of the leash
    threading.Thread(target=_leave_with_run, args=(leash,), daemon=True).start()
    import torch

    torch.set_num_threads(1)


def _leave_with_run(leash: Connection) -> None:
    """End a worker when its run lets go of the pipe, on purpose or by a kill, so that no orphan goes on computing."""
    with contextlib.suppress(EOFError, OSError):
        leash.recv_bytes()
    os._exit(1)
