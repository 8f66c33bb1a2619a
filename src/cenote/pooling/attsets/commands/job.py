"""A training on one's own objects in a folder: what is done is kept there, and the same call goes on behind it."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor
from torch.optim import Adam

from cenote.catalog.files import write_bytes_atomic, write_files_atomic, write_text_atomic
from cenote.errors import ArgumentError, RunError
from cenote.pooling.attsets.commands.network import CONFIG, Kind, Plan, dump_network
from cenote.pooling.attsets.commands.objects import Collection, find_objects, split_objects
from cenote.pooling.attsets.faset import FASetTrainer
from cenote.pooling.attsets.learning import loss, schedule
from cenote.pooling.attsets.networks import ViewNetwork
from cenote.pooling.attsets.r2n2 import IMAGE_SIDE
from cenote.pooling.attsets.sets import NotFiniteError
from cenote.pooling.attsets.tasks import as_input
from cenote.pooling.devices import check_device
from cenote.pooling.progress import Progress

STARTED, CHECKPOINT = "training.json", "steps.safetensors"
"""What was asked for, and the state after the last step that was kept; both go when the network is there."""

KEEP_EVERY = 200
"""Steps between two states that are kept."""

RATES: dict[Kind, float] = {"small": 3e-3, "r2n2": 1e-4}
"""Highest learning rates: one at which every network of the published comparison learned, and the paper's."""

ATTENTION_FASTER = 3
"""Times that rate for the attention: alone it wants a higher one, as the same comparison found."""

State = dict[str, Tensor]


@dataclass(frozen=True)
class Wishes:
    """What was asked for: the command's options but for folders."""

    network: Kind
    image_size: int | None
    features: int
    hidden: int
    steps: int
    set_steps: int
    views: int
    batch_size: int
    set_batch_size: int
    learning_rate: float | None
    attention_rate: float | None
    threshold: float
    seed: int
    device: str

    def check(self) -> None:
        """Refuse what can be seen to be wrong before anything is read."""
        if self.network not in get_args(Kind):
            raise ArgumentError(f"--network must be {' or '.join(get_args(Kind))}, got {self.network!r}")
        for name, rate in (("--learning-rate", self.learning_rate), ("--attention-rate", self.attention_rate)):
            if rate is not None and not 0 < rate < math.inf:
                raise ArgumentError(f"{name} must be positive, got {rate}")
        check_threshold(self.threshold)
        check_device(self.device)

    def plan(self, resolution: int) -> Plan:
        """Return what the network is built from."""
        return Plan(self.network, self.side, resolution, self.features, self.hidden)

    @property
    def rate(self) -> float:
        """The highest learning rate of encoder and decoder."""
        return RATES[self.network] if self.learning_rate is None else self.learning_rate

    @property
    def rate_of_attention(self) -> float:
        """That of the attention."""
        return ATTENTION_FASTER * self.rate if self.attention_rate is None else self.attention_rate

    @property
    def side(self) -> int:
        """Side of an image in pixels."""
        if self.image_size is not None:
            return self.image_size
        return IMAGE_SIDE if self.network == "r2n2" else 64


