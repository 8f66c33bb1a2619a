"""Cut recordings into windows of equal length that overlap."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from cenote.errors import ArgumentError


class Windows(NamedTuple):
    """Windows of one recording."""

    values: npt.NDArray[Any]
    """(N, length, S), a read-only view of the recording."""
    labels: npt.NDArray[np.int64] | None
    """(N,), if the frames have labels."""
    starts: npt.NDArray[np.int64]
    """First frame of each window, (N,)."""


def window_frames(seconds: float, overlap: float, rate: float) -> tuple[int, int]:
    """Return the frames of a window, and those from one window's start to the next; at least 1 each.

    Args:
        seconds: Length of a window.
        overlap: Part of a window that the next one repeats, from 0 up to, but not, 1.
        rate: Frames a second.
    """
    # Rounded before it is cut: (1 - 0.8) * 150 is 29.999….
    length = max(1, int(round(seconds * rate, 6)))
    return length, max(1, int(round((1 - overlap) * length, 6)))


def sliding_windows(
    x: npt.ArrayLike, length: int, step: int, labels: npt.ArrayLike | None = None, vote: float = 0.5
) -> Windows:
    """Cut a recording (T, S) into windows, without padding: the frames behind the last whole window are left out.

    A window's label is the most frequent label above 0 of its frames, if at least ``vote`` of the frames have it, else
    0. For labels 0 and 1 that is the paper's rule (arXiv 2406.16913): positive if half of the frames are.

    Args:
        x: The recording, (T, S). One that is shorter than a window has none.
        length: Frames of a window; 180 in the paper, three seconds at 60 Hz.
        step: Frames from one window's start to the next; 45 in the paper, an overlap of 75 %.
        labels: A label a frame, integers from 0, (T,).
        vote: Part of a window's frames that must have a label above 0, more than 0 and up to 1.

    Raises:
        ArgumentError: If a shape does not fit, a number is out of range, or a label is below 0.

    Example:
        >>> values, labels, starts = sliding_windows(np.zeros((10, 2)), 4, 3, labels=[0] * 5 + [1] * 5)
        >>> values.shape, labels.tolist(), starts.tolist()
        ((3, 4, 2), [0, 1, 1], [0, 3, 6])
    """
    recording = np.asarray(x)
    for name, value, allowed, fits in (
        ("x", recording.shape, "(T, S)", recording.ndim == 2),
        ("length", length, "1 or more", length >= 1),
        ("step", step, "1 or more", step >= 1),
        ("vote", vote, "more than 0, up to 1", 0 < vote <= 1),
    ):
        if not fits:
            raise ArgumentError(f"{name}: got {value}, allowed is {allowed}")
    starts = np.arange(0, len(recording) - length + 1, step, dtype=np.int64)
    if not len(starts):
        values = np.empty((0, length, recording.shape[1]), recording.dtype)
    else:
        values = np.moveaxis(sliding_window_view(recording, length, axis=0)[::step], -1, 1)
    return Windows(values, None if labels is None else _voted(labels, recording, length, starts, vote), starts)


def _voted(
    labels: npt.ArrayLike, recording: npt.NDArray[Any], length: int, starts: npt.NDArray[np.int64], vote: float
) -> npt.NDArray[np.int64]:
    each = np.asarray(labels)
    if each.shape != recording.shape[:1]:
        raise ArgumentError(f"labels: got shape {each.shape}, allowed is {recording.shape[:1]}: one for each frame")
    if not np.issubdtype(each.dtype, np.integer) and each.dtype != np.bool_:
        raise ArgumentError(f"labels: got {each.dtype}, allowed are integers from 0")
    if len(each) and each.min() < 0:
        raise ArgumentError(f"labels: got {each.min()}, allowed are integers from 0")
    before = np.zeros((len(each) + 1, int(each.max(initial=0)) + 1), np.int64)
    np.cumsum(each[:, None] == np.arange(before.shape[1]), axis=0, out=before[1:])
    counts = before[starts + length] - before[starts]
    counts[:, 0] = 0
    return np.where(counts.max(axis=1, initial=0) >= vote * length, counts.argmax(axis=1), 0).astype(np.int64)
