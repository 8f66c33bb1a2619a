"""The comparison is fair, and measures what it says it measures."""

from __future__ import annotations

import math

import pytest
import torch

from cenote.catalog.results import Record
from cenote.errors import ArgumentError
from cenote.lab.experiment import Context, Trial
from cenote.pooling.attsets import experiment
from cenote.pooling.attsets.comparing import encode_all, overlaps, with_aggregation
from cenote.pooling.attsets.experiment import (
    ARMS,
    CONTROLS,
    FASET,
    FROZEN_MAX,
    FROZEN_MEAN,
    INERT,
    ONE_BASE,
    OTHERS,
    SINGLE_ANSWERS,
    network,
    problem,
)
from cenote.pooling.attsets.tasks import as_numbers

TINY = experiment.experiment.presets["tiny"]
GROUPS = TINY.model_copy(update={"train_views": (4, 0)})
WINDOWS = TINY.model_copy(update={"data": ("digits",)})


@pytest.fixture(scope="module")
def context() -> Context:
    return Context()


@pytest.fixture(scope="module")
def records(context: Context) -> list[Record]:
    return [record for trial in experiment.trials(GROUPS) for record in experiment.measure(trial, GROUPS, context)]


def test_arms_differ_in_the_aggregation_alone(context: Context) -> None:
    shapes = problem("digits", WINDOWS, context)
    states = [network(arm, TINY, shapes, seed=3).state_dict() for arm in (*INERT, *OTHERS)]
    halves = [{name: value for name, value in state.items() if not name.startswith("aggregation")} for state in states]
    for half in halves[1:]:
        assert half.keys() == halves[0].keys()
        assert all(torch.equal(half[name], halves[0][name]) for name in half)
    other = network("mean", TINY, shapes, seed=4).state_dict()
    assert not any(torch.equal(other[name], value) for name, value in halves[0].items() if "weight" in name)


def test_every_record_is_there(records: list[Record]) -> None:
    everywhere = {"iou", "iou_of_one_view", "iou_of_most_views", "iou_gain_of_late_views", "permutation_spread"}
    measured = {(record.arm, record.metric) for record in records}
    trained = [GROUPS.arm(name, group) for name in ARMS for group in GROUPS.train_views]
    for arm in trained:
        apart = {record.x: record.value for record in records if (record.arm, record.metric) == (arm, "set_iou_apart")}
        assert sorted(apart) == [math.log10(rate) for rate in GROUPS.set_rates]
        (rate,) = (record.value for record in records if (record.arm, record.metric) == (arm, "set_rate"))
        assert apart[math.log10(rate)] == max(apart.values())
    assert {arm for arm, metric in measured if metric == "single_rate"} == {ONE_BASE, *OTHERS}
    assert {(arm, metric) for arm in (*trained, *CONTROLS) for metric in everywhere} <= measured
    assert (FASET, "view_weight") in measured
    losses = [record for record in records if record.metric == "training_loss"]
    assert sorted(record.arm for record in losses) == sorted(trained)
    assert all(0 < record.value < 10 for record in losses)
    timed = [record for record in records if record.metric == "latency"]
    assert {record.arm for record in timed} == {*INERT, *OTHERS}
    assert all(record.value > 0 for record in timed)


def test_ends_of_the_curve_are_its_first_and_last_point(records: list[Record]) -> None:
    for arm in (FASET, "gru", FROZEN_MEAN):
        own = [record for record in records if record.arm == arm]
        curve = {record.x: record.value for record in own if record.metric == "iou"}
        assert sorted(curve) == [math.log2(count) for count in GROUPS.views]
        ends = {record.metric: record.value for record in own}
        assert ends["iou_of_one_view"] == curve[0.0]
        assert ends["iou_of_most_views"] == curve[2.0]
        assert ends["iou_gain_of_late_views"] == curve[2.0] - curve[1.0]


def test_late_views_are_those_above_eight() -> None:
    assert experiment.experiment.presets["laptop"].early == 8
    assert [TINY.model_copy(update={"views": views}).early for views in ((1, 2, 4), (1, 9, 12), (1, 8))] == [2, 1, 1]


