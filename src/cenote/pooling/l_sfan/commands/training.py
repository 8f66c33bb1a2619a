"""One training of ``cenote recognise``: subjects left out, the network that learns from all, and what is written."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from cenote.catalog.files import write_files_atomic, write_text_atomic
from cenote.errors import ArgumentError, DataFormatError, RunError
from cenote.lab import plots
from cenote.lab.data.recording_folder import TASK, RecordingFolder
from cenote.lab.wording import counted
from cenote.pooling.l_sfan.baselines import SummaryLogistic
from cenote.pooling.l_sfan.commands.reporting import Scores, answer_row, columns_of, write_report, write_row
from cenote.pooling.l_sfan.commands.running import one_thread
from cenote.pooling.l_sfan.commands.sittings import leave_out_in_sittings
from cenote.pooling.l_sfan.experiment import SUMMARY, heads_of
from cenote.pooling.l_sfan.importance import sensor_importance
from cenote.pooling.l_sfan.leaks import Fold, check_copies, check_raw
from cenote.pooling.l_sfan.leaving_out import LeftOut, leave_one_subject_out, subject_folds
from cenote.pooling.l_sfan.network import LEAST_FRAMES, LSFAN
from cenote.pooling.l_sfan.pictures import confusion_grid, heat_map, subject_bars
from cenote.pooling.l_sfan.recogniser import CONFIG, NETWORKS, Design, Recogniser, dump_recogniser
from cenote.pooling.l_sfan.standardization import Standardization
from cenote.pooling.l_sfan.training import WindowClassifier, WindowTraining
from cenote.pooling.l_sfan.windows import sliding_windows, window_frames
from cenote.pooling.progress import Progress

STARTED, DONE = "training.json", "folds.safetensors"
"""What was asked for, and the folds that are done; both go when the recogniser is there."""

MOST_HEADS = 5
"""Heads of the attention; the largest divisor of the number of sensors up to it is taken."""


@dataclass(frozen=True)
class Wishes:
    """What is asked of a training; the options of the command, by their names."""

    network: str
    rate: float
    seconds: float
    overlap: float
    folds: int
    epochs: int
    batch_size: int
    learning_rate: float
    seed: int

    def __post_init__(self) -> None:
        for name, value, allowed, fits in (
            ("network", self.network, ", ".join(NETWORKS), self.network in NETWORKS),
            ("rate", self.rate, "a positive number", 0 < self.rate < math.inf),
            ("seconds", self.seconds, "a positive number", 0 < self.seconds < math.inf),
            ("overlap", self.overlap, "0 up to, but not, 1", 0 <= self.overlap < 1),
            ("folds", self.folds, "0, or 2 and more", self.folds != 1),
            ("learning-rate", self.learning_rate, "a positive number", 0 < self.learning_rate < math.inf),
        ):
            if not fits:
                raise ArgumentError(f"--{name}: got {value}, allowed is {allowed}")
        if self.length < LEAST_FRAMES:
            raise ArgumentError(
                f"--seconds: {self.seconds:g} at {self.rate:g} frames a second are {self.length} frames, allowed is "
                f"{LEAST_FRAMES} or more"
            )

    @property
    def length(self) -> int:
        """Frames of a window."""
        return window_frames(self.seconds, self.overlap, self.rate)[0]

    @property
    def step(self) -> int:
        """Frames from one window's start to the next."""
        return window_frames(self.seconds, self.overlap, self.rate)[1]

    @property
    def training(self) -> WindowTraining:
        """How every network is trained."""
        return WindowTraining(self.epochs, self.batch_size, self.learning_rate)


