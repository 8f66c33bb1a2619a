"""Does a small network that pools over time alone recognise what people do whom it has never seen?

Each subject is left out in turn and a new network learns from the others, with the same windows, order, augmentation
and schedule for every arm of a seed. Beside it the same is done with leaks, among them the released code's, to measure
what they add.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from cenote.catalog.results import DataSource, Figure, Record
from cenote.lab.data import SensorRecordings
from cenote.lab.experiment import Context, Experiment, Settings, Trial
from cenote.lab.wording import counted
from cenote.pooling.l_sfan.baselines import StackedLSTM, SummaryLogistic
from cenote.pooling.l_sfan.importance import sensor_importance
from cenote.pooling.l_sfan.leaks import Fold
from cenote.pooling.l_sfan.leaving_out import Classifier, LeftOut, leave_one_subject_out, subject_folds
from cenote.pooling.l_sfan.network import LSFAN
from cenote.pooling.l_sfan.released import (
    ReleasedSpatialPool,
    normalised_over_all,
    released_macro_f1,
    shared_extractor,
    split_at_random,
)
from cenote.pooling.l_sfan.scores import confusions, macro_f1, mcc, subject_shares
from cenote.pooling.l_sfan.training import WindowClassifier, WindowTraining
from cenote.pooling.l_sfan.windows import sliding_windows

CLAIMED = ("l-sfan", "cnn-tap", "cnn-sap", "stacked-lstm")
SUMMARY, RELEASED_SAP = "mean and spread", "released spatial pooling"
LEAKS = {
    "extractor shared by folds": shared_extractor,
    "normalised over all": normalised_over_all,
    "windows split at random": split_at_random,
}
"""Arms that evaluate the whole model as one should not."""

CONTROLS = (SUMMARY, RELEASED_SAP, *LEAKS)
ARMS = CLAIMED + CONTROLS

EXPLORATORY = {"lower-limb-emg": ("pathology",)}
"""Tasks beside a data set's main one whose answers have other explanations than the movement."""

DESIGNED = frozenset({"guarded-motion"})
IMPORTANCE_BINS = 15
"""Steps of time in which the importance of each sensor is kept."""


class LsfanSettings(Settings):
    """Settings of the comparison."""

    folds: int = Field(default=0, ge=0, description="Folds of subjects; 0 leaves out one subject each.")
    control_seeds: int = Field(default=3, ge=1, description="Seeds of controls and exploratory tasks: the first ones.")
    seconds: float = Field(default=3.0, gt=0, description="Length of a window.")
    overlap: float = Field(default=0.75, ge=0, lt=1, description="Part of a window that the next one repeats.")
    epochs: int = Field(ge=1, description="Passes over the training windows.")
    batch_size: int = Field(default=128, ge=1, description="Windows of a training step.")
    learning_rate: float = Field(default=3e-3, gt=0, description="Of Adam, in every step and arm.")
    heads: int = Field(default=5, ge=1, description="Most heads of the attention; the largest divisor is taken.")
    lstm_units: int = Field(default=32, ge=1, description="Units of each layer of the stacked LSTM.")
    lstm_layers: int = Field(default=2, ge=1, description="Layers of the stacked LSTM.")
    subjects: int = Field(default=24, ge=3, description="People of the made-up recordings.")
    sensors: int = Field(default=30, ge=6, description="Sensors of the made-up recordings.")

    def loader_options(self, data: str) -> dict[str, object]:
        """Return what a data set's loader is told beside its name."""
        return {"n_subjects": self.subjects, "n_sensors": self.sensors} if data in DESIGNED else {}

    @property
    def training(self) -> WindowTraining:
        """How every network is trained."""
        return WindowTraining(self.epochs, self.batch_size, self.learning_rate)


class Task(NamedTuple):
    """Windows with what is to be recognised in them."""

    windows: NDArray[np.float32]
    labels: NDArray[np.int64]
    groups: NDArray[np.str_]
    classes: tuple[str, ...]


def recordings(name: str, settings: LsfanSettings, context: Context) -> SensorRecordings:
    """Load a data set of recordings; once per process."""
    data: SensorRecordings = context.load(name, **settings.loader_options(name))
    return data


def task_of(data: SensorRecordings, task: str, settings: LsfanSettings) -> Task:
    """Cut all recordings into windows with the labels of a task."""
    length = max(1, int(settings.seconds * data.rate))
    step = max(1, int((1 - settings.overlap) * length))
    cut = [sliding_windows(each.values, length, step, each.labels[task]) for each in data.recordings]
    groups = np.repeat([each.subject for each in data.recordings], [len(each.values) for each in cut])
    labels = np.concatenate([each.labels for each in cut if each.labels is not None])
    return Task(np.concatenate([each.values for each in cut]), labels, groups, data.tasks[task])


