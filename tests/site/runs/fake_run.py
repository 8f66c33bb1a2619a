"""What the tests start in place of ``cenote run``: a run of steps that can be resumed, or one that misbehaves.

Every start and end is a line of the journal, and so is a start while another runs.
"""

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

kind, journal, run_id = sys.argv[1:4]
folder, progress = Path(sys.argv[4]), Path(sys.argv[5])
amounts = [float(each) for each in sys.argv[6:]]


def note(what):
    descriptor = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(descriptor, f"{what} {run_id} {os.getpid()} {time.monotonic()}\n".encode())
    os.close(descriptor)


def say(line):
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def tell(**line):
    with progress.open("a") as file:
        file.write(json.dumps(line) + "\n")


def work(steps, seconds):
    """Does the steps that were not done before; each is kept in the folder at once."""
    folder.mkdir(parents=True, exist_ok=True)
    done = len(list(folder.iterdir()))
    tell(done=done, total=int(steps), elapsed=0.0, seconds_left=None, trial="")
    while done < steps:
        time.sleep(seconds)
        (folder / str(done)).touch()
        done += 1
        say(f"step {done}")
        tell(done=done, total=int(steps), elapsed=1.0, seconds_left=(steps - done) * seconds, trial=f"step-{done}")
    tell(folder=str(folder))


def family(seconds):
    """Starts a process that would outlive it."""
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    say("a child was started")
    time.sleep(seconds)


def stubborn(seconds):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    say("nothing stops me")
    time.sleep(seconds)


def hungry(mebibytes):
    held = bytearray(os.urandom(1 << 20)) * int(mebibytes)
    say(f"full: {len(held)}")
    time.sleep(600)


def chatty(lines):
    for number in range(int(lines)):
        say(f"line {number} " + "x" * 80)
    tell(folder=str(folder))
    folder.mkdir(parents=True, exist_ok=True)


def dying():
    say("all is well")
    sys.exit("cenote: trial digits/max failed: no luck")


def damaged():
    sys.exit(f"cenote: {folder}/records.jsonl, line 3, is damaged; see {sys.executable}")


def needy():
    tell(missing=["cifar10", "mnist"])
    sys.exit("cenote: not on this machine: cifar10, mnist")


def silent():
    sys.exit(7)


def empty():
    """Ends well and leaves nothing."""


def lying():
    tell(folder="/etc")


# Held until this process ends, however it does: two that ran at the same time would notice.
lock = os.open(f"{journal}.lock", os.O_WRONLY | os.O_CREAT)
note("start")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    note("clash")
kinds = (work, family, stubborn, hungry, chatty, dying, damaged, needy, silent, empty, lying)
{each.__name__: each for each in kinds}[kind](*amounts)
note("end")
