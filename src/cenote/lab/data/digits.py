"""The 8×8 digits that ship with scikit-learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cenote.lab.data.images import ImageClassification, ImageSplit, stratified_order

TRAIN = 1_197
LEVELS = 16
"""The largest grey value of the source; its values are counts of dark pixels in 4×4 blocks."""


def load(root: Path | None = None) -> ImageClassification:
    """Load 1,797 digits, 8×8, split into 1,197 for training and 600 for testing.

    The grey values 0 to 16 are scaled to 0 to 255 and rounded, so that the sixteenth is white in any viewer.

    Args:
        root: Ignored; the digits come with the package scikit-learn.
    """
    from sklearn.datasets import load_digits

    source = load_digits()
    images = np.rint(source.images * (255 / LEVELS)).astype(np.uint8)[..., np.newaxis]
    digits = ImageSplit(images, source.target.astype(np.int64))
    order = stratified_order(digits.labels)
    return ImageClassification(
        name="digits",
        classes=tuple("0123456789"),
        train=digits.take(order[:TRAIN]),
        test=digits.take(order[TRAIN:]),
        note="The test part of UCI's handwritten digits with a split of our own; writers may be on both sides.",
    )
