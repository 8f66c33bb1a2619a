"""A network for reconstruction, what it is built from, and its two files; nothing in them can run code."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import torch
from safetensors.torch import save as write_tensors

from cenote.errors import ArgumentError
from cenote.pooling.attsets.attention import AttSets
from cenote.pooling.attsets.networks import ViewNetwork, small_halves
from cenote.pooling.attsets.r2n2 import FEATURES, GRID_SIDE, IMAGE_SIDE, R2N2Decoder, R2N2Encoder
from cenote.pooling.trained_folder import read_trained, reading_trained, with_tuples

CONFIG, TENSORS = "network.json", "network.safetensors"

Kind = Literal["small", "r2n2"]

_FORMAT = 1


@dataclass(frozen=True)
class Plan:
    """What a network is built from.

    Attributes:
        network: ``small``, or ``r2n2``, the paper's own.
        image_size: Side of an image in pixels.
        resolution: Cells along a side of a grid.
        features: Features of a view in the small network.
        hidden: Width of its hidden layers.
        widths: Channels of its convolutions.

    Raises:
        ArgumentError: If the paper's network is to have another size.
    """

    network: Kind
    image_size: int
    resolution: int
    features: int = 128
    hidden: int = 256
    widths: tuple[int, ...] = (16, 32, 64)

    def __post_init__(self) -> None:
        if self.network == "r2n2" and (self.image_size, self.resolution) != (IMAGE_SIDE, GRID_SIDE):
            raise ArgumentError(
                f"--network r2n2 takes images of {IMAGE_SIDE} pixels to grids of {GRID_SIDE}³ cells, got "
                f"{self.image_size} pixels and {self.resolution}³ cells"
            )

    def build(self, seed: int = 0) -> ViewNetwork:
        """Return an untrained network."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            if self.network == "r2n2":
                return ViewNetwork(R2N2Encoder(), AttSets(FEATURES), R2N2Decoder())
            view, target = (3, self.image_size, self.image_size), (self.resolution,) * 3
            encoder, decoder = small_halves(view, target, dim=self.features, hidden=self.hidden, widths=self.widths)
            return ViewNetwork(encoder, AttSets(self.features), decoder)


class Trained(NamedTuple):
    """A network with its plan, and the probability above which a cell is predicted."""

    network: ViewNetwork
    plan: Plan
    threshold: float


def dump_network(network: ViewNetwork, plan: Plan, threshold: float) -> dict[str, bytes]:
    """Return the files of a trained network by name."""
    config = {"format": _FORMAT, "threshold": threshold, "plan": dataclasses.asdict(plan)}
    tensors = {name: each.detach().cpu().contiguous() for name, each in network.state_dict().items()}
    return {CONFIG: (json.dumps(config, indent=2) + "\n").encode(), TENSORS: write_tensors(tensors)}


def load_network(folder: Path) -> Trained:
    """Load a network from the folder in which ``cenote reconstruct train`` left it.

    Raises:
        ArgumentError: If a file is missing, damaged or of another format.
    """
    with reading_trained("network", "network", folder):
        config, tensors = read_trained("network", folder, CONFIG, TENSORS, _FORMAT)
        plan = Plan(**with_tuples(config["plan"]))
        network = plan.build()
        network.load_state_dict(tensors)
        return Trained(network.eval().requires_grad_(False), plan, float(config["threshold"]))
