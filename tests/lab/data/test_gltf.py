"""Surfaces of grids, against trimesh's volume and a count of faces one by one."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from cenote.errors import ArgumentError
from cenote.lab.data.gltf import surface, write_gltf

GRIDS = st.integers(1, 5).flatmap(lambda side: arrays.arrays(bool, (side, side, side)))


@given(grid=GRIDS)
@settings(max_examples=60, deadline=None)
def test_a_surface_has_a_face_wherever_a_cell_ends(grid: np.ndarray) -> None:
    padded = np.pad(grid, 1)
    changes = sum(int((np.diff(padded.astype(int), axis=axis) != 0).sum()) for axis in range(3))
    corners, triangles = surface(grid)
    assert len(triangles) == 2 * changes
    assert len(np.unique(corners, axis=0)) == len(corners) == len(np.unique(triangles))


@given(grid=GRIDS)
@settings(max_examples=60, deadline=None)
def test_what_a_surface_encloses_are_its_cells(grid: np.ndarray) -> None:
    """By the divergence theorem, which only faces turned outward satisfy; no corner of a cell is farther than 1."""
    a, b, c = np.moveaxis(surface(grid)[0][surface(grid)[1]].astype(float), 1, 0)
    assert np.einsum("ij,ij->", a, np.cross(b, c)) / 6 == pytest.approx(grid.sum(), abs=1e-9)


def test_trimesh_reads_the_same_body(tmp_path: Path) -> None:
    grid = np.zeros((8, 8, 8), bool)
    grid[1:5, 0:6, 2:4] = True
    grid[1:5, 5, 4:7] = True
    path = write_gltf(tmp_path / "body.gltf", grid, translate=(-1.0, 0.5, 2.0), scale=4.0)
    mesh = trimesh.load_mesh(path)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(grid.sum() * 0.5**3, rel=1e-6)
    np.testing.assert_allclose(mesh.bounds, [[-0.5, 0.5, 3.0], [1.5, 3.5, 5.5]], atol=1e-6)


def test_a_file_says_of_itself_what_is_in_it(tmp_path: Path) -> None:
    """Lengths, counts and bounds against the buffer's own bytes, as glTF 2.0 asks."""
    grid = np.random.default_rng(0).random((4, 4, 4)) > 0.5
    told = json.loads(write_gltf(tmp_path / "a.gltf", grid, scale=0.3).read_text())
    (buffer,) = told["buffers"]
    content = base64.b64decode(buffer["uri"].partition(",")[2])
    assert len(content) == buffer["byteLength"] == sum(view["byteLength"] for view in told["bufferViews"])
    positions = np.frombuffer(content, "<f4", 3 * told["accessors"][0]["count"]).reshape(-1, 3)
    indices = np.frombuffer(content, "<u4", offset=told["bufferViews"][1]["byteOffset"])
    assert len(indices) == told["accessors"][1]["count"]
    assert indices.max() == len(positions) - 1
    assert np.array_equal(positions.min(0), np.float32(told["accessors"][0]["min"]))
    assert np.array_equal(positions.max(0), np.float32(told["accessors"][0]["max"]))


def test_an_empty_grid_is_an_empty_scene(tmp_path: Path) -> None:
    told = json.loads(write_gltf(tmp_path / "a.gltf", np.zeros((2, 2, 2), bool)).read_text())
    assert told == {"asset": {"version": "2.0", "generator": "cenote"}, "scene": 0, "scenes": [{}]}


def test_what_is_no_cube_of_cells_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match="boolean cube"):
        write_gltf(tmp_path / "a.gltf", np.zeros((2, 2, 3), bool))
    with pytest.raises(ArgumentError, match="finite"):
        write_gltf(tmp_path / "a.gltf", np.ones((2, 2, 2), bool), scale=float("nan"))
    assert not list(tmp_path.iterdir())
