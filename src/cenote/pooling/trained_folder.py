"""What is wrong with a folder that should hold something trained, said in one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from cenote.errors import ArgumentError


@contextmanager
def reading_trained(argument: str, what: str, folder: Path) -> Iterator[None]:
    """Turn whatever damaged or missing files raise while they are read into one error.

    Args:
        argument: Name of the argument that names the folder.
        what: What the folder should hold, such as "detector".
        folder: Where it is read.

    Raises:
        ArgumentError: If a file is missing or damaged; one that is raised inside goes through as it is.
    """
    try:
        yield
    except ArgumentError:
        raise
    except OSError as error:
        raise ArgumentError(f"{argument}: {folder} holds no trained {what} ({error})") from error
    except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, SafetensorError) as error:
        raise ArgumentError(
            f"{argument}: the {what} in {folder} is damaged ({type(error).__name__}: {error})"
        ) from error
