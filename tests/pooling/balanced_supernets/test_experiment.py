"""The comparison is fair, and what follows from all trials is what can be computed from them by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from cenote.catalog.loading import get_card
from cenote.catalog.results import Record
from cenote.errors import ArgumentError
from cenote.lab.data import ImageClassification, ImageSplit
from cenote.lab.experiment import Context, Trial
from cenote.lab.training import Batches
from cenote.pooling import PoolingSearch
from cenote.pooling.balanced_supernets import experiment
from cenote.pooling.balanced_supernets.experiment import (
    ALIKE,
    BRUTE_FORCE,
    COST,
    DEFAULT,
    EVERY_ONE,
    MIXTURE,
    PUBLISHED,
    SEARCHES,
    SINGLE,
    Halves,
    derive,
    search_of,
)
from cenote.pooling.balanced_supernets.pictures import Point, pareto

TINY = experiment.experiment.presets["tiny"]


def images(count: int, side: int = 8, first: int = 0) -> ImageSplit:
    rng = np.random.default_rng(first)
    pixels = rng.integers(0, 256, (count, side, side, 1), np.uint8)
    pixels[:, 0, 0, 0] = np.arange(first, first + count)  # tells the images apart
    return ImageSplit(pixels, np.arange(count) % 4)


DATA = ImageClassification("digits", tuple("abcd"), images(40), images(20, first=100))


def context() -> Context:
    held = Context()
    held.remember(("digits", TINY.train_images, TINY.test_images), lambda: DATA)
    return held


# --- the arms -----------------------------------------------------------------------------------------------------


def test_arms_of_a_seed_begin_with_the_same_first_model_and_so_do_networks_trained_alone() -> None:
    searches = {arm: search_of(arm, TINY, DATA, seed=3) for arm in SEARCHES}
    first = searches[SINGLE].supernet(0).state_dict()
    for search in searches.values():
        assert all(torch.equal(search.supernet(0).state_dict()[name], first[name]) for name in first)
    networks = [searches[SINGLE].network(blocks) for blocks in TINY.placements]
    weights = [list(network.parameters()) for network in networks]
    assert all(torch.equal(a, b) for other in weights for a, b in zip(weights[0], other, strict=True))
    assert not torch.equal(first["units.0.0.weight"], search_of(SINGLE, TINY, DATA, 4).supernet(0).units[0][0].weight)  # type: ignore[index]


def test_searches_take_equal_steps_on_equal_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[bytes]] = {}
    running = ""
    original = Batches.__iter__

    def watched(self: Batches) -> Any:
        for batch, labels in original(self):
            seen.setdefault(running, []).append(batch.numpy().tobytes())
            yield batch, labels

    monkeypatch.setattr(Batches, "__iter__", watched)
    steps = {}
    for running in SEARCHES:
        records = list(experiment.measure(Trial("digits", running, 0), TINY, context()))
        steps[running] = sum(record.value for record in records if record.metric == "training_steps")
    assert set(steps.values()) == {TINY.search_epochs * (TINY.train_images // 2 // TINY.batch_size)}
    assert seen[SINGLE] == seen[MIXTURE] == seen[ALIKE]


def test_no_test_image_and_no_image_of_the_other_half_is_learned_from(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[set[int], int]] = []
    original = Batches.__init__

    def watched(
        self: Batches, pixels: np.ndarray, labels: np.ndarray, normalization: Any, recipe: Any, **rest: Any
    ) -> None:
        made.append((set(pixels[:, 0, 0, 0].tolist()), recipe.augmentation.flip + recipe.augmentation.shift))
        original(self, pixels, labels, normalization, recipe, **rest)

    monkeypatch.setattr(Batches, "__init__", watched)
    settings = TINY.model_copy(update={"shift": 2})
    for arm in (MIXTURE, "[1,2,1]"):
        made.clear()
        list(experiment.measure(Trial("digits", arm, 0), settings, context()))
        (train, varied), (val, plain) = made
        assert (len(train), len(val)) == (20, 20)
        assert not train & val
        assert (train | val) <= set(range(40))  # test images begin at 100
        assert (varied, plain) == (2, 0)


def test_halves_have_all_classes() -> None:
    data = ImageClassification("digits", tuple("abcd"), images(400), images(20)).subset(40, 20)
    halves = Halves.of(data)
    for split in (halves.train, halves.val):
        assert np.bincount(split.labels).tolist() == [5, 5, 5, 5]
    few = Halves.of(data, 8)
    assert (few.train.images == halves.train.images[:8]).all()
    assert (few.val.images == halves.val.images[:8]).all()


def test_networks_trained_alone_are_what_retrain_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, Any]] = []
    original = PoolingSearch.retrain

    def watched(self: PoolingSearch, train: Any, epochs: int, **rest: Any) -> Any:
        asked.append((epochs, rest["blocks"]))
        return original(self, train, epochs, **rest)

    monkeypatch.setattr(PoolingSearch, "retrain", watched)
    for trial in experiment.trials(TINY)[:3]:
        records = list(experiment.measure(trial, TINY, context()))
        assert [record.metric for record in records] == ["validation_accuracy", "test_accuracy"]
        assert all(0 <= record.value <= 1 for record in records)
    assert asked == [(TINY.epochs, blocks) for blocks in TINY.placements]  # the default as long as every other


# --- what follows from all trials ---------------------------------------------------------------------------------


SETTINGS = TINY.model_copy(update={"data": ("digits",), "seeds": 2})
NAMES = ("[1,1,2]", "[1,2,1]", "[2,1,1]")
TEST = {0: (0.5, 0.7, 0.8), 1: (0.7, 0.7, 0.6)}
VALIDATION = {0: (0.9, 0.1, 0.2), 1: (0.1, 0.3, 0.2)}
SCORES = {
    (SINGLE, 0): (0.3, 0.2, 0.1),
    (SINGLE, 1): (0.1, 0.2, 0.3),
    (MIXTURE, 0): (0.1, 0.2, 0.3),
    (MIXTURE, 1): (0.1, 0.3, 0.2),
    (ALIKE, 0): (0.3, 0.3, 0.1),
    (ALIKE, 1): (0.2, math.nan, 0.1),
}


def made_up() -> list[Record]:
    records = []
    for seed in (0, 1):
        for index, name in enumerate(NAMES):
            trial = Trial("digits", name, seed)
            records += [trial.record("test_accuracy", TEST[seed][index])]
            records += [trial.record("validation_accuracy", VALIDATION[seed][index])]
    for (arm, seed), scores in SCORES.items():
        for select in experiment.SELECTS:
            for name, score in zip(NAMES, scores, strict=True):
                value = -score if select == "mean" else score
                records.append(Trial("digits", arm, seed).record(f"score_{select}", value, unit=name))
    return records


def derived(records: Sequence[Record]) -> dict[tuple[str, str, int | None], float]:
    found = {(record.arm, record.metric, record.seed): record.value for record in records}
    assert len(found) == len(records)
    return found


def test_rankings_are_held_against_the_mean_over_seeds_and_picks_are_those_of_the_seed() -> None:
    found = derived(list(derive(SETTINGS, made_up())))
    truth = np.mean(list(TEST.values()), axis=0)
    for (arm, seed), scores in SCORES.items():
        if arm == ALIKE:
            continue
        assert found[arm, "kendall_tau", seed] == pytest.approx(stats.kendalltau(scores, truth).statistic)
        assert found[arm, "spearman", seed] == pytest.approx(stats.spearmanr(scores, truth).statistic)
        assert found[arm, "pearson", seed] == pytest.approx(stats.pearsonr(scores, truth).statistic)
        assert found[arm, "kendall_tau_mean", seed] == pytest.approx(-found[arm, "kendall_tau", seed])
        assert found[arm, "accuracy", seed] == TEST[seed][int(np.argmax(scores))]
        assert found[arm, "regret", seed] == pytest.approx(truth.max() - truth[np.argmax(scores)])
        assert found[arm, "mean_score", seed] == pytest.approx(np.mean(scores))


def test_the_default_and_the_best_of_the_brute_force() -> None:
    found = derived(list(derive(SETTINGS, made_up())))
    assert [found[DEFAULT, "accuracy", seed] for seed in (0, 1)] == [0.7, 0.7]
    # By validation accuracy: the best on test images is another one in the first seed.
    assert [found[BRUTE_FORCE, "accuracy", seed] for seed in (0, 1)] == [0.5, 0.7]


def test_a_ranking_of_equals_shows_no_association() -> None:
    records = made_up()
    for index, record in enumerate(records):
        if record.arm == SINGLE and record.seed == 0:
            records[index] = record.model_copy(update={"value": 0.25})
    found = derived(list(derive(SETTINGS, records)))
    assert [found[SINGLE, metric, 0] for metric in ("kendall_tau", "spearman", "pearson")] == [0, 0, 0]
    assert found[SINGLE, "accuracy", 0] == TEST[0][0]  # the first of equals


def test_a_diverged_search_has_no_ranking_and_no_pick() -> None:
    found = derived(list(derive(SETTINGS, made_up())))
    assert found[ALIKE, "accuracy", 0] == 0.5
    for metric in ("accuracy", "kendall_tau", "regret", "mean_score"):
        assert math.isnan(found[ALIKE, metric, 1])


def test_the_card_names_arms_and_metrics_that_are_measured() -> None:
    records = [record for trial in experiment.trials(TINY) for record in experiment.measure(trial, TINY, context())]
    records += derive(TINY, records)
    measured = {(record.arm, record.metric) for record in records}
    for claim in get_card("balanced-supernets").claims:
        assert {(arm, claim.metric) for arm in (claim.subject, *claim.baselines)} <= measured


# --- costs --------------------------------------------------------------------------------------------------------


def test_costs_are_measured_alone_and_scaled_to_all_images() -> None:
    (trial,) = (trial for trial in experiment.trials(TINY) if trial.arm == COST)
    assert trial.alone
    records = list(experiment.measure(trial, TINY, context()))
    found: dict[tuple[str, str], list[float]] = {}
    for record in records:
        found.setdefault((record.arm, record.metric), []).append(record.value)
    flops = [found[name, "flops"][0] for name in NAMES]
    assert flops == sorted(flops)  # the later it pools, the more
    assert all(len(found[name, "latency_ms"]) == 5 * TINY.timing_repeats for name in NAMES)
    assert {arm for arm, metric in found if metric == "search_seconds"} == {EVERY_ONE, SINGLE, MIXTURE}
    weights = {arm: found[arm, "weights_bytes"][0] for arm in (SINGLE, MIXTURE)}
    assert weights[MIXTURE] == 4 * weights[SINGLE]
    assert found[SINGLE, "activations_bytes"] == found[MIXTURE, "activations_bytes"]


def test_the_front_is_what_no_cheaper_placement_reaches() -> None:
    points = [Point(name, cost, accuracy, 0, 1) for name, cost, accuracy in
              (("a", 1, 50), ("b", 2, 40), ("c", 2, 60), ("d", 3, 60), ("e", 4, 61))]  # fmt: skip
    assert [point.name for point in pareto(points)] == ["a", "c", "e"]
    diverged = Point("x", 0, math.nan, math.nan, math.nan)
    assert [point.name for point in pareto([diverged, *points])] == ["a", "c", "e"]


# --- settings -----------------------------------------------------------------------------------------------------


def test_the_laptop_run_has_ten_placements_and_the_usual_default() -> None:
    laptop = experiment.experiment.presets["laptop"]
    assert len(laptop.placements) == 10
    assert laptop.default == (2, 2, 2)
    assert laptop.images == ("cifar10", "fashion-mnist")
    half = laptop.train_images // 2
    assert half % laptop.batch_size == 0  # no image of a half is left out of an epoch
    assert experiment.experiment.presets["paper"].default == (4, 3, 3)


def test_published_accuracies_can_be_left_out_or_stand_alone() -> None:
    assert [trial.data for trial in experiment.trials(TINY.model_copy(update={"data": (PUBLISHED,)}))] == [PUBLISHED]
    assert PUBLISHED not in {trial.data for trial in experiment.trials(TINY.model_copy(update={"data": ("digits",)}))}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"widths": (4, 4, 8, 8)}, "widths must change 2 times, as often as is pooled"),
        ({"widths": ()}, "widths must be numbers from 1 up"),
        ({"batch_size": 21}, "batch_size must be at most timing_images and half of train_images"),
        ({"pools": 0}, "'pools'.*greater than or equal to 1"),
        ({"search_epochs": 0}, "'search_epochs'.*greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        experiment.experiment.resolve("tiny", wrong)
