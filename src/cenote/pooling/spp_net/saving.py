"""A trained detector as two files: its tensors as safetensors, the rest as JSON; nothing in them can run code."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save as write_tensors
from torch import Tensor

from cenote.errors import ArgumentError
from cenote.pooling.spp_net.detector import SPPDetector
from cenote.pooling.spp_net.heads import BoxRegression, LinearSVMHead, SoftmaxHead
from cenote.pooling.spp_net.training import DetectorSettings, StackedSVM, convolutions_of, empty_detector
from cenote.pooling.trained_folder import read_trained, reading_trained, with_tuples

CONFIG, TENSORS = "detector.json", "detector.safetensors"

_FORMAT = 1


def dump_detector(detector: SPPDetector, settings: DetectorSettings) -> dict[str, bytes]:
    """Return the files of a detector that ``train_detector`` trained with these settings, by name.

    Raises:
        ArgumentError: If it has no head.
    """
    head = detector.head
    if not isinstance(head, SoftmaxHead | StackedSVM):
        raise ArgumentError("detector must have the head that train_detector gives it")
    softmax = head.softmax if isinstance(head, StackedSVM) else head
    tensors = {f"convolutions.{name}": each for name, each in detector.backbone.state_dict().items()}
    tensors |= {f"softmax.{name}": each for name, each in softmax.state_dict().items()}
    config: dict[str, Any] = {"format": _FORMAT, "classes": detector.classes, "settings": dataclasses.asdict(settings)}
    if isinstance(head, StackedSVM):
        tensors |= {"svm.weight": head.svm.weight, "svm.bias": head.svm.bias}
        config["svm_scale"] = head.svm.scale
    if detector.regression is not None:
        tensors["regression.weight"] = detector.regression.weight
    contiguous = {name: each.detach().contiguous() for name, each in tensors.items()}
    return {CONFIG: json.dumps(config, indent=2).encode(), TENSORS: write_tensors(contiguous)}


def load_detector(folder: str | Path) -> SPPDetector:
    """Load a detector from the folder in which ``cenote detect train`` left it.

    Args:
        folder: Holds ``detector.json`` and ``detector.safetensors``.

    Raises:
        ArgumentError: If a file is missing, damaged or of another format.
    """
    folder = Path(folder)
    with reading_trained("folder", "detector", folder):
        config, tensors = read_trained("folder", folder, CONFIG, TENSORS, _FORMAT)
        settings = DetectorSettings(**with_tuples(config["settings"]))
        return _rebuilt(config, settings, tensors)


def _rebuilt(config: dict[str, Any], settings: DetectorSettings, tensors: dict[str, Tensor]) -> SPPDetector:
    classes: Sequence[str] = config["classes"]
    detector = empty_detector(convolutions_of(settings), classes, settings)
    detector.backbone.load_state_dict(_under("convolutions.", tensors))
    detector.backbone.requires_grad_(False)
    own = _under("softmax.", tensors)
    softmax = SoftmaxHead(own["first.weight"].shape[1], len(classes), settings.hidden)
    softmax.load_state_dict(own)
    softmax.eval().requires_grad_(False)
    detector.head = softmax
    if "svm.weight" in tensors:
        svm = LinearSVMHead(tensors["svm.weight"], tensors["svm.bias"], config["svm_scale"])
        detector.head = StackedSVM(softmax, svm)
    if "regression.weight" in tensors:
        detector.regression = BoxRegression(tensors["regression.weight"])
    return detector


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): each for name, each in tensors.items() if name.startswith(prefix)}
