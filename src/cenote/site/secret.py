"""The site's secret: made once, readable by its owner alone, the same for every process of the site."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from cenote.errors import StorageError
from cenote.site.settings import SHORTEST_SECRET, SiteSettings

NAME = "secret"
"""Of the file in the home."""

_OTHERS = 0o077


def site_secret(settings: SiteSettings) -> str:
    """Return what cookies and links are signed with: ``CENOTE_SECRET``, else that of the home, which is made if absent.

    Of several processes that start at once, all get the one that was first.

    Raises:
        StorageError: If the file cannot be made or read, can be read by others, or is damaged.
    """
    if settings.secret is not None:
        return settings.secret.get_secret_value()
    path = settings.home / NAME
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        if isinstance(error, StorageError):
            raise
        raise StorageError(f"the secret {path} cannot be made or read: {error.strerror or error}") from None


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        # Unlike a rename, a link never takes the place of a file that another process made in the meantime.
        with contextlib.suppress(FileExistsError):
            os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(10_000)
    if os.name == "posix" and mode & _OTHERS:
        raise StorageError(f"the secret {path} can be read by others (mode {mode & 0o777:04o}); run: chmod 600 {path}")
    text = content.decode("ascii", errors="replace").strip()
    if len(text) < SHORTEST_SECRET or not text.isprintable():
        raise StorageError(
            f"the secret {path} is damaged: it must have at least {SHORTEST_SECRET} characters; delete it to have "
            "another one made"
        )
    return text
