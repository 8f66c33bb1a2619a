"""The comparison is fair, measures what it says it measures, and recognises movements where nothing is broken."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from cenote.catalog.loading import get_card
from cenote.catalog.results import Record
from cenote.errors import ArgumentError
from cenote.lab import data
from cenote.lab.experiment import Context, Trial
from cenote.pooling import LSFAN, LeftOut, WindowClassifier, WindowTraining
from cenote.pooling.l_sfan import experiment
from cenote.pooling.l_sfan.baselines import FineLogistic
from cenote.pooling.l_sfan.experiment import (
    ARMS,
    CLAIMED,
    EXPLORATORY_ARMS,
    FINE,
    LEAKY,
    LONGER_ARMS,
    SUMMARY,
    Task,
    evaluate,
    heads_of,
    network,
    recordings,
    task_of,
    trials,
)
from cenote.pooling.l_sfan.scores import confusions, macro_f1, mcc

TINY = experiment.experiment.presets["tiny"]
LAPTOP = experiment.experiment.presets["laptop"]
REAL = os.environ.get("CENOTE_DATA", "")


@pytest.fixture(scope="module")
def task() -> Task:
    return task_of(recordings("guarded-motion", TINY, Context()), "protective", TINY)


def measured(arm: str, seed: int = 0) -> list[Record]:
    return list(experiment.experiment.measure(Trial("guarded-motion", arm, seed), TINY, Context()))


# --- the arms -----------------------------------------------------------------------------------------------------


def test_windows_are_those_of_the_settings(task: Task) -> None:
    assert task.windows.shape == (4 * 8 * 3, 60, 6)
    assert Counter(task.groups.tolist()) == {f"S0{number}": 24 for number in range(4)}
    assert task.labels.mean() == 0.5
    paper = LAPTOP.model_copy(update={"seconds": 3.0})
    overlapping = task_of(data.load("guarded-motion", n_subjects=2, n_sensors=6), "protective", paper)
    assert overlapping.windows.shape == (16, 180, 6)


def test_arms_start_from_the_same_convolutions(task: Task) -> None:
    networks = [network(arm, task, TINY, seed=3) for arm in ARMS if "lstm" not in arm and arm != SUMMARY]
    states = [model.cnn.state_dict() for model in networks if isinstance(model, LSFAN)]
    assert len(states) == len(ARMS) - 4
    assert all(torch.equal(value, states[0][name]) for state in states for name, value in state.items())
    other = network("cnn-tap", task, TINY, seed=4)
    assert isinstance(other, LSFAN)
    assert not torch.equal(other.cnn[0].weight, states[0]["0.weight"])  # type: ignore[arg-type]


@pytest.mark.parametrize(("sensors", "heads"), [(6, 3), (30, 5), (10, 5), (7, 1), (8, 4)])
def test_heads_divide_the_sensors(sensors: int, heads: int) -> None:
    assert heads_of(sensors, 5) == heads


def test_honest_arms_are_evaluated_without_leaks_and_the_leaks_are_not(
    task: Task, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = []
    original = experiment.leave_one_subject_out

    def noted(*arguments: object, **options: object) -> LeftOut:
        honest.append(arguments)
        return original(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(experiment, "leave_one_subject_out", noted)
    for count, arm in enumerate(sorted((*ARMS, FINE), key=lambda arm: arm in LEAKY), start=1):
        left_out = evaluate(arm, task, TINY, seed=0)
        assert left_out.probabilities.shape == (96, 2)
        assert len(honest) == min(count, len(ARMS) + 1 - len(LEAKY))


def test_all_networks_have_the_same_schedule(task: Task, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    original = WindowClassifier.fit

    def noted(self: WindowClassifier, windows: np.ndarray, labels: np.ndarray) -> WindowClassifier:
        seen.append((self.training, self.seed))
        return original(self, windows, labels)

    monkeypatch.setattr(WindowClassifier, "fit", noted)
    for arm in set(ARMS) - set(LONGER_ARMS):
        evaluate(arm, task, TINY, seed=1)
    assert set(seen) == {(WindowTraining(TINY.epochs, TINY.batch_size, TINY.learning_rate), 1)}
    seen.clear()
    for arm in LONGER_ARMS:
        evaluate(arm, task, TINY, seed=1)
    assert {(training.epochs, seed) for training, seed in seen} == {(4 * TINY.epochs, 1)}


# --- what is recorded ---------------------------------------------------------------------------------------------


def test_controls_have_fewer_seeds_and_exploratory_tasks_no_claim() -> None:
    work = trials(LAPTOP)
    assert len({trial.key for trial in work}) == len(work)
    seeds = Counter(trial.arm for trial in work)
    assert {seeds[arm] for arm in CLAIMED} == {5}
    assert {seeds[arm] for arm in set(ARMS) - set(CLAIMED)} == {2}
    assert {arm: seeds[f"{arm} on pathology"] for arm in EXPLORATORY_ARMS} == dict.fromkeys(EXPLORATORY_ARMS, 2)
    assert sum(seeds.values()) == 4 * 5 + 2 * (len(ARMS) - 4 + len(EXPLORATORY_ARMS))
    assert not {claim.metric for claim in get_card("l-sfan").claims} & {"pathology_mcc", "pathology_macro_f1"}


def test_scores_of_all_windows_and_of_subjects_are_kept(task: Task) -> None:
    records = measured("cnn-tap")
    left_out = evaluate("cnn-tap", task, TINY, seed=0)
    together = np.sum(list(confusions(left_out).values()), axis=0)
    cells = {record.unit: record.value for record in records if record.metric == "confusion"}
    assert cells == {f"{row} {column}": together[row, column] for row in range(2) for column in range(2)}
    accuracy = [record.value for record in records if record.metric == "accuracy"]
    assert accuracy == [np.trace(together) / 96]
    for metric, score in (("mcc", mcc), ("macro_f1", macro_f1)):
        assert [each.value for each in records if each.metric == f"pooled_{metric}"] == [score(together)]
        own = {each.unit: each.value for each in records if each.metric == f"subject_{metric}"}
        assert own == {unit: score(table) for unit, table in confusions(left_out).items()}
        shares = {record.unit: record.value for record in records if record.metric == metric}
        assert set(shares) == set(task.groups)
        left = {unit: together - table for unit, table in confusions(left_out).items()}
        for unit, share in shares.items():
            assert share == pytest.approx(4 * score(together) - 3 * score(left[str(unit)]))


def test_what_a_leak_adds_is_its_share_less_that_of_the_same_model_and_seed() -> None:
    arms = ("cnn-tap", "cnn-tap, windows split at random")
    records = [record for arm in arms for seed in (0, 1) for record in measured(arm, seed)]
    added = list(experiment.derive(TINY, records))
    assert {record.metric for record in added} == {"mcc_added", "macro_f1_added"}
    assert {record.arm for record in added} == {arms[1]}
    assert len(added) == 2 * 2 * 4
    for record in added:
        honest, leaky = (
            next(
                each.value
                for each in records
                if (each.arm, each.seed, each.unit) == (arm, record.seed, record.unit)
                and f"{each.metric}_added" == record.metric
            )
            for arm in arms
        )
        assert record.value == leaky - honest


def test_a_random_split_has_as_many_parts_as_there_are_subjects(task: Task) -> None:
    left_out = evaluate("l-sfan, windows split at random", task, TINY.model_copy(update={"folds": 0}), seed=0)
    assert len(left_out.folds) == 4
    assert all(len(np.unique(task.groups[fold.test])) > 1 for fold in left_out.folds)


def test_finest_changes_show_a_stretched_recording() -> None:
    """A signal of which every other frame is interpolated is told from one that was not, whatever its size."""
    rng = np.random.default_rng(0)
    whole = rng.normal(size=(40, 60, 2))
    stretched = whole.copy()
    stretched[:, 1::2] = (whole[:, ::2] + np.roll(whole[:, ::2], -1, axis=1)) / 2
    both = np.concatenate([whole, stretched]) * rng.uniform(0.5, 2, size=(80, 1, 1))
    labels = np.repeat([0, 1], 40)
    half = np.arange(80) % 2 == 0
    model = FineLogistic().fit(both[half].astype(np.float32), labels[half])
    assert (model.predict_proba(both[~half]).argmax(axis=1) == labels[~half]).mean() > 0.95


def test_parameters_and_importance_are_kept() -> None:
    records = measured("l-sfan")
    (count,) = [record.value for record in records if record.metric == "parameters"]
    assert count == sum(weight.numel() for weight in LSFAN(6, 60, nhead=3).parameters())
    heat = [record for record in records if record.metric == "importance"]
    assert len({(record.unit, record.x) for record in heat}) == len(heat) == 6 * 15
    assert max(record.value for record in heat) == pytest.approx(1)
    assert not [record for record in measured("l-sfan", seed=1) if record.metric == "importance"]


def test_a_divergence_is_recorded_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = LeftOut(np.full((96, 2), np.nan), np.zeros(96, np.int64), np.arange(96) % 4, ())
    monkeypatch.setattr(experiment, "evaluate", lambda *arguments: broken)
    records = measured("cnn-tap")
    assert {record.metric for record in records} == {"mcc", "macro_f1", "parameters"}
    assert all(np.isnan(record.value) for record in records if record.metric != "parameters")


def test_settings_that_fit_nothing_are_refused() -> None:
    with pytest.raises(ArgumentError, match="overlap"):
        experiment.experiment.resolve("tiny", {"overlap": 1.0})
    settings = TINY.model_copy(update={"folds": 5})
    with pytest.raises(ArgumentError, match="count: got 5, allowed is 2 to the number of subjects, 4"):
        list(experiment.experiment.measure(Trial("guarded-motion", "cnn-tap", 0), settings, Context()))


# --- the real recordings ------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.skipif(not (Path(REAL) / "lower_limb_emg").is_dir(), reason="needs lower_limb_emg under CENOTE_DATA")
def test_movements_of_people_left_out_are_recognised() -> None:
    """Independently measured: MCC .89 with 21 folds and 6 epochs; a broken pipeline falls far below .75."""
    settings = LAPTOP.model_copy(update={"folds": 3, "batch_size": 64})
    context = Context(Path(REAL))
    task = task_of(recordings("lower-limb-emg", settings, context), "movement", settings)
    tables = confusions(evaluate("cnn-tap", task, settings, seed=0))
    assert len(tables) == 21
    assert mcc(np.sum(list(tables.values()), axis=0)) > 0.75
