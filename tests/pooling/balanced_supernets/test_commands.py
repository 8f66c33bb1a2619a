"""``cenote where-to-pool`` as a user meets it."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from scipy.stats import kendalltau

import cenote
from cenote.errors import ArgumentError
from cenote.pooling import (
    PoolingSearch,
    PosetPool2d,
    blocks_to_config,
    count_flops,
    pool_configs,
    training_memory,
)
from cenote.pooling.balanced_supernets.commands import _sentences
from cenote.pooling.balanced_supernets.commands import job as jobs
from cenote.pooling.balanced_supernets.commands.images import OwnImages
from cenote.pooling.balanced_supernets.commands.wishes import Wishes
from cenote.pooling.balanced_supernets.comparing import Alone, Comparison, Cost, Placement
from cenote.pooling.balanced_supernets.mixture import Mixture
from cenote.pooling.balanced_supernets.naming import library_of, pool_named, units_named
from cenote.pooling.balanced_supernets.supernet import pooled_network
from tests.pooling.balanced_supernets.problem import WIDTHS
from tests.pooling.balanced_supernets.problem import resnet_units as units
from tests.pooling.calling import Verb

NETWORK = """
from __future__ import annotations

from dataclasses import dataclass

from torch import nn
from cenote.pooling import resnet_units

def units(channels, classes):
    return resnet_units((4, 4, 8, 8), channels=channels, classes=classes)

def fixed():
    return resnet_units((4, 4, 8, 8), channels=1, classes=3)

def strided():
    return nn.Sequential(nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())

def flat(channels, classes, side=2):
    made = resnet_units((4, 4, 8, 8), channels=channels, classes=classes)
    made[-1] = nn.Sequential(nn.Flatten(), nn.Linear(8 * side * side, classes))
    return made

def flat_unpooled(channels, classes):
    return flat(channels, classes, side=8)

def three_channels():
    return nn.Conv2d(3, 3, 2, 2, groups=3)

class Own(nn.Sequential):
    def __init__(self, channels, classes):
        super().__init__(*resnet_units((4, 4, 8, 8), channels=channels, classes=classes))

class Doubled(Own):
    def forward(self, x):
        return 2 * super().forward(x)

@dataclass
class Widths:
    first: int = 4

def broken():
    raise RuntimeError("no")

def pool():
    return nn.AvgPool2d(2)

def no_pool():
    return nn.Identity()

