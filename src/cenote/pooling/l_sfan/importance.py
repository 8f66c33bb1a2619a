"""Which sensors decide, and when: Grad-CAM on the maps that are pooled."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from cenote.errors import ArgumentError, ArgumentTypeError
from cenote.pooling.l_sfan.network import LSFAN


def sensor_importance(model: LSFAN, x: npt.ArrayLike, target: int | None = None) -> npt.NDArray[np.float64]:
    """Return how much each frame of each sensor speaks for a class, by Grad-CAM (as arXiv 2406.16913 draws it).

    With the maps ``A[c, t, s]`` behind the convolutions and the logit z of the class: ``w[c]`` is the mean over t and s
    of ``dz / dA[c, t, s]``, and the importance is ``relu(sum over c of w[c] A[c, t, s])``, brought to the frames of the
    window by linear interpolation. At the ends of a window, where the convolutions are not padded, the picture is up to
    eight frames off. The sensors stay as they are; the mean over windows is the paper's picture.

    Shapes:
        ``x``: (B, T, S); the result is (T, S), the mean over the windows.

    Args:
        model: A trained network; left as it is, and in the mode it is in.
        x: Windows as the model is given them.
        target: The class; for each window the likeliest one if None.

    Raises:
        ArgumentError: If there are no windows, one has values that are not finite, or the model has no such class.
        ArgumentTypeError: If the model is not an ``LSFAN``, whose maps are read.

    Example:
        >>> model = LSFAN(n_sensors=6, n_frames=150, nhead=3)
        >>> sensor_importance(model, np.zeros((2, 150, 6))).shape
        (150, 6)
    """
    if not isinstance(model, LSFAN):
        raise ArgumentTypeError(f"model: got {type(model).__name__}, allowed is an LSFAN")
    weight = model.head.weight
    windows = torch.from_numpy(np.array(x, np.float32)).to(weight)
    if windows.dim() != 3 or len(windows) == 0:
        raise ArgumentError(f"x: got shape {tuple(windows.shape)}, allowed is (B, T, S) with at least one window")
    if not torch.isfinite(windows).all():
        raise ArgumentError("x: has values that are not finite")
    if target is not None and not 0 <= target < model.head.out_features:
        raise ArgumentError(f"target: got {target}, allowed is 0 to {model.head.out_features - 1}")
    total = np.zeros(windows.shape[1:])
    was_training = model.training
    model.eval()
    try:
        for batch in torch.split(windows, 256):
            total += _importance(model, batch, target).double().sum(dim=0).cpu().numpy()
    finally:
        model.train(was_training)
    return total / len(windows)


def _importance(model: LSFAN, x: torch.Tensor, target: int | None) -> torch.Tensor:
    """Importance of each window, (B, T, S)."""
    with torch.no_grad():
        maps = model.maps(x)
    maps.requires_grad_()
    with torch.enable_grad():
        logits = model.classify(maps)
        rows = torch.arange(len(x), device=x.device)
        chosen = logits.argmax(dim=1) if target is None else torch.full_like(rows, target)
        (gradient,) = torch.autograd.grad(logits[rows, chosen].sum(), maps)
    weighted = (gradient.mean(dim=(2, 3), keepdim=True) * maps.detach()).sum(dim=1).relu()
    return F.interpolate(weighted.transpose(1, 2), x.shape[1], mode="linear", align_corners=False).transpose(1, 2)


def by_sensor(importance: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Return each sensor's part of the whole importance (T, S), (S,); equal parts where there is none."""
    each = importance.sum(axis=0, dtype=np.float64)
    return each / each.sum() if each.sum() > 0 else np.full(len(each), 1 / len(each))
