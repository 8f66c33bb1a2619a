"""README, guides and the built site: every example runs, every command is understood, every link leads somewhere."""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

import cenote
from cenote.catalog import Card, Shelf, load_cards
from cenote.cli import app
from cenote.site.settings import SiteSettings

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / "docs" / "pages"
TEXTS = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
GUIDES = sorted(PAGES.glob("*.md"))
GENERATED = {"papers/index.md", "changelog.md"} | {f"papers/{card.slug}.md" for card in load_cards()}

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$(?:\s*^```text\n(.*?)^```$)?", re.DOTALL | re.MULTILINE)
_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)(#[^)]*)?\)")
_FAST = ("papers", "show", "doctor")


@dataclass(frozen=True)
class Block:
    language: str
    code: str
    output: str | None
    """What a block of text right behind it says is printed."""
    place: str


def blocks(path: Path) -> Iterator[Block]:
    text = path.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        line = text[: match.start()].count("\n") + 2
        yield Block(match[1], match[2], match[3], f"{path.name}:{line}")


def all_blocks(language: str) -> list[Block]:
    return [block for path in [*TEXTS, *GUIDES] for block in blocks(path) if block.language == language]


def commands() -> list[str]:
    """Every command line of cenote in README and guides, once."""
    lines = [line for block in all_blocks("console") for line in block.code.splitlines()]
    return list(dict.fromkeys(line.removeprefix("$ ") for line in lines if line.startswith("$ cenote")))


def is_fast(command: str) -> bool:
    return command.split()[1] in _FAST or "--preset tiny" in command


@pytest.mark.parametrize("block", all_blocks("python"), ids=lambda block: block.place)
def test_python_block_runs_by_itself(block: Block) -> None:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block.code, block.place, "exec"), {"__name__": "__main__"})
    if block.output is not None:
        assert printed.getvalue() == block.output


@pytest.mark.parametrize("card", [card for card in load_cards() if card.runs], ids=lambda card: card.slug)
def test_example_of_a_paper_that_runs_runs(card: Card) -> None:
    exec(compile(card.example, card.slug, "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("command", commands())
def test_command_is_understood(command: str) -> None:
    """Names, options and types of arguments are those of the command line; nothing is run."""
    group: Any = typer.main.get_command(app)
    _, name, *arguments = shlex.split(command)
    verb = group.get_command(group.make_context("cenote", [], resilient_parsing=True), name)
    assert verb is not None, f"there is no command {name!r}"
    verb.make_context(name, arguments)


@pytest.mark.parametrize("command", [command for command in commands() if is_fast(command)])
def test_fast_command_succeeds(command: str, tmp_path: Path) -> None:
    program = Path(sysconfig.get_path("scripts")) / "cenote"
    environment = {**os.environ, "CENOTE_RUNS": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    arguments = [str(program), *shlex.split(command)[1:]]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_readme_is_up_to_date(generate: ModuleType) -> None:
    readme = ROOT / "README.md"
    cards = load_cards()
    picture = generate.newest_picture(cards)
    text = readme.read_text(encoding="utf-8")
    fresh = generate.render_readme(text, cards, generate.newest_results(cards), picture)
    assert text == fresh, "README.md is not up to date; run: python docs/generate.py"
    if picture is not None:
        assert (ROOT / picture.in_readme).read_bytes() == picture.path.read_bytes(), "run: python docs/generate.py"


def test_readme_names_every_shelf_as_an_extra() -> None:
    words = set(re.findall(r"`(\w+)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    assert {shelf.value for shelf in Shelf} <= words


@pytest.mark.parametrize("path", [*TEXTS, *GUIDES], ids=lambda path: path.name)
def test_relative_links_lead_to_files(path: Path) -> None:
    for match in _LINK.finditer(path.read_text(encoding="utf-8")):
        target = match[1]
        generated = path.parent == PAGES and target in GENERATED
        assert generated or (path.parent / target).exists(), f"{path.name} links to {target}, which is not there"


def test_every_guide_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [path.name for path in GUIDES if path.name not in navigation] == []


def test_versions_agree() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {cenote.__version__}\n" in citation
    assert f"\n## [{cenote.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_site_builds_without_a_warning_and_loads_nothing_from_elsewhere(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(arguments, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    for card in load_cards():
        page = (tmp_path / "site" / "papers" / f"{card.slug}.html").read_text(encoding="utf-8")
        assert f'<p class="admonition-title">{card.status.capitalize()}</p>' in page
        loaded = re.findall(r"<(?:script|img)[^>]* src=\"([^\"]+)|<link[^>]* href=\"([^\"]+)", page)
        assert [url for pair in loaded for url in pair if url.startswith(("http", "//"))] == []


def test_the_feeds_page_has_every_setting_of_the_site() -> None:
    rows = re.findall(r"^\| `CENOTE_.*$", (PAGES / "feed.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [
        f"| `CENOTE_{name.upper()}` | {f'`{setting.default}`' if setting.default else '–'} | {setting.description} |"
        for name, setting in SiteSettings.model_fields.items()
    ]
