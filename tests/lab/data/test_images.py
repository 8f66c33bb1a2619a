"""The containers, the checksum and the nested subsets."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.lab.data.encoded import EncodedSplit
from cenote.lab.data.images import ImageClassification, ImageSplit, balanced_order, stratified_order

Labels = st.lists(st.integers(0, 4), min_size=1, max_size=60).map(lambda values: np.array(values, np.int64))


def split_of(labels: list[int]) -> ImageSplit:
    """Image number i has the value i in every pixel, so that a subset shows which images it holds."""
    images = np.broadcast_to(np.arange(len(labels), dtype=np.uint8)[:, None, None, None], (len(labels), 2, 3, 1))
    return ImageSplit(images.copy(), np.array(labels, np.int64))


def data_of(train: list[int], test: list[int]) -> ImageClassification:
    return ImageClassification("small", ("a", "b", "c"), split_of(train), split_of(test), "a note")


@given(Labels)
def test_every_beginning_of_the_balanced_order_is_balanced(labels: np.ndarray) -> None:
    order = balanced_order(labels)
    assert sorted(order) == list(range(len(labels)))
    available = np.bincount(labels, minlength=5)
    for count in range(1, len(labels) + 1):
        taken = np.bincount(labels[order[:count]], minlength=5)
        # A class has fewer than another only if it has run out or is one behind.
        behind = taken < taken.max() - 1
        assert (taken[behind] == available[behind]).all()


@given(Labels)
def test_every_beginning_of_the_stratified_order_keeps_the_proportions(labels: np.ndarray) -> None:
    order = stratified_order(labels)
    assert sorted(order) == list(range(len(labels)))
    share = np.bincount(labels, minlength=5) / len(labels)
    for count in range(1, len(labels) + 1):
        taken = np.bincount(labels[order[:count]], minlength=5)
        # Each class stands at evenly spaced places; rounding shifts its count by half an image, and the other
        # classes' rounding shifts the place where the beginning ends, by at most half an image each.
        assert np.abs(taken - count * share).max() <= 0.5 + 0.5 * np.count_nonzero(share)


def test_the_orders_never_change() -> None:
    # Published runs name their images only by these orders: literal values, so that no change goes unseen.
    labels = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 2], np.int64)
    assert balanced_order(labels).tolist() == [3, 8, 9, 2, 6, 1, 7, 0, 4, 5]
    assert stratified_order(labels).tolist() == [3, 8, 2, 1, 6, 9, 0, 4, 7, 5]
    assert balanced_order(labels, seed=1).tolist() != balanced_order(labels).tolist()


def test_a_bigger_subset_contains_a_smaller_one() -> None:
    data = data_of([0, 1, 2] * 20, [0, 1] * 6)
    biggest = data.subset(train=60, test=12)
    for count in (1, 7, 59):
        smaller = data.subset(train=count).train
        np.testing.assert_array_equal(smaller.images, biggest.train.images[:count])
        np.testing.assert_array_equal(smaller.labels, biggest.train.labels[:count])
    assert sorted(biggest.train.images[:, 0, 0, 0]) == list(range(60))


def test_a_subset_keeps_each_label_with_its_image() -> None:
    labels = [0, 1, 2, 2, 1, 0, 2, 2, 2, 1]
    subset = data_of(labels, labels).subset(train=6, test=9)
    for split in (subset.train, subset.test):
        assert [labels[value] for value in split.images[:, 0, 0, 0]] == split.labels.tolist()
    assert np.bincount(subset.train.labels).tolist() == [2, 2, 2]


def test_a_subset_shuffles_sorted_data() -> None:
    # Data sorted by class would otherwise give whole classes to the first batches.
    labels = data_of([0] * 30 + [1] * 30, [0]).subset(train=60).train.labels
    assert 10 < np.count_nonzero(np.diff(labels)) < 60


def test_none_keeps_a_split_as_it_is() -> None:
    data = data_of([0, 1], [1, 0])
    subset = data.subset(train=1)
    assert subset.test is data.test
    assert (subset.name, subset.classes, subset.note) == (data.name, data.classes, data.note)


@pytest.mark.parametrize(
    ("arguments", "name"), [({"train": 0}, "train"), ({"test": -1}, "test"), ({"train": 3}, "train")]
)
def test_a_subset_that_cannot_be_is_refused(arguments: dict[str, int], name: str) -> None:
    with pytest.raises(ArgumentError, match=rf"^{name}: asked for .* allowed are 1 to 2$"):
        data_of([0, 1], [1, 0]).subset(**arguments)


def test_checksum_is_sha256_over_shapes_images_and_labels() -> None:
    data = data_of([0, 1], [2])
    expected = hashlib.sha256()
    expected.update(b"(2, 2, 3, 1)" + bytes([0] * 6 + [1] * 6) + bytes([0] * 8 + [1] + [0] * 7))
    expected.update(b"(1, 2, 3, 1)" + bytes([0] * 6) + bytes([2] + [0] * 7))
    assert data.checksum() == expected.hexdigest()


def test_checksum_sees_a_pixel_a_label_and_a_shape() -> None:
    base = data_of([0, 1], [2])
    pixel = split_of([0, 1])
    pixel.images[1, 1, 2, 0] += 1
    turned = ImageSplit(base.train.images.reshape(2, 3, 2, 1), base.train.labels)
    turned_test = ImageSplit(base.test.images.reshape(1, 3, 2, 1), base.test.labels)
    variants = [
        ImageClassification("small", base.classes, pixel, base.test),
        data_of([0, 2], [2]),
        ImageClassification("small", base.classes, turned, turned_test),
    ]
    assert len({data.checksum() for data in [base, *variants]}) == 4


def test_a_split_checks_its_arrays() -> None:
    images, labels = np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.int64)
    with pytest.raises(ArgumentTypeError, match=r"^images: got dtype float32, needs uint8$"):
        ImageSplit(images.astype(np.float32), labels)  # type: ignore[arg-type]
    with pytest.raises(ArgumentTypeError, match=r"^labels: got dtype int32, needs int64$"):
        ImageSplit(images, labels.astype(np.int32))  # type: ignore[arg-type]
    with pytest.raises(ArgumentError, match=r"^images: got shape \(2, 4, 4\), needs \(N, H, W, C\)$"):
        ImageSplit(images[..., 0], labels)
    with pytest.raises(ArgumentError, match=r"^labels: got shape \(1,\), needs \(2,\)"):
        ImageSplit(images, labels[:1])


def test_a_data_set_checks_its_splits() -> None:
    with pytest.raises(ArgumentError, match=r"^test: labels reach from 0 to 3, allowed are 0 to 2$"):
        data_of([0], [0, 3])
    other = ImageSplit(np.zeros((1, 5, 5, 1), np.uint8), np.zeros(1, np.int64))
    with pytest.raises(
        ArgumentError, match=r"^test: its images have shape \(5, 5, 1\), those for training \(2, 3, 1\)$"
    ):
        ImageClassification("small", ("a",), split_of([0]), other)


def test_an_encoded_split_decodes_only_what_is_taken(encode) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 5, 3), np.uint8)
    encoded = [encode(pixels[0]), b"damaged", encode(pixels[2])]
    split = EncodedSplit(encoded, np.arange(3), (4, 5, 3), [("file", 3)])
    taken = split.take(np.array([2, 0]))
    # The damaged image raises as soon as it is decoded; taking the others does not.
    np.testing.assert_array_equal(taken.images, pixels[[2, 0]])
    assert taken.labels.tolist() == [2, 0]


def test_an_encoded_split_survives_pickling(encode) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    split = pickle.loads(pickle.dumps(EncodedSplit([encode(pixels)], np.zeros(1, np.int64), (4, 5, 3), [("file", 1)])))
    np.testing.assert_array_equal(split.images, pixels[None])
    assert repr(split) == "EncodedSplit(1 images of shape (4, 5, 3))"
