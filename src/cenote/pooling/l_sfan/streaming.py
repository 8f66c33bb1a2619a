"""Recognise while a recording goes on: the same answers as from its windows, as soon as each is complete."""

from __future__ import annotations

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from cenote.errors import ArgumentError
from cenote.pooling.l_sfan.leaving_out import Classifier
from cenote.pooling.l_sfan.standardization import Standardization


class Answer(NamedTuple):
    """What was recognised in one window."""

    start: int
    """Number of its first frame since the recording began."""
    probabilities: npt.NDArray[np.float64]
    """Of each class, (K,)."""


class WindowStream:
    """Take the frames of a recording in pieces of any length, and answer for each window that they complete.

    The answers are those of ``sliding_windows`` of the whole recording, with the same length and step. At most one
    window and the last piece are in memory.

    Args:
        model: A trained classifier.
        length: Frames of a window.
        step: Frames from one window's start to the next.
        normalization: What the model's training windows were normalised with; None if they were not.

    Raises:
        ArgumentError: If length or step is not a whole number from 1.

    Example:
        >>> class Mean:
        ...     def fit(self, windows, labels): ...
        ...     def predict_proba(self, windows):
        ...         return windows.mean(axis=1)
        >>> stream = WindowStream(Mean(), length=4, step=2)
        >>> for frames in (3, 2, 3):
        ...     for answer in stream.push(np.ones((frames, 1))):
        ...         print(f"from frame {answer.start}")
        from frame 0
        from frame 2
        from frame 4
    """

    def __init__(self, model: Classifier, length: int, step: int, normalization: Standardization | None = None) -> None:
        for name, value in (("length", length), ("step", step)):
            if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise ArgumentError(f"{name}: got {value}, allowed is a whole number from 1")
        self.model = model
        self.length = length
        self.step = step
        self.normalization = normalization
        self._kept: npt.NDArray[np.float32] | None = None
        self._first = 0
        self._next = 0

    def push(self, frames: npt.ArrayLike) -> list[Answer]:
        """Take the next frames (T, S) and return the answers of the windows they complete, in order.

        Raises:
            ArgumentError: If the frames have another shape than those before or than the normalisation, or values
                that are not finite.
        """
        piece = np.asarray(frames, np.float32)
        sensors = self._sensors()
        if piece.ndim != 2 or (sensors is not None and piece.shape[1] != sensors):
            raise ArgumentError(
                f"frames: got shape {piece.shape}, allowed is (T, {'S' if sensors is None else sensors})"
            )
        if not np.isfinite(piece).all():
            raise ArgumentError("frames: have values that are not finite; a window with one has no answer")
        kept = piece if self._kept is None else np.concatenate([self._kept, piece])
        starts = list(range(self._next, self._first + len(kept) - self.length + 1, self.step))
        answers = []
        if starts:
            windows = np.stack([kept[start - self._first :][: self.length] for start in starts])
            answers = [Answer(start, row) for start, row in zip(starts, self._predict(windows), strict=True)]
            self._next = starts[-1] + self.step
        gone = min(max(0, self._next - self._first), len(kept))
        self._kept, self._first = kept[gone:].copy(), self._first + gone
        return answers

    def _sensors(self) -> int | None:
        if self._kept is not None:
            return int(self._kept.shape[1])
        return None if self.normalization is None else len(self.normalization.mean)

    def _predict(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        given: npt.NDArray[Any] = windows if self.normalization is None else self.normalization.apply(windows)
        return self.model.predict_proba(given)