def test_the_recorded_loss_is_that_of_the_last_tenth_of_the_steps(context: Context) -> None:
    shapes = problem("digits", WINDOWS, context)
    model, losses = network("gru", WINDOWS, shapes, seed=0), [float(number) for number in range(40)]
    for training, expected in (
        (experiment.Training(True, losses), 37.5),
        (experiment.Training(True, losses[:3]), 2.0),
        (experiment.Training(False, losses), math.nan),
        (experiment.Training(False, []), math.nan),
    ):
        tuned = experiment.Tuned(model, training, 0.1, {0.1: 0.5})
        found = experiment._learned(Trial("digits", "gru", 0), "gru", tuned, WINDOWS, shapes.task)
        (loss,) = (record.value for record in found if record.metric == "training_loss")
        assert loss == pytest.approx(expected, nan_ok=True)


def test_the_rate_is_chosen_by_sets_of_the_size_trained_for(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """On objects that are neither learned from nor tested on."""
    shapes, asked = problem("digits", WINDOWS, context), []

    def watched(model, features, truth, counts, threshold):  # type: ignore[no-untyped-def]
        asked.append((features.shape[:2], truth is shapes.apart.test_targets, tuple(counts)))
        return dict.fromkeys(counts, 0.5)

    monkeypatch.setattr(experiment, "overlaps", watched)
    base = network("attsets", WINDOWS, shapes, seed=0)
    for group, counts in ((4, (4,)), (2, (2,)), (0, (1, 2, 4))):
        asked.clear()
        experiment._tune(experiment.train_sets, base, experiment.Training(True, []), 0, group, WINDOWS, shapes)
        assert asked == [((2, max(counts)), True, counts)] * len(WINDOWS.set_rates)
    asked.clear()
    experiment._tune_base(experiment.train_base, base, 0, WINDOWS, shapes)
    assert asked == [((2, 1), True, (1,))] * len(WINDOWS.single_rates)


def test_an_image_behind_windows_is_measured_like_a_body(context: Context) -> None:
    found = list(experiment.measure(Trial("digits", ONE_BASE, 0), WINDOWS, context))
    assert {record.arm for record in found if record.metric == "iou"} == {FASET, *INERT, *CONTROLS}
    assert all(math.isfinite(record.value) for record in found)
    assert (FASET, "predicted_row") in {(record.arm, record.metric) for record in found}


def test_controls_are_the_base_of_single_views(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one view all are the base; with more, each is what it is called."""
    bases = []
    single_views = experiment._single_views

    def watched(trial, arm, base, *rest):  # type: ignore[no-untyped-def]
        bases.append(base)
        return single_views(trial, arm, base, *rest)

    monkeypatch.setattr(experiment, "_single_views", watched)
    found = list(experiment.measure(Trial("digits", ONE_BASE, 0), WINDOWS, context))
    task = problem("digits", WINDOWS, context).task
    value = {(record.arm, record.x): record.value for record in found if record.metric == "iou"}
    for arm, name in ((FROZEN_MEAN, "mean"), (FROZEN_MAX, "max")):
        model = with_aggregation(bases[0], name)
        expected = overlaps(model, encode_all(model, task.test_views), task.test_targets, (1, 2, 4), 0.4)
        assert {2**x: each for (own, x), each in value.items() if own == arm} == expected
    assert value[SINGLE_ANSWERS, 0.0] == pytest.approx(value[FASET, 0.0])


def test_faset_and_the_frozen_mean_agree_on_one_view_and_the_others_do_not(records: list[Record]) -> None:
    changes = [record.value for record in records if record.metric == "single_view_change"]
    assert changes == [0.0] * len(GROUPS.train_views)
    weights = [record.value for record in records if record.metric == "view_weight"]
    assert len(weights) == TINY.shown_objects * TINY.most
    assert sum(weights) == pytest.approx(TINY.shown_objects * TINY.most, rel=1e-5)


def test_kept_rows_are_the_predicted_cells(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read back digit by digit, and compared with what the trained network predicts."""
    models = {}
    shown = experiment._shown

    def watched(trial, model, *rest):  # type: ignore[no-untyped-def]
        models["faset"] = model
        return shown(trial, model, *rest)

    monkeypatch.setattr(experiment, "_shown", watched)
    kept = list(experiment.measure(Trial("furniture", ONE_BASE, 0), TINY, context))
    shapes = problem("furniture", TINY, context)
    untrained = network("attsets", TINY, shapes, seed=0).aggregation.state_dict()["scores.weight"]
    learned = models["faset"].aggregation.state_dict()["scores.weight"]
    assert not torch.equal(learned, untrained), "the attention did not learn"
    task = shapes.task
    for count in (1, TINY.most):
        with torch.no_grad():
            views = as_numbers(task.test_views[: TINY.shown_objects, :count])
            expected = models["faset"].eval()(views).sigmoid() > TINY.threshold
        cells = torch.zeros(TINY.shown_objects, 64, 8, dtype=torch.bool)
        for record in kept:
            if record.metric == "predicted_row" and record.x == count:
                index, row = (int(part.partition("-")[2]) for part in (record.unit or "").split())
                cells[index, row] = torch.tensor([int(record.value) >> bit & 1 for bit in range(8)], dtype=torch.bool)
        assert torch.equal(cells.flatten(1), expected.flatten(1))


def test_a_base_that_diverges_is_said_for_all_that_share_it(context: Context) -> None:
    wild = WINDOWS.model_copy(update={"single_rates": (1e30,), "single_steps": 6})
    found = list(experiment.measure(Trial("digits", ONE_BASE, 0), wild, context))
    scores = [record for record in found if record.metric == "iou_of_most_views"]
    assert len(scores) == len(INERT) + 1 + len(CONTROLS)
    assert all(math.isnan(record.value) for record in found)


@pytest.mark.parametrize("rate", [1e30, 3e37])
def test_a_base_that_diverges_in_its_last_step_is_said_too(rate: float, context: Context) -> None:
    """Its loss was finite, its weights or its features are no longer."""
    wild = WINDOWS.model_copy(update={"single_rates": (rate,), "single_steps": 1})
    found = list(experiment.measure(Trial("digits", ONE_BASE, 0), wild, context))
    scores = {record.arm: record.value for record in found if record.metric == "iou_of_most_views"}
    assert set(scores) == {FASET, *INERT, *CONTROLS}
    assert all(math.isnan(scores[arm]) for arm in (FASET, *INERT))


def test_groups_have_names_of_their_own() -> None:
    settings = experiment.experiment.presets["laptop"]
    assert [settings.arm("gru", group) for group in settings.train_views] == [
        "gru",
        "gru, sets of 2",
        "gru, sets of 1 to 24",
    ]
    assert [settings.bounds(group) for group in settings.train_views] == [(24, 24), (2, 2), (1, 24)]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"views": (2, 4)}, r"views must rise from 1, got \[2, 4\]"),
        ({"views": (1, 4, 2)}, "views must rise from 1"),
        ({"train_views": (5,)}, "train_views must be different numbers from 0 to 4"),
        ({"train_views": (2, 2)}, "train_views must be different numbers"),
        ({"single_rates": (-0.1,)}, r"single_rates must be different numbers above 0, got \[-0.1\]"),
        ({"set_rates": ()}, r"set_rates must be different numbers above 0, got \[\]"),
        ({"set_rates": (0.1, 0.1)}, "set_rates must be different"),
        ({"set_rates": (0.1, 0.0)}, "set_rates must be different numbers above 0"),
        ({"heads": 3}, r"dim must be a multiple of heads \(3\); it is 16"),
        ({"rank": 20}, r"rank must be at most dim \(16\); it is 20"),
        ({"timing_dim": 18}, r"timing_dim must be a multiple of heads \(4\) and at least rank \(4\); it is 18"),
        ({"dim": 32, "rank": 32}, r"at least rank \(32\); it is 16"),
        ({"network": "r2n2"}, r"network r2n2 needs .*, which data shapenet-r2n2 has; data is \['furniture'\]"),
        ({"network": "r2n2", "data": ("shapenet-r2n2", "digits")}, "network r2n2 needs"),
        ({"views": (1, 32)}, r"views must be at most the 24 of a piece of furniture, got \[1, 32\]"),
        ({"widths": ()}, r"widths must be 1 to 4 positive numbers for image_size 16, got \[\]"),
        ({"widths": (4, 0)}, "widths must be 1 to 4 positive numbers"),
        ({"widths": (4,) * 5}, "widths must be 1 to 4 positive numbers"),
        ({"window": (5, 2)}, r"window must be two numbers from 1, the smaller first, got \[5, 2\]"),
        ({"window": (0, 2)}, "window must be two numbers from 1"),
        ({"data": ("digits",), "shrink": 2}, r"must fit into the 4 pixels that digits has with shrink 2, got \[2, 5\]"),
        ({"threshold": 1.0}, "'threshold'.*less than 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        experiment.experiment.resolve("tiny", wrong)


def test_at_most_half_of_the_objects_are_set_apart(context: Context) -> None:
    for count, kept in ((2, 6), (4, 4), (160, 4)):
        shapes = problem("furniture", TINY.model_copy(update={"set_apart": count}), context)
        assert (len(shapes.task.targets), len(shapes.apart.test_targets)) == (kept, 8 - kept)
