"""Taking turns: who came first is served first, and no more at once than there are cores for."""

from __future__ import annotations

import os
import threading
from collections import deque


def available_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Turns:
    """Lets so many threads in at once; the others wait in the order in which they came. Use it as a context.

    Served all at once, everybody waits until almost everything is done, and who asked for much waits several times as
    long as he would alone. In turns, each waits for those before him and then has a core. A semaphore of the standard
    library would let who comes late slip in.

    Args:
        places: Threads at once.
    """

    def __init__(self, places: int) -> None:
        self._lock = threading.Lock()
        self._free = places
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()  # who leaves unlocks it, and gives the place away with that

    def __exit__(self, *error: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1
