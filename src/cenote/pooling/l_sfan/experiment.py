"""Does a small network that pools over time alone recognise what people do whom it has never seen?

Each subject is left out in turn and a new network learns from the others, with the same windows, order, augmentation
and schedule for every arm of a seed. Beside it the same is done with leaks, among them the released code's, and what
each adds is measured subject by subject; and with a longer schedule, which could change the comparison.
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
from cenote.pooling.l_sfan.baselines import FineLogistic, StackedLSTM, SummaryLogistic
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
from cenote.pooling.l_sfan.windows import sliding_windows, window_frames

CLAIMED = ("l-sfan", "cnn-tap", "cnn-sap", "stacked-lstm")
SUMMARY, FINE, RELEASED_SAP = "mean and spread", "finest changes", "released spatial pooling"

LONGER = "longer training"
LONGER_ARMS = {f"{model}, {LONGER}": model for model in ("l-sfan", "stacked-lstm")}
"""Arms that train for more epochs, with the model of each: whether few steps decide the comparison."""

LEAKS = {
    "extractor shared by folds": shared_extractor,
    "normalised over all": normalised_over_all,
    "windows split at random": split_at_random,
}
"""Ways to evaluate as one should not."""

LEAKY = {
    f"{model}, {leak}": (model, leak)
    for leak, models in zip(LEAKS, (CLAIMED[:3], CLAIMED[:1], CLAIMED), strict=True)
    for model in models
}
"""Arms evaluated with a leak, with the model and the leak of each; a recurrent network has no extractor to share."""

CONTROLS = (SUMMARY, RELEASED_SAP, *LONGER_ARMS, *LEAKY)
ARMS = CLAIMED + CONTROLS

EXPLORATORY_ARMS = (*CLAIMED, SUMMARY, FINE, "l-sfan, windows split at random")

EXPLORATORY = {"lower-limb-emg": ("pathology",)}
"""Tasks beside a data set's main one whose answers have other explanations than the movement."""

SCORES = {"mcc": mcc, "macro_f1": macro_f1}

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
    longer: int = Field(default=4, ge=1, description="Times as many epochs for the controls with longer training.")
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

    def training(self, arm: str) -> WindowTraining:
        """How an arm's networks are trained: alike but for the controls with longer training."""
        epochs = self.epochs * (self.longer if arm in LONGER_ARMS else 1)
        return WindowTraining(epochs, self.batch_size, self.learning_rate)


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
    length, step = window_frames(settings.seconds, settings.overlap, data.rate)
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
                work += [Trial(data, f"{arm} on {task}", seed) for arm in EXPLORATORY_ARMS]
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
        return WindowClassifier(network(arm, task, settings, seed), settings.training(arm), seed=seed)

    if arm in LEAKY:
        return LEAKS[LEAKY[arm][1]](build, task.windows, task.labels, task.groups, count)
    simple: dict[str, Callable[[], Classifier]] = {SUMMARY: SummaryLogistic, FINE: FineLogistic}
    build_model = simple.get(arm, build)
    folds = subject_folds(task.groups, count)
    return leave_one_subject_out(build_model, task.windows, task.labels, task.groups, folds=folds, on_fold=seen)


