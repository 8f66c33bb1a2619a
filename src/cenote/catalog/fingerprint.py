"""Hashes of what a result depends on: the claims, the method and the experiment of a paper.

Comments, docstrings and formatting do not count, so that rewording a docstring does not make a result stale.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from cenote.catalog.card import Card
from cenote.catalog.results import Hashes, Result

PACKAGE = Path(__file__).resolve().parent.parent

NOT_THE_METHOD = frozenset({"experiment.py", "commands.py", "pictures.py"})
"""Modules of a paper's folder that its method does not consist of; the experiment has a hash of its own."""


def fingerprint(card: Card, package: Path = PACKAGE) -> Hashes:
    """Hash the card's claims, the method with the modules it uses of other rooms, and the experiment."""
    folder = package / card.shelf / card.folder
    claims = [claim.model_dump(mode="json", exclude={"sentence", "note", "figure_text"}) for claim in card.claims]
    method = _method_modules(folder, package)
    return Hashes(
        claims=_digest([json.dumps(claims, sort_keys=True)]),
        method=_digest(f"{path.relative_to(package)}\n{_normal_form(path)}" for path in sorted(method)),
        experiment=_digest([_normal_form(folder / "experiment.py")] if (folder / "experiment.py").is_file() else []),
    )


def is_stale(card: Card, result: Result, package: Path = PACKAGE) -> bool:
    """Whether claims, method or experiment changed since the result's run started."""
    return fingerprint(card, package) != result.hashes


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _method_modules(folder: Path, package: Path) -> set[Path]:
    """The paper's own modules, and what they import of the shelves, followed to the end."""
    shelves = {path.name for path in folder.parent.parent.iterdir() if path.is_dir()} - {"catalog", "lab", "site"}
    own = {path for path in folder.glob("*.py") if path.name not in NOT_THE_METHOD}
    found: set[Path] = set()
    waiting = list(own)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        for name in _imported(path):
            parts = name.split(".")
            if len(parts) > 2 and parts[0] == "cenote" and parts[1] in shelves:
                waiting += _files_of(parts[1:], package)
    return found


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _files_of(parts: list[str], package: Path) -> list[Path]:
    path = package.joinpath(*parts)
    return [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]


def _normal_form(path: Path) -> str:
    """Source without comments, docstrings and formatting."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
