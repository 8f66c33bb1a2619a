"""``cenote reconstruct`` as a user meets it."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from cenote.lab import data
from cenote.lab.data.binvox import read_binvox, write_binvox
from cenote.pooling.attsets.commands import job as jobs
from cenote.pooling.attsets.commands import measuring
from cenote.pooling.attsets.commands import objects as found_objects
from cenote.pooling.attsets.commands.network import load_network
from cenote.pooling.attsets.commands.objects import find_objects
from tests.pooling.calling import Verb

QUICK = (
    "--image-size=16", "--features=8", "--hidden=16", "--steps=7", "--set-steps=5", "--views=3", "--batch-size=4",
    "--set-batch-size=2",
)  # fmt: skip

COUNTS = (4, 1, 2, 3, 5, 6)
"""Images of each object."""


VERB = Verb("reconstruct", columns=120)
invoke, call, refused = VERB.invoke, VERB.call, VERB.refused


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pieces of made-up furniture, each with another number of images."""
    folder = tmp_path_factory.mktemp("furniture") / "objects"
    made = data.load("furniture", image_size=16, resolution=8).train
    for index, count in enumerate(COUNTS):
        place = folder / made.names[index]
        place.mkdir(parents=True)
        for view, pixels in enumerate(made.views(index)[:count]):
            Image.fromarray(pixels[..., 0]).save(place / f"{view}.png")
        write_binvox(place / "model.binvox", made.grid(index))
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "network"
    printed = call("train", str(folder), "--out", str(out), *QUICK)
    assert "IoU of the mean" in printed
    return out


def pixels_of(folder: Path) -> torch.Tensor:
    """The images of an object as the network takes them, read by hand: 0 for white, (1, V, 3, S, S)."""
    views = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]
    return 1 - torch.tensor(np.stack(views)).permute(0, 3, 1, 2)[None] / 255


# --- training -----------------------------------------------------------------------------------------------------


def test_training_leaves_a_network_a_report_and_pictures(trained: Path) -> None:
    pictures = {"test-1.png", "test-2.png"}
    assert files(trained) == {"network.json", "network.safetensors", "report.md", "report.json"} | pictures
    assert "Trained on 4 objects, tested on 2 others" in (trained / "report.md").read_text()
    with Image.open(trained / "test-1.png") as image:
        assert image.width > 600


def test_what_is_measured_is_the_overlap_with_every_fifth_object(trained: Path, folder: Path) -> None:
    """Computed by hand; with one image attention and mean are the same, as the base is trained on nothing else."""
    told = json.loads((trained / "report.json").read_text())
    network, _, threshold = load_network(trained)
    tested = [entry for index, entry in enumerate(sorted(folder.iterdir())) if index % 5 == 0]
    numbers = [len(list(each.glob("*.png"))) for each in tested]
    assert {"image_size": 16, "learning_rate": 0.003, "attention_rate": 3 * 0.003}.items() <= told["asked"].items()
    assert told["objects"]["tested"] == [each.name for each in tested]
    assert set(told["objects"]["trained"]) == {each.name for each in folder.iterdir() if each not in tested}
    assert [row["images"] for row in told["test"]] == [count for count in (1, 2, 4) if count < max(numbers)] + [
        max(numbers)
    ]
    for row in told["test"]:
        overlaps = []
        for each, number in zip(tested, numbers, strict=True):
            if number >= row["images"]:
                cells = network(pixels_of(each)[:, : row["images"]])[0].sigmoid().numpy() > threshold
                truth = read_binvox(each / "model.binvox").grid
                overlaps.append((cells & truth).sum() / (cells | truth).sum())
        assert row["objects"] == len(overlaps)
        assert row["iou"] == pytest.approx(np.mean(overlaps), abs=1e-6)
    assert told["test"][0]["iou"] == told["test"][0]["iou_of_mean"]
    learned = [read_binvox(each / "model.binvox").grid for each in folder.iterdir() if each not in tested]
    constant = np.mean(learned, axis=0) > threshold
    truths = [read_binvox(each / "model.binvox").grid for each in tested]
    expected = np.mean([(constant & truth).sum() / (constant | truth).sum() for truth in truths])
    assert told["iou_of_constant_grid"] == pytest.approx(expected, abs=1e-6)


