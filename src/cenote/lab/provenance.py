"""Where a run comes from: commit, state of the tree, versions and machine."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from importlib import metadata
from pathlib import Path

from cenote.catalog.results import Environment

PACKAGE = Path(__file__).resolve().parent.parent

_WATCHED = (
    "cenote",
    "torch",
    "torchvision",
    "numpy",
    "scipy",
    "numba",
    "accelerate",
    "scikit-learn",
    "pyarrow",
    "pillow",
)
"""Packages whose versions can change a figure."""


def commit(package: Path = PACKAGE) -> tuple[str, bool]:
    """Return the commit of the checkout that holds the package, and whether its tree is clean.

    ``results/`` and ``docs/`` do not count. Outside a git checkout, or in one of another project that has the package
    installed somewhere below it, the commit is ``unknown`` and the tree not clean.
    """
    try:
        _git(package, "ls-files", "--error-unmatch", "__init__.py")
        head = _git(package, "rev-parse", "HEAD")
        root = Path(_git(package, "rev-parse", "--show-toplevel"))
        results = (package.resolve() / "results").relative_to(root.resolve()).as_posix()
        ignored = (f":(exclude,literal){results}", ":(exclude)docs")
        changes = _git(root, "status", "--porcelain", "--untracked-files=all", "--", ".", *ignored)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return "unknown", False
    return head, not changes


def environment() -> Environment:
    """Describe versions and machine."""
    import psutil

    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=available_cores(),
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        packages={name: version for name in _WATCHED if (version := _version(name))},
    )


def _git(folder: Path, *arguments: str) -> str:
    call = ["git", "-C", str(folder), *arguments]
    # A git hook sets these to its own repository, which may be another one.
    elsewhere = {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX"}
    own = {name: value for name, value in os.environ.items() if name not in elsewhere}
    return subprocess.run(call, check=True, capture_output=True, text=True, env=own).stdout.strip()


@lru_cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def available_cores() -> int:
    """Return how many cores this process may use, which is also how many trials run side by side by default."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
