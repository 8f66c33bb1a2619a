"""Which way imports run, what the core may load, and that no two modules import each other in a circle."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx
import pytest

from cenote.catalog import Shelf, load_cards

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "cenote"

HEAVY = frozenset({"torch", "torchvision", "numpy", "scipy", "sklearn", "matplotlib", "numba", "accelerate", "pandas"})

MAY_IMPORT = {
    "cenote": frozenset[str](),
    "errors": frozenset[str](),
    "catalog": frozenset({"cenote", "errors", "catalog"}),
    "lab": frozenset({"cenote", "errors", "catalog", "lab"}),
    "site": frozenset({"cenote", "errors", "catalog", "site"}),
    "cli": frozenset({"cenote", "errors", "catalog", "lab", "site"}),
    "shelf": frozenset({"catalog"}),
    "paper": frozenset({"method"}),
    "method": frozenset({"errors", "paper", "method"}),
    "experiment": frozenset({"cenote", "errors", "catalog", "lab", "paper", "method", "experiment"}),
}
"""What the modules of a group may import of cenote.

``shelf`` is a shelf's ``__init__``, ``paper`` a paper's, ``method`` the modules of a paper or of a shelf, and
``experiment`` a paper's experiment, its settings, commands and pictures. A method is imported from its module, not
through its shelf: the shelf is lazy, so the method's fingerprint could not follow.
"""

MAY_LOAD = {"cenote.site.embedding.export": {"numpy", "torch"}}
"""Modules of the site that may load what its web process must not; its web process loads numpy for vectors only."""

WITHOUT_EXTRAS = frozenset({"cenote", "errors", "catalog", "cli", "shelf"})
"""Groups that work with the core dependencies alone."""


@dataclass(frozen=True)
class Import:
    """One name that a module imports."""

    module: str
    target: str
    """Full name of the imported module, or of a name in one."""
    line: int
    at_start: bool
    """Whether importing the module runs it: outside of functions and of TYPE_CHECKING."""

    def __str__(self) -> str:
        return f"{self.module}, line {self.line}: {self.target}"


# --- reading the source -------------------------------------------------------------------------------------------


def _modules() -> dict[str, Path]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return {".".join(("cenote", *_parts(path))): path for path in paths}


def _parts(path: Path) -> tuple[str, ...]:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[:-1] if parts[-1] == "__init__" else parts


MODULES = _modules()


def imports_of(module: str) -> list[Import]:
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    return read_imports(path.read_text(encoding="utf-8"), module, package)


def read_imports(source: str, module: str, package: str) -> list[Import]:
    return [
        Import(module, target, node.lineno, at_start)
        for node, at_start in _import_statements(ast.parse(source), at_start=True)
        for target in _targets(node, package)
    ]


def _import_statements(node: ast.AST, *, at_start: bool) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, at_start
        else:
            yield from _import_statements(child, at_start=at_start and not _runs_later(child))


def _runs_later(node: ast.AST) -> bool:
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.unparse(node.test)
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def _targets(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    source = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        source = ".".join([*above, source]).rstrip(".")
    names = [f"{source}.{alias.name}" for alias in node.names]
    # A name that is no module stands for what its module runs.
    return [name if name in MODULES or not source.startswith("cenote") else source for name in names]


def group_of(module: str) -> str:
    parts = module.split(".")[1:]
    if not parts or parts[0] not in set(Shelf):
        return parts[0] if parts else "cenote"
    if len(parts) == 1:
        return "shelf"
    is_room = (PACKAGE / parts[0] / parts[1] / "card.toml").is_file()
    if is_room and len(parts) == 2:
        return "paper"
    return (
        "experiment" if is_room and re.fullmatch("experiment|settings|commands|(.*_)?pictures", parts[2]) else "method"
    )


ALL = [found for module in MODULES for found in imports_of(module)]


# --- direction ----------------------------------------------------------------------------------------------------


SNIPPET = """
import torch.nn
from cenote.catalog import card, Card
from ..lab import runner as r
if TYPE_CHECKING:
    import cenote.cli
class A:
    import cenote.errors
    def f(self):
        from cenote import site, __version__
