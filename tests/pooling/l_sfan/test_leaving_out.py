"""Each subject is predicted by a model that knows nothing of them; whatever would leak is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import f1_score, matthews_corrcoef
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict

from cenote.errors import LeakError
from cenote.pooling import (
    LSFAN,
    Fold,
    LeftOut,
    Standardization,
    WindowAugmentation,
    WindowClassifier,
    WindowTraining,
    leave_one_subject_out,
    subject_folds,
)
from cenote.pooling.l_sfan.baselines import SummaryLogistic
from cenote.pooling.l_sfan.scores import confusions, macro_f1, mcc, subject_shares

DRAWS = np.random.default_rng(0)
Y = np.arange(48) % 2
X = (DRAWS.normal(2, 1, (48, 24, 4)) + Y[:, None, None] * [0, 1, 0, 0]).astype(np.float32)
GROUPS = np.repeat(["ann", "bob", "cy", "dee"], 12)
TRAINING = WindowTraining(epochs=1, batch_size=12)


def network() -> WindowClassifier:
    return WindowClassifier(LSFAN(4, 24, nhead=2), TRAINING)


def evaluate(model_fn: Callable[[], Any] = SummaryLogistic, x: np.ndarray = X, **options: Any) -> LeftOut:
    return leave_one_subject_out(model_fn, x, Y, options.pop("groups", GROUPS), **options)


# --- what it does -------------------------------------------------------------------------------------------------


class Standardized(ClassifierMixin, BaseEstimator):  # type: ignore[misc]
    """The summary baseline behind a standardisation, for scikit-learn's own evaluation."""

    def fit(self, x: np.ndarray, y: np.ndarray) -> Standardized:
        self.classes_ = np.unique(y)
        self.measured = Standardization.of(x.reshape(-1, 24, 4))
        self.model = SummaryLogistic().fit(self.measured.apply(x.reshape(-1, 24, 4)), y)
        return self

    def predict_proba(self, x: np.ndarray) -> np.ndarray:
        return self.model.predict_proba(self.measured.apply(x.reshape(-1, 24, 4)))

    def predict(self, x: np.ndarray) -> np.ndarray:
        return self.classes_[self.predict_proba(x).argmax(axis=1)]


def test_predictions_are_those_of_scikit_learns_leave_one_group_out() -> None:
    expected = cross_val_predict(
        Standardized(), X.reshape(48, -1), Y, groups=GROUPS, cv=LeaveOneGroupOut(), method="predict_proba"
    )
    np.testing.assert_allclose(evaluate().probabilities, expected, atol=1e-12)


def test_folds_leave_each_subject_out_once() -> None:
    for count in (None, 2, 3):
        folds = subject_folds(GROUPS, count)
        assert len(folds) == (count or 4)
        assert sorted(np.concatenate([fold.test for fold in folds]).tolist()) == list(range(48))
        for fold in folds:
            assert not set(GROUPS[fold.train]) & set(GROUPS[fold.test])
            assert len(fold.train) + len(fold.test) == 48


def test_each_fold_gets_a_model_and_windows_normalised_on_its_own_training() -> None:
    models, seen = [], []

    def build() -> WindowClassifier:
        models.append(network())
        return models[-1]

    def look(fold: Fold, model: Any, windows: np.ndarray) -> None:
        seen.append(fold.name)
        assert model is models[-1]
        np.testing.assert_array_equal(windows, Standardization.of(X[fold.train]).apply(X[fold.test]))

    found = evaluate(build, on_fold=look)
    assert seen == ["ann", "bob", "cy", "dee"]
    assert len(models) == 4
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1)
    assert not found.diverged


def test_part_of_the_subjects_may_be_tested() -> None:
    found = evaluate(folds=subject_folds(GROUPS)[:2])
    assert set(found.groups) == {"ann", "bob"}
    np.testing.assert_array_equal(found.labels, Y[:24])
    assert list(found.by_subject()) == ["ann", "bob"]
    np.testing.assert_allclose(found.by_subject()["bob"], found.probabilities[12:].mean(axis=0))


# --- what it refuses ----------------------------------------------------------------------------------------------


def test_folds_that_share_a_part_of_the_model_are_refused() -> None:
    """As in the released code, where the convolutions are built once for all models."""
    convolutions = LSFAN(4, 24, nhead=2).cnn

    def build() -> WindowClassifier:
        model = network()
        assert isinstance(model.module, LSFAN)
        model.module.cnn = convolutions
        return model

    with pytest.raises(LeakError, match=r"model of fold bob shares module\.cnn\.0\.weight with that of fold ann"):
        evaluate(build)