class Job:
    """One training in its folder.

    Args:
        wishes: What is asked for.
        folder: The objects.
        out: The folder for the network; made when all that was asked for is known to fit together.
        progress: Told how far each step is.

    Attributes:
        train: The objects that are learned from.
        test: Every fifth, which measures.
        plan: What the network is built from.

    Raises:
        ArgumentError: If a wish does not fit the objects.
        DataFormatError: If an object has no grid, or a file is damaged.
        RunError: If the folder holds a network, or a training with other wishes.
    """

    def __init__(self, wishes: Wishes, folder: Path, out: Path, progress: Progress) -> None:
        wishes.check()
        if (out / CONFIG).exists():
            raise RunError(f"{out} holds a trained network; name another folder with --out, or remove it")
        check_apart(out, folder)
        train, test = split_objects(find_objects(folder))
        if max(len(entry.images) for entry in train) < 2:
            raise ArgumentError("folder: no object to train on has two images; attention is learned from two or more")
        self.wishes = wishes
        self._out, self._progress = out, progress
        self.train = Collection(train, wishes.side, progress)
        self._targets = torch.from_numpy(self.train.targets())
        resolution = self._targets.shape[1]
        self.plan = wishes.plan(resolution)
        self.test = Collection(test, wishes.side, progress, resolution)
        self._resume = self._begin()

    def fit(self) -> ViewNetwork:
        """Train encoder and decoder on single views and then the attention on sets, from where it was interrupted.

        Raises:
            RunError: If the training diverges.
        """
        wishes = self.wishes
        network = self.plan.build(wishes.seed).to(wishes.device)
        trainer = FASetTrainer(
            network, None, wishes.steps, wishes.set_steps,
            learning_rate=wishes.rate, attention_rate=wishes.rate_of_attention,
        )  # fmt: skip
        begin = 0 if self._resume is None else _restore(network, trainer, self._resume)
        total = wishes.steps + wishes.set_steps
        base = schedule(trainer.base_optimizer, wishes.steps, min(begin, wishes.steps))
        attention = schedule(trainer.attention_optimizer, wishes.set_steps, max(0, begin - wishes.steps))
        for step in range(begin, total):
            self._take(trainer, step)
            (base if step < wishes.steps else attention).step()
            if (step + 1) % KEEP_EVERY == 0 or step + 1 == total:
                write_bytes_atomic(self._out / CHECKPOINT, write_tensors(_state(network, trainer, step + 1)))
            single = step < wishes.steps
            done = step + 1 if single else step + 1 - wishes.steps
            self._progress(*(("single views", done, wishes.steps) if single else ("sets", done, wishes.set_steps)))
        return network.eval()

    def _take(self, trainer: FASetTrainer, step: int) -> None:
        try:
            if step < self.wishes.steps:
                value = trainer.step_base(*self._singles(step), loss)
            else:
                value = trainer.step_attention(*self._sets(step), loss)
        except NotFiniteError:
            value = math.nan
        moved = trainer.base if step < self.wishes.steps else trainer.attention
        if not (math.isfinite(value) and all(bool(weight.isfinite().all()) for weight in moved)):
            self._forget()
            rate = "--learning-rate" if step < self.wishes.steps else "--attention-rate"
            raise RunError(f"the training diverged in step {step + 1:,}; take a lower {rate}")

    # --- batches, which depend on the seed and the number of the step alone ---------------------------------------

    def _singles(self, step: int) -> tuple[Tensor, Tensor]:
        random = np.random.default_rng((self.wishes.seed, step))
        objects = random.integers(len(self.train), size=self.wishes.batch_size)
        return self._batch(objects, 1, random)

    def _sets(self, step: int) -> tuple[Tensor, Tensor]:
        """Sets of objects that are drawn, of a number of views that all of them have.

        The number comes second: drawn first, a large one would leave a single object in a folder where one has far more
        images than the others.
        """
        random = np.random.default_rng((self.wishes.seed, step))
        objects = random.choice(np.flatnonzero(self.train.counts >= 2), self.wishes.set_batch_size)
        most = min(self.wishes.views, int(self.train.counts[objects].min()))
        return self._batch(objects, int(random.integers(2, most + 1)), random)

    def _batch(self, objects: NDArray[np.int64], count: int, random: np.random.Generator) -> tuple[Tensor, Tensor]:
        sets = []
        for index in objects.tolist():
            views = self.train.views(index)
            sets.append(views[random.choice(len(views), count, replace=False)])
        device = self.wishes.device
        return as_input(np.stack(sets)).to(device), self._targets[objects].float().to(device)

    # --- the folder -----------------------------------------------------------------------------------------------

    def _begin(self) -> State | None:
        """Make the folder and note what is asked for; return the state that was kept in it, if there is one."""
        asked = {**dataclasses.asdict(self.wishes), "objects": [self.train.checksum, self.test.checksum]}
        text = json.dumps(asked, indent=1) + "\n"
        path = self._out / STARTED
        if not path.exists():
            make_folder(self._out)
            write_text_atomic(path, text)
            return None
        if path.read_text(encoding="utf-8") != text:
            raise RunError(f"{self._out} holds a training with other options or objects; name another folder")
        kept = self._out / CHECKPOINT
        try:
            return read_tensors(kept.read_bytes()) if kept.exists() else None
        except SafetensorError as error:
            raise RunError(f"{kept} is damaged ({error}); remove it to begin anew") from error

    def close(self, network: ViewNetwork, report: str, measured: dict[str, Any]) -> None:
        """Write network and report, and remove what was kept to go on from."""
        files = {
            self._out / name: each for name, each in dump_network(network, self.plan, self.wishes.threshold).items()
        }
        files[self._out / "report.md"] = report.encode()
        objects = {"trained": self.train, "tested": self.test}
        wishes = self.wishes
        resolved = {"image_size": wishes.side, "learning_rate": wishes.rate, "attention_rate": wishes.rate_of_attention}
        told = {
            "asked": dataclasses.asdict(wishes) | resolved,
            "objects": {part: [entry.name for entry in each.entries] for part, each in objects.items()},
            **measured,
        }
        files[self._out / "report.json"] = (json.dumps(told, indent=2, allow_nan=False) + "\n").encode()
        write_files_atomic(files)
        self._forget()

    def _forget(self) -> None:
        """Remove what is kept to go on from, and the folder if nothing else is in it."""
        for name in (CHECKPOINT, STARTED):
            (self._out / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self._out.rmdir()


def check_threshold(threshold: float) -> None:
    """Check the probability above which a cell is predicted."""
    if not 0 < threshold < 1:
        raise ArgumentError(f"--threshold must be between 0 and 1, got {threshold}")


def check_apart(out: Path, folder: Path) -> None:
    """Refuse to write pictures to where images of objects are looked for."""
    if out.resolve().is_relative_to(folder.resolve()):
        raise ArgumentError(f"--out {out} lies in {folder}, where its pictures would be taken for an object's images")


def make_folder(out: Path) -> None:
    """Make a folder and those above it.

    Raises:
        ArgumentError: If it cannot be made.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ArgumentError(f"--out {out} cannot be made: {error.strerror}") from error


# --- the state of a training --------------------------------------------------------------------------------------


def _state(network: ViewNetwork, trainer: FASetTrainer, step: int) -> State:
    state = {f"network.{name}": each.detach() for name, each in network.state_dict().items()}
    for part, optimizer in _optimizers(trainer).items():
        for index, moments in optimizer.state_dict()["state"].items():
            state |= {f"{part}.{index}.{name}": each for name, each in moments.items()}
    state["step"] = torch.tensor(step)
    return {name: each.cpu().contiguous() for name, each in state.items()}


def _restore(network: ViewNetwork, trainer: FASetTrainer, state: State) -> int:
    """Put a state back; return how many steps it is after."""
    prefix = "network."
    network.load_state_dict(
        {name.removeprefix(prefix): each for name, each in state.items() if name.startswith(prefix)}
    )
    for part, optimizer in _optimizers(trainer).items():
        moments: dict[int, State] = {}
        for name, each in state.items():
            if name.startswith(f"{part}."):
                _, index, moment = name.split(".")
                moments.setdefault(int(index), {})[moment] = each
        optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return int(state["step"])


def _optimizers(trainer: FASetTrainer) -> dict[str, Adam]:
    return {"base": trainer.base_optimizer, "attention": trainer.attention_optimizer}
