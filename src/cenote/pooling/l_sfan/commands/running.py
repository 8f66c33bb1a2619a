"""What a recogniser answers to recordings while they are read, and which sensors decide."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch

from cenote.lab.data.recording_files import ROWS, RecordingFile
from cenote.pooling.l_sfan.commands.reporting import answer_row
from cenote.pooling.l_sfan.importance import sensor_importance
from cenote.pooling.l_sfan.recogniser import Recogniser
from cenote.pooling.l_sfan.streaming import Answer, WindowStream
from cenote.pooling.l_sfan.training import WindowClassifier


class Watched(WindowClassifier):
    """The trained network as a classifier that counts its windows, and sums up which sensors decide on them.

    Args:
        recogniser: The recogniser.
        importance: Whether the sensors are looked at.
    """

    def __init__(self, recogniser: Recogniser, importance: bool = False) -> None:
        super().__init__(recogniser.module)
        self.count = 0
        self._recogniser = recogniser
        self._total: npt.NDArray[np.float64] | None = None
        if importance:
            self._total = np.zeros((recogniser.design.length, len(recogniser.design.sensors)))

    def predict_proba(self, windows: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
        """Return the probability of each class, (N, K)."""
        self.count += len(windows)
        if self._total is not None:
            self._total += len(windows) * sensor_importance(self._recogniser.module, windows)
        return super().predict_proba(windows)

    def mean(self) -> npt.NDArray[np.float64]:
        """Mean importance of each frame of each sensor over the windows, (T, S)."""
        assert self._total is not None, "importance was not asked for"
        return self._total / max(1, self.count)


def answers_in(file: RecordingFile, trained: Recogniser, watched: Watched, *, live: bool = False) -> Iterator[Answer]:
    """Yield an answer for each window of a recording as soon as it is complete.

    Args:
        file: The recording; columns that are not sensors of the recogniser are passed over.
        trained: The recogniser.
        watched: Its network.
        live: Whether frames are taken one by one, since the next may be long in coming.

    Raises:
        DataFormatError: If a sensor is missing, or the file is damaged.
    """
    design = trained.design
    file.require(design.sensors)
    stream = WindowStream(watched, design.length, design.step, trained.normalization)
    for rows in file.pieces(1 if live else ROWS):
        yield from stream.push(rows.numbers(design.sensors))


def rows_of(name: str, answers: Iterable[Answer], trained: Recogniser) -> Iterator[list[str]]:
    """Yield the row of each answer to the recording of that name."""
    for answer in answers:
        yield [name, *answer_row(trained.design, answer.start, answer.probabilities)]


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread: the network is so small that several wait for each other longer than they work."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
