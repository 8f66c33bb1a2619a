"""How many pages follow runs at once, in this process."""

from __future__ import annotations

import threading
from collections import Counter


class Streams:
    """Counts open streams of events, so that they cannot use up the server; and says when all of them should end.

    Args:
        most: Streams at once.
        each: Of these, from one client.
        look: Seconds between two looks at a run.
        heartbeat: Seconds after which something is sent though nothing changed.
    """

    def __init__(self, most: int = 20, each: int = 3, *, look: float = 0.5, heartbeat: float = 15.0) -> None:
        self.look = look
        self.heartbeat = heartbeat
        self.ended = False
        """Whether the server wants to end, and waits for what is still open."""
        self._most = most
        self._each = each
        self._open: Counter[str] = Counter()
        self._lock = threading.Lock()

    def end(self) -> None:
        """Have all streams end."""
        self.ended = True

    def enter(self, client: str) -> int | None:
        """Count one more; return the status to refuse it with, or None if it may be opened."""
        with self._lock:
            if self._open[client] >= self._each:
                return 429
            if self._open.total() >= self._most:
                return 503
            self._open[client] += 1
            return None

    def leave(self, client: str) -> None:
        """Count one less."""
        with self._lock:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def __len__(self) -> int:
        with self._lock:
            return self._open.total()
