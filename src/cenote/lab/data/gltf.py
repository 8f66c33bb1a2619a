"""glTF files of grids: the surface of the occupied cells, which browsers and modelling programs open."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cenote.catalog.files import write_text_atomic
from cenote.lab.data.binvox import check_grid

_FLOAT, _UNSIGNED_INT = 5126, 5125
_VERTICES, _INDICES = 34962, 34963
"""Numbers by which glTF 2.0 names types and uses of a buffer."""

_CORNERS = ((0, 0), (1, 0), (1, 1), (0, 1))
"""Of a face, counter-clockwise for who looks against the direction of its axis."""


def surface(grid: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the faces between occupied cells and empty ones or the outside, two triangles each.

    Args:
        grid: True where a cell is occupied, (X, Y, Z).

    Returns:
        Corners in cells from the grid's corner, (V, 3), each once, and the triangles' corners among them, (T, 3),
        counter-clockwise as seen from the empty side.
    """
    faces = np.concatenate([_faces(grid, axis, ahead) for axis in range(3) for ahead in (True, False)])
    sizes = tuple(side + 1 for side in grid.shape)
    places, corners = np.unique(np.ravel_multi_index(tuple(faces.reshape(-1, 3).T), sizes), return_inverse=True)
    triangles = corners.reshape(-1, 4)[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
    return np.stack(np.unravel_index(places, sizes), axis=1).astype(np.int64), triangles.astype(np.int64)


def write_gltf(
    path: str | Path,
    grid: NDArray[np.bool_],
    *,
    translate: tuple[float, float, float] = (0.0, 0.0, 0.0),
    scale: float = 1.0,
) -> Path:
    """Write the surface of a grid as one glTF 2.0 file, whole or not at all; an empty grid is an empty scene.

    Args:
        path: The file, which ends in .gltf so that programs know it.
        grid: True where a cell is occupied, (R, R, R) with axes x, y (up) and z, as in glTF.
        translate: Position of the grid's corner.
        scale: Length of the grid's side.

    Raises:
        ArgumentError: If the grid is no boolean cube of 1 to 1,024 cells a side, or a number is not finite.
        StorageError: If it cannot be written.
    """
    check_grid(grid, translate, scale)
    scene: dict[str, Any] = {"asset": {"version": "2.0", "generator": "cenote"}, "scene": 0, "scenes": [{}]}
    if grid.any():
        corners, triangles = surface(grid)
        positions = (np.array(translate) + scale / len(grid) * corners).astype("<f4")
        scene |= _mesh(positions, triangles.astype("<u4"))
    target = Path(path)
    write_text_atomic(target, json.dumps(scene) + "\n")
    return target


def _faces(grid: NDArray[np.bool_], axis: int, ahead: bool) -> NDArray[np.int64]:
    """Corners (F, 4, 3) of the faces that end occupied cells along an axis, in its direction or against it."""
    along = np.moveaxis(grid, axis, 0)
    beyond = np.zeros_like(along)
    if ahead:
        beyond[:-1] = along[1:]
    else:
        beyond[1:] = along[:-1]
    cells = np.argwhere(np.moveaxis(along & ~beyond, 0, axis))
    steps = np.zeros((4, 3), np.int64)
    steps[:, axis] = ahead
    # The two other axes in the order in which their product points along this one.
    steps[:, [(axis + 1) % 3, (axis + 2) % 3]] = _CORNERS if ahead else _CORNERS[::-1]
    return cells[:, None] + steps


def _mesh(positions: NDArray[np.float32], triangles: NDArray[np.uint32]) -> dict[str, Any]:
    """The parts of a glTF file that show a mesh; normals are left out, which asks for flat faces."""
    content = positions.tobytes() + triangles.tobytes()
    whole = {"buffer": 0, "byteOffset": 0, "byteLength": positions.nbytes, "target": _VERTICES}
    rest = {"buffer": 0, "byteOffset": positions.nbytes, "byteLength": triangles.nbytes, "target": _INDICES}
    corners = {"bufferView": 0, "componentType": _FLOAT, "type": "VEC3", "count": len(positions)}
    # Numbers of 32 bits as they are in the buffer, which a reader compares with these.
    corners |= {"min": positions.min(0).tolist(), "max": positions.max(0).tolist()}
    indices = {"bufferView": 1, "componentType": _UNSIGNED_INT, "type": "SCALAR", "count": triangles.size}
    uri = f"data:application/octet-stream;base64,{base64.b64encode(content).decode()}"
    return {
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "accessors": [corners, indices],
        "bufferViews": [whole, rest],
        "buffers": [{"byteLength": len(content), "uri": uri}],
    }
