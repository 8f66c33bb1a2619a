"""The wheel, installed in a clean environment with the core dependencies alone, does what the core promises."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

import pytest

from cenote.catalog import load_cards

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    _call(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of a new environment with nothing but the wheel and what it requires."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    scripts = home / ("Scripts" if os.name == "nt" else "bin")
    _call(scripts / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel)
    return scripts


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    """Cards, results, templates, schemas and py.typed among them, and nothing else."""
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    source = ROOT / "src"
    files = [path for path in source.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert packed == {path.relative_to(source).as_posix() for path in files}
    cards = {f"cenote/{card.shelf}/{card.folder}/card.toml" for card in load_cards()}
    assert len(cards) == 38
    assert packed >= cards | {"cenote/py.typed", "cenote/lab/templates/report.html.j2"}


def test_the_wheel_says_what_it_is(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = archive.read(name).decode()
        assert any(name.endswith("/licenses/LICENSE") for name in archive.namelist())
    required = re.findall(r"^Requires-Dist: (\S+?)[>=<;\[ ]((?!.*extra ==).*)$", metadata, re.MULTILINE)
    assert {name for name, _ in required} == {"pydantic", "pydantic-settings", "rich", "typer"}
    assert "License-Expression: MIT" in metadata


def test_the_core_is_without_torch(installed: Path) -> None:
    code = "import importlib.util as u; print([m for m in ('torch', 'numpy', 'matplotlib') if u.find_spec(m)])"
    assert _call(installed / "python", "-c", code).stdout.strip() == "[]"


def test_papers_are_listed_with_what_was_measured(installed: Path) -> None:
    entries = json.loads(_call(installed / "cenote", "papers", "--json").stdout)
    assert [entry["slug"] for entry in entries] == [card.slug for card in load_cards()]
    assert "order-theory" in _call(installed / "cenote", "papers", "order polytope").stdout


def test_a_paper_is_shown(installed: Path) -> None:
    shown = " ".join(_call(installed / "cenote", "show", "order-theory").stdout.split())
    for text in ("Order Theory in the Context of Machine Learning", "2412.06097", "runs here", "Use it:"):
        assert text in shown


def test_doctor_finds_cards_and_results_sound(installed: Path) -> None:
    report = " ".join(_call(installed / "cenote", "doctor").stdout.split())
    assert f"{len(load_cards())} papers" in report
    assert "torch is not installed" in report
    assert "pip install 'cenote[lab]'" in report


def test_run_names_the_extra_to_install(installed: Path, tmp_path: Path) -> None:
    done = _call(installed / "cenote", "run", "order-theory", "--runs", tmp_path, expect=2)
    assert re.fullmatch(r"cenote: [^\n]* is not installed[^\n]* pip install 'cenote\[pooling\]'\n", done.stderr)
    assert not list(tmp_path.iterdir())


def test_run_says_that_a_paper_is_listed_before_it_asks_for_an_extra(installed: Path, tmp_path: Path) -> None:
    done = _call(installed / "cenote", "run", "affnet", "--runs", tmp_path, expect=2)
    assert re.fullmatch(r"cenote: affnet is listed[^\n]*\n", done.stderr)


def _call(*command: str | Path, expect: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command away from the checkout, with nothing of this environment but where programs are."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL", "CENOTE"))}
    call, elsewhere = [str(part) for part in command], tempfile.gettempdir()
    done = subprocess.run(call, capture_output=True, text=True, check=False, env=clean, cwd=elsewhere)
    assert done.returncode == expect, f"{command}: exit code {done.returncode}\n{done.stdout}{done.stderr}"
    assert "Traceback" not in done.stderr
    return done
