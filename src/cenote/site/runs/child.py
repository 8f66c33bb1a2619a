"""What a run's process does first: ``python -I -S child.py PARENT COMMAND …``.

It sees to it that it ends with the server that started it, steps back behind all else on the machine, and becomes the
command.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1

_NICENESS = 10

_FIRST_TO_GO = "500"
"""Of 1000: where memory runs out, the system ends the run rather than the server."""


def main() -> None:
    """Become the command that the arguments name."""
    parent, *command = sys.argv[1:]
    end_with(int(parent))
    os.nice(_NICENESS)
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(_FIRST_TO_GO)
    os.execv(command[0], command)


def end_with(parent: int) -> None:
    """Have this process killed when its parent ends, and leave at once if it has ended already.

    The system keeps the promise for whatever the process becomes, but not for its children. It is Linux's alone;
    elsewhere the next start of the server ends what was left.
    """
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the server has ended")


if __name__ == "__main__":
    main()