def test_sides_are_learned_and_an_object_nobody_saw_is_rebuilt(tmp_path: Path) -> None:
    """The body lies where the image is dark, in one of two halves, and sometimes an image shows nothing."""
    random = np.random.default_rng(0)
    for index in range(12):
        make_half(tmp_path / "objects" / f"{index:02}", left=bool(index % 2), random=random)
    make_half(tmp_path / "new" / "left.one", left=True, random=random)
    make_half(tmp_path / "new" / "right", left=False, random=random)
    options = ("--image-size=8", "--features=8", "--hidden=16", "--steps=300", "--set-steps=100", "--batch-size=8")
    out, rebuilt = tmp_path / "network", tmp_path / "rebuilt"
    call("train", str(tmp_path / "objects"), "--out", str(out), *options, "--views=3", "--learning-rate=0.01")
    told = json.loads((out / "report.json").read_text())
    assert told["test"][-1]["iou"] > 0.95 > 0.6 > told["iou_of_constant_grid"]
    call("run", str(out), str(tmp_path / "new"), "--out", str(rebuilt))
    for name in ("left.one", "right"):
        truth = read_binvox(tmp_path / "new" / name / "body.binvox").grid
        np.testing.assert_array_equal(read_binvox(rebuilt / f"{name}.binvox").grid, truth)


def make_half(place: Path, *, left: bool, random: np.random.Generator) -> None:
    """Images that are dark in one half, the last one white; the body fills that half."""
    place.mkdir(parents=True)
    half = slice(0, 4) if left else slice(4, 8)
    for view in range(2):
        pixels = np.full((8, 8), 255, np.uint8)
        pixels[:, half] = random.integers(0, 90)
        Image.fromarray(pixels).save(place / f"{view}.png")
    Image.fromarray(np.full((8, 8), 255, np.uint8)).save(place / "2.png")
    grid = np.zeros((4, 4, 4), bool)
    grid[:2] = left
    grid[2:] = not left
    write_binvox(place / "body.binvox", grid)