# --- trials -------------------------------------------------------------------------------------------------------


def trials(settings: LsfanSettings) -> list[Trial]:
    """Return an evaluation per data set, seed and arm of the main task, then of the exploratory ones."""
    work = []
    for data in settings.data:
        for number, seed in enumerate(settings.seed_range):
            arms = ARMS if number < settings.control_seeds else CLAIMED
            work += [Trial(data, arm, seed) for arm in arms]
        for task in EXPLORATORY.get(data, ()):
            for seed in settings.seed_range[: settings.control_seeds]:
                work += [Trial(data, f"{arm} on {task}", seed) for arm in ARMS if arm != RELEASED_SAP]
    return work


def measure(trial: Trial, settings: LsfanSettings, context: Context) -> Iterable[Record]:
    """Evaluate one arm on the subjects left out."""
    assert trial.seed is not None
    data = recordings(trial.data, settings, context)
    arm, _, exploratory = trial.arm.partition(" on ")
    main = next(iter(data.tasks))
    task = context.remember((trial.data, exploratory or main), lambda: task_of(data, exploratory or main, settings))
    prefix = f"{exploratory}_" if exploratory else ""
    seen = _Seen(task) if arm == "l-sfan" and trial.seed == settings.first_seed else None
    left_out = evaluate(arm, task, settings, trial.seed, seen)
    yield from _scores(trial, arm, prefix, left_out)
    if not exploratory and arm in CLAIMED:
        yield trial.record("parameters", float(parameters(network(arm, task, settings, trial.seed))))
    if seen is not None:
        for sensor, values in zip(data.sensors, seen.mean().T, strict=True):
            for place, value in enumerate(values):
                yield trial.record(f"{prefix}importance", float(value), arm=arm, unit=sensor.name, x=float(place))


def evaluate(arm: str, task: Task, settings: LsfanSettings, seed: int, seen: _Seen | None = None) -> LeftOut:
    """Predict every window by a model that has not learned from its subject, unless the arm is a leak."""
    count = settings.folds or None

    def build() -> WindowClassifier:
        return WindowClassifier(network(arm, task, settings, seed), settings.training, seed=seed)

    if arm in LEAKS:
        return LEAKS[arm](build, task.windows, task.labels, task.groups, count)
    build_model: Callable[[], Classifier] = SummaryLogistic if arm == SUMMARY else build
    folds = subject_folds(task.groups, count)
    return leave_one_subject_out(build_model, task.windows, task.labels, task.groups, folds=folds, on_fold=seen)


def network(arm: str, task: Task, settings: LsfanSettings, seed: int) -> nn.Module:
    """Return an arm's untrained network; equal seeds give equal convolutions in every arm that has them."""
    _, frames, sensors = task.windows.shape
    classes = len(task.classes)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if arm == "stacked-lstm":
            return StackedLSTM(sensors, classes, settings.lstm_units, settings.lstm_layers)
        if arm == "cnn-tap":
            return LSFAN(sensors, frames, classes, attention=False)
        if arm == "cnn-sap":
            return LSFAN(sensors, frames, classes, pool="sap", attention=False)
        if arm == RELEASED_SAP:
            return ReleasedSpatialPool(sensors, frames, classes, pool="sap", attention=False)
        return LSFAN(sensors, frames, classes, nhead=heads_of(sensors, settings.heads))


def heads_of(sensors: int, most: int) -> int:
    """Return the largest number of heads, up to ``most``, that divides the number of sensors."""
    return max(number for number in range(1, most + 1) if sensors % number == 0)


def parameters(model: nn.Module) -> int:
    """Return the number of weights that take part in the forward pass; none is idle here."""
    return sum(weight.numel() for weight in model.parameters())


class _Seen:
    """Sums up, over the folds, which sensors decide on the windows of the subjects left out."""

    def __init__(self, task: Task) -> None:
        self._total = np.zeros(task.windows.shape[1:])
        self._count = 0

    def __call__(self, fold: Fold, model: Any, windows: NDArray[np.float32]) -> None:
        self._total += len(windows) * sensor_importance(model.module, windows)
        self._count += len(windows)

    def mean(self) -> NDArray[np.float64]:
        """Mean over the windows in steps of time, (bins, S), the largest 1."""
        parts = np.array_split(self._total / max(1, self._count), IMPORTANCE_BINS)
        binned = np.array([part.mean(axis=0) for part in parts if len(part)])
        return binned / max(float(binned.max()), 1e-12)