"""


def test_how_imports_are_read() -> None:
    found = read_imports(SNIPPET, "cenote.pooling.x", "cenote.pooling")
    assert [(each.line, each.target, each.at_start) for each in found] == [
        (2, "torch.nn", True),
        (3, "cenote.catalog.card", True),
        (3, "cenote.catalog", True),
        (4, "cenote.lab.runner", True),
        (6, "cenote.cli", False),
        (8, "cenote.errors", True),
        (10, "cenote.site" if "cenote.site" in MODULES else "cenote", False),
        (10, "cenote", False),
    ]


def test_modules_have_their_groups() -> None:
    groups = {module: group_of(module) for module in MODULES}
    assert groups["cenote"] == "cenote"
    assert groups["cenote.lab.data.mnist"] == "lab"
    assert groups["cenote.pooling"] == "shelf"
    assert groups["cenote.pooling.order_theory"] == "paper"
    assert groups["cenote.pooling.order_theory.pooling"] == "method"
    assert groups["cenote.pooling.order_theory.pictures"] == "experiment"
    assert groups["cenote.pooling.order_theory.polytope_pictures"] == "experiment"
    assert set(groups.values()) >= {"errors", "catalog", "cli", "experiment"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    group = group_of(module)
    assert group in MAY_IMPORT, f"{module} belongs to no group; give it a line in MAY_IMPORT"
    ours = [each for each in imports_of(module) if each.target.split(".")[0] == "cenote"]
    wrong = [str(each) for each in ours if group_of(each.target) not in MAY_IMPORT[group]]
    assert not wrong, f"{group} may import {', '.join(sorted(MAY_IMPORT[group])) or 'nothing of cenote'}; {wrong}"
    room = module.split(".")[1:3]
    others = [str(e) for e in ours if group_of(e.target) == "experiment" and e.target.split(".")[1:3] != room]
    assert not others, f"another paper's experiment is not a library: {others}"


@pytest.mark.parametrize("module", [module for module in MODULES if group_of(module) in WITHOUT_EXTRAS | {"site"}])
def test_the_core_and_the_site_import_nothing_heavy(module: str) -> None:
    allowed = MAY_LOAD.get(module, {"numpy"} if group_of(module) == "site" else set())
    heavy = [str(each) for each in imports_of(module) if each.target.split(".")[0] in HEAVY - allowed]
    assert not heavy


@pytest.mark.parametrize("module", MAY_LOAD)
def test_what_may_load_torch_does_so_when_called_and_is_no_part_of_the_web_process(module: str) -> None:
    assert not [str(each) for each in imports_of(module) if each.at_start and each.target.split(".")[0] == "torch"]
    importers = {each.module for each in ALL if each.target == module or each.target.startswith(f"{module}.")}
    assert {importer.rpartition(".")[0] for importer in importers} == {module.rpartition(".")[0]}


@pytest.mark.parametrize("module", [module for module in MODULES if group_of(module) in WITHOUT_EXTRAS])
def test_the_core_imports_only_its_dependencies(module: str) -> None:
    """The names in pyproject.toml are the import names, for the few that the core has."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"\W", name.replace("-", "_"))[0] for name in project["dependencies"]}
    allowed = declared | sys.stdlib_module_names | {"cenote"}
    other = [str(each) for each in imports_of(module) if each.target.split(".")[0] not in allowed]
    assert not other, f"not among the dependencies of the core: {other}"


def test_shared_code_names_no_paper() -> None:
    """Papers are found through their cards: no slug and no paper's module is a string of the shared code either."""
    slugs = {card.slug for card in load_cards()}
    rooms = tuple(card.module for card in load_cards())
    found = []
    for module in MODULES:
        if group_of(module) in ("catalog", "lab", "site", "cli"):
            for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    named = node.value in slugs or node.value.startswith(rooms)
                    found += [f"{module}, line {node.lineno}: {node.value!r}"] * named
    assert not found


def test_no_circles() -> None:
    graph = networkx.DiGraph((each.module, each.target) for each in ALL if each.at_start and each.target in MODULES)
    circles = [sorted(part) for part in networkx.strongly_connected_components(graph) if len(part) > 1]
    assert not circles
    assert not list(networkx.selfloop_edges(graph))


# --- what is loaded -----------------------------------------------------------------------------------------------

MOST_MODULES = 300
"""Modules that ``import cenote.catalog`` may load beyond a bare Python: 206 when this was written, pydantic's mostly. A
count, not a time, so that a busy machine gives the same answer."""

LOADED = """
import json, sys
before = set(sys.modules)
try:
    exec(sys.argv.pop(1))
except SystemExit as leaving:
    assert not leaving.code, leaving.code
print(json.dumps(sorted(set(sys.modules) - before)), file=sys.stderr)
"""

COMMAND = "from cenote.cli import main; main()"


def loaded(statement: str, *arguments: str) -> set[str]:
    call = [sys.executable, "-W", "error", "-c", LOADED, statement, *arguments]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize(
    "call",
    [
        ("import cenote",),
        ("import cenote.catalog",),
        (f"import {', '.join(f'cenote.{shelf}' for shelf in Shelf)}",),
        (COMMAND, "--help"),
        (COMMAND, "--version"),
        (COMMAND, "papers"),
        (COMMAND, "papers", "pooling", "--json"),
        (COMMAND, "show", "order-theory"),
    ],
    ids=" ".join,
)
def test_nothing_heavy_is_loaded(call: tuple[str, ...]) -> None:
    modules = loaded(*call)
    assert any(name.split(".")[0] == "cenote" for name in modules)
    assert not {name.split(".")[0] for name in modules} & HEAVY


def test_the_package_itself_loads_next_to_nothing() -> None:
    assert {name for name in loaded("import cenote") if name.startswith("cenote")} == {"cenote"}


def test_importing_the_catalog_stays_modest() -> None:
    assert len(loaded("import cenote.catalog")) <= MOST_MODULES