class Job:
    """A training on a folder of recordings; nothing is written before it is known that it can be done.

    Args:
        data: The recordings.
        wishes: What is asked for.
        out: Where the recogniser goes.

    Raises:
        ArgumentError: If there are too few subjects or labels to leave subjects out.
        DataFormatError: If only one subject has some label.
        LeakError: If two subjects have a recording in common, or all were normalised together.
        RunError: If a recogniser is there already.
    """

    def __init__(self, data: RecordingFolder, wishes: Wishes, out: Path) -> None:
        if (out / CONFIG).exists():
            raise RunError(f"{out} holds a trained recogniser; name another folder with --out, or remove it")
        self.notes: list[str] = []
        self._wishes, self._out, self._data = wishes, out, data
        heads = heads_of(len(data.sensors), MOST_HEADS)
        self._design = Design(
            wishes.network, heads, data.sensors, data.classes, wishes.rate, wishes.length, wishes.step
        )
        self._cut()
        self._folds = self._splits()
        check_copies(self._windows, self._groups, self._folds)
        check_raw(self._windows, self._groups)

    def run(self, progress: Progress) -> list[Scores]:
        """Leave subjects out, train on all, and write recogniser, report, predictions and pictures.

        Returns:
            The scores of the network, then of logistic regression on mean and spread.

        Raises:
            ArgumentError: If the folder cannot be made.
            RunError: If the folder holds another training, or this one diverges.
        """
        self._begin()
        with one_thread():
            return self._run(progress)

    def _run(self, progress: Progress) -> list[Scores]:
        own = leave_out_in_sittings(
            lambda: self._classifier(self._module()),
            self._windows,
            self._labels,
            self._groups,
            self._folds,
            self._out / DONE,
            progress,
        )
        if own.diverged:
            raise RunError(f"the training diverged; try a lower --learning-rate than {self._wishes.learning_rate:g}")
        plain = leave_one_subject_out(SummaryLogistic, self._windows, self._labels, self._groups, folds=self._folds)
        scores = [Scores.of(self._wishes.network, own), Scores.of(SUMMARY, plain)]
        self._write(scores, own, self._trained())
        return scores

    def _cut(self) -> None:
        """Cut the recordings into windows; one without a label in most of its frames is left out."""
        values, labels, self._places = [], [], []
        short = unlabelled = 0
        for recording in self._data.recordings:
            cut = sliding_windows(recording.values, self._wishes.length, self._wishes.step, recording.labels[TASK])
            assert cut.labels is not None
            known = cut.labels > 0
            short += not len(known)
            unlabelled += int((~known).sum())
            values.append(cut.values[known])
            labels.append(cut.labels[known] - 1)
            self._places += [(recording, int(start)) for start in cut.starts[known]]
        self._windows, self._labels = np.concatenate(values), np.concatenate(labels)
        self._groups = np.array([recording.subject for recording, _ in self._places])
        if short:
            self.notes.append(f"{counted(short, 'recording')} shorter than a window left out.")
        if unlabelled:
            self.notes.append(f"{counted(unlabelled, 'window')} left out: no label holds for half of the frames.")

    def _splits(self) -> tuple[Fold, ...]:
        subjects = dict.fromkeys(self._groups.tolist())
        classes = np.unique(self._labels)
        if len(subjects) < 2 or len(classes) < 2:
            raise ArgumentError(
                f"folder: has windows of {counted(len(subjects), 'subject')} and {counted(len(classes), 'label')}, "
                "needs at least two of each: one subject is left out"
            )
        if self._wishes.folds > len(subjects):
            raise ArgumentError(f"--folds: got {self._wishes.folds}, allowed is 0 or 2 to {len(subjects)} subjects")
        folds = subject_folds(self._groups, self._wishes.folds or None)
        for fold in folds:
            for number, name in enumerate(self._data.classes):
                if not (self._labels[fold.train] == number).any():
                    raise DataFormatError(
                        f"label {name!r}: without {fold.name} no window has it; every label needs windows of two "
                        "subjects, in different folds"
                    )
        return folds

    def _module(self) -> LSFAN:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._wishes.seed)
            return self._design.untrained()

    def _classifier(self, module: LSFAN) -> WindowClassifier:
        return WindowClassifier(module, self._wishes.training, seed=self._wishes.seed)

    def _trained(self) -> Recogniser:
        normalization = Standardization.of(self._windows)
        module = self._module()
        classifier = self._classifier(module).fit(normalization.apply(self._windows), self._labels)
        if classifier.diverged:
            raise RunError(f"the training diverged; try a lower --learning-rate than {self._wishes.learning_rate:g}")
        return Recogniser(self._design, module, normalization)

    def _begin(self) -> None:
        """Make the folder, or see that the training that was interrupted in it is this one."""
        digest = hashlib.sha256(np.ascontiguousarray(self._windows).tobytes())
        digest.update(self._labels.tobytes() + "\0".join(self._groups.tolist()).encode())
        asked = dataclasses.asdict(self._wishes) | dataclasses.asdict(self._design) | {"windows": digest.hexdigest()}
        text = json.dumps(asked, indent=2, ensure_ascii=False) + "\n"
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArgumentError(f"--out {self._out} cannot be made: {error.strerror}") from error
        started = self._out / STARTED
        if not started.exists():
            (self._out / DONE).unlink(missing_ok=True)
            write_text_atomic(started, text)
        elif started.read_text(encoding="utf-8") != text:
            raise RunError(f"{self._out} holds a training with other settings or recordings; name another with --out")

    def _write(self, scores: list[Scores], left_out: LeftOut, trained: Recogniser) -> None:
        """Write everything, the recogniser last: a folder with one is a finished one."""
        pictures = {}
        for file, text, plot in self._pictures(scores[0], trained):
            plots.save(plot, self._out / file)
            pictures[file] = text
        size = (
            f"{counted(len(self._data.recordings), 'recording')} of {counted(len(self._data.subjects), 'subject')} "
            f"give {counted(len(self._windows), 'window')} of {self._wishes.seconds:g} s."
        )
        report = write_report(scores, self._design, self._wishes, size, self.notes, pictures)
        write_text_atomic(self._out / "report.md", report)
        write_text_atomic(self._out / "predictions.csv", "".join(self._predictions(left_out)))
        write_files_atomic({self._out / name: content for name, content in dump_recogniser(trained).items()})
        for name in (STARTED, DONE):
            (self._out / name).unlink(missing_ok=True)

    def _predictions(self, left_out: LeftOut) -> Iterator[str]:
        yield write_row(columns_of(self._design, "subject", "label"))
        for (recording, start), label, row in zip(self._places, self._labels, left_out.probabilities, strict=True):
            known = [recording.name, recording.subject, self._design.classes[label]]
            yield write_row([*known, *answer_row(self._design, start, row)])

    def _pictures(self, scores: Scores, trained: Recogniser) -> Iterator[tuple[str, str, Figure]]:
        whole = scores.together
        shares = whole / whole.sum(axis=1, keepdims=True)
        yield (
            "confusion.png",
            "What is taken for what, in people left out",
            confusion_grid({f"{scores.name}, people left out": shares}, self._design.classes),
        )
        hits = {name: float(np.trace(table) / table.sum()) for name, table in scores.tables.items()}
        yield "subjects.png", "Windows of each person left out that are recognised", subject_bars(hits)
        importance = sensor_importance(trained.module, trained.normalization.apply(self._windows))
        yield (
            "importance.png",
            "Which sensors decide, and when, in what it has learned from",
            heat_map(importance.T, self._design.sensors),
        )