def _scores(trial: Trial, arm: str, prefix: str, left_out: LeftOut) -> Iterator[Record]:
    broken = left_out.diverged
    tables = confusions(left_out)
    for metric, score in (("mcc", mcc), ("macro_f1", macro_f1)):
        for subject, share in subject_shares(tables, score).items():
            value = float("nan") if broken else share
            yield trial.record(f"{prefix}{metric}", value, arm=arm, unit=subject)
    if broken:
        return
    together = np.sum(list(tables.values()), axis=0)
    yield trial.record(f"{prefix}accuracy", float(np.trace(together) / together.sum()), arm=arm)
    if len(together) == 2:
        yield trial.record(f"{prefix}released_macro_f1", released_macro_f1(together), arm=arm)
    for true, row in enumerate(together):
        for taken, number in enumerate(row):
            yield trial.record(f"{prefix}confusion", float(number), arm=arm, unit=f"{true} {taken}")
    for subject, table in tables.items():
        hits = float(np.trace(table) / table.sum())
        yield trial.record(f"{prefix}subject_accuracy", hits, arm=arm, unit=subject)


# --- data and pictures --------------------------------------------------------------------------------------------


def sources(settings: LsfanSettings, context: Context) -> Iterator[DataSource]:
    """Describe the recordings the run reads."""
    for name in settings.data:
        data = recordings(name, settings, context)
        yield DataSource(name=name, checksum=data.checksum(), size=data.size(), note=data.note)


def figures(settings: LsfanSettings, records: Sequence[Record], context: Context, folder: Path) -> Iterator[Figure]:
    """Draw scores, leaks, subjects, confusions and importance for each data set and task."""
    from cenote.pooling.l_sfan import pictures

    for name in settings.data:
        data = recordings(name, settings, context)
        main = next(iter(data.tasks))
        for task in (main, *EXPLORATORY.get(name, ())):
            prefix = "" if task == main else f"{task}_"
            yield from pictures.draw_all(data, task, prefix, records, folder)


def differs(settings: LsfanSettings) -> Sequence[str]:
    """Say what differs from the paper at these settings."""
    names = ", ".join(settings.data)
    split = counted(settings.folds, "fold") + " of subjects" if settings.folds else "one subject left out at a time"
    return (
        f"The paper detects protective behaviour in EmoPain, which is licensed; this is {names}, with {split} and "
        f"{counted(settings.seeds, 'seed')}.",
        "Every fold builds its model anew, measures its normalisation on its own training windows and is tested on "
        "windows without augmentation; the released code does none of this.",
        "Pooling over the sensors is a mean over the sensors; the released code's averages over time and is a control.",
        f"Windows are varied anew each time they are seen, in standard deviations, instead of in six stored copies; "
        f"all networks learn by Adam at {settings.learning_rate:g} in batches of {settings.batch_size} for "
        f"{counted(settings.epochs, 'epoch')}, and nothing is chosen on the subjects left out.",
        f"The recurrent network has {counted(settings.lstm_layers, 'layer')} of {settings.lstm_units} units; the other "
        "recurrent and graph networks the paper compares with are not here.",
        "Scores pool the windows of all subjects, as the paper's do; a subject's value is its share by the jackknife.",
        "Recognising a knee pathology is exploratory: the groups were recorded in different lengths, rates and "
        "possibly sessions, so that more than movement tells them apart; no verdict is given.",
    )


experiment = Experiment(
    settings=LsfanSettings,
    presets={
        "tiny": LsfanSettings(
            data=("guarded-motion",),
            seeds=1,
            control_seeds=1,
            folds=2,
            seconds=1.0,
            overlap=0.0,
            epochs=1,
            lstm_units=4,
            lstm_layers=1,
            subjects=4,
            sensors=6,
        ),
        "smoke": LsfanSettings(
            data=("guarded-motion",),
            seeds=5,
            control_seeds=1,
            folds=3,
            epochs=4,
            batch_size=16,
            lstm_units=16,
            lstm_layers=2,
            subjects=21,
            sensors=10,
        ),
        "laptop": LsfanSettings(data=("lower-limb-emg",), seeds=5, epochs=5),
        "paper": LsfanSettings(data=("emopain",), seeds=5, epochs=5, batch_size=40, learning_rate=1e-3),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=differs,
    designed=DESIGNED,
)
