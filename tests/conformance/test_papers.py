"""Every card is complete and true to the rules, and a paper's room, pages and commands say what its card says."""

from __future__ import annotations

import ast
import datetime as dt
import html
import importlib
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer

from cenote import cli
from cenote.catalog import Card, Claim, latest, load_cards
from cenote.catalog.card import Kind
from cenote.catalog.results import RESULTS
from tests.conformance.case import TESTS

REPOSITORY = TESTS.parent
PACKAGE = REPOSITORY / "src" / "cenote"

PLACEHOLDER = re.compile(r"\b(TODO|TBD|FIXME|XXX|lorem ipsum|write here|to be written|placeholder)\b", re.IGNORECASE)


# --- the card -----------------------------------------------------------------------------------------------------


def test_no_text_of_a_card_is_a_placeholder(card: Card) -> None:
    found = [text for text in _texts(card.model_dump(mode="json")) if PLACEHOLDER.search(text)]
    assert not found, f"{card.slug}: still to be written: {found}"


def test_the_summary_is_a_paragraph(card: Card) -> None:
    """Three sentences and 40 words are the least that say problem, method and outcome; "we" are the paper's authors."""
    assert len(card.summary.split()) >= 40
    assert len(re.findall(r"[.!?](?=\s|$)", card.summary)) >= 3
    assert not re.search(r"\b(we|our)\b", card.summary, re.IGNORECASE), "reads like the abstract"


def test_the_day_is_that_of_the_arxiv_id(card: Card) -> None:
    """An id carries year and month of its announcement, at most a month from the submission's."""
    year, month = 2000 + int(card.arxiv[:2]), int(card.arxiv[2:4])
    months = 12 * (year - card.published.year) + month - card.published.month
    assert 1 <= month <= 12
    assert months in (0, 1), f"{card.slug}: arXiv id {card.arxiv}, but published {card.published}"
    assert card.published < dt.date.today()  # noqa: DTZ011  # a day here or there makes no difference