def test_an_interrupted_training_goes_on_and_ends_alike(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in each of both stages; what was kept every second step is gone on from."""
    take, taken = jobs.Job._take, []
    monkeypatch.setattr(jobs, "KEEP_EVERY", 2)
    for killed_at in (5, 9):

        def killing(job: jobs.Job, trainer: Any, step: int, at: int = killed_at) -> None:
            if step == at:
                raise KeyboardInterrupt
            taken.append(step)
            take(job, trainer, step)

        monkeypatch.setattr(jobs.Job, "_take", killing)
        assert invoke("train", str(folder), "--out", str(tmp_path), *QUICK).exit_code != 0
        assert files(tmp_path) == {"training.json", "steps.safetensors"}
    assert taken == [0, 1, 2, 3, 4, 4, 5, 6, 7, 8]
    monkeypatch.setattr(jobs.Job, "_take", take)
    assert "other options or objects" in refused("train", str(folder), "--out", str(tmp_path), *QUICK, "--seed=1")
    call("train", str(folder), "--out", str(tmp_path), *QUICK)
    for name in ("network.json", "network.safetensors", "report.md", "report.json"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_the_attention_learns_three_times_as_fast_unless_it_is_told(
    trained: Path, folder: Path, tmp_path: Path
) -> None:
    default = load_network(trained).network.state_dict()
    for rate, same in ((3 * 0.003, True), (0.02, False)):
        out = tmp_path / str(rate)
        call("train", str(folder), "--out", str(out), *QUICK, "--learning-rate=0.003", f"--attention-rate={rate}")
        found = load_network(out).network.state_dict()
        differing = {name for name in default if not torch.equal(found[name], default[name])}
        assert differing == (set() if same else {"aggregation.scores.weight"})


def test_rates_rise_and_fall_in_each_stage(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a training goes on; those of the paper's network start lower."""
    take, rates, gone_on = jobs.Job._take, {}, {}
    monkeypatch.setattr(jobs, "KEEP_EVERY", 5)
    options = ("train", str(folder), "--out", str(tmp_path), *QUICK, "--steps=20", "--set-steps=10")

    def watched(job: jobs.Job, trainer: Any, step: int, into: dict[int, float], stop: int) -> None:
        if step == stop:
            raise KeyboardInterrupt
        optimizer = trainer.base_optimizer if step < 20 else trainer.attention_optimizer
        into[step] = optimizer.param_groups[0]["lr"]
        take(job, trainer, step)

    for into, stop in ((rates, 8), (gone_on, 24), (gone_on, -1)):
        monkeypatch.setattr(
            jobs.Job, "_take", lambda job, trainer, step, into=into, stop=stop: watched(job, trainer, step, into, stop)
        )
        assert (invoke(*options).exit_code == 0) is (stop == -1)
    assert rates == {step: gone_on.get(step, rate) for step, rate in rates.items()}
    rates |= gone_on
    for first, last, highest in ((0, 19, 0.003), (20, 29, 0.009)):
        stage = [rates[step] for step in range(first, last + 1)]
        assert max(stage) == pytest.approx(highest)
        assert stage[2:] == sorted(stage[2:], reverse=True)
        assert stage[-1] < 0.1 * highest
    assert jobs.RATES["r2n2"] == 1e-4


def test_sets_are_of_all_objects_with_two_images_alike_and_no_larger_than_the_least_of_them(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many images another one has: each takes its share of 120 draws."""
    batch, drawn = jobs.Job._batch, []

    def watched(job: jobs.Job, objects: Any, count: int, random: Any) -> Any:
        if count > 1:
            drawn.append((objects.tolist(), count, job.train.counts))
        return batch(job, objects, count, random)

    monkeypatch.setattr(jobs.Job, "_batch", watched)
    call("train", str(folder), "--out", str(tmp_path), *QUICK, "--steps=1", "--set-steps=60", "--views=5")
    counts = drawn[0][2]
    times = Counter(index for objects, *_ in drawn for index in objects)
    assert set(times) == set(np.flatnonzero(counts >= 2))
    assert min(times.values()) > 0.6 * 120 / len(times)
    assert all(2 <= count <= counts[objects].min() for objects, count, _ in drawn)
    assert {2, 5} <= {count for _, count, _ in drawn} <= {2, 3, 4, 5}


def test_images_that_do_not_fit_into_memory_are_decoded_again(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(found_objects, "MEMORY_LIMIT", 3000)
    call("train", str(folder), "--out", str(tmp_path), *QUICK)
    assert (tmp_path / "network.safetensors").read_bytes() == (trained / "network.safetensors").read_bytes()


def test_a_training_that_diverges_says_so(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = refused("train", str(folder), "--out", str(tmp_path / "out"), *QUICK, "--learning-rate=1e30")
    assert "the training diverged in step" in words
    assert "take a lower --learning-rate" in words
    assert not (tmp_path / "out").exists(), "nothing is left that another rate would have to go on from"
    monkeypatch.setattr(jobs.FASetTrainer, "step_attention", lambda *_: math.nan)
    words = refused("train", str(folder), "--out", str(tmp_path / "sets"), *QUICK)
    assert "take a lower --attention-rate" in words
    assert not (tmp_path / "sets").exists()


def test_a_damaged_state_is_named(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(jobs.Job, "_take", killed)
    invoke("train", str(folder), "--out", str(tmp_path), *QUICK)
    (tmp_path / "steps.safetensors").write_bytes(b"no tensors")
    assert "steps.safetensors is damaged" in refused("train", str(folder), "--out", str(tmp_path), *QUICK)


# --- rebuilding ---------------------------------------------------------------------------------------------------


def test_an_object_becomes_a_grid_a_mesh_and_pictures(trained: Path, folder: Path, tmp_path: Path) -> None:
    place = max(folder.iterdir(), key=lambda each: len(list(each.glob("*.png"))))
    printed = call("run", str(trained), str(place), "--out", str(tmp_path), "--threshold=0.45")
    name = place.name
    endings = (".binvox", ".gltf", ".png", "-images.png")
    assert files(tmp_path) == {f"{name}{ending}" for ending in endings} | {"reconstructions.json"}
    network, _, _ = load_network(trained)
    cells = network(pixels_of(place))[0].sigmoid().numpy() > 0.45
    written = read_binvox(tmp_path / f"{name}.binvox")
    np.testing.assert_array_equal(written.grid, cells)
    assert written.translate == (-0.5, -0.5, -0.5)
    mesh = trimesh.load_mesh(tmp_path / f"{name}.gltf")
    assert mesh.volume == pytest.approx(cells.sum() / 8**3, rel=1e-5)
    told = json.loads((tmp_path / "reconstructions.json").read_text())[name]
    truth = read_binvox(place / "model.binvox").grid
    assert told["iou"] == pytest.approx((cells & truth).sum() / (cells | truth).sum(), abs=1e-4)
    assert (told["images"], told["cells"]) == (6, cells.sum())
    assert np.mean(list(told["weights"].values())) == pytest.approx(1, abs=1e-3)
    assert f"{cells.sum():,}" in printed


def test_images_are_encoded_some_at_a_time(trained: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = load_network(trained).network
    place = max(folder.iterdir(), key=lambda each: len(list(each.glob("*.png"))))
    views = found_objects.Collection([find_objects(place)[0]], 16, lambda *_: None).views(0)
    expected = measuring.guess(network, views, "cpu")
    sizes: list[int] = []
    network.encoder.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    monkeypatch.setattr(measuring, "_PART", 4)
    found = measuring.guess(network, views, "cpu")
    assert sizes == [4, 2]
    np.testing.assert_allclose(found.probabilities, expected.probabilities, rtol=1e-5)
    np.testing.assert_allclose(found.weights, expected.weights, rtol=1e-5)


def test_the_network_answers_where_it_is_told_to(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = refused("run", str(trained), str(folder), "--out", str(out), "--device=nowhere")
    assert "--device nowhere cannot be used here" in words
    assert not out.exists()


def test_images_of_any_kind_are_read_and_a_grid_is_not_needed(trained: Path, tmp_path: Path) -> None:
    """Transparency shows white, which is nothing; sizes may differ, and hidden files are no images."""
    place = tmp_path / "things" / "a"
    place.mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 71, 4), np.uint8)
    Image.fromarray(pixels[..., 0]).save(place / "grey.jpg")
    Image.fromarray(pixels[:3, :5, :3]).save(place / "small.webp")
    pixels[..., 3] = 0
    Image.fromarray(pixels).save(place / "transparent.png")
    (place / ".hidden.png").write_bytes(b"no image")
    (place / "notes.txt").write_text("no image")
    entry = find_objects(tmp_path / "things")[0]
    assert [path.name for path in entry.images] == ["grey.jpg", "small.webp", "transparent.png"]
    read = found_objects.Collection([entry], 16, lambda *_: None)
    assert (read.views(0)[2] == 255).all()
    call("run", str(trained), str(tmp_path / "things"), "--out", str(tmp_path / "out"))
    told = json.loads((tmp_path / "out" / "reconstructions.json").read_text())
    assert "iou" not in told["a"]


def test_a_grid_of_another_size_only_leaves_out_the_overlap(trained: Path, folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "objects"
    shutil.copytree(folder, copy)
    first, *others = (path.name for path in sorted(copy.iterdir()))
    write_binvox(copy / first / "model.binvox", np.ones((9, 9, 9), bool))
    printed = call("run", str(trained), str(copy), "--out", str(tmp_path / "out"))
    assert f"{first}: no IoU, as its grid has 9 cells along a side and the network rebuilds 8" in printed
    told = json.loads((tmp_path / "out" / "reconstructions.json").read_text())
    assert "iou" not in told[first]
    assert all("iou" in told[name] for name in others)


def test_images_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number in (10, 2, 1, 0, 20):
        Image.new("L", (8, 8)).save(tmp_path / f"view-{number}.png")
    (entry,) = find_objects(tmp_path)
    assert [path.stem for path in entry.images] == ["view-0", "view-1", "view-2", "view-10", "view-20"]


def test_the_tree_of_3d_r2n2_is_read(folder: Path, tmp_path: Path) -> None:
    """The same objects in either layout give the same views and grids."""
    for place in folder.iterdir():
        images = tmp_path / "ShapeNetRendering" / "0300" / place.name / "rendering"
        grid = tmp_path / "ShapeNetVox32" / "0300" / place.name
        for each in (images, grid):
            each.mkdir(parents=True)
        for path in place.glob("*.png"):
            shutil.copy(path, images)
        (images / "renderings.txt").write_text("00.png")
        shutil.copy(place / "model.binvox", grid)
    there, here = find_objects(tmp_path), find_objects(folder)
    assert [entry.name for entry in there] == [f"0300/{entry.name}" for entry in here]
    one, other = (found_objects.Collection(entries, 16, lambda *_: None) for entries in (there, here))
    np.testing.assert_array_equal(one.targets(), other.targets())
    for index in range(len(COUNTS)):
        np.testing.assert_array_equal(one.views(index), other.views(index))


# --- what cannot be -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--network=large",), "--network must be small or r2n2, got 'large'"),
        (("--network=r2n2", "--image-size=64"), "takes images of 127 pixels to grids of 32³ cells, got 64 pixels"),
        (("--learning-rate=0",), "--learning-rate must be positive, got 0"),
        (("--attention-rate=inf",), "--attention-rate must be positive, got inf"),
        (("--threshold=1",), "--threshold must be between 0 and 1, got 1"),
        (("--device=no-such",), "--device no-such cannot be used here"),
        (("--device=meta",), "--device meta cannot be used here: Tensor.item() cannot be called on meta tensors"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    options: tuple[str, ...], words: str, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert words in refused("train", str(folder), "--out", str(out), *options)
    assert not out.exists()


def test_objects_that_do_not_fit_are_named_before_anything_is_written(folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    first, second, third, *_ = (path.name for path in sorted(folder.iterdir()))

    def said(change: Any) -> str:
        copy = tmp_path / "copy"
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(folder, copy)
        change(copy)
        words = refused("train", str(copy), "--out", out, *QUICK)
        assert not Path(out).exists()
        return words

    def damage(copy: Path) -> None:
        (copy / second / "0.png").write_bytes((folder / second / "0.png").read_bytes()[:60])

    def leave_out(copy: Path) -> None:
        (copy / "b").mkdir()
        write_binvox(copy / "b" / "a.binvox", larger)

    larger = np.ones((9, 9, 9), bool)
    assert "0.png: the image cannot be decoded" in said(damage)
    assert f"{first}: has images but no .binvox" in said(lambda copy: (copy / first / "model.binvox").unlink())
    words = said(lambda copy: write_binvox(copy / third / "model.binvox", larger))
    assert f"{third}/model.binvox: has 9 cells along a side, needs 8 as" in words
    assert f"{second}/model.binvox has" in words
    words = said(lambda copy: write_binvox(copy / first / "model.binvox", larger))
    assert f"{first}/model.binvox: has 9 cells along a side, needs 8 as the objects to train on have" in words
    words = said(lambda copy: write_binvox(copy / first / "model.binvox", np.zeros((8, 8, 8), bool)))
    assert f"{first}/model.binvox: has no occupied cell" in words
    assert "has 2 .binvox files, needs one" in said(lambda copy: write_binvox(copy / first / "b.binvox", larger))
    assert "has a.binvox but no image" in said(leave_out)


def test_folders_that_cannot_be_used_are_refused(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "new")
    single = tmp_path / "single"
    shutil.copytree(next(folder.iterdir()), single / "only")
    empty = tmp_path / "empty"
    empty.mkdir()
    for arguments, words in (
        (("train", str(tmp_path / "no"), "--out", out), "no does not exist"),
        (("train", str(trained / "report.md"), "--out", out), "report.md is a file"),
        (("train", str(empty), "--out", out), "has no object; needs a folder of images for each object"),
        (("train", str(single), "--out", out), "has 1 object, needs two or more"),
        (("train", str(folder), "--out", str(trained)), "holds a trained network"),
        (("train", str(folder), "--out", str(folder / "out")), "would be taken for an object's images"),
        (("run", str(empty), str(folder), "--out", out), "holds no trained network"),
        (("run", str(trained), str(folder), "--out", out, "--threshold", "nan"), "--threshold must be between 0 and 1"),
        (("run", str(trained), str(folder), "--out", str(folder)), "lies in"),
        (("run", str(trained), str(folder), str(folder), "--out", out), "two would be called"),
    ):  # fmt: skip
        assert words in refused(*arguments)
    assert not Path(out).exists()


def test_single_images_teach_no_attention(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    for place in copy.iterdir():
        for path in sorted(place.glob("*.png"))[1:]:
            path.unlink()
    assert "no object to train on has two images" in refused("train", str(copy), "--out", str(tmp_path / "out"), *QUICK)


def test_a_damaged_network_is_named(trained: Path, folder: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "network", tmp_path / "out"
    shutil.copytree(trained, copy)
    weights = (copy / "network.safetensors").read_bytes()
    (copy / "network.safetensors").write_bytes(weights[:100])
    assert "is damaged" in refused("run", str(copy), str(folder), "--out", str(out))
    (copy / "network.safetensors").write_bytes(weights)
    config = json.loads((copy / "network.json").read_text())
    (copy / "network.json").write_text(json.dumps(config | {"format": 2}))
    assert "has format 2, this version reads 1" in refused("run", str(copy), str(folder), "--out", str(out))
    config["plan"]["features"] = 9
    (copy / "network.json").write_text(json.dumps(config))
    assert "is damaged" in refused("run", str(copy), str(folder), "--out", str(out))
    assert not out.exists()
