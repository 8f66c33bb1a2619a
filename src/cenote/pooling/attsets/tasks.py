"""What a network is trained on and tested on: views of objects, drawn set by set, and the grids they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cenote.errors import ArgumentError
from cenote.pooling.attsets.windows import window_views

Draw = Callable[[Tensor, int, torch.Generator], Tensor]
"""Takes positions of objects (B,) and a number of views; returns views (B, V, …) drawn for each of them."""

Read = Callable[[int], NDArray[np.uint8]]
"""Takes the position of an object and returns its pictures (V, H, W, C)."""


@dataclass(frozen=True, eq=False)
class Task:
    """Sets of views with their targets.

    Attributes:
        draw: Views of objects for training.
        targets: True where a cell is occupied, (M, …), of the objects for training.
        test_views: The views that every network is tested on, (T, V, …), in their order; pictures as bytes, which
            ``as_numbers`` turns into what a network takes.
        test_targets: As ``targets``, of the objects for testing.
    """

    draw: Draw
    targets: Tensor
    test_views: Tensor
    test_targets: Tensor

    def batches(self, size: int, views: tuple[int, int], seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches of sets without end: equal ones for equal arguments.

        Args:
            size: Objects of a batch.
            views: Least and largest number of views of a set; one number is drawn for a batch.
            seed: Decides objects, numbers and views.
        """
        generator = torch.Generator().manual_seed(seed)
        while True:
            objects = torch.randint(len(self.targets), (size,), generator=generator)
            count = int(torch.randint(views[0], views[1] + 1, (), generator=generator))
            yield self.draw(objects, count, generator), self.targets[objects].float()

    def set_apart(self, count: int, seed: int = 0) -> tuple[Task, Task]:
        """Return the task with fewer objects to learn from, and the same with those for its test objects.

        Args:
            count: Objects that are set apart, drawn at random.
            seed: Decides which, and which of their views.

        Raises:
            ArgumentError: If none are left to learn from.
        """
        if not 0 < count < len(self.targets):
            raise ArgumentError(
                f"count must be at least 1 and less than the {len(self.targets)} objects to learn from, got {count}"
            )
        generator = torch.Generator().manual_seed(seed)
        apart, kept = torch.randperm(len(self.targets), generator=generator).tensor_split([count])

        def draw(objects: Tensor, views: int, generator: torch.Generator) -> Tensor:
            return self.draw(kept[objects], views, generator)

        fewer = replace(self, draw=draw, targets=self.targets[kept])
        shown = self.draw(apart, self.test_views.shape[1], generator)
        return fewer, replace(fewer, test_views=shown, test_targets=self.targets[apart])


def window_task(
    train: Tensor, test: Tensor, views: int, sides: tuple[int, int], noise: float, *, seed: int = 0
) -> Task:
    """Return the task to see which pixels of an image are bright, from windows on it.

    Args:
        train: Grey values from 0 to 1, (M, S, S).
        test: Of other images, (T, S, S).
        views: Views V of a test image.
        sides: Smallest and largest side of a window.
        noise: Standard deviation of the noise in a window.
        seed: Decides the windows on the test images.
    """
    shown = window_views(test, views, sides, noise, torch.Generator().manual_seed(seed))

    def draw(objects: Tensor, count: int, generator: torch.Generator) -> Tensor:
        return window_views(train[objects], count, sides, noise, generator)

    return Task(draw, train > 0.5, shown, test > 0.5)


def picture_task(
    train: Read, targets: NDArray[np.bool_], test: Read, test_targets: NDArray[np.bool_], views: int
) -> Task:
    """Return the task to find the occupied cells of an object from pictures of it.

    Args:
        train: Pictures of the objects for training.
        targets: Their grids, (M, R, R, R).
        test: Pictures of the objects for testing, of which the first are taken.
        test_targets: Their grids, (T, R, R, R).
        views: Views V of a test object.

    Raises:
        ArgumentError: If a test object has fewer pictures; as batches are drawn, if one for training has fewer than a
            set.
    """

    def draw(objects: Tensor, count: int, generator: torch.Generator) -> Tensor:
        sets = []
        for index in objects.tolist():
            pictures = train(index)
            _check_enough(count, len(pictures), f"training object {index}")
            chosen = torch.randperm(len(pictures), generator=generator)[:count]
            sets.append(pictures[chosen.numpy()])
        return as_input(np.stack(sets))

    shown = np.empty(0, np.uint8)
    for index in range(len(test_targets)):
        pictures = test(index)
        _check_enough(views, len(pictures), f"test object {index}")
        if index == 0:  # in one piece from the start, as there may be gigabytes of them
            shown = np.empty((len(test_targets), views, *pictures.shape[1:]), np.uint8)
        shown[index] = pictures[:views]
    return Task(draw, torch.from_numpy(targets), _channels_first(shown), torch.from_numpy(test_targets))


def as_input(pictures: NDArray[np.uint8]) -> Tensor:
    """Pictures (B, V, H, W, C) as numbers from 0, the usual ground, to 1: (B, V, C, H, W)."""
    return as_numbers(_channels_first(pictures))


def as_numbers(views: Tensor) -> Tensor:
    """Views as a network takes them: the bytes of pictures as numbers from 0, the usual ground, to 1."""
    return 1 - views.float() / 255 if views.dtype is torch.uint8 else views


def _channels_first(pictures: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(pictures).movedim(4, 2)


def _check_enough(views: int, pictures: int, whose: str) -> None:
    if views > pictures:
        raise ArgumentError(f"views must be at most the {pictures} pictures of {whose}, got {views}")
