"""The comparison is fair, and measures what it says it measures."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from cenote.catalog.results import Record
from cenote.errors import ArgumentError
from cenote.lab.experiment import Context, Trial
from cenote.pooling.attsets import experiment
from cenote.pooling.attsets.experiment import ARMS, FASET, FROZEN_MEAN, INERT, ONE_BASE, OTHERS, network, problem

TINY = experiment.experiment.presets["tiny"]


@pytest.fixture(scope="module")
def context() -> Context:
    return Context()


@pytest.fixture(scope="module")
def records(context: Context) -> list[Record]:
    return [record for trial in experiment.trials(TINY) for record in experiment.measure(trial, TINY, context)]


def test_arms_differ_in_the_aggregation_alone(context: Context) -> None:
    shapes = problem("digits", TINY, context)
    states = [network(arm, TINY, shapes, seed=3).state_dict() for arm in (*INERT, *OTHERS)]
    halves = [{name: value for name, value in state.items() if not name.startswith("aggregation")} for state in states]
    for half in halves[1:]:
        assert half.keys() == halves[0].keys()
        assert all(torch.equal(half[name], halves[0][name]) for name in half)
    other = network("mean", TINY, shapes, seed=4).state_dict()
    assert not any(torch.equal(other[name], value) for name, value in halves[0].items() if "weight" in name)


def test_every_record_is_there(records: list[Record]) -> None:
    everywhere = {"iou", "iou_of_one_view", "iou_of_most_views", "permutation_spread"}
    for data in TINY.data:
        measured = {(record.arm, record.metric) for record in records if record.data == data}
        arms = [TINY.arm(name, group) for name in ARMS for group in TINY.train_views] + [FROZEN_MEAN]
        assert {(arm, metric) for arm in arms for metric in everywhere} <= measured
        assert (FASET, "view_weight") in measured
    timed = [record for record in records if record.metric == "latency"]
    assert {record.arm for record in timed} == {*INERT, *OTHERS}
    assert {record.data for record in timed} == {"digits"}
    assert all(record.value > 0 for record in timed)


def test_ends_of_the_curve_are_its_first_and_last_point(records: list[Record]) -> None:
    for arm, data in itertools.product((FASET, "gru", FROZEN_MEAN), TINY.data):
        own = [record for record in records if (record.arm, record.data) == (arm, data)]
        curve = {record.x: record.value for record in own if record.metric == "iou"}
        assert sorted(curve) == [math.log2(count) for count in TINY.views]
        ends = {record.metric: record.value for record in own}
        assert ends["iou_of_one_view"] == curve[0.0]
        assert ends["iou_of_most_views"] == curve[2.0]


def test_faset_and_the_frozen_mean_agree_on_one_view_and_the_others_do_not(records: list[Record]) -> None:
    changes = [record.value for record in records if record.metric == "single_view_change"]
    assert changes == [0.0] * len(TINY.data) * len(TINY.train_views)
    weights = [record.value for record in records if record.metric == "view_weight" and record.data == "digits"]
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
            views = task.test_views[: TINY.shown_objects, :count]
            expected = models["faset"].eval()(views).sigmoid() > TINY.threshold
        cells = torch.zeros(TINY.shown_objects, 64, 8, dtype=torch.bool)
        for record in kept:
            if record.metric == "predicted_row" and record.x == count:
                index, row = (int(part.partition("-")[2]) for part in (record.unit or "").split())
                cells[index, row] = torch.tensor([int(record.value) >> bit & 1 for bit in range(8)], dtype=torch.bool)
        assert torch.equal(cells.flatten(1), expected.flatten(1))


def test_a_base_that_diverges_is_said_for_all_that_share_it(context: Context) -> None:
    wild = TINY.model_copy(update={"learning_rate": 1e30, "single_steps": 6})
    found = list(experiment.measure(Trial("digits", ONE_BASE, 0), wild, context))
    scores = [record for record in found if record.metric == "iou_of_most_views"]
    assert len(scores) == (len(INERT) + 1) * 2 + 1
    assert all(math.isnan(record.value) for record in scores)


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
        ({"heads": 3}, r"dim must be a multiple of heads \(3\); it is 16"),
        ({"rank": 20}, r"rank must be at most dim \(16\); it is 20"),
        ({"threshold": 1.0}, "'threshold'.*less than 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        experiment.experiment.resolve("tiny", wrong)
