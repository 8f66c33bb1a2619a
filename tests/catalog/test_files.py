from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cenote.catalog.files import write_bytes_atomic, write_files_atomic, write_text_atomic
from cenote.errors import StorageError


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    write_text_atomic(tmp_path / "text", "Hölder\r\n≥ 2\n")
    write_bytes_atomic(tmp_path / "bytes", bytes(range(256)))
    assert (tmp_path / "text").read_bytes() == "Hölder\r\n≥ 2\n".encode()
    assert (tmp_path / "bytes").read_bytes() == bytes(range(256))
    write_text_atomic(tmp_path / "text", "")
    assert (tmp_path / "text").read_bytes() == b""
    assert names(tmp_path) == {"text", "bytes"}


def test_nothing_to_write_is_no_error(tmp_path: Path) -> None:
    write_files_atomic({})
    assert names(tmp_path) == set()


@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_permissions_are_those_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_text_atomic(tmp_path / "a", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o666 & ~umask


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "a"
    versions = [letter * 100_000 for letter in "ab"]
    write_text_atomic(path, versions[0])
    seen, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.add(path.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(40):
        write_text_atomic(path, versions[turn % 2])
    done.set()
    reader.join()
    assert seen <= set(versions)
    assert seen


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
def test_a_full_disk_keeps_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    for name in "ab":
        (tmp_path / name).write_text("old")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(call, full)
    with pytest.raises(StorageError, match="a could not be written: No space left on device; nothing half-written is"):
        write_files_atomic({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert {name: (tmp_path / name).read_text() for name in names(tmp_path)} == {"a": "old", "b": "old"}


def test_none_gets_its_name_before_all_are_on_the_disk(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"missing/c could not be written: No such file or directory"):
        write_files_atomic({tmp_path / "a": b"new", tmp_path / "b": b"new", tmp_path / "missing" / "c": b"new"})
    assert names(tmp_path) == set()


def test_a_folder_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError, match="a could not be written: Is a directory"):
        write_text_atomic(tmp_path / "a", "new")
    assert names(tmp_path) == {"a"}
    assert (tmp_path / "a").is_dir()


def test_an_interrupt_leaves_no_temporary_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_text_atomic(tmp_path / "a", "new")
    assert names(tmp_path) == set()


KILLED_WHILE_SYNCING = """
import os, signal, sys
from pathlib import Path
from cenote.catalog.files import write_text_atomic
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write_text_atomic(Path(sys.argv[1]), "new")
"""


def test_a_kill_leaves_the_old_file_and_a_name_that_is_swept_up(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    assert subprocess.run([sys.executable, "-c", KILLED_WHILE_SYNCING, str(path)], check=False).returncode == -9
    assert path.read_text() == "old"
    # The pattern by which runs and results clear away what a kill left.
    assert {leftover.name for leftover in tmp_path.glob(".*.tmp")} == names(tmp_path) - {"a"}
    assert len(names(tmp_path)) == 2
