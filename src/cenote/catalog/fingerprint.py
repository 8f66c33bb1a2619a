"""Hashes of what a result depends on: the claims, the method and the experiment of a paper.

Comments, docstrings and formatting do not count, so that rewording a docstring does not make a result stale; nor does
the version of Python.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
from collections.abc import Iterable, Iterator, Set
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from cenote.catalog.card import Card, Shelf
from cenote.catalog.files import write_text_atomic
from cenote.catalog.results import Hashes, Result
from cenote.catalog.shelves import public_names
from cenote.errors import StorageError

PACKAGE = Path(__file__).resolve().parent.parent

NOT_THE_METHOD = frozenset({"experiment.py", "commands.py", "pictures.py"})
"""Modules of a paper's folder that are not its method; the experiment has a hash of its own."""


def fingerprint(card: Card, package: Path = PACKAGE) -> Hashes:
    """Hash the card's claims, the method and the experiment (the latter two with what they use of other rooms).

    The method is what the experiment reaches of the paper's folder: a module it never imports cannot change a result.
    Without an experiment it is the whole folder.
    """
    folder = package / card.shelf / card.folder
    claims = [claim.model_dump(mode="json", exclude={"sentence", "note", "figure_text"}) for claim in card.claims]
    aside = {folder / name for name in NOT_THE_METHOD}
    experiment = folder / "experiment.py"
    texts = [_normal_form(experiment)] if experiment.is_file() else []
    reached = _with_imports({experiment}, package, without=aside - {experiment}) if texts else set(folder.glob("*.py"))
    method = _with_imports({path for path in reached if path.parent == folder} - aside, package, without=aside)
    rivals = reached - method - aside
    return Hashes(
        claims=_digest([json.dumps(claims, sort_keys=True)]),
        method=_digest(_modules(method, package)),
        experiment=_digest([*texts, *_modules(rivals, package)]),
    )


def kept_fingerprints(cards: Iterable[Card], file: Path, package: Path = PACKAGE) -> dict[str, Hashes]:
    """Hash several cards, or take the hashes from a file if no module and no card of the package changed since.

    To parse every module of every paper takes longer the more papers there are, and an installed package never changes.
    The file is written anew where it does not fit; where it cannot be, the next call parses again.

    Args:
        cards: Of the package.
        file: Where the hashes are kept.
        package: The package's folder.

    Returns:
        The hashes by slug.
    """
    state = _state(package)
    wanted = list(cards)
    with contextlib.suppress(OSError, ValidationError):
        kept = _Kept.model_validate_json(file.read_bytes())
        if kept.package == state and kept.hashes.keys() >= {card.slug for card in wanted}:
            return kept.hashes
    hashes = {card.slug: fingerprint(card, package) for card in wanted}
    with contextlib.suppress(StorageError):
        write_text_atomic(file, _Kept(package=state, hashes=hashes).model_dump_json(indent=1) + "\n")
    return hashes


class _Kept(BaseModel):
    """The file of ``kept_fingerprints``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str
    """Hash of all of its modules and cards."""
    hashes: dict[str, Hashes]


def _state(package: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted([*package.rglob("*.py"), *package.rglob("card.toml")]):
        content = hashlib.sha256(path.read_bytes()).hexdigest()
        digest.update(f"{path.relative_to(package).as_posix()}\0{content}\n".encode())
    return digest.hexdigest()


def is_stale(card: Card, result: Result, package: Path = PACKAGE) -> bool:
    """Whether claims, method or experiment changed since the result's run started."""
    return fingerprint(card, package) != result.hashes


def _digest(texts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def _modules(paths: Iterable[Path], package: Path) -> Iterator[str]:
    for path in sorted(paths):
        yield f"{path.relative_to(package).as_posix()}\n{_normal_form(path)}"


# --- which modules ------------------------------------------------------------------------------------------------


def _with_imports(modules: Iterable[Path], package: Path, *, without: Set[Path]) -> set[Path]:
    """Modules, and what they import of the shelves, followed to the end but not into ``without``."""
    found: set[Path] = set()
    waiting = list(modules)
    while waiting:
        path = waiting.pop()
        if path in found or path in without:
            continue
        found.add(path)
        for name in _imported(path, package):
            home, _, inside = name.partition(".")
            shelf, _, place = inside.partition(".")
            if home == "cenote" and shelf in set(Shelf) and place:
                waiting += _files_of(package / shelf, place.split("."), package)
    return found


def _imported(path: Path, package: Path) -> Iterator[str]:
    """The modules, or names in modules, that a module imports."""
    above = ("cenote", *path.relative_to(package).parts)
    for node in _import_statements(path.read_text(encoding="utf-8")):
        if isinstance(node, ast.ImportFrom):
            start = above[: len(above) - node.level] if node.level else ()
            module = ".".join([*start, *([node.module] if node.module else [])])
            for alias in node.names:
                yield f"{module}.{alias.name}"
                if not _is_module(f"{module}.{alias.name}", package):
                    yield module  # whose __init__ it may come from
        else:
            yield from (alias.name for alias in node.names)


# Papers share modules, and a module is looked at twice: for what it imports, then for what it says.
@lru_cache(maxsize=512)
def _import_statements(source: str) -> tuple[ast.Import | ast.ImportFrom, ...]:
    return tuple(node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom))


def _is_module(name: str, package: Path) -> bool:
    path = package.joinpath(*name.split(".")[1:])
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _files_of(shelf: Path, parts: list[str], package: Path) -> list[Path]:
    """The file of a module, or the paper whose public name a shelf hands on."""
    path = shelf.joinpath(*parts)
    files = [file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()]
    if files or len(parts) > 1:
        return files
    paper = public_names(shelf.name, package).get(parts[0])
    return [shelf / paper / "__init__.py"] if paper else []


# --- what counts of a module --------------------------------------------------------------------------------------


def _normal_form(path: Path) -> str:
    """Source without comments, docstrings and formatting."""
    return _normalized(path.read_text(encoding="utf-8"))


@lru_cache(maxsize=512)
def _normalized(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [statement for statement in node.body if not _is_text(statement)] or [ast.Pass()]
    return ast.unparse(_PortableFStrings().visit(tree))


class _PortableFStrings(ast.NodeTransformer):
    """Write an f-string as a tuple where ``ast.unparse`` would quote it in another way in another version of Python."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        inside = "".join(_inside(node))
        settled = "'" in text and '"' not in text + inside  # the only quotes left are the double ones
        if settled or not {"'", '"'} & set(inside):
            return node
        parts = [self._part(part) for part in node.values if not _is_empty(part)]  # 3.12 ends some with an empty text
        return ast.Tuple([ast.Constant("f-string"), *parts], ast.Load())

    def _part(self, part: ast.expr) -> ast.expr:
        if not isinstance(part, ast.FormattedValue):
            return part
        spec = self.visit(part.format_spec) if part.format_spec else ast.Constant(None)
        return ast.Tuple([self.visit(part.value), ast.Constant(part.conversion), spec], ast.Load())


def _is_empty(part: ast.expr) -> bool:
    return isinstance(part, ast.Constant) and part.value == ""


def _inside(node: ast.JoinedStr) -> Iterator[str]:
    """What stands in the braces of an f-string."""
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            yield ast.unparse(part.value)
            if isinstance(part.format_spec, ast.JoinedStr):
                yield from (str(each.value) for each in part.format_spec.values if isinstance(each, ast.Constant))
                yield from _inside(part.format_spec)


def _is_text(statement: ast.stmt) -> bool:
    return (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Constant)
        and isinstance(statement.value.value, str)
    )