def network(arm: str, task: Task, settings: LsfanSettings, seed: int) -> nn.Module:
    """Return an arm's untrained network; equal seeds give equal convolutions in every arm that has them."""
    _, frames, sensors = task.windows.shape
    classes = len(task.classes)
    model = LONGER_ARMS.get(arm) or LEAKY.get(arm, (arm,))[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        if model == "stacked-lstm":
            return StackedLSTM(sensors, classes, settings.lstm_units, settings.lstm_layers)
        if model == "cnn-tap":
            return LSFAN(sensors, frames, classes, attention=False)
        if model == "cnn-sap":
            return LSFAN(sensors, frames, classes, pool="sap", attention=False)
        if model == RELEASED_SAP:
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
    for metric, score in SCORES.items():
        for subject, share in subject_shares(tables, score).items():
            value = float("nan") if broken else share
            yield trial.record(f"{prefix}{metric}", value, arm=arm, unit=subject)
    if broken:
        return
    together = np.sum(list(tables.values()), axis=0)
    for metric, score in SCORES.items():
        yield trial.record(f"{prefix}pooled_{metric}", score(together), arm=arm)
        for subject, table in tables.items():
            if table.sum(axis=1).all():  # a person who does not do everything has no score of his own
                yield trial.record(f"{prefix}subject_{metric}", score(table), arm=arm, unit=subject)
    if prefix:
        for subject, probabilities in left_out.by_subject().items():
            taken = float(probabilities.argmax() == tables[str(subject)].sum(axis=1).argmax())
            yield trial.record(f"{prefix}subject_recognised", taken, arm=arm, unit=str(subject))
    yield trial.record(f"{prefix}accuracy", float(np.trace(together) / together.sum()), arm=arm)
    if len(together) == 2:
        yield trial.record(f"{prefix}released_macro_f1", released_macro_f1(together), arm=arm)
    for true, row in enumerate(together):
        for taken, number in enumerate(row):
            yield trial.record(f"{prefix}confusion", float(number), arm=arm, unit=f"{true} {taken}")
    for subject, table in tables.items():
        hits = float(np.trace(table) / table.sum())
        yield trial.record(f"{prefix}subject_accuracy", hits, arm=arm, unit=subject)


def derive(settings: LsfanSettings, records: Sequence[Record]) -> Iterator[Record]:
    """Return what a leak adds: the share of a subject with it, less that without, of the same model and seed."""
    for data in settings.data:
        for prefix in ("", *(f"{task}_" for task in EXPLORATORY.get(data, ()))):
            for metric in (f"{prefix}{score}" for score in SCORES):
                shares = {
                    (record.arm, record.seed, record.unit): record.value
                    for record in records
                    if record.data == data and record.metric == metric
                }
                for (arm, seed, subject), value in shares.items():
                    if arm in LEAKY:
                        added = value - shares[LEAKY[arm][0], seed, subject]
                        yield Trial(data, arm, seed).record(f"{metric}_added", added, unit=subject)


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
    how = f"with {split} and {counted(settings.seeds, 'seed')}"
    said = [f"The paper detects protective behaviour in EmoPain, which is licensed; this is {names}, {how}."]
    if settings.data == ("emopain",):
        said = [f"EmoPain, {how}."]
    said += [
        "Every fold builds its model anew, measures its normalisation on its own training windows and is tested on "
        "windows without augmentation; the released code does none of this.",
        "Pooling over the sensors is a mean over the sensors; the released code's averages over time and is a control.",
        f"All networks learn by Adam at {settings.learning_rate:g} in batches of {settings.batch_size} for "
        f"{counted(settings.epochs, 'epoch')}. The paper's epoch sees each window in seven stored variants, an epoch "
        "here sees it once, varied anew; its batches are of 40. So the steps are far fewer than the paper's, which may "
        f"favour either side; controls train {settings.longer} times as long.",
        f"The recurrent network has {counted(settings.lstm_layers, 'layer')} of {settings.lstm_units} units, a size "
        "that is not from the paper; the other recurrent and graph networks the paper compares with are not here.",
        "Scores pool the windows of all subjects, as the paper's do; a subject's value is its share by the jackknife, "
        "whose mean corrects the pooled score for bias.",
        f"Leaks are measured with {counted(settings.control_seeds, 'seed')}: all with L-SFAN, the shared extractor and "
        "the random split also with the other networks that can have them.",
    ]
    if "lower-limb-emg" in settings.data:
        said.append(
            "Nothing is chosen on the subjects left out in this run. Rate, batch and epochs were fixed before it, "
            "after a trial of the convolutional networks, not of the recurrent one, on the same recordings."
        )
        said.append(
            "Recognising a knee pathology is exploratory, and no verdict is given. More than movement tells the groups "
            "apart: recordings differ in length, so that two thirds of the windows are of patients and the movements' "
            "shares differ; angles were recorded at other rates; three patients' files are from another recorder; two "
            "healthy men with common data count as one. What a model finds from changes between frames alone, which "
            "show the recorder, stands beside it."
        )
    return said


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
        "laptop": LsfanSettings(data=("lower-limb-emg",), seeds=5, control_seeds=2, epochs=5),
        "paper": LsfanSettings(data=("emopain",), seeds=5, epochs=5, batch_size=40, learning_rate=1e-3),
    },
    trials=trials,
    measure=measure,
    derive=derive,
    sources=sources,
    figures=figures,
    differs=differs,
    designed=DESIGNED,
)
