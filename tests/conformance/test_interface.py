"""Public names are documented, typed, kept, and handed on by their shelf; examples in docstrings and cards run."""

from __future__ import annotations

import ast
import builtins
import doctest
import importlib
import inspect
import json
import re
import subprocess
import sys
import textwrap
import typing
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor, nn

from cenote import errors
from cenote.catalog import Card, Shelf, load_cards
from cenote.errors import CenoteError
from tests.conformance.case import TESTS

SNAPSHOT = Path(__file__).with_name("public_names.json")
SOURCE = TESTS.parent / "src"


def public_names(card: Card) -> dict[str, Any]:
    package = importlib.import_module(card.module)
    return {name: getattr(package, name) for name in package.__all__}


def members(public: type) -> Iterator[tuple[str, Any]]:
    """The public methods and properties that a class of ours defines itself."""
    for name, member in vars(public).items():
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property | cached_property)):
            yield name, plain


def _getter(member: Any) -> Any:
    """The function behind a property; anything else as it is."""
    return getattr(member, "fget", None) or getattr(member, "func", None) or member


# --- docstrings ---------------------------------------------------------------------------------------------------


def test_every_public_name_begins_with_a_sentence(running_card: Card) -> None:
    undocumented = []
    for name, public in public_names(running_card).items():
        documented = [(name, public)]
        if isinstance(public, type):
            documented += [(f"{name}.{own}", member) for own, member in members(public)]
        undocumented += [path for path, thing in documented if not _has_summary(thing)]
    assert not undocumented, f"no sentence at the head of the docstring of {', '.join(undocumented)}"


def test_methods_say_shapes_source_and_example(running_card: Card) -> None:
    for name, public in public_names(running_card).items():
        if _is_method(public):
            text = inspect.getdoc(public) or ""
            assert re.search(r"^Shapes:$", text, re.MULTILINE), f"the docstring of {name} has no 'Shapes:'"
            assert running_card.arxiv in text, f"the docstring of {name} does not name arXiv {running_card.arxiv}"
            assert ">>> " in text, f"the docstring of {name} has no example"


def test_errors_are_documented(running_card: Card) -> None:
    """What raises an error of ours, itself or through the paper's modules, has 'Raises:' with classes that exist."""
    for name, public in public_names(running_card).items():
        raised = _raised(_called(public), running_card.module, through_calls=True)
        _check_raises(name, public, raised)
        for own, member in members(public) if isinstance(public, type) else ():
            if inspect.isfunction(member):
                _check_raises(f"{name}.{own}", member, _raised(member, running_card.module, through_calls=False))


def _has_summary(thing: Any) -> bool:
    first = (_getter(thing).__doc__ or "").strip().partition("\n\n")[0]
    return bool(re.search(r"[.:)`]$", first)) and len(first.split()) >= 3


def _is_method(public: Any) -> bool:
    """Whether it is a module, or a function that takes or returns tensors or modules."""
    if isinstance(public, type):
        return issubclass(public, nn.Module)
    return inspect.isfunction(public) and any(map(_mentions_torch, typing.get_type_hints(public).values()))


def _mentions_torch(hint: Any) -> bool:
    if isinstance(hint, type):
        return issubclass(hint, Tensor | nn.Module)
    return any(map(_mentions_torch, typing.get_args(hint)))


def _check_raises(name: str, public: Any, raised: set[type[CenoteError]]) -> None:
    section = re.search(r"^Raises:\n((?:[ ]+.*\n?|\n)+)", inspect.getdoc(public) or "", re.MULTILINE)
    named = set(re.findall(r"^    (\w+):", section.group(1), re.MULTILINE)) if section else set()
    unknown = [error for error in named if not hasattr(errors, error) and not hasattr(builtins, error)]
    assert not unknown, f"'Raises:' of {name} names {', '.join(unknown)}, which do not exist"
    assert not raised or named, f"{name} raises {', '.join(error.__name__ for error in raised)}; it has no 'Raises:'"


def _called(public: Any) -> Any:
    """What runs when a public name is called."""
    return inspect.getattr_static(public, "__init__") if isinstance(public, type) else public


def _raised(
    function: Any, module: str, *, through_calls: bool, seen: frozenset[Any] = frozenset()
) -> set[type[CenoteError]]:
    """The errors of ours that a function raises by name, and those of the paper's functions and classes it calls."""
    function = inspect.unwrap(function)
    if not inspect.isfunction(function) or function in seen or not function.__module__.startswith(module):
        return set()
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except OSError:  # written by a dataclass
        return set()
    names = vars(sys.modules[function.__module__])
    found: set[type[CenoteError]] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            callee = names.get(node.func.id)
            if isinstance(callee, type) and issubclass(callee, CenoteError):
                found.add(callee)
            elif through_calls and callee is not None:
                found |= _raised(_called(callee), module, through_calls=True, seen=seen | {function})
    return found


# --- types and the snapshot ---------------------------------------------------------------------------------------


def test_public_names_are_typed(running_card: Card) -> None:
    untyped = []
    for name, public in public_names(running_card).items():
        if isinstance(public, type) and not issubclass(public, BaseException):
            typing.get_type_hints(public)
            if "__init__" in vars(public):
                untyped += [f"{name}({p})" for p in _untyped(public.__init__, result=False)]
            for own, member in members(public):
                untyped += [f"{name}.{own}({p})" for p in _untyped(_getter(member))]
        elif inspect.isfunction(public):
            untyped += [f"{name}({p})" for p in _untyped(public)]
    assert not untyped, f"no type: {', '.join(untyped)}"


