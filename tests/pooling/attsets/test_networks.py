"""Networks have the shapes and weights they say, tasks the views, and overlaps the sets' arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from cenote.errors import ArgumentError
from cenote.pooling import AttSets, aggregate, voxel_iou
from cenote.pooling.attsets import comparing
from cenote.pooling.attsets.comparing import SingleAnswers, encode_all, overlaps, permutation_spread, probabilities
from cenote.pooling.attsets.learning import train_sets
from cenote.pooling.attsets.networks import GridDecoder, ImageEncoder, VectorEncoder, ViewNetwork, VolumeDecoder
from cenote.pooling.attsets.r2n2 import R2N2Decoder, R2N2Encoder
from cenote.pooling.attsets.tasks import picture_task, window_task
from cenote.pooling.attsets.windows import window_views


def small() -> ViewNetwork:
    return ViewNetwork(nn.Sequential(nn.Flatten(), VectorEncoder(32, 16, 8)), AttSets(8), GridDecoder(8, 16, (4, 4)))


# --- networks -----------------------------------------------------------------------------------------------------


def test_views_are_encoded_alone_and_aggregated_with_their_mask() -> None:
    model, views = small(), torch.randn(3, 5, 2, 4, 4)
    one_by_one = torch.stack([model.encoder(views[:, view]) for view in range(5)], 1)
    torch.testing.assert_close(model.encode(views), one_by_one)
    mask = torch.tensor([True, True, False, True, False]).expand(3, -1)
    torch.testing.assert_close(model(views, mask), model(views[:, [0, 1, 3]]))
    assert model(views).shape == (3, 4, 4)


@pytest.mark.parametrize("side", [8, 9, 32, 33])
def test_the_encoder_takes_any_side(side: int) -> None:
    assert ImageEncoder(side, 3, (4, 8), 10)(torch.randn(2, 3, side, side)).shape == (2, 10)


@pytest.mark.parametrize(("resolution", "widths"), [(8, (4,)), (16, (8, 4)), (32, (8, 4, 2))])
def test_volumes_are_doubled_to_their_resolution(resolution: int, widths: tuple[int, ...]) -> None:
    assert VolumeDecoder(6, resolution, widths)(torch.randn(2, 6)).shape == (2,) + 3 * (resolution,)


def test_the_papers_network_takes_its_images_to_its_grids() -> None:
    """127 → 64 → 32 → 16 → 8 → 4 → 2 pixels, so the layer behind them is square; no batch norm anywhere."""
    encoder, decoder = R2N2Encoder(), R2N2Decoder()
    features = encoder(torch.rand(1, 3, 127, 127))
    assert features.shape == (1, 1024)
    assert decoder(features).shape == (1, 32, 32, 32)
    layers = [module for module in encoder if isinstance(module, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [(1024, 1024)]
    kinds = {type(module).__name__ for half in (encoder, decoder) for module in half.modules()}
    assert not any("Norm" in kind for kind in kinds)


def test_all_halves_start_with_the_papers_weights() -> None:
    """Uniform within sqrt(6 / (inputs + outputs)) of 0, which torch's own start is not; biases are 0."""
    encoders = (ImageEncoder(16, 3, (16, 32), 64), VectorEncoder(64, 96, 64), R2N2Encoder())
    for half in (*encoders, GridDecoder(64, 96, (8, 8, 8)), VolumeDecoder(64, 16, (16, 8)), R2N2Decoder()):
        for name, weight in half.named_parameters():
            if weight.dim() == 1:
                assert not weight.any(), name
                continue
            kernel = weight[0, 0].numel()
            bound = (6 / (kernel * (weight.shape[0] + weight.shape[1]))) ** 0.5
            assert weight.abs().max() <= bound, name
            assert weight.abs().max() > 0.95 * bound, name


# --- overlap ------------------------------------------------------------------------------------------------------


def test_overlap_by_sets_of_cells() -> None:
    rng = np.random.default_rng(0)
    guess, truth = rng.random((6, 3, 4, 2)), rng.random((6, 3, 4, 2)) > 0.6
    found = voxel_iou(torch.from_numpy(guess), torch.from_numpy(truth), 0.3)
    for index in range(6):
        predicted = {tuple(cell) for cell in np.argwhere(guess[index] > 0.3)}
        occupied = {tuple(cell) for cell in np.argwhere(truth[index])}
        assert found[index].item() == pytest.approx(len(predicted & occupied) / len(predicted | occupied))


def test_overlap_of_nothing_with_nothing_is_whole() -> None:
    assert voxel_iou(torch.zeros(1, 4), torch.zeros(1, 4, dtype=torch.bool)).tolist() == [1.0]


