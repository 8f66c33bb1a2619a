"""Matthews correlation and macro-F1 from confusion matrices, over all windows and as each subject's share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from cenote.pooling.l_sfan.leaving_out import LeftOut

FloatArray = npt.NDArray[np.float64]


def confusions(left_out: LeftOut) -> dict[str, FloatArray]:
    """Return for each subject how often each class (row) was taken for each (column), (K, K)."""
    classes = left_out.probabilities.shape[1]
    tables = {}
    for subject in dict.fromkeys(left_out.groups.tolist()):
        own = left_out.groups == subject
        cells = classes * left_out.labels[own] + left_out.predictions[own]
        tables[str(subject)] = np.bincount(cells, minlength=classes**2).reshape(classes, classes).astype(np.float64)
    return tables


def mcc(confusion: FloatArray) -> float:
    """Return the Matthews correlation of a confusion matrix (K, K), for any number of classes; 0 if undefined.

    With t and p the times each class is true and predicted, c the hits and s all:
    ``(c s - t·p) / sqrt((s² - p·p)(s² - t·t))``.
    """
    true, predicted = confusion.sum(axis=1), confusion.sum(axis=0)
    total, hits = confusion.sum(), np.trace(confusion)
    spread = (total**2 - predicted @ predicted) * (total**2 - true @ true)
    return float((hits * total - true @ predicted) / np.sqrt(spread)) if spread > 0 else 0.0


def macro_f1(confusion: FloatArray) -> float:
    """Return the mean over classes of ``2 hits / (true + predicted)``; 0 for a class that is neither."""
    both = confusion.sum(axis=1) + confusion.sum(axis=0)
    return float(np.mean(2 * np.diag(confusion) / np.where(both > 0, both, 1)))


def subject_shares(tables: dict[str, FloatArray], score: Callable[[FloatArray], float]) -> dict[str, float]:
    """Return each subject's share in a score of all windows together, by the jackknife.

    With n subjects the share is ``n score(all) - (n - 1) score(all but this one)``. A person who does only one thing
    has no correlation of his own, but a share in that of all.
    """
    together = np.sum(list(tables.values()), axis=0)
    count, whole = len(tables), score(together)
    return {subject: count * whole - (count - 1) * score(together - own) for subject, own in tables.items()}
