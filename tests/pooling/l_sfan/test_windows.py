"""Windows are the slices of the recording; a stream answers as they do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cenote.pooling import LSFAN, Standardization, WindowClassifier, WindowStream, sliding_windows

lengths = st.integers(1, 9)


@settings(max_examples=60, deadline=None)
@given(frames=st.integers(0, 40), length=lengths, step=lengths, vote=st.sampled_from([0.1, 0.5, 0.75, 1.0]))
def test_windows_are_slices_with_voted_labels(frames: int, length: int, step: int, vote: float) -> None:
    draws = np.random.default_rng(frames + 100 * length)
    x, labels = draws.normal(size=(frames, 2)), draws.integers(0, 2, frames)
    found = sliding_windows(x, length, step, labels, vote)
    starts = list(range(0, frames - length + 1, step))
    assert found.starts.tolist() == starts
    assert found.values.shape == (len(starts), length, 2)
    assert found.labels is not None
    for window, label, start in zip(found.values, found.labels, starts, strict=True):
        assert np.array_equal(window, x[start : start + length])
        assert label == (labels[start : start + length].mean() >= vote)


def test_several_labels_give_the_most_frequent_above_zero() -> None:
    def label(*frames: int, vote: float = 0.4) -> int:
        found = sliding_windows(np.zeros((len(frames), 1)), len(frames), 1, frames, vote).labels
        assert found is not None
        return int(found[0])

    assert label(0, 0, 0, 2, 2) == 2
    assert label(1, 2, 2, 0, 0) == 2
    assert label(0, 0, 0, 0, 2) == 0
    assert label(1, 1, 2, 2, 0) == 1, "the smaller of two that are equal"
    assert label(3, 3, 3, 3, 3, vote=1.0) == 3


def test_windows_without_labels_have_none_and_share_memory() -> None:
    x = np.zeros((10, 3), np.float32)
    found = sliding_windows(x, 4, 2)
    assert found.labels is None
    assert np.shares_memory(found.values, x)
    with pytest.raises(ValueError, match="read-only"):
        found.values[0] = 1


# --- streaming ----------------------------------------------------------------------------------------------------


class Remembering:
    """A classifier whose answer is the window itself."""

    def fit(self, windows: Any, labels: Any) -> None:
        raise AssertionError("a stream does not train")

    def predict_proba(self, windows: np.ndarray) -> np.ndarray:
        return windows.reshape(len(windows), -1).astype(np.float64)


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(st.integers(0, 12), max_size=8), length=lengths, step=st.integers(1, 12))
def test_a_stream_answers_for_every_window_of_the_recording(pieces: list[int], length: int, step: int) -> None:
    x = np.arange(2.0 * sum(pieces), dtype=np.float32).reshape(-1, 2)
    stream = WindowStream(Remembering(), length, step)
    ends = np.cumsum(pieces).tolist()
    answers = []
    for piece, end in zip(pieces, ends, strict=True):
        new = stream.push(x[end - piece : end])
        assert all(answer.start + length <= end < answer.start + length + piece for answer in new), "at once"
        answers += new
    expected = sliding_windows(x, length, step)
    assert [answer.start for answer in answers] == expected.starts.tolist()
    for answer, window in zip(answers, expected.values, strict=True):
        assert np.array_equal(answer.probabilities, window.ravel())


def test_a_stream_gives_the_networks_answers() -> None:
    torch.manual_seed(0)
    model = WindowClassifier(LSFAN(n_sensors=6, n_frames=60, nhead=3))
    x = np.random.default_rng(0).normal(3, 2, (400, 6)).astype(np.float32)
    windows = sliding_windows(x, 60, 15).values
    measured = Standardization.of(windows)
    stream = WindowStream(model, 60, 15, measured)
    answers = [answer for start in range(0, 400, 7) for answer in stream.push(x[start : start + 7])]
    expected = model.predict_proba(measured.apply(windows))
    np.testing.assert_allclose([answer.probabilities for answer in answers], expected, atol=1e-6)


def test_a_stream_forgets_what_it_needs_no_more() -> None:
    stream = WindowStream(Remembering(), 10, 5)
    for _ in range(50):
        stream.push(np.zeros((7, 2)))
    assert stream._kept is not None
    assert len(stream._kept) < 10


# --- standardisation ----------------------------------------------------------------------------------------------


def test_standardised_windows_have_mean_zero_and_deviation_one() -> None:
    windows = np.random.default_rng(0).normal([3, -5, 0], [2, 0.1, 1], (50, 20, 3)).astype(np.float32)
    windows[..., 2] = 4
    found = Standardization.of(windows).apply(windows)
    np.testing.assert_allclose(found.mean(axis=(0, 1)), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(axis=(0, 1)), [1, 1, 0], atol=1e-5)
    assert found.dtype == np.float32