def test_folds_that_share_a_buffer_or_a_view_are_refused() -> None:
    means = torch.zeros(2)

    def build() -> WindowClassifier:
        model = network()
        assert isinstance(model.module, LSFAN)
        model.module.cnn[1].running_mean = means[:]  # type: ignore[assignment, union-attr]
        return model

    with pytest.raises(LeakError, match=r"shares module\.cnn\.1\.running_mean"):
        evaluate(build)


def test_one_model_for_all_folds_is_refused() -> None:
    model = SummaryLogistic()
    with pytest.raises(LeakError, match="model of fold bob shares model with that of fold ann"):
        evaluate(lambda: model)


def test_what_fit_shares_is_refused_too() -> None:
    kept = np.zeros(3)

    class Keeping(SummaryLogistic):
        def fit(self, windows: np.ndarray, labels: np.ndarray) -> Keeping:
            self.memory = kept
            return super().fit(windows, labels)  # type: ignore[return-value]

    with pytest.raises(LeakError, match="fold bob shares memory"):
        evaluate(Keeping)


def test_a_network_of_the_class_or_in_a_slot_or_a_plain_list_is_refused() -> None:
    class OfTheClass(WindowClassifier):
        shared = LSFAN(4, 24, nhead=2)

        def __init__(self) -> None:
            super().__init__(self.shared, TRAINING)

    class Slotted(SummaryLogistic):
        __slots__ = ("hidden",)

        def __init__(self, hidden: torch.nn.Module) -> None:
            super().__init__()
            self.hidden = hidden

    class Listed(LSFAN):
        def __init__(self, layers: list[torch.nn.Module]) -> None:
            super().__init__(4, 24, nhead=2)
            self.plain = layers

    slotted, layers = LSFAN(4, 24, nhead=2), [torch.nn.Linear(3, 3)]
    with pytest.raises(LeakError, match="fold bob shares"):
        evaluate(OfTheClass)
    with pytest.raises(LeakError, match=r"fold bob shares hidden\.cnn\.0\.weight"):
        evaluate(lambda: Slotted(slotted))
    with pytest.raises(LeakError, match=r"fold bob shares module\.plain\.0\.weight"):
        evaluate(lambda: WindowClassifier(Listed(layers), TRAINING))


def test_an_array_that_no_training_changes_may_be_shared() -> None:
    priors = np.full(2, 0.5)

    class WithPriors(SummaryLogistic):
        trains = False

        def __init__(self) -> None:
            super().__init__()
            self.priors = priors

        def fit(self, windows: np.ndarray, labels: np.ndarray) -> WithPriors:
            if self.trains:
                self.priors += 0.1
            return super().fit(windows, labels)  # type: ignore[return-value]

    assert not evaluate(WithPriors).diverged
    WithPriors.trains = True
    with pytest.raises(LeakError, match="fold bob shares priors"):
        evaluate(WithPriors)


def test_equal_normalisations_of_equal_windows_are_no_leak() -> None:
    """The same windows up to the order of their frames: every training side has the same mean and spread."""
    once = X[:12]
    same = np.concatenate([once] + [np.roll(once, turn, axis=1) for turn in (1, 2, 3)])
    folds = subject_folds(GROUPS)
    rounded = np.round(same)  # sums of whole numbers do not depend on their order
    assert len({Standardization.of(rounded[fold.train]).std.tobytes() for fold in folds}) == 1
    assert not evaluate(x=rounded).diverged


@pytest.mark.parametrize("as_object", [True, False])
def test_folds_that_share_a_normalisation_are_refused(as_object: bool) -> None:
    over_all = Standardization.of(X)
    with pytest.raises(LeakError, match="folds ann and bob share a normalisation"):
        evaluate(normalize=lambda _: over_all if as_object else Standardization.of(X))


def test_windows_normalised_over_all_subjects_are_refused() -> None:
    with pytest.raises(LeakError, match="mean 0 and standard deviation 1 for every sensor over all subjects"):
        evaluate(x=Standardization.of(X).apply(X))


def test_windows_normalised_within_each_subject_are_not() -> None:
    each = np.concatenate([Standardization.of(part).apply(part) for part in np.split(X, 4)])
    assert not evaluate(x=each).diverged


