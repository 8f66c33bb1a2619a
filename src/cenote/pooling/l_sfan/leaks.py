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

    _models: list[Any] = field(default_factory=list)
    _places: dict[int, tuple[str, str]] = field(default_factory=dict)
    _given: dict[int, bytes] = field(default_factory=dict)
    _normalizations: dict[str, Any] = field(default_factory=dict)

    def model(self, fold: str, model: Any, *, fitted: bool = False) -> None:
        """Take a fold's model, before and after it is fitted.

        An array that every fold was given may be shared as long as no training changes it, as a table of constants may.

        Raises:
            LeakError: If it is the model of an earlier fold or has a part of it.
        """
        parts = list(_storages("", model))
        self._models.append((model, parts))  # what is kept cannot give its address away
        for name, part in [("model", model), *parts]:
            address = id(part) if part is model else _address(part)
            other, owned = self._places.setdefault(address, (fold, name))
            if isinstance(part, np.ndarray) and self._is_constant(address, part, fitted):
                continue
            if other != fold:
                raise LeakError(
                    f"model_fn: the model of fold {fold} shares {name.strip('.')} with that of fold {other} "
                    f"({owned.strip('.')} there); build every part of the model inside model_fn"
                )

    def _is_constant(self, address: int, array: npt.NDArray[Any], fitted: bool) -> bool:
        """Whether an array was there before the training of the fold that first had it, and has not changed since."""
        digest = hashlib.blake2b(np.ascontiguousarray(array).tobytes(), digest_size=16).digest()
        if not fitted:
            self._given.setdefault(address, digest)
        return self._given.get(address) == digest

    def normalization(self, fold: str, normalization: Any, windows: npt.NDArray[Any]) -> None:
        """Take a fold's normalisation and the windows it learns from.

        Raises:
            LeakError: If an earlier fold has the same one: as an object, or in every number though this fold's windows
                have others.
        """
        for other, earlier in self._normalizations.items():
            if earlier is normalization or (
                _equal(earlier, normalization) and not _equal(normalization, Standardization.of(windows))
            ):
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
    """Yield the tensors and arrays in a model: of a module, and in the attributes of any object and of its class."""
    if isinstance(thing, Tensor | np.ndarray):
        yield name, thing
        return
    if isinstance(thing, nn.Module):
        yield from ((f"{name}.{own}", value) for own, value in [*thing.named_parameters(), *thing.named_buffers()])
    if depth:
        for own, value in _inside(thing):
            yield from _storages(f"{name}.{own}", value, depth - 1)


def _inside(thing: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what an object holds beside the registered parts of modules, by name."""
    if isinstance(thing, Mapping):
        yield from thing.items()
    elif isinstance(thing, list | tuple):
        yield from enumerate(thing)
    elif isinstance(thing, nn.Module):
        for place, module in thing.named_modules():
            yield from ((f"{place}.{own}".strip("."), value) for own, value in _attributes(module))
    elif not isinstance(thing, type):
        yield from _attributes(thing)


def _attributes(thing: Any) -> Iterator[tuple[str, Any]]:
    """Yield an object's attributes, and of those of its class the ones that can be trained."""
    for own, value in getattr(thing, "__dict__", {}).items():
        if not (isinstance(thing, nn.Module) and own in ("_parameters", "_buffers", "_modules")):
            yield own, value
    for kind in type(thing).__mro__:
        slots = vars(kind).get("__slots__", ())
        for own in (slots,) if isinstance(slots, str) else slots:
            if hasattr(thing, own):
                yield own, getattr(thing, own)
        for own, value in vars(kind).items():
            if isinstance(value, nn.Module | Tensor | np.ndarray):
                yield own, value


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
