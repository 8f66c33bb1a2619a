"""Processes to be killed: forked from one that has imported everything, so that a kill comes early in their work."""

from __future__ import annotations

import multiprocessing
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path

PRELOADED = ["__main__", "cenote.cli", "cenote.site.commands", "cenote.site.embedding.worker", "cenote.site.search"]

_CALL = """
import runpy
runpy.run_path({path!r})[{name!r}](*{arguments!r})
"""


def start(code: str) -> BaseProcess:
    """Run Python code in a process of its own."""
    process = _context().Process(target=exec, args=(code, {"__name__": "called"}))
    process.start()
    return process


def start_function(file: Path, name: str, *arguments: object) -> BaseProcess:
    """Call a function of a file; the arguments are written into code, so that only plain values will do."""
    return start(_CALL.format(path=str(file), name=name, arguments=arguments))


def kill(process: BaseProcess, patience: float = 60.0) -> bool:
    """Kill a process; return whether it was still running."""
    process.kill()
    process.join(patience)
    return process.exitcode == -9


def _context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
