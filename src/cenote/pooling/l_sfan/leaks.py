"""Ways in which a fold sees what it is tested on, each refused by name."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor, nn

from cenote.errors import LeakError
from cenote.pooling.l_sfan.standardization import Standardization


@dataclass(frozen=True, eq=False)
class Fold:
    """One split of the windows.

    Attributes:
        name: The subjects that are left out.
        train: Positions of the windows a model learns from.
        test: Positions of the windows it is tested on.
    """

    name: str
    train: npt.NDArray[np.int64]
    test: npt.NDArray[np.int64]


def check_subjects(folds: Sequence[Fold], groups: npt.NDArray[Any]) -> None:
    """Check that no fold learns from a subject it is tested on, and none is tested twice.

    Raises:
        LeakError: If a subject is on both sides of a fold, or a window in two tests.
    """
    for fold in folds:
        if both := sorted(map(str, set(groups[fold.train].tolist()) & set(groups[fold.test].tolist()))):
            raise LeakError(f"folds: fold {fold.name} learns from {_listed(both)} and is tested on the same subject")
    tested = np.bincount(np.concatenate([fold.test for fold in folds]), minlength=len(groups))
    if tested.max() > 1:
        twice = np.flatnonzero(tested > 1)
        raise LeakError(f"folds: {len(twice)} windows are tested in two folds, the first is number {twice[0]}")


def check_copies(
    windows: npt.NDArray[Any],
    groups: npt.NDArray[Any],
    folds: Sequence[Fold],
    origins: npt.NDArray[Any] | None = None,
) -> None:
    """Check that no window is also another subject's, and no test holds augmented copies.

    Windows of one value, as a sensor that was off gives, are not looked at.

    Raises:
        LeakError: If two subjects have the same window, copies of a window are on both sides of a fold, or a test holds
            more than one copy of a window.
    """
    owners: dict[bytes, Any] = {}
    for window, group in zip(windows, groups.tolist(), strict=True):
        if window.size and window.min() == window.max():
            continue
        digest = hashlib.blake2b(np.ascontiguousarray(window).tobytes(), digest_size=16).digest()
        other = owners.setdefault(digest, group)
        if other != group:
            raise LeakError(
                f"X: subjects {other} and {group} have a window in common; give both one group, or leave the copy out"
            )
    if origins is None:
        return
    for fold in folds:
        learned, tested = origins[fold.train], origins[fold.test]
        if shared := np.intersect1d(learned, tested).tolist():
            raise LeakError(
                f"origins: fold {fold.name} learns from copies of {len(shared)} windows it is tested on, "
                f"such as those made from {shared[0]}"
            )
        if len(np.unique(tested)) < len(tested):
            raise LeakError(
                f"origins: the test of fold {fold.name} holds augmented copies; test on the windows themselves and let "
                "the classifier vary the ones it learns from"
            )


def check_raw(windows: npt.NDArray[Any], groups: npt.NDArray[Any]) -> None:
    """Check that the windows were not standardised over all subjects together.

    Raises:
        LeakError: If every sensor has mean 0 and standard deviation 1 over all subjects, but not within each.
    """
    if not _standard(windows) or all(_standard(windows[groups == group]) for group in np.unique(groups)):
        return
    raise LeakError(
        "X: has mean 0 and standard deviation 1 for every sensor over all subjects, so the normalisation has seen "
        "those left out; give the windows as they were recorded"
    )


def _standard(windows: npt.NDArray[Any], tolerance: float = 1e-4) -> bool:
    frames = windows.reshape(-1, windows.shape[-1])
    mean, std = frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)
    return bool((np.abs(mean) < tolerance).all() and (np.abs(std - 1) < tolerance).all())


@dataclass
class Isolation:
    """Remembers what each fold has built, and refuses what an earlier one already had."""

    _models: dict[str, list[tuple[str, Any]]] = field(default_factory=dict)
    _places: dict[int, tuple[str, str]] = field(default_factory=dict)
    _normalizations: dict[str, Any] = field(default_factory=dict)

    def model(self, fold: str, model: Any) -> None:
        """Take a fold's model.

        Raises:
            LeakError: If it is the model of an earlier fold or has a part of it.
        """
        parts = list(_storages("", model))
        self._models.setdefault(fold, []).append(("", (model, parts)))  # what is kept cannot give its address away
        for name, address in [("model", id(model)), *((name, _address(part)) for name, part in parts)]:
            other, owned = self._places.setdefault(address, (fold, name))
            if other != fold:
                raise LeakError(
                    f"model_fn: the model of fold {fold} shares {name.strip('.')} with that of fold {other} "
                    f"({owned.strip('.')} there); build every part of the model inside model_fn"
                )

    def normalization(self, fold: str, normalization: Any) -> None:
        """Take a fold's normalisation.

        Raises:
            LeakError: If an earlier fold has the same one, as an object or in every number.
        """
        for other, earlier in self._normalizations.items():
            if earlier is normalization or _equal(earlier, normalization):
                raise LeakError(
                    f"normalize: folds {other} and {fold} share a normalisation; measure it on the windows that the "
                    "function is given, which are those the fold learns from"
                )
        self._normalizations[fold] = normalization


def _equal(first: Any, second: Any) -> bool:
    if not (isinstance(first, Standardization) and isinstance(second, Standardization)):
        return False
    return np.array_equal(first.mean, second.mean) and np.array_equal(first.std, second.std)


def _storages(name: str, thing: Any, depth: int = 6) -> Iterator[tuple[str, Any]]:
    """Yield the tensors and arrays in a model: those of a module, or in the attributes of any other object."""
    if isinstance(thing, nn.Module):
        yield from ((f"{name}.{own}", value) for own, value in [*thing.named_parameters(), *thing.named_buffers()])
    elif isinstance(thing, Tensor | np.ndarray):
        yield name, thing
    elif depth:
        inside: list[tuple[Any, Any]] = []
        if isinstance(thing, Mapping):
            inside = list(thing.items())
        elif isinstance(thing, list | tuple):
            inside = list(enumerate(thing))
        elif hasattr(thing, "__dict__") and not isinstance(thing, type):
            inside = list(vars(thing).items())
        for own, value in inside:
            yield from _storages(f"{name}.{own}", value, depth - 1)


def _address(part: Tensor | npt.NDArray[Any]) -> int:
    """Where the memory of a tensor or array begins; views of one tensor share it. Its own identity if it is empty."""
    if isinstance(part, Tensor):
        return part.untyped_storage().data_ptr() or id(part)
    base = part
    while isinstance(base.base, np.ndarray):
        base = base.base
    return base.ctypes.data if base.size else id(part)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