def test_overlap_of_half_precision_is_told_apart() -> None:
    """1,000 of 1,001 cells, which float16 can tell from all of them and bfloat16 cannot."""
    truth = torch.ones(1, 1001, dtype=torch.bool)
    for dtype, wide in ((torch.bfloat16, torch.float32), (torch.float16, torch.float32), (torch.float64,) * 2):
        guess = torch.ones(1, 1001, dtype=dtype)
        guess[0, 0] = 0
        found = voxel_iou(guess, truth)
        assert found.dtype is wide
        assert found.item() == pytest.approx(1000 / 1001, rel=torch.finfo(wide).eps)


# --- tasks --------------------------------------------------------------------------------------------------------


def test_a_window_shows_a_square_of_the_image_and_where_it_lies() -> None:
    images = torch.rand(4, 9, 9)
    views = window_views(images, 50, (2, 5), 0.0, torch.Generator().manual_seed(0))
    pixels, seen = views.unbind(2)
    torch.testing.assert_close(pixels, images.unsqueeze(1) * seen)
    rows, columns = seen.amax(3), seen.amax(2)
    assert torch.equal(seen, rows.unsqueeze(3) * columns.unsqueeze(2)), "not a rectangle"
    sides = rows.sum(2)
    assert torch.equal(sides, columns.sum(2))
    assert set(sides.flatten().tolist()) == {2.0, 3.0, 4.0, 5.0}
    assert not (rows.diff(dim=2) > 0).sum(2).gt(1).any(), "not in one piece"
    assert seen.mean((0, 1)).min() > 0, "a pixel that no window shows"


def test_noise_stays_within_the_window() -> None:
    views = window_views(torch.zeros(2, 8, 8), 200, (3, 4), 0.5, torch.Generator().manual_seed(0))
    pixels, seen = views.unbind(2)
    assert not pixels[seen == 0].any()
    assert pixels[seen == 1].std().item() == pytest.approx(0.5, rel=0.05)


def test_batches_are_equal_for_equal_seeds_and_reach_all_sizes() -> None:
    train, test = torch.rand(20, 6, 6), torch.rand(5, 6, 6)
    task = window_task(train, test, 7, (2, 3), 0.1)
    assert task.test_views.shape == (5, 7, 2, 6, 6)
    assert torch.equal(task.test_targets, test > 0.5)
    runs = []
    for seed in (3, 3, 4):
        stream = task.batches(4, (1, 7), seed)
        runs.append([next(stream) for _ in range(60)])
    assert {views.shape[1] for views, _ in runs[0]} == set(range(1, 8))
    for (views, targets), (again, same) in zip(runs[0], runs[1], strict=True):
        assert torch.equal(views, again)
        assert torch.equal(targets, same)
    assert not all(a.shape == b.shape and torch.equal(a, b) for (a, _), (b, _) in zip(runs[0], runs[2], strict=True))


