"""``cenote poset``: a poset's diagram and polytope, and the table of the sixteen."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from cenote.errors import ArgumentError
from cenote.lab import plots
from cenote.pooling.order_theory import polytope_pictures, poset_pictures, table9
from cenote.pooling.order_theory.enumeration import all_posets
from cenote.pooling.order_theory.filter_text import broken, filter_text
from cenote.pooling.order_theory.four_points import HASSE, NAMES, resolve_poset
from cenote.pooling.order_theory.gradient_reach import expected_reach, no_update_probability
from cenote.pooling.order_theory.hasse import draw_text
from cenote.pooling.order_theory.order_polytope import OrderPolytope
from cenote.pooling.order_theory.poset import Poset
from cenote.pooling.order_theory.poset_networks import is_series_parallel

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


_TABLE_WIDTH = 136
"""Columns of the table of the sixteen: it is unreadable when wrapped, and a narrow terminal scrolls."""

_COLUMNS = ("", "poset", "up-sets", "linear ext.", "facets", "volume", "filter")

_LEGEND = """\
a, b, c, d are points 1 to 4 (top left, top right, bottom left, bottom right of a window); r is the ReLU.
With gradient: expected number of entries, for independent symmetric input. A poset that is its own dual updates half of
them; the others are estimated from 524,288 windows of normal values (seed 0), with the standard error.
No update: probability that no entry of such a window receives gradient. It is exact where every component is a chain;
the others are estimated from the same windows, with a standard error below 0.001."""

_MOST_POINTS = 200
"""A diagram of more points shows nothing."""


@app.callback()
def poset() -> None:
    """Posets, their polytopes and their filters."""


@app.command()
def show(
    poset: Annotated[str, typer.Argument(help="Index 0 to 15, a name such as N, or a Hasse string such as '1<2>3<4'.")],
    points: Annotated[int | None, typer.Option(min=0, help="Points of a chain, antichain or Hasse string.")] = None,
    png: Annotated[Path | None, typer.Option(help="Also draw the diagram into this .png file.")] = None,
) -> None:
    """Draw a poset's Hasse diagram and say what its order polytope and its filter are."""
    shown = read_poset(poset, points)
    lines = list(facts(shown))
    if png is not None:
        plots.save(poset_pictures.draw_with_facts(shown, lines), png)
    table = Table(box=None, show_header=False, pad_edge=False)
    console = Console(highlight=False, markup=False)
    console.print(draw_text(shown), "", sep="\n")
    room = max(20, console.width - max(len(name) for name, _ in lines) - 2)
    for name, text in lines:
        table.add_row(name, "\n".join(broken(text, room)) if name in FORMULAS else text)
    console.print(table)
    if png is not None:
        console.print(f"picture: {png}", soft_wrap=True)


@app.command()
def table(
    png: Annotated[Path | None, typer.Option(help="Also draw the sixteen Hasse diagrams into this .png file.")] = None,
) -> None:
    """List the paper's sixteen posets: polytopes, filters, gradients, and the printed accuracies."""
    if png is not None:
        named = {f"{index}: {NAMES[index]}": Poset.from_hasse(text) for index, text in enumerate(HASSE)}
        plots.save(poset_pictures.draw_diagrams(named), png)
    rows = Table(box=None, pad_edge=False)
    for column in (*_COLUMNS, "with gradient", "no update", "Table 9, %"):
        rows.add_column(column, justify="left" if column in ("poset", "filter") else "right", no_wrap=True)
    for index, (text, printed) in enumerate(zip(HASSE, table9.TABLE, strict=True)):
        each = Poset.from_hasse(text)
        polytope, reach, none = OrderPolytope(each), expected_reach(each), no_update_probability(each)
        rows.add_row(
            f"{index}",
            NAMES[index],
            f"{each.count_up_sets()}",
            f"{each.count_linear_extensions()}",
            f"{len(polytope.facets.bounds)}",
            f"{polytope.volume}",
            table9.closed_form(index),
            f"{reach.mean:.3f} ± {reach.standard_error:.3f}" if reach.standard_error else f"{reach.mean:g} exactly",
            f"{none.mean:.3f}" if none.standard_error else f"{Fraction(none.mean)}",
            f"{printed.mean:.2f} ± {printed.std:.3f}",
        )
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, _TABLE_WIDTH)
    console.print(rows, "", _LEGEND, sep="\n")
    console.print(
        f"Table 9: mean and standard deviation of {table9.SEEDS} trainings, as printed in the paper. The largest "
        f"difference, {table9.largest_difference():.2f} points, is\n"
        f"below the {table9.simultaneous_half_width():.2f} points that differences must exceed to be told from chance "
        "together (Tukey, 95 %); that does not show that\nthe filters are equal."
    )
    if png is not None:
        console.print(f"picture: {png}", soft_wrap=True)