def test_findings_name_tests_that_exist(card: Card) -> None:
    for finding in card.findings:
        path, *names = finding.test.split("::")
        file = REPOSITORY / path
        assert file.is_file(), f"{card.slug}: {finding.test}: there is no file {path}"
        assert file.is_relative_to(TESTS)
        assert names, f"{card.slug}: {finding.test} names no test; write {path}::test_…"
        scope: Any = ast.parse(file.read_text(encoding="utf-8"))
        for name in names:
            inside = {node.name: node for node in scope.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
            scope = inside.get(name.partition("[")[0])
            assert scope is not None, f"{card.slug}: {finding.test}: {path} has no {name}"
        assert scope.name.startswith("test_")


def test_claims_declare_enough_units(running_card: Card) -> None:
    """The least numbers with which the rule of a kind can say holds or fails."""
    for claim in running_card.claims:
        units, least = _least(claim)
        assert units is not None
        assert units >= least, f"{running_card.slug}, claim {claim.id!r}: {units} declared, {claim.kind} needs {least}"


def _least(claim: Claim) -> tuple[int | None, int]:
    """The declared number that is short, and the least it may be: of seeds first, then of other units."""
    if claim.kind in (Kind.EQUAL, Kind.BOUND):
        return claim.units, 1
    if claim.replication == "seed":
        if claim.kind is Kind.BETTER:
            return claim.units, 8 if len(claim.baselines) >= 3 else 5
        return claim.units, 5 if claim.kind in (Kind.TREND, Kind.RANK) else 2
    if claim.kind in (Kind.TREND, Kind.RANK) and (claim.units or 0) < 20:
        return claim.units, 20
    one_is_enough = claim.for_this_model or claim.kind is Kind.RATIO
    return claim.seeds, 1 if one_is_enough else 5


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


# --- room, pages and results --------------------------------------------------------------------------------------


def test_the_room_is_what_the_status_says(card: Card) -> None:
    room = PACKAGE / card.shelf / card.folder
    package = importlib.import_module(card.module)
    assert card.arxiv in (package.__doc__ or ""), f"the docstring of {card.module} does not name arXiv {card.arxiv}"
    modules = {path.stem for path in room.glob("*.py")} - {"__init__"}
    if card.runs:
        assert "experiment" in modules
        assert len(modules) >= 2, f"{card.module} runs, but has no method beside its experiment"
        assert package.__all__ == sorted(package.__all__, key=_as_ruff_sorts)
        assert all(hasattr(package, name) for name in package.__all__)
    else:
        assert not modules, f"{card.slug} is listed, but its room has {', '.join(sorted(modules))}"
        assert not getattr(package, "__all__", [])


def test_every_room_has_a_card() -> None:
    """A folder of a shelf is a paper; a shelf's shared code is a module."""
    rooms = {
        path.parent for shelf in {card.shelf for card in load_cards()} for path in (PACKAGE / shelf).glob("*/*.py")
    }
    assert rooms == {PACKAGE / card.shelf / card.folder for card in load_cards()}


def test_every_folder_of_results_is_a_running_paper() -> None:
    slugs = {path.name for path in RESULTS.glob("*/") if path.name != "__pycache__"}
    assert slugs <= {card.slug for card in load_cards() if card.runs}


def test_commands_of_a_card_import(card: Card) -> None:
    for command in card.commands:
        assert card.runs, f"{card.slug} is listed, but declares the command {command.name}"
        module, _, name = command.target.partition(":")
        assert module.startswith(f"{card.module}."), f"{command.target} is not in the paper's room"
        assert isinstance(getattr(importlib.import_module(module), name), typer.Typer)


def test_commands_have_names_of_their_own() -> None:
    verbs = {command.name or command.callback.__name__ for command in cli.app.registered_commands if command.callback}
    names = [command.name for card in load_cards() for command in card.commands]
    assert len({*names, *verbs}) == len(names) + len(verbs)


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    """The script that writes the generated pages, which is not part of the package."""
    name = "docs_generate"
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def test_the_docs_page_says_what_the_card_says(card: Card, docs: ModuleType) -> None:
    page = docs.paper_page(card, latest(card.slug))
    said = [card.title, card.arxiv, *(claim.sentence for claim in card.claims)]
    said += [card.example.strip()] if card.runs else ["listed"]
    said += [finding.sentence for finding in card.findings]
    plain = _plain(page)
    missing = [text for text in said if _plain(text) not in plain]
    assert not missing, f"the docs page of {card.slug} lacks {missing}"


def _plain(text: str) -> str:
    """Letters and digits, whatever Markdown and HTML do to the rest."""
    return " ".join(re.findall(r"\w+", html.unescape(text.replace("\\", "")).casefold()))


def _as_ruff_sorts(name: str) -> tuple[int, str]:
    """Constants, then classes, then functions (RUF022)."""
    return (0 if name.isupper() else 1 if name[0].isupper() else 2, name)


# --- the command line ---------------------------------------------------------------------------------------------


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run ``cenote`` in this process and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["cenote", *arguments])
    with pytest.raises(SystemExit) as leaving:
        cli.main()
    return int(leaving.value.code or 0)


def test_show_says_the_status(card: Card, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(monkeypatch, "show", card.slug) == 0
    shown = _plain(capsys.readouterr().out)
    assert _plain(card.title) in shown
    assert ("runs here" if card.runs else "listed its method is not here yet") in shown


def test_papers_lists_every_paper_with_its_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "papers", "--json") == 0
    entries = json.loads(capsys.readouterr().out)
    assert [(entry["slug"], entry["status"]) for entry in entries] == [(c.slug, c.status) for c in load_cards()]


def test_run_says_in_one_sentence_that_a_paper_is_listed(
    listed_card: Card, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert call(monkeypatch, "run", listed_card.slug, "--runs", str(tmp_path)) == 2
    printed = capsys.readouterr()
    assert re.fullmatch(rf"cenote: {listed_card.slug} is listed[^\n]*\n", printed.err)
    assert not printed.out
    assert not list(tmp_path.iterdir()), "a run folder was made for a paper that cannot run"
