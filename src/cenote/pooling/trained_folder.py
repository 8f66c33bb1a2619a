"""Reading a folder that should hold something trained; what is wrong with it is said in one sentence."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from torch import Tensor

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


def read_trained(
    argument: str, folder: Path, config: str, tensors: str, version: object
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read the two files of something trained; call it within ``reading_trained``.

    Args:
        argument: Name of the argument that names the folder.
        folder: Where they are.
        config: Name of the JSON file, an object with a ``format``.
        tensors: Name of the safetensors file.
        version: The format that is read.

    Raises:
        ArgumentError: If the format is another one.
    """
    found: dict[str, Any] = json.loads((folder / config).read_text(encoding="utf-8"))
    weights = read_tensors((folder / tensors).read_bytes())
    if found["format"] != version:
        raise ArgumentError(f"{argument}: {folder / config} has format {found['format']}, this version reads {version}")
    return found, weights


def with_tuples(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return arguments from what JSON made of them: its lists are tuples."""
    return {name: tuple(each) if isinstance(each, list) else each for name, each in values.items()}
