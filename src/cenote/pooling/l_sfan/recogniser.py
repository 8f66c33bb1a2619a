"""A trained network with what its answers depend on, and the two files it is kept in; nothing in them can run code."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save as write_tensors

from cenote.errors import ArgumentError
from cenote.pooling.l_sfan.network import LSFAN
from cenote.pooling.l_sfan.standardization import Standardization
from cenote.pooling.l_sfan.streaming import WindowStream
from cenote.pooling.l_sfan.training import WindowClassifier
from cenote.pooling.trained_folder import read_trained, reading_trained, with_tuples

CONFIG, TENSORS = "recogniser.json", "recogniser.safetensors"

NETWORKS: dict[str, dict[str, Any]] = {
    "l-sfan": {},
    "cnn-tap": {"attention": False},
    "cnn-sap": {"pool": "sap", "attention": False},
}
"""Arguments of the whole network and of its two ablations."""

_FORMAT = 1


@dataclass(frozen=True)
class Design:
    """What a recogniser is apart from its weights.

    Attributes:
        network: A name in ``NETWORKS``.
        heads: Of the attention.
        sensors: Names of the sensors, in the order of the columns.
        classes: Names of the classes, in the order of the probabilities.
        rate: Frames a second.
        length: Frames of a window.
        step: Frames from one window's start to the next.
    """

    network: str
    heads: int
    sensors: tuple[str, ...]
    classes: tuple[str, ...]
    rate: float
    length: int
    step: int

    def untrained(self) -> LSFAN:
        """Return the network with new weights.

        Raises:
            ArgumentError: If there is no such network, or one of that size.
        """
        if self.network not in NETWORKS:
            raise ArgumentError(f"network: got {self.network!r}, allowed are {', '.join(NETWORKS)}")
        return LSFAN(len(self.sensors), self.length, len(self.classes), nhead=self.heads, **NETWORKS[self.network])


@dataclass(frozen=True, eq=False)
class Recogniser:
    """Recognises what the people of a recording do, in window after window.

    Attributes:
        design: Network, sensors, classes and windows.
        module: The trained network.
        normalization: What its training windows were normalised with.
    """

    design: Design
    module: LSFAN
    normalization: Standardization

    def stream(self) -> WindowStream:
        """Return a stream for one recording: its frames go in piece by piece, as the sensors gave them."""
        return WindowStream(WindowClassifier(self.module), self.design.length, self.design.step, self.normalization)


def dump_recogniser(recogniser: Recogniser) -> dict[str, bytes]:
    """Return the files of a recogniser, by name."""
    tensors = {f"network.{name}": each.contiguous() for name, each in recogniser.module.state_dict().items()}
    for name in ("mean", "std"):
        tensors[f"normalization.{name}"] = torch.from_numpy(np.array(getattr(recogniser.normalization, name)))
    config = {"format": _FORMAT, "design": dataclasses.asdict(recogniser.design)}
    text = json.dumps(config, indent=2, ensure_ascii=False)
    return {CONFIG: (text + "\n").encode(), TENSORS: write_tensors(tensors)}


def load_recogniser(folder: str | Path) -> Recogniser:
    """Load a recogniser from the folder in which ``cenote recognise train`` left it.

    Args:
        folder: Holds ``recogniser.json`` and ``recogniser.safetensors``.

    Raises:
        ArgumentError: If a file is missing, damaged or of another format.
    """
    folder = Path(folder)
    with reading_trained("folder", "recogniser", folder):
        config, tensors = read_trained("folder", folder, CONFIG, TENSORS, _FORMAT)
        design = Design(**with_tuples(config["design"]))
        module = design.untrained()
        module.load_state_dict(
            {name.removeprefix("network."): each for name, each in tensors.items() if name.startswith("network.")}
        )
        normalization = Standardization(*(tensors[f"normalization.{name}"].numpy() for name in ("mean", "std")))
        if len(normalization.mean) != len(design.sensors) or len(normalization.std) != len(design.sensors):
            raise ArgumentError(f"folder: {folder} normalises {len(normalization.mean)} sensors, not those it names")
    module.eval().requires_grad_(False)
    return Recogniser(design, module, normalization)
