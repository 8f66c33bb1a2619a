"""The comparison is fair and measures what it says it measures."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from cenote.catalog.loading import get_card
from cenote.errors import ArgumentError
from cenote.lab.data import ImageClassification, ImageSplit
from cenote.lab.experiment import Context, Trial
from cenote.pooling import SpatialPyramidPool2d
from cenote.pooling.spp_net import experiment
from cenote.pooling.spp_net.classifier import TrainingViews, View, plain_pooling, resized
from cenote.pooling.spp_net.experiment import ARMS, DETECTION, SPEED, crop_of, network
from cenote.pooling.spp_net.timing import race, random_boxes, zf5

TINY = experiment.experiment.presets["tiny"]


def images(count: int, side: int = 32) -> ImageSplit:
    rng = np.random.default_rng(0)
    return ImageSplit(rng.integers(0, 256, (count, side, side, 3), np.uint8), np.arange(count) % 4)


DATA = ImageClassification("cifar10", tuple("abcd"), images(40), images(20))
LAPTOP = experiment.experiment.presets["laptop"]


# --- the arms -----------------------------------------------------------------------------------------------------


def test_arms_of_a_seed_start_from_the_same_convolutions() -> None:
    first = network("plain-pooling", LAPTOP, DATA, 3)[0].state_dict()
    for arm in ARMS:
        own = network(arm, LAPTOP, DATA, 3)[0].state_dict()
        assert all(torch.equal(own[name], first[name]) for name in first)
        assert not torch.equal(network(arm, LAPTOP, DATA, 4)[0].state_dict()["0.weight"], first["0.weight"])


def test_plain_pooling_is_the_finest_level_of_the_pyramid() -> None:
    plain, pyramid = (network(arm, LAPTOP, DATA, 0) for arm in ("plain-pooling", "spp-single-size"))
    x = torch.randn(2, 3, 28, 28)
    finest = 9 * LAPTOP.widths[-1]
    torch.testing.assert_close(plain[1:3](plain[0](x)), pyramid[1](pyramid[0](x))[:, :finest])
    assert isinstance(network("pyramid with fewer bins", LAPTOP, DATA, 0)[1], SpatialPyramidPool2d)
    assert network("pyramid with fewer bins", LAPTOP, DATA, 0)[1].bins < 9  # type: ignore[operator]
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        plain(torch.randn(2, 3, 40, 40))
    assert pyramid(torch.randn(2, 3, 40, 41)).shape == (2, 4)


def test_plain_pooling_for_a_size_that_has_none_is_refused() -> None:
    assert plain_pooling(13, 6).kernel_size == 3
    with pytest.raises(ArgumentError, match="no window gives 6 bins a side on a map of 10 × 10"):
        plain_pooling(10, 6)


def test_training_sees_crops_at_the_size_that_is_set_and_testing_all() -> None:
    shapes: list[tuple[int, ...]] = []

    class Seen(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(x.shape[2:]))
            return x

    views = TrainingViews(Seen(), 28, 24)
    x = torch.arange(32 * 32.0).reshape(1, 1, 32, 32).repeat(40, 1, 1, 1)
    views(x)
    views.side = 28
    crops = views(x)
    back = TrainingViews(Seen(), 28, 24, back=True)
    back(x)
    views.eval()(x)
    assert shapes == [(24, 24), (28, 28), (28, 28), (32, 32)]
    corners = crops[:, 0, 0, 0]
    for crop, corner in zip(crops[:, 0], corners.tolist(), strict=True):
        top, left = divmod(int(corner), 32)
        assert torch.equal(crop, x[0, 0, top : top + 28, left : left + 28])
    assert len(corners.unique()) > 10


def test_views_are_the_centre_or_the_resized_whole() -> None:
    x = torch.randn(2, 3, 32, 32)
    assert torch.equal(View(nn.Identity(), crop=28)(x), x[:, :, 2:30, 2:30])
    assert View(nn.Identity(), side=20)(x).shape == (2, 3, 20, 20)
    assert torch.equal(resized(x, 32), x)


def test_sizes_alternate_by_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    sides: dict[str, list[int]] = {arm: [] for arm in ARMS}
    running = ""

    class Watched(TrainingViews):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            sides[running].append(self.side)
            return super().forward(x)

    monkeypatch.setattr(experiment, "TrainingViews", Watched)
    settings = TINY.model_copy(update={"epochs": 3, "batch_size": 40, "widths": (4, 4, 4), "strides": (1, 2, 2)})
    for running in ARMS:
        context = Context()
        context.remember(("cifar10", settings.train_images, settings.test_images), lambda: DATA)
        list(experiment.measure(Trial("cifar10", running, 0), settings, context))
    assert sides["spp-multi-size"] == sides["smaller size resized back"] == [28, 24, 28]
    assert sides["smaller size only"] == [24] * 3
    for arm in ("plain-pooling", "spp-single-size", "pyramid with fewer bins"):
        assert sides[arm] == [28] * 3


# --- what is measured ---------------------------------------------------------------------------------------------


def test_the_card_names_arms_and_metrics_that_are_measured() -> None:
    context = Context()
    measured = {
        (record.arm, record.metric)
        for trial in experiment.trials(TINY)
        for record in experiment.measure(trial, TINY, context)
    }
    for claim in get_card("spp-net").claims:
        assert {(arm, claim.metric) for arm in (claim.subject, *claim.baselines)} <= measured
    assert ("plain-pooling", "any_size_accuracy") not in measured


def test_both_detectors_look_at_the_same_windows_with_the_same_convolutions(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[str, list[tuple[int, bytes, float]]] = {}

    class Watched(experiment.Detector):
        def detect(self, image, boxes=None, **options):  # type: ignore[no-untyped-def]
            stack = self.features.convolutions
            kind = type(self.features).__name__
            seen.setdefault(kind, []).append((len(boxes), boxes.tobytes(), float(stack[0].weight.sum())))
            return super().detect(image, boxes, **options)

    monkeypatch.setattr(experiment, "Detector", Watched)
    kept = list(experiment.measure(Trial("blots", DETECTION, 0), TINY, Context()))
    assert seen["SharedMap"] == seen["CroppedWindows"]
    shares = [record.value for record in kept if (record.arm, record.metric) == ("spp-net", "map")]
    assert len(shares) == TINY.detector_test
    recalls = {record.unit: record.value for record in kept if record.metric == "proposal_recall"}
    assert set(recalls) == {"dark", "pale", "speck"}


def test_a_diverged_training_has_no_score() -> None:
    settings = TINY.model_copy(update={"learning_rate": 1e30})
    kept = list(experiment.measure(Trial("digits", "spp-multi-size", 0), settings, Context()))
    assert kept
    assert all(math.isnan(record.value) for record in kept)


def test_costs_are_measured_alone_and_of_the_same_windows() -> None:
    trial = experiment.trials(TINY)[-1]
    assert (trial.arm, trial.alone) == (SPEED, True)
    image = np.zeros((48, 64, 3), np.uint8)
    boxes = random_boxes(7, 48, 64, seed=0)
    assert (boxes[:, 2:] - boxes[:, :2]).min() >= 20
    assert (boxes[:, 2:] <= torch.tensor([64, 48])).all()
    prepared = race(image, boxes, levels=(2, 1), scales=(96,), side=32)
    assert prepared.pixel_bound() == pytest.approx(7 * 32**2 / (96 * 128))
    for seconds in (prepared.run_shared(), prepared.run_cropped()):
        assert set(seconds) == {"cut", "conv", "pool", "fc"}
        assert min(seconds.values()) > 0


def test_zf5_has_the_papers_maps() -> None:
    with torch.device("meta"):
        network = zf5()
        for side, cells in ((224, 13), (180, 10)):
            assert network(torch.empty(1, 3, side, side)).shape == (1, 256, cells, cells)


def test_crops_are_seven_eighths() -> None:
    assert [crop_of(side) for side in (256, 32, 8)] == [224, 28, 7]


@pytest.mark.parametrize(
    ("wrong", "words"), [({"race_boxes": 0}, "race_boxes"), ({"detector_crops": 1}, "detector_crops")]
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        experiment.experiment.resolve("tiny", wrong)