def test_pictures_of_an_object_are_drawn_without_repeat_and_go_with_its_grid() -> None:
    pictures = np.arange(6 * 4, dtype=np.uint8).reshape(6, 4, 1, 1, 1)
    grids = np.eye(6, dtype=bool).reshape(6, 6, 1, 1)
    task = picture_task(lambda index: pictures[index], grids, lambda index: pictures[index], grids, views=3)
    assert task.test_views.shape == (6, 3, 1, 1, 1)
    views, targets = next(task.batches(50, (3, 3), 0))
    assert torch.equal(task.test_views.flatten(1), torch.from_numpy(pictures[:, :3].reshape(6, 3)))
    numbers = (255 * (1 - views)).round().long().reshape(50, 3)
    assert torch.equal(numbers // 4, targets.flatten(1).argmax(1, keepdim=True).expand(-1, 3))
    assert all(len(set(row)) == 3 for row in numbers.tolist())
    assert len({tuple(row) for row in numbers.tolist()}) > 20


def test_objects_set_apart_are_never_learned_from() -> None:
    """An object is known by its pixel, and all of its views show it."""
    images = torch.eye(16).reshape(16, 4, 4)
    task = window_task(images, images[:5], 6, (3, 3), 0.0)
    fewer, apart = task.set_apart(4, seed=1)
    own = apart.test_targets.flatten(1).float().argmax(1)
    assert apart.test_views.shape == (4, 6, *task.test_views.shape[2:])
    assert torch.equal(fewer.test_views, task.test_views)
    learned = set()
    for views, targets in (next(stream) for stream in [fewer.batches(8, (6, 6), 0)] * 40):
        wanted = targets.flatten(1).argmax(1)
        learned |= set(wanted.tolist())
        lit = views[:, :, 0].amax(1).flatten(1)
        assert (lit.sum(1) <= 1).all()
        assert torch.equal(lit.argmax(1)[lit.any(1)], wanted[lit.any(1)]), "views of another object"
    assert len(set(own.tolist())) == 4
    assert learned == set(range(16)) - set(own.tolist())
    lit = apart.test_views[:, :, 0].amax(1).flatten(1)
    assert torch.equal(lit.argmax(1)[lit.any(1)], own[lit.any(1)])
    again = task.set_apart(4, seed=1)[1]
    assert torch.equal(again.test_views, apart.test_views)
    assert not torch.equal(task.set_apart(4, seed=2)[1].test_targets, apart.test_targets)


@pytest.mark.parametrize("count", [0, 12, 13])
def test_setting_apart_none_or_all_is_refused(count: int) -> None:
    images = torch.rand(12, 4, 4)
    with pytest.raises(ArgumentError, match=f"less than the 12 objects to learn from, got {count}"):
        window_task(images, images, 2, (2, 2), 0.0).set_apart(count)


def test_more_views_than_pictures_are_refused() -> None:
    """Of the object that has fewer than the others, wherever it is."""
    pictures = [np.zeros((count, 2, 2, 1), np.uint8) for count in (5, 5, 3)]
    grids = np.ones((3, 2, 2, 2), bool)
    read = pictures.__getitem__
    with pytest.raises(ArgumentError, match="views must be at most the 3 pictures of test object 2, got 4"):
        picture_task(read, grids, read, grids, views=4)
    task = picture_task(read, grids, read, grids, views=3)
    with pytest.raises(ArgumentError, match="views must be at most the 3 pictures of training object 2, got 4"):
        next(task.batches(50, (4, 4), 0))


# --- training and testing -----------------------------------------------------------------------------------------


def test_training_learns_and_testing_takes_the_first_views() -> None:
    stripes = (torch.rand(64, 1, 4) > 0.5).float().expand(-1, 4, -1)
    task = window_task(stripes[:40], stripes[40:], 6, (2, 4), 0.0)
    model = small()
    features = encode_all(model, task.test_views)
    before = overlaps(model, features, task.test_targets, (1, 6), 0.4)
    training = train_sets(model, task.batches(16, (2, 6), 0), 150, 1e-2)
    assert training.fine
    assert len(training.losses) == 150
    assert sum(training.losses[-15:]) < 0.9 * sum(training.losses[:15])
    features = encode_all(model, task.test_views)
    after = overlaps(model, features, task.test_targets, (1, 6), 0.4)
    assert after[6] > before[6] + 0.1
    direct = voxel_iou(model(task.test_views[:, :1]).sigmoid(), task.test_targets).mean().item()
    assert after[1] == pytest.approx(direct)
    torch.testing.assert_close(probabilities(model, features, batch=3), model(task.test_views).sigmoid())


def test_a_training_that_diverges_says_so() -> None:
    model, views = small(), torch.randn(2, 3, 2, 4, 4)
    before = [weight.clone() for weight in model.parameters()]
    assert not train_sets(model, [(views, torch.full((2, 4, 4), torch.nan))] * 3, 3, 0.1).fine
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_a_last_step_that_leaves_no_finite_weights_shows_in_no_loss() -> None:
    training = train_sets(small(), [(torch.randn(2, 3, 2, 4, 4), torch.rand(2, 4, 4))], 1, torch.inf)
    assert np.isfinite(training.losses).all()
    assert not training.fine


def test_bytes_are_encoded_as_their_numbers_however_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    model, pixels = small(), torch.randint(0, 256, (7, 3, 2, 4, 4), dtype=torch.uint8)
    expected = encode_all(model, 1 - pixels.float() / 255)
    assert torch.equal(encode_all(model, pixels), expected)
    monkeypatch.setattr(comparing, "_ENCODED", 2 * pixels[0].numel())
    sizes: list[int] = []
    model.encoder.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    torch.testing.assert_close(encode_all(model, pixels), expected)
    assert sizes == [6, 6, 6, 3]


def test_single_answers_are_averaged_as_probabilities() -> None:
    model = small()
    apart = SingleAnswers(model.encoder, model.aggregation, model.decoder)
    views = 30 * torch.randn(5, 6, 2, 4, 4)
    features = encode_all(model, views)
    each = torch.stack([probabilities(model, features[:, view : view + 1]) for view in range(6)], 1)
    torch.testing.assert_close(probabilities(apart, features), each.mean(1), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(probabilities(apart, features[:, :1]), each[:, 0], rtol=1e-5, atol=1e-6)
    mask = torch.tensor([True, False, True, True, False, False]).expand(5, -1)
    torch.testing.assert_close(apart(views, mask).sigmoid(), each[:, [0, 2, 3]].mean(1), rtol=1e-5, atol=1e-6)
    assert permutation_spread(apart, features, orders=5) < 1e-9


def test_only_the_gru_feels_the_order() -> None:
    features = torch.randn(5, 6, 8)
    spread = {}
    for name in ("attsets", "max", "gru"):
        model = small()
        model.aggregation = aggregate(name, 8)
        spread[name] = permutation_spread(model, features, orders=5)
    assert spread["max"] == 0
    assert spread["attsets"] < 1e-12
    assert spread["gru"] > 1e-4
    assert next(model.parameters()).dtype is torch.float32
