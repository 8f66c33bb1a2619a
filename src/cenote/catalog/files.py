"""Writing files so that a reader finds the old file or the new one, never half of it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from cenote.errors import StorageError


def write_text_atomic(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 to ``path``, whole or not at all.

    Raises:
        StorageError: If it cannot be written, such as on a full disk; what stood at ``path`` is still there.
    """
    write_bytes_atomic(path, text.encode())


def write_bytes_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path``, whole or not at all.

    Raises:
        StorageError: If it cannot be written, such as on a full disk; what stood at ``path`` is still there.
    """
    write_files_atomic({path: data})


def write_files_atomic(files: Mapping[Path, bytes]) -> None:
    """Write several files that belong together: none gets its name before all of them are on the disk.

    Raises:
        StorageError: If one cannot be written; a full disk then leaves every path as it was.
    """
    staged = {path: path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp") for path in files}
    path = next(iter(files), Path())
    try:
        for path, data in files.items():
            _write_and_sync(staged[path], data)
        for path in files:
            staged[path].replace(path)
        for folder in {path.parent for path in files}:
            sync_folder(folder)
    except OSError as error:
        reason = error.strerror or str(error)
        raise StorageError(f"{path} could not be written: {reason}; nothing half-written is left") from error
    finally:
        for temporary in staged.values():
            with contextlib.suppress(OSError):
                temporary.unlink()


def _write_and_sync(path: Path, data: bytes) -> None:
    # Mode "x" keeps the umask's permissions, which tempfile would narrow to the owner.
    with path.open("xb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Make the new names durable; Windows cannot open a folder and needs no such call."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
