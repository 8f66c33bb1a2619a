"""Sharing the rows of one call out over threads.

numba's own thread pools are either not safe to call from several threads at once or not safe after a fork; the kernels
release the interpreter lock, so a plain pool of Python threads does the same work without either trap.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch

_PARALLEL_FROM = 1 << 15
"""Inputs with fewer values are faster in the calling thread than shared out."""

_PARTS = 8
"""Parts of the work per thread: few, since taking one costs a microsecond or two, but enough to even out the end."""


def share(kernel: Callable[..., None], work: int, rows: int, arguments: tuple[Any, ...]) -> None:
    """Call ``kernel(*arguments, start, stop)`` over all rows, in as many threads as torch uses.

    Threads take the next part when they are ready for it: one that wakes late, or shares its core, does less.
    """
    threads = min(torch.get_num_threads(), rows) if work >= _PARALLEL_FROM else 1
    if threads <= 1:
        kernel(*arguments, 0, rows)
        return
    parts = min(_PARTS * threads, rows)
    numbers = iter(range(parts))  # advancing it is atomic

    def take() -> None:
        for part in numbers:
            kernel(*arguments, rows * part // parts, rows * (part + 1) // parts)

    waiting = [_threads().submit(take) for _ in range(1, threads)]
    take()
    for future in waiting:
        if not future.cancel():  # a thread that has not woken up by now has nothing left to do
            future.result()


_pool: ThreadPoolExecutor | None = None
_pool_lock = threading.Lock()


def _threads() -> ThreadPoolExecutor:
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="cenote-poset-pool")
        return _pool


def _forget_threads() -> None:
    """Threads do not survive a fork; the child starts its own."""
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_threads)
