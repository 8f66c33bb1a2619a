"""The pipeline end to end: what is computed once equals what is computed window by window, and blots are found."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import box_iou

from cenote.errors import ArgumentError
from cenote.lab import data
from cenote.pooling import (
    ConvStack,
    CroppedWindows,
    Detector,
    DetectorSettings,
    SharedMap,
    SPPDetector,
    average_precision,
    load_detector,
    propose,
    spatial_pyramid_pool2d,
    train_detector,
)
from cenote.pooling.spp_net.extraction import as_input, warp
from cenote.pooling.spp_net.pretraining import Pretraining, pretrain
from cenote.pooling.spp_net.proposals import recall
from cenote.pooling.spp_net.sampling import label_windows, sample_windows
from cenote.pooling.spp_net.saving import dump_detector

BLOTS = data.load("blots").subset(24, 6)
SMALL = DetectorSettings(
    levels=(3, 2, 1), scales=(96,), widths=(8, 16, 16), strides=(2, 2, 1), side=40, small_side=32, hidden=32,
    proposals=120, crops=9, epochs=6, batch=16, learning_rate=3e-3, windows=24, steps=300,
)  # fmt: skip


@pytest.fixture(scope="module")
def trained() -> SPPDetector:
    return train_detector(BLOTS.train, BLOTS.train.objects, BLOTS.classes, SMALL)


def test_blots_are_found(trained: SPPDetector) -> None:
    """The dark ones, large and of a colour of their own, on images it has not seen."""
    found = [trained.detect(BLOTS.test.image(index)) for index in range(len(BLOTS.test))]
    truth = [each.of(0).boxes for each in BLOTS.test.objects]
    assert average_precision([each.of(0) for each in found], truth) > 0.8
    for each in found:
        assert (np.diff(each.scores) <= 0).all()
        for label in range(3):
            boxes, _ = each.of(label)
            overlaps = box_iou(torch.from_numpy(boxes), torch.from_numpy(boxes)).fill_diagonal_(0)
            assert not len(boxes) or overlaps.max() <= 0.3


def test_a_detector_comes_back_from_its_files(trained: SPPDetector, tmp_path: Path) -> None:
    for name, content in dump_detector(trained, SMALL).items():
        (tmp_path / name).write_bytes(content)
    again, image = load_detector(tmp_path), BLOTS.test.image(0)
    boxes = propose(image, 50)
    first, second = (each.detect(image, boxes) for each in (trained, again))
    np.testing.assert_array_equal(first.boxes, second.boxes)
    np.testing.assert_array_equal(first.scores, second.scores)
    assert again.classes == BLOTS.classes


@pytest.mark.parametrize("damage", ["config", "tensors", "missing", "format"])
def test_damaged_files_are_refused(trained: SPPDetector, tmp_path: Path, damage: str) -> None:
    for name, content in dump_detector(trained, SMALL).items():
        (tmp_path / name).write_bytes(content)
    config, tensors = tmp_path / "detector.json", tmp_path / "detector.safetensors"
    if damage == "config":
        config.write_text("{}")
    elif damage == "tensors":
        tensors.write_bytes(tensors.read_bytes()[:-9])
    elif damage == "format":
        config.write_text(config.read_text().replace('"format": 1', '"format": 99'))
    else:
        tensors.unlink()
    words = {"missing": "holds no trained detector", "format": "has format 99, this version reads 1"}
    with pytest.raises(ArgumentError, match=words.get(damage, "is damaged")):
        load_detector(tmp_path)


# --- one map for all windows --------------------------------------------------------------------------------------


def test_the_whole_image_is_one_window() -> None:
    """Classifying an image and pooling the window that covers it are the same."""
    stack, image = ConvStack((4, 6), (2, 2)), BLOTS.test.image(0)
    shared = SharedMap(stack, (3, 2, 1), (96,))
    whole = torch.tensor([[0.0, 0.0, image.shape[1], image.shape[0]]])
    expected = spatial_pyramid_pool2d(stack(as_input(image, stack)), (3, 2, 1))
    torch.testing.assert_close(shared(image, whole), expected, rtol=0, atol=1e-5)


def test_a_window_is_pooled_at_the_scale_where_its_area_fits() -> None:
    stack, image = ConvStack((4,), (4,)), BLOTS.test.image(0)
    boxes = torch.tensor([[10.0, 10, 20, 20], [0, 0, 90, 90]])
    several = SharedMap(stack, (2,), (96, 384), expected_side=60)(image, boxes)
    singly = [SharedMap(stack, (2,), (scale,))(image, boxes) for scale in (96, 384)]
    assert torch.equal(several, torch.stack([singly[1][0], singly[0][1]]))


def test_crops_are_the_image_where_they_cover_it() -> None:
    """A square image warped to its own size is itself, but for the smoothing of a quarter of a pixel."""
    stack = nn.Identity()
    ramp = np.linspace(0, 255, 32).astype(np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], 32, 0), 3, 2)
    pixels = as_input(image, stack)
    warped = warp(pixels, torch.tensor([[0.0, 0.0, 32.0, 32.0]]), 32)
    torch.testing.assert_close(warped[..., 1:-1], pixels[..., 1:-1], rtol=0, atol=0.02)


def test_batches_of_crops_do_not_change_their_features() -> None:
    stack, image = ConvStack((4,), (2,)), BLOTS.test.image(1)
    boxes = torch.from_numpy(propose(image, 12)).float()
    one, many = (CroppedWindows(stack, (2, 1), 24, batch)(image, boxes) for batch in (1, 5))
    torch.testing.assert_close(one, many, rtol=0, atol=1e-5)


def test_doubles_and_unsure_boxes_are_dropped() -> None:
    class ByArea:
        def scores(self, features: Tensor) -> Tensor:
            return features

    def areas(image: np.ndarray, boxes: Tensor) -> Tensor:
        return ((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))[:, None] / 1e4

    plain = Detector(areas, ("thing",), ByArea())
    image = np.zeros((100, 100, 3), np.uint8)
    boxes = [[0, 0, 60, 60], [0, 0, 58, 58], [70, 70, 95, 95], [0, 70, 9, 79]]
    found = plain.detect(image, boxes, score=0.05)
    assert found.boxes.tolist() == [boxes[0], boxes[2]]
    np.testing.assert_allclose(found.scores, [0.36, 0.0625])
    assert len(plain.detect(image, boxes, score=0.0, most=2)) == 2
    assert len(plain.detect(image, np.empty((0, 4)))) == 0


# --- windows to learn from ----------------------------------------------------------------------------------------


def test_windows_get_the_object_they_overlap_most() -> None:
    boxes = np.array([[0.0, 0, 10, 10], [0, 0, 10, 14], [40, 40, 50, 50], [0, 6, 10, 16]])
    objects, labels = np.array([[0.0, 0, 10, 10], [0, 5, 10, 15]]), np.array([2, 0])
    windows = label_windows(boxes, objects, labels, 3)
    assert windows.labels.tolist() == [3, 3, 0, 1]
    assert windows.objects.tolist() == [[0, 0, 10, 10], [0, 0, 10, 10], [40, 40, 50, 50], [0, 5, 10, 15]]
    np.testing.assert_allclose(windows.overlaps[0], [1 / 3, 0, 1])
    none = label_windows(boxes, objects[:0], labels[:0], 3)
    assert none.labels.tolist() == [0] * 4
    assert none.overlaps.shape == (4, 3)


def test_a_rare_class_is_drawn_as_often_as_a_frequent_one() -> None:
    rng = np.random.default_rng(0)
    boxes = np.stack([np.arange(100.0), np.zeros(100), np.arange(100.0) + 1, np.ones(100)], axis=1)
    windows = label_windows(boxes, boxes[:60], np.array([0] * 57 + [1] * 3), 2)
    drawn = sample_windows(windows, 6, 10, rng)
    assert np.bincount(drawn.labels).tolist() == [10, 3, 3]


def test_proposals_stay_within_the_image_and_differ() -> None:
    image = BLOTS.test.image(2)
    boxes = propose(image, 300)
    assert len(np.unique(boxes.round(), axis=0)) == len(boxes) <= 300
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [image.shape[1], image.shape[0]]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert recall([boxes], [BLOTS.test.objects[2].boxes]) > 0.6
    assert len(propose(np.zeros((3, 3, 3), np.uint8))) == 1


def test_a_training_taken_up_again_ends_where_it_would_have() -> None:
    crops = torch.randint(0, 256, (20, 3, 12, 12), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    labels = torch.arange(20) % 3
    recipe = Pretraining(4, 8, 1e-3, (12, 10))

    def stack() -> ConvStack:
        torch.manual_seed(0)
        return ConvStack((4,), (2,))

    whole, halted = stack(), stack()
    states: list[dict[str, Tensor]] = []
    pretrain(whole, crops, labels, recipe, levels=(2, 1), seed=3, on_epoch=lambda _, __, state: states.append(state))
    assert len(states) == 4
    pretrain(halted, crops, labels, recipe, levels=(2, 1), seed=3, resume=states[1])
    for first, second in zip(whole.parameters(), halted.parameters(), strict=True):
        assert torch.equal(first, second)
    assert not torch.equal(next(stack().parameters()), next(whole.parameters()))


def test_svms_read_the_hidden_layer() -> None:
    settings = DetectorSettings(**{**vars(SMALL), "head": "svm", "epochs": 1, "steps": 40})
    fitted = train_detector(BLOTS.train.first(10), BLOTS.train.first(10).objects, BLOTS.classes, settings)
    files = dump_detector(fitted, settings)
    assert b'"svm_scale"' in files["detector.json"]
    image = BLOTS.test.image(0)
    windows = fitted.windows(image, propose(image, 30))
    scores = fitted.head.scores(fitted.features(image, windows))  # type: ignore[union-attr]
    assert scores.shape == (len(windows), 3)
    assert scores.min() < 0


def test_settings_that_cannot_be_are_refused() -> None:
    for name, value in (("epochs", 0), ("head", "tree"), ("learning_rate", 0.0)):
        with pytest.raises(ArgumentError, match=f"{name} must be"):
            DetectorSettings(**{name: value})  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match="as many, at least one, got 0 and 0"):
        train_detector(BLOTS.train.first(0), (), BLOTS.classes)
