"""Run an experiment: its trials one after the other or side by side, resumable at every trial."""

from __future__ import annotations

import datetime as dt
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cenote.catalog.card import Card
from cenote.catalog.fingerprint import fingerprint
from cenote.catalog.results import Record, Result, Verdict, file_checksum
from cenote.errors import CenoteError, RunError
from cenote.lab.experiment import Context, Experiment, Settings, Trial, load_experiment
from cenote.lab.provenance import commit, environment
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
    header = _header(card, preset, settings)
    found = None if fresh else RunFolder.find(runs_root(root), header, finished=reuse_finished)
    if found is not None and found.finished:
        return found.result(), found
    context = Context(data_root)
    sources = tuple(experiment.sources(settings, context))  # missing data is an error before a folder is made
    folder = found or RunFolder.create(runs_root(root), header)
    with folder.locked():
        _work(card, experiment, settings, folder, context, _jobs(jobs), on_progress)
        records = _in_order(experiment.trials(settings), folder)
        figures = tuple(experiment.figures(settings, records, context, folder.path))
        result = Result(
            **folder.header().model_dump(exclude={"schema_version"}),
            finished=_now(),
            seconds=round(folder.seconds(), 1),
            data=sources,
            differs=experiment.differs,
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


def _header(card: Card, preset: str, settings: Settings) -> Header:
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
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(microsecond=0)


def _jobs(jobs: int | None) -> int:
    if jobs is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if jobs < 1:
        raise RunError(f"jobs must be at least 1, got {jobs}")
    return jobs


def _in_order(trials: Sequence[Trial], folder: RunFolder) -> tuple[Record, ...]:
    """The records in the order of the trials, however they were finished."""
    finished = folder.trials()
    return tuple(record for trial in trials for record in finished[trial.key].records)


# --- trials -------------------------------------------------------------------------------------------------------


def _work(
    card: Card,
    experiment: Experiment[Any],
    settings: Settings,
    folder: RunFolder,
    context: Context,
    jobs: int,
    on_progress: Callable[[Progress], None],
) -> None:
    """Measure the trials that are not finished yet, and append each as it finishes."""
    trials = list(experiment.trials(settings))
    finished = folder.trials()
    waiting = [trial for trial in trials if trial.key not in finished]
    done = resumed = len(trials) - len(waiting)
    started = time.monotonic()
    on_progress(Progress(done, len(trials), resumed, 0.0))
    together = [trial for trial in waiting if not trial.alone]
    alone = [trial for trial in waiting if trial.alone]
    for trial, records in _measure(card, settings, together, alone, context, jobs):
        elapsed = time.monotonic() - started
        folder.append(trial.key, records, elapsed)
        done += 1
        on_progress(Progress(done, len(trials), resumed, elapsed, trial.key))


def _measure(
    card: Card, settings: Settings, together: list[Trial], alone: list[Trial], context: Context, jobs: int
) -> Iterator[tuple[Trial, list[Record]]]:
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
) -> Iterator[tuple[Trial, list[Record]]]:
    """Measure trials in worker processes, at most two a worker in the queue, so that an error stops the run soon."""
    spawn = multiprocessing.get_context("spawn")  # a fork would copy torch's and numba's thread pools in mid-flight
    todo = iter(trials)
    running: dict[Future[list[Record]], Trial] = {}
    with ProcessPoolExecutor(jobs, mp_context=spawn, initializer=_start_worker, initargs=(os.getpid(),)) as pool:
        try:
            while True:
                while len(running) < 2 * jobs and (trial := next(todo, None)) is not None:
                    running[pool.submit(_measure_in_worker, card, settings, trial, context.data_root)] = trial
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    trial = running.pop(future)
                    yield trial, _outcome(future, trial)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _outcome(future: Future[list[Record]], trial: Trial) -> list[Record]:
    try:
        return future.result()
    except CenoteError:
        raise
    except BrokenProcessPool:
        raise RunError(f"trial {trial.key}: its process was killed; the same command resumes the run") from None
    except Exception as error:
        raise _failed(trial, error) from error


def _failed(trial: Trial, error: Exception) -> RunError:
    return RunError(f"trial {trial.key} failed: {type(error).__name__}: {error}; the same command resumes the run")


_worker_context: Context | None = None


def _measure_in_worker(card: Card, settings: Settings, trial: Trial, data_root: Path | None) -> list[Record]:
    global _worker_context
    if _worker_context is None:
        _worker_context = Context(data_root)
    return list(load_experiment(card).measure(trial, settings, _worker_context))


def _start_worker(parent: int) -> None:
    import torch

    torch.set_num_threads(1)
    threading.Thread(target=_leave_with_parent, args=(parent,), daemon=True).start()


def _leave_with_parent(parent: int) -> None:
    """End a worker whose run was killed, so that no orphan goes on computing."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)