def _untyped(function: Callable[..., Any], *, result: bool = True) -> list[str]:
    hints = typing.get_type_hints(function)  # raises where a name in an annotation does not exist at run time
    parameters = [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]
    return [name for name in parameters + ["return"] * result if hints.get(name, Any) is Any]


def test_public_names_are_those_of_the_snapshot(request: pytest.FixtureRequest) -> None:
    """A public name or signature that changes breaks somebody's code; so it changes on purpose, never by accident."""
    now = dict(sorted(_signatures()))
    if request.config.getoption("--update-public-names"):
        SNAPSHOT.write_text(json.dumps(now, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    kept = json.loads(SNAPSHOT.read_text(encoding="utf-8"))
    changes = [f"- {name}: {kept[name]}" for name in kept if now.get(name) != kept[name]]
    changes += [f"+ {name}: {now[name]}" for name in now if kept.get(name) != now[name]]
    assert not changes, (
        "public names changed:\n{}\nIf that is meant, keep the old name with a DeprecationWarning where there was a "
        "release, say it in CHANGELOG.md, and write the snapshot anew:\n"
        "    pytest tests/conformance/test_interface.py --update-public-names"
    ).format("\n".join(sorted(changes, key=lambda line: line[2:])))


def _signatures() -> Iterator[tuple[str, str]]:
    for card in load_cards():
        for name, public in public_names(card).items() if card.runs else ():
            path = f"cenote.{card.shelf}.{name}"
            yield path, _signature(public)
            if isinstance(public, type):
                yield from ((f"{path}.{own}", _signature(member)) for own, member in members(public))


def _signature(public: Any) -> str:
    if isinstance(public, type) and issubclass(public, BaseException):
        return f"class({', '.join(base.__name__ for base in public.__bases__)})"
    if isinstance(public, property | cached_property):
        return f"property -> {_getter(public).__annotations__['return']}"
    assert callable(public), f"{public!r} is neither a class nor a function; say here how it is written down"
    signature = inspect.signature(public)
    parameters = [
        parameter.replace(annotation=_AsWritten(parameter.annotation))
        for name, parameter in signature.parameters.items()
        if name not in ("self", "cls")
    ]
    if isinstance(public, type):
        return f"class{signature.replace(parameters=parameters, return_annotation=signature.empty)}"
    text = str(signature.replace(parameters=parameters, return_annotation=_AsWritten(signature.return_annotation)))
    assert " at 0x" not in text, f"a default has no stable name: {text}"
    return text


class _AsWritten:
    """An annotation as the source has it, without the quotes that a deferred one is shown with."""

    def __init__(self, annotation: str | type) -> None:
        self.annotation = annotation

    def __repr__(self) -> str:
        return self.annotation if isinstance(self.annotation, str) else inspect.formatannotation(self.annotation)


# --- shelves ------------------------------------------------------------------------------------------------------

LAZILY = """
import importlib, json, sys
found = {shelf: dir(importlib.import_module(f"cenote.{shelf}")) for shelf in sys.argv[1:]}
print(json.dumps({"names": found, "torch": "torch" in sys.modules}))
"""


def test_shelves_list_the_names_of_their_papers_without_torch() -> None:
    call = [sys.executable, "-c", LAZILY, *Shelf]
    answer = json.loads(subprocess.run(call, check=True, capture_output=True, text=True).stdout)
    assert not answer["torch"]
    for shelf in Shelf:
        listed = {name for name in answer["names"][shelf] if not name.startswith("_")}
        assert listed == {name for card in load_cards() if card.shelf == shelf for name in _names_of(card)}


def test_a_shelf_hands_on_its_papers_names(shelf: Shelf) -> None:
    module = importlib.import_module(f"cenote.{shelf}")
    papers = [card for card in load_cards() if card.shelf == shelf and card.runs]
    names = [name for card in papers for name in _names_of(card)]
    assert len(set(names)) == len(names), f"two papers of {shelf} have one public name"
    for card in papers:
        for name, public in public_names(card).items():
            assert getattr(module, name) is public
    with pytest.raises(AttributeError, match=rf"cenote\.{shelf}.*no_such_name"):
        module.no_such_name  # noqa: B018


def _names_of(card: Card) -> list[str]:
    return list(getattr(importlib.import_module(card.module), "__all__", []))


# --- examples -----------------------------------------------------------------------------------------------------


def _modules_with_examples() -> list[str]:
    paths = [path for path in sorted(SOURCE.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]
    names = [".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in paths]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", _modules_with_examples())
def test_examples_in_docstrings_run(name: str) -> None:
    failed, attempted = doctest.testmod(importlib.import_module(name))
    assert attempted, f"{name} has '>>>', but not in a docstring"
    assert not failed, "an example gives something else; see what doctest printed"


def test_the_example_of_the_card_runs(running_card: Card) -> None:
    """It is self-contained, and asserts what it says."""
    assert "assert " in running_card.example
    code = compile(running_card.example, f"{running_card.slug}: example of the card", "exec")
    exec(code, {"__name__": "example"})