@app.command()
def compare(
    poset: Annotated[str, typer.Argument(help="A Hasse string of three points, such as '1<2>3'.")] = "1<2>3",
    png: Annotated[Path | None, typer.Option(help="Also draw the four polytopes into this .png file.")] = None,
) -> None:
    """Set a filter of three entries beside max, average and mixed pooling: each is the maximum over a polytope."""
    polytopes = polytope_pictures.poolings(Poset.from_hasse(poset, 3))
    if png is not None:
        plots.save(polytope_pictures.draw_side_by_side(polytopes), png)
    rows = Table(box=None, pad_edge=False)
    for column in ("pooling", "vertices of the polytope", "of (1, 2, 3)", "of (1, -2, 3)"):
        rows.add_column(column, overflow="fold")
    for name, polytope in polytopes.items():
        corners = " ".join("(" + ",".join(f"{y:.3g}" for y in vertex) + ")" for vertex in polytope.vertices)
        rows.add_row(name, corners, *(f"{polytope.support(x):.3g}" for x in ((1, 2, 3), (1, -2, 3))))
    Console(highlight=False, markup=False).print(rows)
    if png is not None:
        Console(highlight=False, markup=False).print(f"picture: {png}", soft_wrap=True)


@app.command()
def polytopes(
    png: Annotated[Path | None, typer.Option(help="Also draw the five polytopes into this .png file.")] = None,
) -> None:
    """List the order polytopes of the five posets on three points, which can be drawn in space."""
    five = {poset.hasse(): poset for poset in all_posets(3)}
    if png is not None:
        drawn = {name: OrderPolytope(poset).polytope for name, poset in five.items()}
        plots.save(polytope_pictures.draw_side_by_side(drawn), png)
    rows = Table(box=None, pad_edge=False)
    for column in ("relations", "vertices", "facets", "volume", "filter"):
        rows.add_column(column, justify="left" if column in ("relations", "filter") else "right")
    for name, poset in five.items():
        polytope = OrderPolytope(poset)
        counts = (len(polytope.vertices), len(polytope.facets.bounds), polytope.volume)
        rows.add_row(name, *map(str, counts), filter_text(poset))
    console = Console(highlight=False, markup=False)
    console.print(rows)
    if png is not None:
        console.print(f"picture: {png}", soft_wrap=True)


# --- reading ------------------------------------------------------------------------------------------------------


def read_poset(text: str, points: int | None = None) -> Poset:
    """Return the poset that an index, a name or a Hasse string stands for; ``points`` where the text leaves it open.

    Raises:
        ArgumentError: If it stands for none, or for one that is too large to be drawn.
    """
    read = _read(text, points)
    if read.n > _MOST_POINTS:
        raise ArgumentError(f"poset {text!r} has {read.n} points; at most {_MOST_POINTS} are drawn")
    return read


def _read(text: str, points: int | None) -> Poset:
    if text.strip().isdigit():
        return resolve_poset(int(text))
    if any(sign in text for sign in "<>,;"):
        return Poset.from_hasse(text, points)
    named = resolve_poset(text)
    kinds = {Poset.chain(4): Poset.chain, Poset.antichain(4): Poset.antichain}
    if points is None or points == 4:
        return named
    if named not in kinds:
        raise ArgumentError(f"--points must be 4 or left out for the poset {text!r}, got {points}")
    return kinds[named](points)


# --- facts --------------------------------------------------------------------------------------------------------


FORMULAS = frozenset({"Ehrhart polynomial", "filter"})
"""Facts that are broken as formulas are, not as text is."""


def facts(poset: Poset) -> Iterator[tuple[str, str]]:
    """Yield names and texts of what there is to say about a poset."""
    index, names = _among_the_sixteen(poset)
    yield "relations", poset.hasse() or "none"
    if index is not None:
        yield "class", f"{NAMES[index]}, index {index}"
    yield "points", f"{poset.n}"
    yield "up-sets", f"{poset.count_up_sets():,} (vertices of the polytope, regions of the filter)"
    polytope = OrderPolytope(poset)
    try:
        yield "linear extensions", f"{poset.count_linear_extensions():,}"
        yield "volume", f"{polytope.volume}"
    except ArgumentError as error:
        yield "linear extensions", f"not counted: {error}"
    yield "facets", f"{len(polytope.facets.bounds)}"
    try:
        yield "Ehrhart polynomial", _polynomial(polytope.ehrhart_polynomial())
    except ArgumentError as error:
        yield "Ehrhart polynomial", f"not computed: {error}"
    yield "series-parallel", "yes" if is_series_parallel(poset) else "no"
    yield "dual", _dual(poset)
    yield "filter", filter_text(poset) if index is None else table9.closed_form(index, names)


def _among_the_sixteen(poset: Poset) -> tuple[int | None, tuple[str, str, str, str]]:
    """The index of the class, and the variables at its points 1 to 4."""
    for index, text in enumerate(HASSE):
        names = Poset.from_hasse(text).isomorphism(poset)
        if names is not None:
            first, second, third, fourth = (f"x{name + 1}" for name in names)
            return index, (first, second, third, fourth)
    return None, ("", "", "", "")


def _dual(poset: Poset) -> str:
    dual = poset.dual()
    if poset.is_isomorphic(dual):
        return "itself, with other names" if dual != poset else "itself"
    index, _ = _among_the_sixteen(dual)
    return f"{dual.hasse()}" + (f" ({NAMES[index]}, index {index})" if index is not None else "")


def _polynomial(coefficients: Sequence[Fraction]) -> str:
    """Write a polynomial in t, highest power first."""
    parts = []
    for power, factor in reversed(list(enumerate(coefficients))):
        if factor:
            size = f"{abs(factor)}" if abs(factor) != 1 or not power else ""
            variable = "" if not power else "t" if power == 1 else f"t^{power}"
            parts.append(("- " if factor < 0 else "+ ") + " ".join(filter(None, (size, variable))))
    return " ".join(parts).removeprefix("+ ")
