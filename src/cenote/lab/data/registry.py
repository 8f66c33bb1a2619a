"""Which data sets there are, and the module that loads each; a loader is imported when it is asked for."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, overload

from cenote.errors import ArgumentError, MissingExtraError
from cenote.lab.data.detection import ObjectDetection
from cenote.lab.data.images import ImageClassification
from cenote.lab.data.sensors import SensorRecordings
from cenote.lab.data.shapes import MultiViewShapes

Detection = Literal["bccd", "blots", "coco", "voc"]
"""The data sets with boxes."""

Shapes = Literal["furniture", "shapenet-r2n2"]
"""The data sets of objects seen from several sides."""

Sensors = Literal["emopain", "guarded-motion", "lower-limb-emg"]
"""The recordings of body-worn sensors."""

Data = ImageClassification | ObjectDetection | MultiViewShapes | SensorRecordings


@overload
def load(name: Detection, root: str | Path | None = None, **options: object) -> ObjectDetection: ...  # type: ignore[overload-overlap]
@overload
def load(name: Shapes, root: str | Path | None = None, **options: object) -> MultiViewShapes: ...  # type: ignore[overload-overlap]
@overload
def load(name: Sensors, root: str | Path | None = None, **options: object) -> SensorRecordings: ...  # type: ignore[overload-overlap]
@overload
def load(name: str, root: str | Path | None = None, **options: object) -> ImageClassification: ...
def load(name: str, root: str | Path | None = None, **options: object) -> Data:
    """Load a data set.

    Looks under ``root``, then under the folder named by the environment variable ``CENOTE_DATA``, then where the
    system's packages put the set, then on the Hugging Face hub. The embedded sets (``mnist-5k``, ``digits``) and those
    that are made up (``blots``, ``furniture``, ``guarded-motion``) ignore ``root``. Images that lie in files of their
    own or in parquet files are decoded when they are first used, and a subset decodes only its own:
    ``load("cifar10").subset(train=2_000, test=1_000)`` is quick.

    Args:
        name: One of ``names()``.
        root: Folder with data sets in the hub's or their source's own layout.
        **options: What the data set takes: ``image_size`` for ``imagefolder``, ``furniture`` and
            ``shapenet-r2n2``, ``resolution`` for ``furniture``, and what its ``load`` says for ``guarded-motion``.

    Returns:
        Training and test images with their labels or their boxes, objects with their views and grids, or recordings of
        sensors.

    Raises:
        ArgumentError: If there is no data set of this name, or it does not take an option.
        DataNotFoundError: If the data set is neither on disk nor reachable on the hub.
        DataFormatError: If a file is damaged or not in a layout the loader reads; for an image in a parquet file, when
            it is decoded.
        MissingExtraError: If a package that reads the data set is not installed.

    Example:
        >>> digits = load("digits").subset(train=20)
        >>> digits.train.images.shape
        (20, 8, 8, 1)
    """
    if name not in _LOADERS:
        raise ArgumentError(f"name: there is no data set {name!r}{_suggestion(name)}; choose from {', '.join(names())}")
    entry = _LOADERS[name]
    for option in options:
        if option not in entry.options:
            allowed = ", ".join(entry.options) or "no options"
            raise ArgumentError(f"{option}: data set {name!r} does not take it; it takes {allowed}")
    try:
        module = importlib.import_module(f"cenote.lab.data.{entry.module}")
        read: Callable[..., Data] = module.load
        return read(None if root is None else Path(root), **options)
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"data set {name!r} needs the package {error.name}; install it with: pip install 'cenote[lab]'"
        ) from error


def names() -> tuple[str, ...]:
    """Return the names of the data sets, in alphabetical order."""
    return tuple(sorted(_LOADERS))


@dataclass(frozen=True)
class _Entry:
    module: str
    options: tuple[str, ...] = ()


_LOADERS = {
    "bccd": _Entry("bccd"),
    "blots": _Entry("blots"),
    "cifar10": _Entry("cifar"),
    "coco": _Entry("coco"),
    "digits": _Entry("digits"),
    "emopain": _Entry("emopain"),
    "fashion-mnist": _Entry("fashion_mnist"),
    "furniture": _Entry("furniture", options=("image_size", "resolution")),
    "guarded-motion": _Entry(
        "guarded_motion",
        options=("n_subjects", "n_sensors", "severity", "onset_jitter", "noise", "recordings", "seed"),
    ),
    "imagefolder": _Entry("imagefolder", options=("image_size",)),
    "lower-limb-emg": _Entry("lower_limb_emg"),
    "mnist-5k": _Entry("mnist"),
    "shapenet-r2n2": _Entry("shapenet", options=("image_size",)),
    "voc": _Entry("voc"),
}


def _suggestion(name: str) -> str:
    close = difflib.get_close_matches(name.lower(), _LOADERS, n=1)
    return f", did you mean {close[0]!r}?" if close else ""
