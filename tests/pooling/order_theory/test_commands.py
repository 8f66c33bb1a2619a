"""``cenote poset`` as a user meets it, and the diagrams it draws."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from cenote.cli import app
from cenote.errors import ArgumentError
from cenote.pooling.order_theory import Poset, all_posets
from cenote.pooling.order_theory.commands import facts, read_poset
from cenote.pooling.order_theory.hasse import draw_text, lay_out
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.polytope_pictures import edges, faces, poolings

from .test_poset_algebra import crown


def call(*arguments: str, code: int = 0, columns: int = 100) -> str:
    outcome = CliRunner(env={"COLUMNS": f"{columns}"}).invoke(app, ["poset", *arguments])
    assert outcome.exit_code == code, outcome.output
    return outcome.stdout if code == 0 else outcome.stderr


# --- polytopes ----------------------------------------------------------------------------------------------------


def test_four_poolings_of_three_entries_are_maxima_over_their_polytopes() -> None:
    x = np.random.default_rng(0).normal(size=(50, 3))
    poset = Poset.from_hasse("1<2>3")
    sums = x @ np.array(list(OrderPolytope(poset).vertices)).T
    expected = [x.max(1), x.mean(1), (x.max(1) + x.mean(1)) / 2, sums.max(1)]
    polytopes = list(poolings(poset).values())
    np.testing.assert_allclose([polytope.support(x) for polytope in polytopes], expected, rtol=0, atol=1e-12)
    assert "poset 1<2, 3<2" in call("compare", "1<2>3")
    with pytest.raises(ArgumentError, match="poset must have 3 points"):
        poolings(Poset.chain(4))


@pytest.mark.parametrize("poset", all_posets(3), ids=Poset.hasse)
def test_faces_have_the_corners_that_lie_on_a_facet(poset: Poset) -> None:
    polytope = OrderPolytope(poset)
    matrix, bounds = polytope.facets
    on_facets = [
        {tuple(vertex) for vertex in polytope.vertices.tolist() if np.isclose(row @ vertex, bound)}
        for row, bound in zip(matrix, bounds, strict=True)
    ]
    drawn = [{tuple(corner) for corner in face.astype(int).tolist()} for face in faces(polytope.vertices)]
    assert sorted(map(sorted, drawn)) == sorted(map(sorted, on_facets))


def test_a_polygon_is_its_only_face_and_goes_around() -> None:
    (square,) = faces([[0, 0, 1], [1, 1, 1], [1, 0, 1], [0, 1, 1]])
    assert {float(np.abs(a - b).sum()) for a, b in zip(square, np.roll(square, 1, axis=0), strict=True)} == {1.0}
    assert not list(faces([[0, 0, 0], [1, 1, 1]]))


@pytest.mark.parametrize("poset", all_posets(3), ids=Poset.hasse)
def test_an_edge_is_hidden_if_both_of_its_facets_are_turned_away(poset: Poset) -> None:
    """Facets by their inequalities, whose normals point outwards; an edge lies on two of them."""
    polytope = OrderPolytope(poset)
    towards = np.array([0.8, 0.5, 0.3])
    matrix, bounds = polytope.facets
    seen, hidden = edges(polytope.vertices, towards)
    count = len(polytope.vertices) + len(bounds) - 2  # Euler
    assert len(seen) + len(hidden) == count
    for some, expected in ((seen, True), (hidden, False)):
        for edge in some:
            facing = [matrix[i] @ towards > 0 for i in range(len(bounds)) if np.allclose(edge @ matrix[i], bounds[i])]
            assert len(facing) == 2
            assert any(facing) == expected


def test_what_is_flat_hides_nothing() -> None:
    assert [len(some) for some in edges(np.eye(3), (1, 1, 1))] == [3, 0]
    assert [len(some) for some in edges([[0, 0, 0], [1, 1, 1]], (1, 1, 1))] == [1, 0]
    assert [len(some) for some in edges([[0, 0, 0]], (1, 1, 1))] == [0, 0]


def test_the_five_polytopes_on_three_points_are_listed() -> None:
    rows = [line.split() for line in call("polytopes").splitlines()[1:]]
    assert sorted(tuple(word for word in row if word.isdigit() or "/" in word)[-3:] for row in rows) == [
        ("4", "4", "1/6"), ("5", "5", "1/3"), ("5", "5", "1/3"), ("6", "5", "1/2"), ("8", "6", "1"),
    ]  # fmt: skip


# --- diagrams -----------------------------------------------------------------------------------------------------


def test_diagrams_in_characters() -> None:
    assert draw_text(Poset.from_hasse("1<2>3<4")) == "2   4\n|\\  |\n| \\ |\n|  \\|\n1   3"
    assert draw_text(Poset.from_hasse("1<2, 1<3")) == "2       3\n \\     /\n  \\   /\n   \\ /\n    1"
    assert draw_text(Poset.antichain(3)) == "1   2   3"
    assert draw_text(Poset(0)) == ""


@pytest.mark.parametrize("n", range(1, 6))
def test_every_diagram_goes_upwards_and_no_edge_meets_a_third_point(n: int) -> None:
    for poset in all_posets(n):
        diagram = lay_out(poset)
        places = list(diagram.places.values())
        assert len(set(places)) == n
        assert set(diagram.edges) == set(poset.covers)
        for (a, b), path in diagram.edges.items():
            assert (path[0], path[-1]) == (diagram.places[a], diagram.places[b])
            assert [level for _, level in path] == list(range(path[0][1], path[-1][1] + 1))
            assert not set(path[1:-1]) & set(places)
        text = draw_text(poset)
        assert all(text.count(f"{point + 1}") == 1 for point in range(n))


def test_crossings_are_untangled() -> None:
    """Six parallel chains, given so that all of them would cross."""
    diagram = lay_out(Poset(12, [(point, 11 - point) for point in range(6)]))
    assert all(path[0][0] == path[1][0] for path in diagram.edges.values())


# --- show ---------------------------------------------------------------------------------------------------------


def test_show_says_the_facts_of_the_n() -> None:
    shown = " ".join(call("show", "N").split())
    for fact in (
        "up-sets 8",
        "linear extensions 5",
        "volume 5/24",
        "facets 7",
        "Ehrhart polynomial 5/24 t^4 + 5/4 t^3 + 67/24 t^2 + 11/4 t + 1",
        "series-parallel no",
        "dual itself, with other names",
        "filter max(r(x2 + r(x1)) + r(x4), x2 + x3 + x4 + r(x1))",
    ):
        assert fact in shown
    assert call("show", "12") == call("show", "N") == call("show", "1<2>3<4")


def test_the_filter_is_written_in_the_points_that_were_given() -> None:
    assert dict(facts(Poset.from_hasse("4<1, 2, 3")))["filter"] == "r(x1 + r(x4)) + r(x2) + r(x3)"
    assert dict(facts(Poset.from_hasse("1<2, 1<3, 1<4")))["dual"] == "2<1, 3<1, 4<1 (dual claw, index 0)"
    assert dict(facts(Poset.chain(5)))["filter"] == "r(x5 + r(x4 + r(x3 + r(x2 + r(x1)))))"
    assert dict(facts(Poset.from_hasse("1<2>3<4>5")))["filter"].startswith("max(")
    assert dict(facts(Poset.chain(1)))["Ehrhart polynomial"] == "t + 1"


def test_what_is_too_large_is_said() -> None:
    large = dict(facts(crown(13)))
    assert large["linear extensions"].startswith("not counted: poset has a part of 26 points")
    assert "at most 4,096 can be listed" in large["Ehrhart polynomial"]
    assert large["facets"] == f"{13 * 12 + 26}"


def test_posets_are_read_as_a_user_writes_them() -> None:
    assert read_poset("chain", 7) == Poset.chain(7)
    assert read_poset("1<2", 3) == Poset(3, [(0, 1)])
    assert read_poset(" 13 ") == read_poset("chain", 4) == Poset.chain(4)
    with pytest.raises(ArgumentError, match="poset 'chain' has 1500 points; at most 200 are drawn"):
        read_poset("chain", 1500)
    with pytest.raises(ArgumentError, match="--points must be 4 or left out for the poset 'N', got 5"):
        read_poset("N", 5)


def test_the_picture_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "n.png"
    assert str(path) in call("show", "N", "--png", str(path), columns=300)
    with Image.open(path) as picture:
        assert picture.size[0] == 1120
        low, high = picture.convert("L").getextrema()
    assert low < 80 < 250 < high
    call("show", "chain", "--points", "1", "--png", str(path))
    call("show", "chain", "--points", "3", "--png", str(path))
    for command in ("compare", "polytopes", "table"):
        path.unlink()
        assert str(path) in call(command, "--png", str(path), columns=300)
        with Image.open(path) as picture:
            assert picture.size[0] == 1120
    assert "figures are saved as .png" in call("show", "N", "--png", str(tmp_path / "n.jpg"), code=2)
    assert "could not be written" in call("show", "N", "--png", str(tmp_path / "no" / "n.png"), code=2)
    assert [file.name for file in tmp_path.iterdir()] == ["n.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("show", "M"), "unknown poset 'M'"),
        (("show", "16"), "poset index must be 0 to 15, got 16"),
        (("show", "1<2<1"), "relations contain the cycle"),
        (("show", "1<"), "is not a Hasse string"),
        (("compare", "1<2<3<4"), "names point 4, but has 3 points"),
        (("compare", "N"), "is not a Hasse string"),
    ],
)
def test_errors_are_one_sentence(arguments: tuple[str, ...], said: str) -> None:
    error = call(*arguments, code=2)
    assert error.startswith("cenote: ")
    assert len(error.strip().splitlines()) == 1
    assert said in error


# --- table --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [60, 160])
def test_the_table_has_a_line_for_each_of_the_sixteen(columns: int) -> None:
    shown = call("table", columns=columns)
    rows = [line.split() for line in shown.splitlines() if line[:2].strip().isdigit() and " ± 0." in line]
    assert [row[0] for row in rows] == [f"{index}" for index in range(16)]
    assert rows[12][:6] == ["12", "N", "8", "5", "7", "5/24"]
    assert "max(r(b + r(a)) + r(d), b + c + d + r(a))" in shown
    assert "2 exactly" in shown
    assert rows[13][-4:] == ["35/128", "78.92", "±", "0.616"]
    assert rows[12][-4:] == ["0.166", "78.92", "±", "0.514"]
    assert "78.92 ± 0.514" in shown
    assert "seed 0" in shown
