from __future__ import annotations

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import pytest

from cenote.lab.provenance import commit, environment


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")
    call = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip()


def write(path: Path, text: str = "x = 1\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(autouse=True)
def _own_repository(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither the settings of this machine nor a repository above the temporary folder count."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the package in ``src/cenote``, everything committed."""
    root = tmp_path / "checkout"
    for name in ("src/cenote/__init__.py", "src/cenote/results/a/1.json", "docs/index.md", "README.md"):
        write(root / name)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    return root


@pytest.fixture
def package(checkout: Path) -> Path:
    return checkout / "src" / "cenote"


def test_a_clean_checkout_is_its_commit(checkout: Path, package: Path) -> None:
    head = git(checkout, "log", "-1", "--format=%H")
    assert len(head) == 40
    assert commit(package) == (head, True)


@pytest.mark.parametrize(
    "change", ["src/cenote/__init__.py", "README.md", "src/cenote/new/deep/module.py", "tests/t.py"]
)
@pytest.mark.parametrize("staged", [False, True])
def test_any_change_of_the_tree_makes_it_unclean(checkout: Path, package: Path, change: str, staged: bool) -> None:
    write(checkout / change, "x = 2\n")
    if staged:
        git(checkout, "add", ".")
    assert commit(package) == (git(checkout, "rev-parse", "HEAD"), False)


def test_a_file_taken_away_makes_it_unclean(checkout: Path, package: Path) -> None:
    (checkout / "README.md").unlink()
    assert commit(package)[1] is False


@pytest.mark.parametrize("change", ["src/cenote/results/a/1.json", "src/cenote/results/b/2.json", "docs/new/page.md"])
def test_results_and_docs_do_not_count(checkout: Path, package: Path, change: str) -> None:
    write(checkout / change, "x = 2\n")
    assert git(checkout, "status", "--porcelain") != ""
    assert commit(package)[1] is True


@pytest.mark.parametrize("change", ["src/cenote/docs/page.md", "results/a/1.json", "src/docs/page.md", "docs.py"])
def test_other_folders_of_the_same_names_count(checkout: Path, package: Path, change: str) -> None:
    write(checkout / change)
    assert commit(package)[1] is False


@pytest.mark.parametrize("place", ["", "src/cenote", "docs", ".."])
def test_it_does_not_matter_where_one_stands(
    checkout: Path, package: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.chdir(checkout / place)
    assert commit(package)[1] is True
    write(checkout / "src/cenote/results/a/1.json", "x = 2\n")
    write(checkout / "docs/index.md", "x = 2\n")
    assert commit(package)[1] is True
    write(checkout / "README.md", "x = 2\n")
    assert commit(package)[1] is False


def test_a_package_at_the_root_of_its_repository(tmp_path: Path) -> None:
    root = tmp_path / "cenote"
    for name in ("__init__.py", "results/a/1.json"):
        write(root / name)
    git(root, "init", "--quiet")
    git(root, "add", ".")
    git(root, "commit", "--quiet", "-m", "first")
    write(root / "results/a/1.json", "x = 2\n")
    assert commit(root) == (git(root, "rev-parse", "HEAD"), True)
    write(root / "__init__.py", "x = 2\n")
    assert commit(root)[1] is False


def test_a_package_reached_through_a_link(checkout: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(checkout, target_is_directory=True)
    write(checkout / "src/cenote/results/a/1.json", "x = 2\n")
    assert commit(link / "src" / "cenote") == (git(checkout, "rev-parse", "HEAD"), True)


def test_a_setting_that_hides_new_files_does_not_hide_them_here(checkout: Path, package: Path) -> None:
    git(checkout, "config", "status.showUntrackedFiles", "no")
    write(checkout / "src/cenote/new.py")
    assert git(checkout, "status", "--porcelain") == ""
    assert commit(package)[1] is False


def test_a_repository_that_a_hook_works_for_is_not_taken_for_this_one(
    checkout: Path, package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    other = tmp_path / "other"
    write(other / "file")
    git(other, "init", "--quiet")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_WORK_TREE", str(other))
    assert commit(package) == (head, True)


def test_outside_a_repository_the_commit_is_unknown(tmp_path: Path) -> None:
    write(tmp_path / "cenote" / "__init__.py")
    assert commit(tmp_path / "cenote") == ("unknown", False)
    assert commit(tmp_path / "nowhere") == ("unknown", False)


def test_a_repository_without_a_commit_has_none(tmp_path: Path) -> None:
    write(tmp_path / "cenote" / "__init__.py")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    assert commit(tmp_path / "cenote") == ("unknown", False)


def test_the_repository_of_a_project_that_has_the_package_installed_is_not_ours(checkout: Path) -> None:
    write(checkout / ".gitignore", ".venv\n")
    git(checkout, "add", ".gitignore")
    git(checkout, "commit", "--quiet", "-m", "second")
    write(checkout / ".venv/lib/cenote/__init__.py")
    assert git(checkout, "status", "--porcelain") == ""
    assert commit(checkout / ".venv/lib/cenote") == ("unknown", False)


def test_without_git_the_commit_is_unknown(package: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit(package) == ("unknown", False)


def test_the_environment_names_versions_and_machine() -> None:
    found = environment()
    assert found.python == platform.python_version()
    assert found.packages["numpy"] == metadata.version("numpy")
    assert found.packages["cenote"] == metadata.version("cenote")
    assert "" not in found.packages.values()
    assert 1 <= found.cores <= (os.cpu_count() or 1)
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    assert found.memory_gib == pytest.approx(total, abs=0.1)
    assert found.processor
    assert platform.system() in found.platform
