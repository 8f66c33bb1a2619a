"""Bodies made of boxes: their grids of occupied cells, and their pictures from any direction."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FRAME = 0.75
"""Half of the side of a picture, which a body with a shorter half-diagonal fits into from every side."""

BRIGHTNESS = (0.75, 1.0, 0.55)
"""Of faces across the axes x, y (up) and z."""

DEPTH = 0.35
"""Brightness a point loses over the depth of the body."""


def occupied(boxes: Floats, resolution: int) -> NDArray[np.bool_]:
    """Return which cells of the unit cube have their centre in a box.

    Args:
        boxes: Lower and upper corners within the cube from -1/2 to 1/2, (K, 2, 3).
        resolution: Cells R along a side.

    Returns:
        (R, R, R), axes x, y and z.
    """
    centres = (np.arange(resolution) + 0.5) / resolution - 0.5
    inside = (boxes[:, 0, :, None] <= centres) & (centres < boxes[:, 1, :, None])  # (K, 3, R)
    cells: NDArray[np.bool_] = np.einsum("kx,ky,kz->xyz", *inside.transpose(1, 0, 2).astype(np.uint8)) > 0
    return cells


def render(boxes: Floats, azimuth: Floats, elevation: Floats, size: int) -> NDArray[np.uint8]:
    """Draw a body from several directions, in parallel projection, on a white ground.

    A pixel is the brightness of the face that its ray meets first, darker where that is farther away.

    Args:
        boxes: Lower and upper corners within the cube from -1/2 to 1/2, (K, 2, 3).
        azimuth: Directions around the upright axis in radians, (V,).
        elevation: Heights of the camera in radians, (V,).
        size: Side S of a picture in pixels.

    Returns:
        (V, S, S, 1).
    """
    forward, starts = _rays(azimuth, elevation, size)
    nearest = np.full(starts[0].shape, np.inf)
    shade = np.ones_like(nearest)
    for box in boxes:
        enter, leave, brightness = _slabs(box, forward, starts)
        hit = (enter < leave) & (enter < nearest)
        far = DEPTH * (enter + 1) / 2  # the plane the rays are measured from lies in the middle
        np.copyto(shade, brightness * (1 - far), where=hit)
        np.copyto(nearest, enter, where=hit)
    pixels = np.where(np.isfinite(nearest), 0.85 * shade, 1.0)
    drawn: NDArray[np.uint8] = np.rint(255 * pixels.clip(0, 1)).astype(np.uint8)
    return drawn.reshape(len(azimuth), size, size, 1)


def _rays(azimuth: Floats, elevation: Floats, size: int) -> tuple[list[Floats], list[Floats]]:
    """Directions (V, 1) and, pixel by pixel, points (V, S·S) of the plane through the middle; x, y and z of each.

    The three are arrays of their own, since numpy is slow along an axis of three.
    """
    sin_a, cos_a, sin_e, cos_e = np.sin(azimuth), np.cos(azimuth), np.sin(elevation), np.cos(elevation)
    forward = np.stack([-cos_e * sin_a, -sin_e, -cos_e * cos_a])
    right = np.stack([cos_a, np.zeros_like(sin_a), -sin_a])
    up = np.cross(right, forward, axis=0)
    steps = FRAME * ((np.arange(size) + 0.5) * 2 / size - 1)
    across, down = (each.ravel() for each in np.meshgrid(steps, -steps))
    # A ray along a face would divide 0 by 0; a direction this small cannot be told from none.
    forward = np.where(np.abs(forward) < 1e-12, 1e-12, forward)
    points = right[:, :, None] * across + up[:, :, None] * down
    return list(forward[:, :, None]), list(points)


def _slabs(box: Floats, forward: list[Floats], starts: list[Floats]) -> tuple[Floats, Floats, Floats]:
    """Where each ray enters and leaves a box, and the brightness of the face it enters by."""
    enter, leave = np.full(starts[0].shape, -np.inf), np.full(starts[0].shape, np.inf)
    brightness = np.empty(starts[0].shape)
    for axis, (step, start) in enumerate(zip(forward, starts, strict=True)):
        near = np.where(step > 0, box[0, axis], box[1, axis])
        far = np.where(step > 0, box[1, axis], box[0, axis])
        first = (near - start) / step
        np.copyto(brightness, BRIGHTNESS[axis], where=first > enter)
        np.maximum(enter, first, out=enter)
        np.minimum(leave, (far - start) / step, out=leave)
    return enter, leave, brightness
