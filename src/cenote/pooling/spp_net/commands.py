"""``cenote detect``: train a detector on a folder of images with boxes, and run it on images."""

from __future__ import annotations

import typer

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def detect() -> None:
    """Train a detector, and find objects in images."""