def test_augmented_copies_in_the_test_are_refused() -> None:
    copies, origins = WindowAugmentation().copies(X, seed=0)
    with pytest.raises(LeakError, match="the test of fold ann holds augmented copies"):
        leave_one_subject_out(SummaryLogistic, copies, Y[origins], GROUPS[origins], origins=origins)


def test_copies_of_a_window_on_both_sides_are_refused() -> None:
    origins = np.arange(48)
    origins[40] = 3  # a variant of one of Ann's windows, filed under Dee
    with pytest.raises(LeakError, match=r"fold ann learns from copies of 1 windows it is tested on, .* from 3"):
        evaluate(origins=origins)
    assert evaluate(origins=np.arange(48)).labels.shape == (48,)


def test_a_window_of_two_subjects_is_refused() -> None:
    twice = X.copy()
    twice[30] = twice[5]
    with pytest.raises(LeakError, match="subjects ann and cy have a window in common"):
        evaluate(x=twice)
    twice[30] = twice[31]  # within one person it is no leak
    evaluate(x=twice)
    twice[30] = twice[5] = 0.0  # nor is a sensor that was off
    evaluate(x=twice)


def test_a_subject_on_both_sides_is_refused() -> None:
    mixed = (Fold("odd", np.arange(0, 48, 2), np.arange(1, 48, 2)),)
    with pytest.raises(LeakError, match="fold odd learns from ann, bob, cy and 1 more and is tested on the same"):
        evaluate(folds=mixed)


def test_a_window_tested_twice_is_refused() -> None:
    first = subject_folds(GROUPS)[0]
    with pytest.raises(LeakError, match="12 windows are tested in two folds, the first is number 0"):
        evaluate(folds=(first, first))


# --- the classifier -----------------------------------------------------------------------------------------------


def test_a_classifier_learns_again_after_a_divergence() -> None:
    model = network().fit(np.full((4, 24, 4), np.nan), np.arange(4) % 2)
    assert model.diverged
    fresh = LSFAN(4, 24, nhead=2)
    model.module.load_state_dict(fresh.state_dict())
    assert np.isfinite(model.fit(X.astype(np.float32), Y).predict_proba(X)).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_a_classifier_takes_modules_of_other_precision(dtype: torch.dtype) -> None:
    model = WindowClassifier(LSFAN(4, 24, nhead=2).to(dtype), TRAINING).fit(X.astype(np.float32), Y)
    assert model.predict_proba(X).shape == (48, 2)
    assert not model.diverged


# --- scores -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("classes", [2, 3, 5])
def test_scores_are_scikit_learns(classes: int) -> None:
    draws = np.random.default_rng(classes)
    truth, guess = draws.integers(0, classes, (2, 200))
    probabilities = np.eye(classes)[np.where(draws.random(200) < 0.5, truth, guess)]
    left_out = LeftOut(probabilities, truth, draws.integers(0, 6, 200), ())
    together = np.sum(list(confusions(left_out).values()), axis=0)
    assert mcc(together) == pytest.approx(matthews_corrcoef(truth, left_out.predictions))
    assert macro_f1(together) == pytest.approx(f1_score(truth, left_out.predictions, average="macro"))


def test_scores_without_any_spread() -> None:
    only_one = np.array([[5.0, 0], [0, 0]])
    assert mcc(only_one) == 0
    assert mcc(np.zeros((2, 2))) == 0
    assert macro_f1(only_one) == 0.5


def test_shares_of_a_mean_are_the_subjects_own_values_and_have_the_score_as_their_mean() -> None:
    """For a score that is a mean over subjects of equal size, the jackknife gives each its own value back."""
    tables = {name: np.array([[hits, 10 - hits], [0, 0]], float) for name, hits in (("a", 2), ("b", 7), ("c", 9))}
    shares = subject_shares(tables, lambda table: float(np.trace(table) / table.sum()))
    assert shares == pytest.approx({"a": 0.2, "b": 0.7, "c": 0.9})
    second = np.array([[0.0, 0.0], [1.0, 3.0]])
    by_mcc = subject_shares({name: table + second for name, table in tables.items()}, mcc)
    whole = mcc(np.sum([table + second for table in tables.values()], axis=0))
    assert np.mean(list(by_mcc.values())) == pytest.approx(whole, abs=0.05)
