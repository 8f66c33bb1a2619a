"""What reads a window's features: a softmax head, linear SVMs with hard negatives, and the regression of boxes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.errors import ArgumentError

FOREGROUND, BACKGROUND = 32, 96
"""Windows of a batch that show an object, and others, as in the paper."""


class WindowHead(Protocol):
    """Scores the features of windows."""

    def scores(self, features: Tensor) -> Tensor:
        """Return a score for each class, (N, K), of features (N, D); higher is surer."""
        ...


class SoftmaxHead(nn.Module):
    """Two linear layers and a softmax over the classes and the background; fine-tuned while the convolutions rest.

    The paper's fc6, fc7 and fc8 with one hidden layer (arXiv 1406.4729, Section 4.1): batches hold 32 windows of
    objects and 96 others, and the last layer starts from N(0, 0.01).

    Args:
        features: D, length of a window's features.
        classes: K, number of classes.
        hidden: Width of the hidden layer.

    Shapes:
        (N, D) → logits (N, 1 + K), the background first.

    Raises:
        ArgumentError: If a number is below 1.

    Example:
        >>> head = SoftmaxHead(features=30, classes=3, hidden=16)
        >>> features, labels = torch.randn(40, 30), torch.arange(40) % 4
        >>> _ = head.fit(features, labels, seed=0, steps=5)
        >>> tuple(head.scores(features).shape)
        (40, 3)
    """

    def __init__(self, features: int, classes: int, hidden: int = 256) -> None:
        super().__init__()
        if min(features, classes, hidden) < 1:
            raise ArgumentError(f"features, classes, hidden must be at least 1, got {(features, classes, hidden)}")
        self.first = nn.Linear(features, hidden)
        self.last = nn.Linear(hidden, 1 + classes)
        nn.init.normal_(self.last.weight, std=0.01)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (N, 1 + K) of features (N, D)."""
        logits: Tensor = self.last(self.hidden(x))
        return logits

    def hidden(self, x: Tensor) -> Tensor:
        """Return the hidden layer's output (N, hidden), which SVMs read."""
        return F.relu(self.first(x))

    @torch.no_grad()
    def scores(self, features: Tensor) -> Tensor:
        """Return the probability of each class, (N, K)."""
        probabilities: Tensor = self(features).softmax(1)
        return probabilities[:, 1:]

    def fit(
        self, features: Tensor, labels: Tensor, *, seed: int, steps: int = 1000, learning_rate: float = 1e-3
    ) -> float:
        """Train on windows, in place, with Adam along a cosine; return the mean loss of the last tenth.

        Args:
            features: (N, D).
            labels: 0 for the background, 1 + k for class k, (N,).
            seed: Decides the batches.
            steps: Batches of 32 windows of objects and 96 others, each drawn with replacement.
            learning_rate: At the start.

        Raises:
            ArgumentError: If there is no window of an object, or none of the background.
        """
        foreground, background = (labels > 0).nonzero()[:, 0], (labels == 0).nonzero()[:, 0]
        if not len(foreground) or not len(background):
            raise ArgumentError(f"labels must have windows of both kinds, got {len(foreground)} and {len(background)}")
        generator = torch.Generator().manual_seed(seed)
        optimizer = torch.optim.Adam(self.parameters(), lr=learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        losses = []
        for _ in range(steps):
            rows = torch.cat(
                [
                    each[torch.randint(len(each), (count,), generator=generator)]
                    for each, count in ((foreground, FOREGROUND), (background, BACKGROUND))
                ]
            )
            loss = F.cross_entropy(self(features[rows]), labels[rows])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            losses.append(float(loss.detach()))
        return float(np.mean(losses[-max(1, steps // 10) :]))


class LinearSVMHead:
    """A linear SVM for each class, trained with hard negatives as in the released code.

    Features are scaled to a mean norm of 20 and read by scikit-learn's ``LinearSVC`` (liblinear) with hinge loss,
    C = 10⁻³, weight 2 for positives and a bias multiplier of 10. Positives are the objects themselves, negatives
    overlap every object of the class by less than 0.3. Negatives above -1.0001 join the set image by image, those
    below -1.2 leave it when it is trained anew, each time 2,000 have come (arXiv 1406.4729, Section 4.1; the numbers
    are the released code's).

    Args:
        weight: (K, D).
        bias: (K,).
        scale: What features are multiplied with.

    Raises:
        ArgumentError: If the shapes do not fit.
    """

    NORM = 20.0
    HARD, EVICTED = -1.0001, -1.2
    RETRAINED_EVERY = 2000

    def __init__(self, weight: Tensor, bias: Tensor, scale: float) -> None:
        if weight.dim() != 2 or bias.shape != weight.shape[:1]:
            raise ArgumentError(
                f"weight and bias must be (K, D) and (K,), got {tuple(weight.shape)}, {tuple(bias.shape)}"
            )
        self.weight = weight
        self.bias = bias
        self.scale = scale

    def scores(self, features: Tensor) -> Tensor:
        """Return the distance to each class's plane, (N, K)."""
        return self.scale * features @ self.weight.T + self.bias

    @classmethod
    def fit(
        cls, images: Iterable[tuple[Tensor, Tensor]], positives: tuple[Tensor, Tensor], classes: int, *, seed: int = 0
    ) -> LinearSVMHead:
        """Train on the windows of images, one pass over them.

        Args:
            images: For each image the features (N, D) of its windows, and the largest overlap of each window with the
                objects of each class, (N, K).
            positives: Features (P, D) and classes (P,) of the objects.
            classes: K.
            seed: Of liblinear's coordinate descent.

        Raises:
            ArgumentError: If a class has no positive, or no image a negative.
        """
        features, labels = positives
        counts = torch.bincount(labels, minlength=classes)
        if not len(labels) or int(counts.min()) < 1:
            raise ArgumentError(f"positives must show every class, got {counts.tolist()} of them")
        scale = cls.NORM / max(float(features.norm(dim=1).mean()), 1e-12)
        trainers = [_Mining(scale * features[labels == k], seed) for k in range(classes)]
        for windows, overlaps in images:
            for k, trainer in enumerate(trainers):
                trainer.see(scale * windows[overlaps[:, k] < 0.3])
        planes = [trainer.finish() for trainer in trainers]
        weight = torch.from_numpy(np.stack([w for w, _ in planes])).to(features)
        return cls(weight, torch.tensor([b for _, b in planes]).to(features), scale)


class _Mining:
    """One class's SVM while it collects hard negatives."""

    def __init__(self, positives: Tensor, seed: int) -> None:
        self.positives = positives.double().numpy()
        self.negatives = np.empty((0, positives.shape[1]))
        self.plane: tuple[npt.NDArray[np.float64], float] | None = None
        self.new = 0
        self.seed = seed

    def see(self, windows: Tensor) -> None:
        rows = windows.double().numpy()
        if self.plane is not None:
            weight, bias = self.plane
            rows = rows[rows @ weight + bias > LinearSVMHead.HARD]
        self.negatives = np.concatenate([self.negatives, rows])
        self.new += len(rows)
        # The first images are all negatives' only source, so the first SVM comes early.
        if len(self.negatives) and (self.plane is None or self.new >= LinearSVMHead.RETRAINED_EVERY):
            self._train()

    def finish(self) -> tuple[npt.NDArray[np.float64], float]:
        if not len(self.negatives):
            raise ArgumentError("images must have a window that overlaps no object of a class by 0.3, got none")
        return self._train()

    def _train(self) -> tuple[npt.NDArray[np.float64], float]:
        from sklearn.svm import LinearSVC

        svm = LinearSVC(
            loss="hinge", C=1e-3, class_weight={1: 2}, intercept_scaling=10, random_state=self.seed, max_iter=20_000
        )
        rows = np.concatenate([self.positives, self.negatives])
        svm.fit(rows, np.arange(len(rows)) < len(self.positives))
        self.plane = (svm.coef_[0], float(svm.intercept_[0]))
        weight, bias = self.plane
        self.negatives = self.negatives[self.negatives @ weight + bias >= LinearSVMHead.EVICTED]
        self.new = 0
        return self.plane


class BoxRegression:
    """Moves a window onto its object: ridge regression of centre and size on the pooled features, for each class.

    For a window (x, y, w, h) and its object (x', y', w', h'), centres and sizes, the targets are (x' - x) / w,
    (y' - y) / h, log w'/w and log h'/h. It reads the pooled features themselves and learns from windows that overlap
    their object by at least 0.5 (arXiv 1406.4729, Section 4.1, after R-CNN).

    Args:
        weight: (K, D + 1, 4); the last row is the bias.

    Raises:
        ArgumentError: If the shape does not fit.
    """

    def __init__(self, weight: Tensor) -> None:
        if weight.dim() != 3 or weight.shape[2] != 4:
            raise ArgumentError(f"weight must be (K, D + 1, 4), got {tuple(weight.shape)}")
        self.weight = weight

    @classmethod
    def fit(
        cls, features: Tensor, boxes: Tensor, objects: Tensor, labels: Tensor, classes: int, *, ridge: float = 4000.0
    ) -> BoxRegression:
        """Solve the ridge regression of each class; one without a window moves nothing.

        Args:
            features: (N, D).
            boxes: The windows (N, 4).
            objects: The object of each window, (N, 4).
            labels: Class of each object, (N,).
            classes: K.
            ridge: Weight of the squared coefficients, with features at a mean norm of 20; 4,000 in the released code,
                1,000 in R-CNN.

        Raises:
            ArgumentError: If the ridge is not positive.
        """
        if not ridge > 0:
            raise ArgumentError(f"ridge must be positive, got {ridge}")
        weight = features.new_zeros(classes, features.shape[1] + 1, 4)
        scale = 20.0 / max(float(features.norm(dim=1).mean()), 1e-12) if len(features) else 1.0
        targets = _offsets(boxes, objects).double()
        for k in range(classes):
            mine = labels == k
            if not mine.any():
                continue
            x, y = scale * features[mine].double(), targets[mine]
            centre, mean = x.mean(0), y.mean(0)
            x = x - centre
            if len(x) < x.shape[1]:  # the dual is the smaller system
                solved = x.T @ torch.linalg.solve(x @ x.T + ridge * torch.eye(len(x)).to(x), y - mean)
            else:
                solved = torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]).to(x), x.T @ (y - mean))
            weight[k, :-1] = (scale * solved).to(weight)
            weight[k, -1] = (mean - centre @ solved).to(weight)
        return cls(weight)

    def move(self, features: Tensor, boxes: Tensor, label: int) -> Tensor:
        """Return the boxes (N, 4) moved as a class's objects would ask for."""
        offsets = features @ self.weight[label, :-1] + self.weight[label, -1]
        size = boxes[:, 2:] - boxes[:, :2]
        centre = (boxes[:, :2] + boxes[:, 2:]) / 2 + offsets[:, :2] * size
        # At most threefold: a far extrapolation helps nobody and may overflow.
        half = size * offsets[:, 2:].clamp(-1.1, 1.1).exp() / 2
        return torch.cat([centre - half, centre + half], dim=1)


def _offsets(boxes: Tensor, objects: Tensor) -> Tensor:
    sizes = [(each[:, 2:] - each[:, :2]).clamp(min=1e-6) for each in (boxes, objects)]
    centres = [(each[:, :2] + each[:, 2:]) / 2 for each in (boxes, objects)]
    return torch.cat([(centres[1] - centres[0]) / sizes[0], (sizes[1] / sizes[0]).log()], dim=1)
