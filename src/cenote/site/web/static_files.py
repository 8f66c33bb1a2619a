"""Style sheets, scripts and fonts, under an address that changes with their content and so may be kept for ever."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

_FOLDER = Path(__file__).resolve().parent / "static"


def _version(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(f"{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:12]


# One version for all files, so that a style sheet can name the fonts beside it.
STATIC_URL = f"/static/{_version(_FOLDER)}"


def static_url(name: str) -> str:
    """Return the address of a file.

    Raises:
        FileNotFoundError: If there is none of this name: a template is wrong.
    """
    if not (_FOLDER / name).is_file():
        raise FileNotFoundError(_FOLDER / name)
    return f"{STATIC_URL}/{name}"


class _Kept(StaticFiles):
    """Files that a browser need not ask for again."""

    def file_response(
        self, full_path: str | os.PathLike[str], stat_result: os.stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return response


static_files = _Kept(directory=_FOLDER)