name = "a text"
"""

QUICK = ("--epochs", "2", "--retrain-epochs", "2", "--batch-size", "8", "--supernets", "2", "--shift", "1")
SMALL = ("--image-size", "8", "--pools", "2")
PICTURES = {"assignment.png", "shared.png", "flops.png", "latency.png"}


VERB = Verb("where-to-pool", columns=120)
invoke, call, refused = VERB.invoke, VERB.call, VERB.refused


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("network") / "small.py"
    path.write_text(NETWORK)
    return str(path)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Sixteen images of each of two classes to train on, told apart by their brightness, and four to test on."""
    folder = tmp_path_factory.mktemp("photos")
    noise = np.random.default_rng(0)
    for split, count in (("train", 16), ("test", 4)):
        for name, low in (("dark", 0), ("light", 120)):
            (folder / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = noise.integers(low, low + 130, (8, 8, 3), np.uint8)
                Image.fromarray(pixels).save(folder / split / name / f"{index}.png")
    return str(folder)


@pytest.fixture(scope="module")
def compared(network: str, photos: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What is printed by a search with brute force, and its folder."""
    out = tmp_path_factory.mktemp("out") / "found"
    more = ("--brute-force", "--retrainings", "2", "--select", "mean")
    return call(f"{network}:units", "--data", photos, "--out", str(out), *SMALL, *QUICK, *more), out


def report(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "where-to-pool.json").read_text())
    return found


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_a_search_leaves_a_report_the_weights_of_the_pick_and_pictures(compared: tuple[str, Path]) -> None:
    _, out = compared
    assert files(out) == {"where-to-pool.json", "network.safetensors"} | PICTURES
    found = report(out)
    assert [row["blocks"] for row in found["placements"]] == [[1, 1, 2], [1, 2, 1], [2, 1, 1]]
    for row in found["placements"]:
        assert [each["seed"] for each in row["alone"]] == [0, 1]
        probabilities = [model["assignment"] for model in row["models"]]
        assert math.isclose(sum(probabilities), 1, abs_tol=1e-9)
        assert row["shared_accuracy"] == pytest.approx(np.mean([model["accuracy"] for model in row["models"]]))
        network = pooled_network(units(WIDTHS, classes=2), blocks_to_config(row["blocks"]))
        assert row["flops"] == count_flops(network, (1, 3, 8, 8))
        assert row["latency_ms"] > 0
    # Half of 32 images in batches of 8, for 2 epochs: 4 steps, shared out among placements and models.
    assert sum(model["steps"] for row in found["placements"] for model in row["models"]) == 4
    assert found["pick"] == max(found["placements"], key=lambda row: row["shared_accuracy"])["blocks"]
    assert found["asked"]["retrainings"] == 2
    assert found["cenote"] == cenote.__version__
    network = pooled_network(units(WIDTHS, classes=2), blocks_to_config(found["pick"]))
    network.load_state_dict(load_file(out / "network.safetensors"))


def test_the_default_and_the_best_of_the_brute_force_are_those_of_the_report(compared: tuple[str, Path]) -> None:
    printed, out = compared
    found = report(out)
    assert found["default"] is None  # the network gets wider once, and two poolings are placed
    assert "there is no default to compare with" in " ".join(printed.split())
    means = {tuple(row["blocks"]): np.mean([each["validation"] for each in row["alone"]])
             for row in found["placements"]}  # fmt: skip
    assert means[tuple(found["best_of_brute_force"])] == max(means.values())
    best, pick = (f"[{','.join(map(str, found[key]))}]" for key in ("best_of_brute_force", "pick"))
    assert f"Brute force chooses {best} with" in printed
    assert f"Pick {pick}:" in printed
    tests = {tuple(row["blocks"]): np.mean([each["test"] for each in row["alone"]]) for row in found["placements"]}
    assert found["ranking"]["regret"]["value"] == pytest.approx(max(tests.values()) - tests[tuple(found["pick"])])
    (line,) = (line for line in printed.splitlines() if line.startswith(pick))
    row = next(row for row in found["placements"] if row["blocks"] == found["pick"])
    roles = "pick, best alone" if found["best_of_brute_force"] == found["pick"] else "pick"
    assert line.split(maxsplit=9) == [
        pick, f"{row['flops'] / 1e6:,.2f}", "M", f"{row['latency_ms']:.2f}", "ms",
        f"{100 * row['shared_accuracy']:.1f}", "%", f"{100 * tests[tuple(found['pick'])]:.1f}", "%", roles,
    ]  # fmt: skip


def test_every_way_to_select_is_in_the_report(compared: tuple[str, Path]) -> None:
    found = report(compared[1])
    assert list(found["selections"]) == ["best_model", "mean", "expected"]
    truth = [np.mean([each["test"] for each in row["alone"]]) for row in found["placements"]]
    for row in found["placements"]:
        accuracies, shares = ([model[key] for model in row["models"]] for key in ("accuracy", "assignment"))
        assert row["scores"] == pytest.approx(
            {"best_model": max(accuracies), "mean": np.mean(accuracies), "expected": np.dot(accuracies, shares)}
        )
    for way, each in found["selections"].items():
        scores = [row["scores"][way] for row in found["placements"]]
        assert each["pick"] == found["placements"][int(np.argmax(scores))]["blocks"]
        assert each["ranking"]["regret"]["value"] == pytest.approx(max(truth) - truth[int(np.argmax(scores))])
        kendall = each["ranking"]["kendall"]["value"]
        assert (math.nan if kendall is None else kendall) == pytest.approx(
            kendalltau(scores, truth).statistic, nan_ok=True
        )
    assert found["selections"]["mean"]["ranking"] == found["ranking"]


def test_what_the_search_holds_is_said_before_it_begins(compared: tuple[str, Path]) -> None:
    network = pooled_network(units(WIDTHS, classes=2), blocks_to_config((2, 1, 1))).train()
    memory = training_memory(network, (8, 3, 8, 8), models=2)
    parts = (memory.total, memory.weights + memory.momentum, memory.activations)
    total, weights, activations = (f"{part / 2**20:,.1f} MiB" for part in parts)
    assert (
        f"A step of the search holds up to about {total}: {weights} of weights and momentum of 2 SuperNets, "
        f"{activations} of activations."
    ) in " ".join(compared[0].split())


def test_networks_alone_are_those_of_the_python_interface(compared: tuple[str, Path], photos: str) -> None:
    """An equal ``PoolingSearch`` retrains the pick to the same weights on the same batches."""
    _, out = compared
    found = report(out)
    asked = {key: value for key, value in found["asked"].items() if key in Wishes.__dataclass_fields__}
    wishes = Wishes(**{**asked, "data": photos})
    train, _ = OwnImages.read(wishes, None).loaders(wishes, seed=0)
    search = PoolingSearch(lambda: units(WIDTHS, classes=2), 2, 2)
    trained = search.retrain(train, 2, blocks=tuple(found["pick"])).state_dict()
    kept = load_file(out / "network.safetensors")
    assert set(kept) == set(trained)
    for name, weights in trained.items():
        torch.testing.assert_close(kept[name], weights.contiguous(), rtol=0, atol=0)


@pytest.mark.parametrize("where", ["search", "network", "pictures"])
def test_a_search_that_was_killed_goes_on_and_ends_alike(
    where: str, network: str, photos: str, compared: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "found"
    more = ("--brute-force", "--retrainings", "2", "--select", "mean")
    arguments = (f"{network}:units", "--data", photos, "--out", str(out), *SMALL, *QUICK, *more)
    stops = {"search": ("search.safetensors", 1), "network": ("under-way.safetensors", 3), "pictures": ("", 0)}
    name, count = stops[where]
    keep = jobs.Job._keep
    written = 0

    def killed(self: jobs.Job, file: str, state: Any) -> None:
        nonlocal written
        keep(self, file, state)
        written += file == name
        if written == count:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if where == "pictures":
            patch.setattr("cenote.pooling.balanced_supernets.commands.draw_search", _interrupted)
        else:
            patch.setattr(jobs.Job, "_keep", killed)
        assert invoke(*arguments).exit_code == 130
    assert "where-to-pool.json" not in files(out)
    assert "started.json" in files(out)
    assert "holds a search with another seed: 0 then, 1 now" in refused(*arguments, "--seed", "1")
    with monkeypatch.context() as patch:
        if where != "search":  # its ranking was kept
            patch.setattr(Mixture, "evaluate", _interrupted)
        call(*arguments)
    whole = compared[1]
    assert files(out) == files(whole)
    assert (out / "network.safetensors").read_bytes() == (whole / "network.safetensors").read_bytes()
    assert _without_times(report(out)) == _without_times(report(whole))


def _interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def _without_times(found: dict[str, Any]) -> dict[str, Any]:
    rows = [
        {**row, "latency_ms": 0, "alone": [{**each, "seconds": 0} for each in row["alone"]]}
        for row in found["placements"]
    ]
    return {**found, "search_seconds": 0, "placements": rows}


def test_a_budget_leaves_placements_out_but_compares_with_a_default_over_it(
    network: str, photos: str, tmp_path: Path
) -> None:
    shape, built = (1, 3, 8, 8), units(WIDTHS, classes=2)
    costs = [count_flops(pooled_network(built, config), shape) for config in pool_configs(4, 2)]
    assert costs == sorted(costs)
    limit = f"flops={costs[1] / 1e3 + 0.01}k"
    more = ("--budget", limit, "--default", "[2,1,1]", "--pooling", f"{network}:pool")
    printed = call(f"{network}:units", "--data", photos, "--out", str(tmp_path), *SMALL, *QUICK, *more)
    found = report(tmp_path)
    assert [row["shared_accuracy"] is None for row in found["placements"]] == [False, False, True]
    assert [len(row["alone"]) for row in found["placements"]].count(1) == 2
    assert found["pick"] != [2, 1, 1] == found["default"]
    assert found["ranking"] is found["best_of_brute_force"] is None
    assert "over budget" in printed
    assert "Default [2,1,1]:" in printed
    assert "One network of each says little" in printed
    assert files(tmp_path) == {"where-to-pool.json", "network.safetensors"} | PICTURES - {"shared.png"}


def test_a_named_data_set_and_a_fixed_network(network: str, tmp_path: Path) -> None:
    """One SuperNet is SPOS; grey images, a default where the maps get wider, and a latency that all placements keep."""
    more = ("--images", "60", "--supernets", "1", "--budget", "latency=5s", "--pooling", "stride", "--no-flip")
    printed = call(
        f"{network}:units", "--data", "digits", "--out", str(tmp_path), "--pools", "1", *QUICK, *more
    )  # fmt: skip
    found = report(tmp_path)
    assert found["default"] == [2, 2]
    assert found["library"] is None
    assert all(len(row["models"]) == 1 for row in found["placements"])
    alone = {tuple(row["blocks"]): row["alone"][0]["test"] for row in found["placements"] if row["alone"]}
    assert set(alone) == {tuple(found["pick"]), (2, 2)}
    words = f"Default [2,2]: {100 * alone[2, 2]:.1f} %." if found["pick"] != [2, 2] else "It is the default."
    assert words in printed
    assert f"all {len(found['placements'])} placements alone, with --brute-force, would take about" in printed


def test_a_head_that_fits_pooled_maps_alone_is_taken(network: str) -> None:
    """Two poolings leave 2 × 2 of 8 × 8, wherever they are; without them the head would not fit."""
    build = units_named(f"{network}:flat", torch.randn(2, 3, 8, 8), classes=3, pools=2)
    assert tuple(pooled_network(build().units, (0, 1, 0, 1)).eval()(torch.randn(2, 3, 8, 8)).shape) == (2, 3)


def test_networks_of_the_libraries_take_grey_images_and_as_many_classes_as_there_are() -> None:
    images = torch.randn(2, 1, 8, 8)
    for name, default in (("resnet18", (3, 2, 2, 2)), ("resnet10t", (2, 1, 1, 1))):  # the second is timm's alone
        build = units_named(name, images, classes=5)
        first, second = build(), build()
        assert first.default == default
        assert tuple(first.units.eval()(images).shape) == (2, 5)
        weights = [next(each.units.parameters()) for each in (first, second)]
        assert weights[0].shape[1] == 1
        assert not torch.equal(*weights)


def test_a_name_can_say_its_library() -> None:
    assert [library_of(name) for name in ("resnet18", "timm:resnet18", "torchvision:resnet18", "resnet10t")] == [
        "torchvision", "timm", "torchvision", "timm",
    ]  # fmt: skip
    for name in ("torchvision:resnet10t", "timm:absent", "file.py:resnet18", "resnet18x"):
        assert library_of(name) is None
    images = torch.randn(2, 3, 8, 8)
    heads = [type(units_named(f"{each}:resnet18", images, 5)().units[-1][0]) for each in ("timm", "torchvision")]
    assert [head.__module__.partition(".")[0] for head in heads] == ["timm", "torch"]


def test_a_sequence_may_be_of_a_class_of_its_own(network: str) -> None:
    images = torch.randn(2, 3, 8, 8)
    built = units_named(f"{network}:Own", images, 3, pools=2)().units
    assert type(built) is torch.nn.Sequential
    assert len(built) == 5
    with pytest.raises(ArgumentError, match="Doubled has a forward of its own"):
        units_named(f"{network}:Doubled", images, 3)


def test_a_pooling_of_the_shelf_has_a_name() -> None:
    maps = torch.randn(1, 2, 4, 6)
    for name, poset in (("poset:N", "N"), ("poset:12", "N"), ("poset:1<2>3<4", "N")):
        pool = pool_named(name)
        assert isinstance(pool, PosetPool2d)
        assert pool.poset == PosetPool2d(poset).poset
        assert pool.scale == 0.25
    assert tuple(pool(maps).shape) == (1, 2, 2, 3)
    assert pool_named("max") == "max"


# --- what cannot be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"MODEL": "resnet18x"}, "MODEL: torchvision and timm have no model 'resnet18x'"),
        ({"MODEL": "mobilenet_v2"}, "MODEL mobilenet_v2: model must be a ResNet or VGG of torchvision or timm"),
        ({"MODEL": "no.such.module:units"}, "MODEL: 'no.such.module' cannot be imported"),
        ({"MODEL": "FILE:absent"}, "MODEL: 'absent' is not in"),
        ({"MODEL": "FILE:name"}, "MODEL: 'name' is no function; give package.module:function or file.py:function"),
        ({"MODEL": "FILE:broken"}, "cannot be built and given images of shape (2, 3, 8, 8): RuntimeError: no"),
        ({"MODEL": "FILE:fixed"}, "units: unit 0 does not take images of shape (2, 3, 8, 8)"),
        ({"MODEL": "FILE:strided"}, "units: unit 0 changes the size of its map from 8 × 8 to 4 × 4"),
        ({"--pooling": "median"}, "--pooling must be max, avg, stride, poset:N or"),
        ({"--pooling": "poset:zigzag"}, "--pooling poset:zigzag: cannot be built: "),
        ({"--pooling": "FILE:no_pool"}, "pool must halve height and width"),
        ({"--pooling": "builtins:dict"}, "--pooling builtins:dict: returns dict, needs a module"),
        ({"--pools": "4"}, "--pools must be below the number of units, 4, got 4"),
        ({"--budget": "flops"}, "--budget must be flops=40M"),
        ({"--budget": "latency=3M"}, "--budget must be flops=40M (with k, M, G or none) or latency=2.5ms"),
        ({"--budget": "flops=0"}, "--budget must be"),
        ({"--budget": "flops=1k"}, "--budget: no placement keeps 1000 operations an image; the cheapest costs"),
        ({"--default": "2,x"}, "--default must be numbers of units such as 4,3,3, got '2,x'"),
        ({"--default": "2,2"}, "--default must be 3 numbers for --pools 2, got 2,2"),
        ({"--default": "1,1,1"}, "--default must be 4 units in all, got [1,1,1]"),
        ({"--data": "nowhere"}, "--data: 'nowhere' is neither a folder nor a data set; those are cifar10, digits"),
        ({"--data": "blots"}, "--data blots: has boxes, not one label an image"),
        ({"--data": "EMPTY"}, "has no folder train"),
        ({"--batch-size": "17"}, "--batch-size must be at most half of the training images, 16, got 17"),
        ({"--shift": "8"}, "--shift must be below the side of the images, got 8"),
        ({"--select": "best"}, "--select must be best_model, mean, expected, got 'best'"),
        ({"--learning-rate": "0"}, "--learning-rate must be positive, got 0"),
        ({"--weight-decay": "-1"}, "--weight-decay must be 0 or more, got -1"),
        ({"--temperature": "nan"}, "--temperature must be 0 or more, got nan"),
        ({"--temperature": "2000"}, "--temperature must be at most 1,000, got 2000"),
        ({"--ema": "1"}, "--ema must be below 1, got 1"),
        ({"MODEL": "FILE:flat_unpooled"}, "mat1 and mat2 shapes cannot be multiplied"),
        ({"--pooling": "FILE:three_channels"}, "MODEL FILE:units: cannot be built and given images"),
        ({"--device": "no-such"}, "--device no-such cannot be used here"),
        ({"--supernets": "3000"}, "--supernets 3000: 3 placements in each SuperNet are 9,000 evaluations, and 8,000"),
    ],
)
def test_what_does_not_fit_is_said_and_nothing_is_written(
    changes: dict[str, str], words: str, network: str, photos: str, tmp_path: Path
) -> None:
    out, empty = tmp_path / "out", tmp_path / "empty"
    empty.mkdir()
    arguments = {"MODEL": "FILE:units", "--data": photos, "--pools": "2", "--image-size": "8", "--batch-size": "8"}
    wanted = {
        key: value.replace("FILE", network).replace("EMPTY", str(empty)) for key, value in (arguments | changes).items()
    }
    options = [f"{key}={value}" for key, value in wanted.items() if key != "MODEL"]
    words = words.replace("FILE", network)
    assert words in refused(wanted["MODEL"], "--out", str(out), *options)
    assert not out.exists()


def test_a_folder_with_a_report_or_a_damaged_state_is_left_alone(
    network: str, photos: str, compared: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = (f"{network}:units", "--data", photos, *SMALL, *QUICK)
    before = files(compared[1])
    assert "holds a finished search" in refused(*arguments, "--out", str(compared[1]))
    assert files(compared[1]) == before
    with monkeypatch.context() as patch:
        patch.setattr("cenote.pooling.balanced_supernets.commands.draw_search", _interrupted)
        invoke(*arguments, "--out", str(tmp_path))
    started = tmp_path / "started.json"
    whole = started.read_text()
    for damage in ("", "{}", whole[:50], "[]"):
        started.write_text(damage)
        assert "started.json is damaged" in refused(*arguments, "--out", str(tmp_path))
    started.write_text(whole)
    for name, first in (
        ("ranked.safetensors", None),  # what the search found
        ("search.safetensors", "ranked.safetensors"),  # the search itself, as long as it has not ended
        ("alone.json", None),
        ("under-way.safetensors", "alone.json"),  # a training, as long as it is not over
    ):
        path, kept = tmp_path / name, (tmp_path / name).read_bytes()
        before = (tmp_path / first).read_bytes() if first else b""
        if first:
            (tmp_path / first).unlink()
        path.write_bytes(kept[:50])
        assert f"{name} is damaged" in refused(*arguments, "--out", str(tmp_path))
        path.write_bytes(kept)
        if first:
            (tmp_path / first).write_bytes(before)


def test_a_search_that_diverges_says_so(network: str, photos: str, tmp_path: Path) -> None:
    arguments = (f"{network}:units", "--data", photos, "--out", str(tmp_path), *SMALL, *QUICK)
    assert "the search diverged in epoch" in refused(*arguments, "--learning-rate", "1e38")
    assert "where-to-pool.json" not in files(tmp_path)


def test_own_code_that_changed_is_another_search(photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "own.py"
    own.write_text(NETWORK)
    arguments = (f"{own}:units", "--data", photos, "--out", str(tmp_path / "out"), *SMALL, *QUICK)
    with monkeypatch.context() as patch:
        patch.setattr("cenote.pooling.balanced_supernets.commands.draw_search", _interrupted)
        invoke(*arguments)
    own.write_text(NETWORK + "\n# other weights\n")
    assert "holds a search with another own code; name another folder" in refused(*arguments)


def test_a_report_says_what_the_weights_need(compared: tuple[str, Path]) -> None:
    images = report(compared[1])["images"]
    assert images["classes"] == ["dark", "light"]
    assert images["shape"] == [3, 8, 8]
    assert images["trained_on"] == 16
    assert len(images["mean"]) == len(images["std"]) == 3
    assert all(0 < each < 1 for each in images["std"])


# --- what cannot be measured ------------------------------------------------------------------------------------------


def found(tests: tuple[float, ...], scores: tuple[float, ...] = (0.5, 0.6, 0.7)) -> Comparison:
    """Three placements with these accuracies alone, the last of them picked and the first the default."""
    placements = tuple(
        Placement(blocks, Cost(100 + index, 0.001), score, (Alone(blocks, 0, test, test, 1.0),))
        for index, (blocks, score, test) in enumerate(
            zip(((1, 1, 2), (1, 2, 1), (2, 1, 1)), scores, tests, strict=True)
        )
    )
    matrix = np.full((3, 2), 0.5)
    return Comparison(placements, (2, 1, 1), (1, 1, 2), matrix, np.ones((3, 2), np.int64), matrix, 2.0)


def said(comparison: Comparison) -> str:
    return " ".join(_sentences(comparison, SimpleNamespace(retrainings=1, brute_force=True, pools=2)))  # type: ignore[arg-type]


def test_equal_accuracies_have_no_rank_correlation() -> None:
    equal = found((0.5, 0.5, 0.5))
    assert json.dumps(equal.as_json(), allow_nan=False)
    assert equal.as_json()["ranking"]["kendall"]["value"] is None
    assert "Kendall τ undefined, as all scores or all accuracies are equal" in said(equal)
    assert "nan" not in said(equal)


def test_a_training_that_diverged_is_named_and_the_others_are_compared() -> None:
    one = found((math.nan, 0.5, 0.7))
    assert [each.name for each in one.diverged] == ["[1,1,2]"]
    assert "Trainings alone of [1,1,2] diverged; what follows is of the other placements." in said(one)
    assert "Default [1,1,2]: its training alone diverged." in said(one)
    assert one.best == (2, 1, 1)
    assert one.as_json()["ranking"]["kendall"]["value"] == 1
    picked = found((0.5, 0.6, math.nan))
    assert "Pick [2,1,1]: its training alone diverged; take a lower --learning-rate" in said(picked)
    none = found((math.nan, math.nan, 0.5))
    assert none.statistics() is none.best is None
    assert "Fewer than two placements were trained alone to their end" in said(none)
    for comparison in (one, none, picked):
        assert "nan" not in said(comparison)
        assert json.dumps(comparison.as_json(), allow_nan=False)


def test_equal_scores_are_said() -> None:
    assert "Other placements have the same score" in said(found((0.5, 0.6, 0.7), (0.7, 0.7, 0.7)))
    assert "Other placements have the same score" not in said(found((0.5, 0.6, 0.7)))


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("flops=40M", "flops", 4e7),
        ("flops=2k", "flops", 2e3),
        ("flops=1.5G", "flops", 1.5e9),
        ("flops=300", "flops", 300),
        ("latency=2.5ms", "latency", 2.5e-3),
        ("latency=5us", "latency", 5e-6),
        ("latency=5s", "latency", 5),
    ],
)
def test_budgets_have_units(text: str, kind: str, value: float) -> None:
    limit = Wishes.read_budget(SimpleNamespace(budget=text))  # type: ignore[arg-type]
    assert limit is not None
    assert limit.kind == kind
    assert limit.value == pytest.approx(value)


def test_the_budget_of_the_guide_keeps_some_placements_of_its_network() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "pages" / "where-to-pool.md").read_text()
    (text,) = re.findall(r"resnet18 --pools 3 .*--budget (flops=\S+)", guide)
    limit = Wishes.read_budget(SimpleNamespace(budget=text))  # type: ignore[arg-type]
    built = units_named("resnet18", torch.randn(2, 3, 32, 32), 10)().units.eval()
    ends = [pooled_network(built, blocks_to_config(each)) for each in ((1, 1, 1, 6), (6, 1, 1, 1))]
    low, high = (count_flops(each, (1, 3, 32, 32)) for each in ends)
    assert limit is not None
    assert low < limit.value < high


def test_a_latency_over_the_budget_leaves_a_placement_out(
    network: str, photos: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "measure_latencies", lambda networks, *_, **__: np.array([[0.001], [0.002], [0.004]]))
    call(f"{network}:units", "--data", photos, "--out", str(tmp_path), *SMALL, *QUICK, "--budget", "latency=3ms")
    assert [row["shared_accuracy"] is None for row in report(tmp_path)["placements"]] == [False, False, True]
