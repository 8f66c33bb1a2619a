"""A search on one's own images in a folder: what is done is kept there, and the same call goes on behind it."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Self, cast

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as read_tensors
from safetensors.torch import save as write_tensors
from torch import Tensor, nn

from cenote import __version__
from cenote.catalog.files import write_bytes_atomic, write_files_atomic, write_text_atomic
from cenote.errors import ArgumentError, RunError
from cenote.pooling.balanced_supernets.balancing import FloatArray
from cenote.pooling.balanced_supernets.commands.images import EpochBatches, OwnImages
from cenote.pooling.balanced_supernets.commands.wishes import Wishes
from cenote.pooling.balanced_supernets.comparing import Alone, Comparison, Cost
from cenote.pooling.balanced_supernets.configurations import Blocks, blocks_text, config_to_blocks, count_configs
from cenote.pooling.balanced_supernets.costs import (
    Shape,
    TrainingMemory,
    count_flops,
    measure_latencies,
    training_memory,
    within,
)
from cenote.pooling.balanced_supernets.mixture import State
from cenote.pooling.balanced_supernets.naming import library_of, pool_named, units_named
from cenote.pooling.balanced_supernets.resuming import train_resumably
from cenote.pooling.balanced_supernets.search import PoolingSearch, Select
from cenote.pooling.balanced_supernets.supernet import check_units, pooled_network
from cenote.pooling.progress import Progress

REPORT, NETWORK = "where-to-pool.json", "network.safetensors"
"""What was found, written last; and the weights of the pick."""

STARTED, SEARCH, RANKED = "started.json", "search.safetensors", "ranked.safetensors"
"""What was asked for and what placements cost, the search between two epochs, and what it found."""

ALONE, UNDER_WAY = "alone.json", "under-way.safetensors"
"""The trainings that are over, and the one under way."""

MOST_PLACEMENTS, MOST_EVALUATED = 2_000, 8_000
"""Every placement is built, counted and timed, and each within the budget is evaluated in each SuperNet."""

_FOUND = ("score_matrix_", "assignment_", "steps_")

_LATENCY_SECONDS, _REPEATS = 60.0, (3, 15)
"""Time that measuring latencies may take, and the fewest and most measurements of each placement."""


class Job:
    """One search in its folder.

    Args:
        wishes: What is asked for.
        out: The folder; made when all that was asked for is known to fit together.
        data_root: Folder of data sets.
        progress: Told how far each step is.

    Raises:
        ArgumentError: If a wish does not fit the data or the network.
        RunError: If the folder holds a search that is over, or with other wishes.
    """

    def __init__(self, wishes: Wishes, out: Path, data_root: Path | None, progress: Progress) -> None:
        if (out / REPORT).exists():
            raise RunError(f"{out} holds a finished search; name another folder with --out, or remove it")
        self.wishes = wishes
        self._out = out
        self.progress = progress
        self._images = OwnImages.read(wishes, data_root)
        sample = self._images.sample()
        pool = pool_named(wishes.pooling)
        build = units_named(wishes.model, sample, self._images.classes, wishes.pools, pool)
        taken = build()
        _check_pools(taken.units, wishes.pools)
        check_units(taken.units, wishes.pools, sample, pool)
        own = taken.default if len(taken.default) == wishes.pools + 1 else None
        self.default = self._checked(wishes.read_default(), len(taken.units) - 1) or own
        self._search = PoolingSearch(
            lambda: build().units,
            wishes.pools,
            wishes.supernets,
            temperature=(1.0, wishes.temperature),
            ema=wishes.ema,
            pool=pool,
            learning_rate=(wishes.learning_rate, wishes.learning_rate / 100),
            weight_decay=wishes.weight_decay,
            seed=wishes.seed,
            device=wishes.device,
        )
        self._shape: Shape = (1, *sample.shape[1:])
        self._asked = {
            **dataclasses.asdict(wishes),
            "data": self._images.name,  # a folder may be named in other words
            "data_checksum": self._images.checksum,
            "library": _library(wishes.model),
            "own_code": _checksum([repr(taken.units), repr(pool), *_own_files(wishes.model, wishes.pooling)]),
        }
        self.costs = self._begin(taken.units)
        self._search.constraint = self._constraint()

    @staticmethod
    def _checked(default: Blocks | None, units: int) -> Blocks | None:
        if default is not None and sum(default) != units:
            raise ArgumentError(f"--default must be {units} units in all, got {blocks_text(default)}")
        return default

    # --- what placements cost -------------------------------------------------------------------------------------

    def _begin(self, units: nn.Sequential) -> tuple[Cost, ...]:
        """Make the folder and measure what placements cost, or read what was measured when it was made."""
        path = self._out / STARTED
        if path.exists():
            with _reading(path):
                started = json.loads(path.read_text(encoding="utf-8"))
                before, costs = dict(started["asked"]), tuple(Cost(**cost) for cost in started["costs"])
                if len(costs) != len(self._search.all_configs):
                    raise ValueError(f"it has the costs of {len(costs)} placements")
            for name, value in self._asked.items():
                if before.get(name) != value:
                    words = f": {before.get(name)} then, {value} now" if name in vars(self.wishes) else ""
                    raise RunError(
                        f"{self._out} holds a search with another {name.replace('_', ' ')}{words}; name another folder"
                    )
            return costs
        costs = self._measured(units)
        self._check_budget(costs)
        try:
            self._out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ArgumentError(f"--out {self._out} cannot be made: {error.strerror}") from error
        started = {"asked": self._asked, "costs": [dataclasses.asdict(cost) for cost in costs]}
        write_text_atomic(path, json.dumps(started, indent=1) + "\n")
        return costs

    def _measured(self, units: nn.Sequential) -> tuple[Cost, ...]:
        # All networks share the units, which are in evaluation mode: only the places of their poolings differ.
        units = units.to(self.wishes.device).eval()
        networks = [pooled_network(units, config, self._search.pool).eval() for config in self._search.all_configs]
        flops = []
        for network in networks:
            flops.append(count_flops(network, self._shape))
            self.progress("costs", len(flops), len(networks))
        once = float(np.median(measure_latencies(networks, self._shape, repeats=1), axis=1).sum())
        least, most = _REPEATS
        repeats = int(min(max(_LATENCY_SECONDS / max(once, 1e-9), least), most))
        seconds = np.median(measure_latencies(networks, self._shape, repeats=repeats), axis=1)
        return tuple(Cost(count, float(each)) for count, each in zip(flops, seconds, strict=True))

    def _check_budget(self, costs: Sequence[Cost]) -> None:
        limit, count = self.wishes.read_budget(), len(costs)
        if limit is not None:
            known = _KnownCosts.of(limit.kind, limit.value, costs)
            try:
                count = len(within(known, known.values))
            except ArgumentError as error:
                raise ArgumentError(f"--budget: {str(error).removeprefix('constraint: ')}") from error
        evaluated = count * self.wishes.supernets
        if evaluated > MOST_EVALUATED:
            raise ArgumentError(
                f"--supernets {self.wishes.supernets}: {count:,} placements in each SuperNet are {evaluated:,} "
                f"evaluations, and {MOST_EVALUATED:,} can be made; take fewer SuperNets or a lower --budget"
            )

    def _constraint(self) -> _KnownCosts | None:
        limit = self.wishes.read_budget()
        return None if limit is None else _KnownCosts.of(limit.kind, limit.value, self.costs)

    def _within_budget(self) -> Sequence[int]:
        """Return the positions of the placements that are searched."""
        budget = self._constraint()
        return range(len(self.costs)) if budget is None else within(budget, budget.values)

    def memory(self) -> TrainingMemory:
        """Return what a step of the search holds at most: with the dearest placement that it keeps."""
        dearest = max(self._within_budget(), key=lambda index: self.costs[index].flops)
        network = self._search.network(config_to_blocks(self._search.all_configs[dearest]))
        network.to(self.wishes.device).train()
        shape = (self.wishes.batch_size, *self._shape[1:])
        return training_memory(network, shape, models=self.wishes.supernets)

    # --- the search -----------------------------------------------------------------------------------------------

    def search(self) -> float:
        """Search, from the last whole epoch on; return the seconds it took in all.

        Raises:
            RunError: If the search diverges, or the state that was kept is damaged.
        """
        wishes, start = self.wishes, perf_counter()
        if (ranked := self._kept(RANKED, "losses", *_FOUND)) is not None:
            return self._take(ranked)
        state = self._kept(SEARCH, "losses")
        before = float(state.pop("seconds")) if state is not None else 0.0

        def keep(epoch: int, _: float) -> None:
            self._keep(SEARCH, self._search.state() | _seconds(before + perf_counter() - start))
            self.progress("search", epoch + 1, wishes.epochs)

        train, val = self._images.loaders(wishes, wishes.seed)
        ranking = _Watched(val, wishes.epochs, lambda done: self.progress("ranking", done, len(val)))
        with self._resuming(SEARCH, state):
            self._search.fit(train, ranking, wishes.epochs, resume=state, on_epoch=keep)
        if not np.isfinite(self._search.score_matrix_).all():
            raise RunError(
                f"the search diverged in epoch {len(self._search.losses_)}; take a lower --learning-rate and another "
                "--out"
            )
        seconds = before + perf_counter() - start
        found = {name: torch.from_numpy(getattr(self._search, name)) for name in _FOUND}
        losses = torch.tensor(self._search.losses_, dtype=torch.float64)
        self._keep(RANKED, found | {"losses": losses} | _seconds(seconds))
        return seconds

    def _take(self, ranked: State) -> float:
        """Take over what a search found; its evaluations would take as long again as they did."""
        kept, configs = self._within_budget(), self._search.all_configs
        shape = (len(kept), self.wishes.supernets)
        with _reading(self._out / RANKED):
            for name in _FOUND:
                if tuple(ranked[name].shape) != shape:
                    raise ValueError(f"{name} is of shape {tuple(ranked[name].shape)}, needs {shape}")
                setattr(self._search, name, ranked[name].numpy().copy())
        self._search.configs_ = tuple(configs[index] for index in kept)
        self._search.losses_ = tuple(ranked["losses"].tolist())
        return float(ranked["seconds"])

    @contextmanager
    def _resuming(self, name: str, state: State | None) -> Iterator[None]:
        """Name the file of a state that does not fit."""
        try:
            yield
        except ArgumentError as error:
            if state is None or not str(error).startswith("resume: "):
                raise
            path = self._out / name
            raise RunError(f"{path} is damaged ({error}); remove it to begin that step anew") from error

    # --- networks of one placement ----------------------------------------------------------------------------------

    def compare(self, search_seconds: float) -> Comparison:
        """Train the pick, the default and, by brute force, every placement alone, and put together what was found.

        Raises:
            RunError: If a state that was kept is damaged.
        """
        select = cast(Select, self.wishes.select)
        ranking = [each.blocks for each in self._search.ranking(select)]
        pick = ranking[0]
        wanted = [pick, *([self.default] if self.default else []), *(ranking if self.wishes.brute_force else [])]
        trainings = [
            (blocks, self.wishes.seed + repeat)
            for blocks in dict.fromkeys(wanted)
            for repeat in range(self.wishes.retrainings)
        ]
        done = self._finished()
        for index, (blocks, seed) in enumerate(trainings):
            if not any((each.blocks, each.seed) == (blocks, seed) for each in done):
                what = f"networks, {index + 1} of {len(trainings)}"
                own, network = self._trained(blocks, seed, partial(self._tell, what))
                done.append(own)
                keeps = (blocks, seed) == (pick, self.wishes.seed)
                self._finish(done, network if keeps and np.isfinite(own.test) else None)
        return Comparison.of(self._search, select, self.costs, done, self.default, search_seconds)

    def _tell(self, what: str, epoch: int) -> None:
        self.progress(what, epoch + 1, self.wishes.retrain_epochs)

    def _trained(self, blocks: Blocks, seed: int, on_epoch: Callable[[int], None]) -> tuple[Alone, nn.Module]:
        wishes, start = self.wishes, perf_counter()
        train, _ = self._images.loaders(wishes, seed)
        network = self._search.network(blocks, seed=seed)
        name = [*blocks, seed]
        state = self._kept(UNDER_WAY, "name", "epoch")
        if state is not None and state["name"].tolist() != name:  # of the one before, which is over
            state = None
        before = float(state["seconds"]) if state is not None else 0.0

        def keep(epoch: int, _: float, state: State) -> None:
            self._keep(UNDER_WAY, state | {"name": torch.tensor(name)} | _seconds(before + perf_counter() - start))
            on_epoch(epoch)

        with self._resuming(UNDER_WAY, state):
            converged = train_resumably(
                network, train, wishes.retrain_epochs, self._search.recipe,
                seed=seed, device=wishes.device, resume=state, on_epoch=keep,
            )  # fmt: skip
        seconds = before + perf_counter() - start
        nan = float("nan")
        val, test = self._images.accuracies(network.eval(), wishes.batch_size) if converged else (nan, nan)
        return Alone(blocks, seed, val, test, seconds), network

    # --- the folder -----------------------------------------------------------------------------------------------

    def _kept(self, name: str, *needs: str) -> State | None:
        path = self._out / name
        if not path.exists():
            return None
        with _reading(path):
            state = read_tensors(path.read_bytes())
            for needed in ("seconds", *needs):
                if needed not in state:
                    raise ValueError(f"it has no {needed}")
        return state

    def _keep(self, name: str, state: State) -> None:
        tensors = {key: each.detach().cpu().contiguous() for key, each in state.items()}
        write_bytes_atomic(self._out / name, write_tensors(tensors))

    def _finished(self) -> list[Alone]:
        path = self._out / ALONE
        if not path.exists():
            return []
        with _reading(path):
            return [Alone(**{**row, "blocks": tuple(row["blocks"])}) for row in json.loads(path.read_text("utf-8"))]

    def _finish(self, done: Sequence[Alone], network: nn.Module | None) -> None:
        files = {self._out / ALONE: json.dumps([dataclasses.asdict(each) for each in done]).encode()}
        if network is not None:
            weights = {name: each.detach().cpu().contiguous() for name, each in network.state_dict().items()}
            files[self._out / NETWORK] = write_tensors(weights)
        write_files_atomic(files)

    def close(self, found: Comparison) -> None:
        """Write what was found, and remove what was kept to go on from."""
        made = {
            "cenote": __version__,
            "library": self._asked["library"],
            "asked": self._asked,
            "images": self._images.as_json(),
            "threads": torch.get_num_threads(),
        }
        report = json.dumps({**made, **found.as_json()}, indent=2, allow_nan=False)
        write_text_atomic(self._out / REPORT, report + "\n")
        for name in (STARTED, SEARCH, RANKED, ALONE, UNDER_WAY):
            (self._out / name).unlink(missing_ok=True)


@dataclass(eq=False)
class _KnownCosts:
    """A budget over costs that were measured before, so that a search that goes on has the same placements."""

    limit: float
    values: FloatArray
    words: str

    @classmethod
    def of(cls, kind: str, limit: float, costs: Sequence[Cost]) -> Self:
        flops = kind == "flops"
        values = [float(cost.flops) if flops else cost.seconds for cost in costs]
        return cls(limit, np.array(values), f"{limit:.4g} operations" if flops else f"{limit:.4g} seconds")

    def costs(self, networks: Sequence[nn.Module], shape: Shape) -> FloatArray:
        """Return the costs of all placements, whose networks these are."""
        return self.values

    def __str__(self) -> str:
        return f"{self.words} an image"


class _Watched:
    """Batches that tell how many of them the ranking has seen: those of the epoch behind the last one."""

    def __init__(self, batches: EpochBatches, epochs: int, seen: Callable[[int], None]) -> None:
        self._batches, self._epochs, self._seen = batches, epochs, seen
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self._epoch = epoch
        self._batches.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        ranking = self._epoch == self._epochs
        for done, batch in enumerate(self._batches, 1):
            yield batch
            if ranking:
                self._seen(done)


def _seconds(value: float) -> State:
    return {"seconds": torch.tensor(value, dtype=torch.float64)}


def _library(model: str) -> str | None:
    """The library that a network is of, with its version."""
    library = library_of(model)
    return library and f"{library} {importlib.metadata.version(library)}"


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn whatever a damaged file raises while it is read into one error."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise RunError(
            f"{path} is damaged ({type(error).__name__}: {error}); remove it to begin that step anew"
        ) from error


def _own_files(*names: str) -> Iterator[str]:
    """Yield the source of each file that is named as the place of a function."""
    for name in names:
        path = Path(name.rpartition(":")[0])
        if path.suffix == ".py" and path.is_file():
            yield path.read_text(encoding="utf-8")


def _checksum(texts: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def _check_pools(units: nn.Sequential, pools: int) -> None:
    count = len(units) - 1
    if pools >= count:
        raise ArgumentError(f"--pools must be below the number of units, {count}, got {pools}")
    placements = count_configs(count, pools)
    if placements > MOST_PLACEMENTS:
        raise ArgumentError(
            f"--pools {pools}: there are {placements:,} placements between {count} units, and {MOST_PLACEMENTS:,} can "
            "be searched; take fewer poolings, or units that hold more layers"
        )
