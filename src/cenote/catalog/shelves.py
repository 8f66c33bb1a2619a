"""Lazy shelves: ``from cenote.pooling import PosetPool2d`` imports the paper, and torch with it, only then."""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from cenote.errors import MissingExtraError

PACKAGE = Path(__file__).resolve().parent.parent


def hand_on(shelf_module: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the ``__getattr__`` and ``__dir__`` of a shelf, which hand on the public names of its papers.

    Args:
        shelf_module: The shelf's ``__name__``, such as ``cenote.pooling``.

    Returns:
        The two functions. The first raises AttributeError for a name that no paper has, and MissingExtraError (with the
        command that installs it) where a dependency of the paper is missing.
    """
    shelf = shelf_module.rpartition(".")[2]

    def get(name: str) -> Any:
        paper = public_names(shelf).get(name)
        if paper is None:
            raise AttributeError(f"module {shelf_module!r} has no attribute {name!r}")
        with needing(shelf):
            value = getattr(importlib.import_module(f"{shelf_module}.{paper}"), name)
        setattr(sys.modules[shelf_module], name, value)
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[shelf_module]), *public_names(shelf)})

    return get, list_names


@cache
def public_names(shelf: str, package: Path = PACKAGE) -> dict[str, str]:
    """Return, for every public name of a shelf, the folder of the paper that has it, without importing any.

    The names are those of ``__all__`` in the papers' ``__init__.py``.
    """
    names: dict[str, str] = {}
    for path in sorted((package / shelf).glob("*/__init__.py")):
        for name in _all_of(path):
            names[name] = path.parent.name
    return names


def _all_of(path: Path) -> list[str]:
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return list(ast.literal_eval(node.value))
    return []


class needing:  # noqa: N801  # reads as a sentence: with needing("pooling"):
    """Turn a missing third-party module into one sentence with the command that installs it."""

    def __init__(self, extra: str) -> None:
        self.extra = extra

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("cenote"):
            raise MissingExtraError(
                f"{error.name} is not installed; this needs: pip install 'cenote[{self.extra}]'"
            ) from None
