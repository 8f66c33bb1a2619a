"""The ablation: what its arms share, what is measured, and what a diverged training leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from cenote.catalog import get_card
from cenote.catalog.results import Record
from cenote.errors import ArgumentError
from cenote.lab.data import ImageClassification, ImageSplit
from cenote.lab.experiment import Context, Trial
from cenote.pooling import PoolFormer, PosetPool2d
from cenote.pooling.poolformer import experiment
from cenote.pooling.poolformer.ablation import ARMS, CLAIMED, CONTROLS, PosetMixing
from cenote.pooling.poolformer.block import MetaFormerBlock
from cenote.pooling.poolformer.costs import multiply_adds
from cenote.pooling.poolformer.experiment import COST, COUNTS, PoolFormerSettings, decay_groups, network
from cenote.pooling.poolformer.receptive_field import effective_receptive_field

TINY = experiment.experiment.presets["tiny"]
SMALL = TINY.model_copy(update={"depths": (2, 2), "patch": (2, 2, 0)})


def images(count: int, size: int = 8, channels: int = 3) -> ImageSplit:
    generator = np.random.default_rng(0)
    return ImageSplit(
        generator.integers(0, 256, (count, size, size, channels), dtype=np.uint8), np.arange(count, dtype=np.int64) % 4
    )


DATA = ImageClassification("imagefolder", tuple("abcd"), images(8), images(8))


def arm(name: str, settings: PoolFormerSettings = SMALL) -> PoolFormer:
    return network(name, settings, DATA, seed=0)


def blocks(model: nn.Module) -> list[MetaFormerBlock]:
    return [block for block in model.modules() if isinstance(block, MetaFormerBlock)]


# --- arms ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ARMS)
def test_arms_start_from_the_same_weights_wherever_they_share_them(name: str) -> None:
    pool, other = arm("pool-mixer").state_dict(), arm(name).state_dict()
    shared = [key for key in other if key in pool]
    assert {"stem.conv.weight", "stages.1.downsample.conv.weight", "head.fc.weight"} <= set(shared)
    assert all(torch.equal(pool[key], other[key]) for key in shared if other[key].shape == pool[key].shape)
    if name not in ("pool-without-channel-mlp", "no norm"):
        assert set(shared) == set(pool)


@pytest.mark.parametrize("name", ARMS)
def test_every_arm_but_the_first_computes_something_else(name: str) -> None:
    """With layer scales and weights of a size at which a change can be seen."""
    models = arm("pool-mixer"), arm(name)
    for model in models:
        with torch.no_grad():
            for weight in model.parameters():
                weight.copy_(weight.sign() * 0.3 + weight)
    x = torch.randn(4, 3, 8, 8)
    assert torch.allclose(models[0].eval()(x), models[1].eval()(x)) == (name == "pool-mixer")


def test_arms_are_what_they_are_called() -> None:
    def mixers(name: str) -> list[str]:
        return [type(block.token_mixer).__name__ for block in blocks(arm(name))]

    assert mixers("identity-mixer") == ["Identity"] * 4
    assert mixers("depthwise-mixer") == ["DepthwiseConv"] * 4
    assert mixers("attention-mixer") == ["Attention"] * 4
    assert mixers("spatial-mixer") == ["SpatialLinear"] * 4
    assert mixers("random matrix") == ["RandomMixing"] * 4
    assert mixers("pool, then attention") == ["Pooling"] * 2 + ["Attention"] * 2
    assert mixers("chain of a 3×3 window") == ["PosetMixing"] * 4
    for name in (
        "pool-without-skip",
        "pool-without-channel-mlp",
        "pool 5",
        "pool 7",
        "LayerNorm",
        "BatchNorm",
        "no norm",
    ):
        assert mixers(name) == ["Pooling"] * 4
    assert not any(block.skip for block in blocks(arm("pool-without-skip")))
    assert all(block.mlp is None for block in blocks(arm("pool-without-channel-mlp")))
    assert {block.token_mixer.size for block in blocks(arm("pool 7"))} == {7}
    for name, norm in (("LayerNorm", nn.LayerNorm), ("BatchNorm", nn.BatchNorm2d), ("no norm", nn.Identity)):
        model = arm(name)
        norms = [model.head.norm, *(each for block in blocks(model) for each in (block.norm1, block.norm2))]
        assert all(isinstance(each, norm) for each in norms)
    hybrid = arm("pool, then attention")
    assert [name for name, _ in hybrid.named_parameters() if "positions" in name] == ["stages.1.positions"]


def test_the_poset_arm_sums_the_best_part_around_a_position() -> None:
    """A chain's filter is the largest of the sums over the k upper points; the order is corners, edges, centre."""
    x = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    padded = nn.functional.pad(x, (1, 1, 1, 1))
    around = [(1, 1), (2, 1), (1, 2), (1, 0), (0, 1), (2, 2), (2, 0), (0, 2), (0, 0)]
    total, best = torch.zeros_like(x), torch.zeros_like(x)
    for row, column in around:
        total = total + padded[:, :, row : row + 5, column : column + 4]
        best = torch.maximum(best, total)
    mixer = PosetMixing()
    assert isinstance(mixer.pool, PosetPool2d)
    torch.testing.assert_close(mixer(x), best / 9 - x, rtol=1e-12, atol=1e-12)


def test_only_matrices_and_kernels_decay() -> None:
    for name in ("attention-mixer", "BatchNorm", "pool-mixer"):
        model = arm(name)
        decaying, others = decay_groups(model, 0.05)
        assert (decaying["weight_decay"], others["weight_decay"]) == (0.05, 0.0)
        names = {id(weight): key for key, weight in model.named_parameters()}
        kept = {names[id(weight)] for weight in others["params"]}
        assert all(key.endswith("bias") or "norm" in key or "layer_scale" in key for key in kept)
        assert all(key.endswith("weight") and "norm" not in key for key in set(names.values()) - kept)


# --- costs and fields ---------------------------------------------------------------------------------------------


def test_multiply_adds_are_those_of_the_layers() -> None:
    """16 positions at 4 channels, then 4 at 8: first layer, down-sampling, MLPs, classifier; mixers by hand."""
    settings = TINY.model_copy(update={"patch": (2, 2, 0)})
    mlps = 16 * 2 * 4 * 16 + 4 * 2 * 8 * 32
    fixed = 16 * 4 * 12 + 4 * 8 * 4 * 9 + 8 * 4
    counts = {name: multiply_adds(arm(name, settings), (3, 8, 8)) for name in CLAIMED}
    assert counts["pool-mixer"] == counts["identity-mixer"] == counts["pool-without-skip"] == fixed + mlps
    assert counts["pool-without-channel-mlp"] == fixed
    assert counts["depthwise-mixer"] == fixed + mlps + 9 * (16 * 4 + 4 * 8)
    assert counts["spatial-mixer"] == fixed + mlps + 16 * 16 * 4 + 4 * 4 * 8
    attention = 4 * 16 * 4 * 4 + 2 * 16 * 16 * 4 + 4 * 4 * 8 * 8 + 2 * 4 * 4 * 8
    assert counts["attention-mixer"] == fixed + mlps + attention


def test_the_large_models_need_what_the_paper_says() -> None:
    """8.8 and 17.5 G, as printed."""
    counts = {record.arm: record.value for record in experiment.measure(Trial("x", COUNTS, 0), TINY, Context())}
    assert {name: round(count / 1e9, 1) for name, count in counts.items()} == {"poolformer-m36": 8.8, "deit-b": 17.5}


def test_the_receptive_field_is_the_gradient_of_the_centre() -> None:
    model, pixels = arm("pool-mixer"), torch.randn(2, 3, 8, 8)
    field = effective_receptive_field(model, pixels)
    assert model.training
    expected = torch.zeros(8, 8)
    for image in pixels:
        leaf = image.clone().requires_grad_()
        model.eval().forward_features(leaf.unsqueeze(0))[-1][0, :, 1, 1].sum().backward()  # type: ignore[no-untyped-call]
        assert leaf.grad is not None
        expected += leaf.grad.abs().sum(0)
    torch.testing.assert_close(field, expected / expected.sum())
    halves = effective_receptive_field(model, pixels, most_bins=4)
    torch.testing.assert_close(halves, field.unfold(0, 2, 2).unfold(1, 2, 2).sum((2, 3)))
    with pytest.raises(ArgumentError, match="images must be at least one"):
        effective_receptive_field(model, pixels[:0])


def test_without_mixing_or_shared_norms_a_position_sees_its_own_patches_only() -> None:
    """The field of identity and LayerNorm is what the two convolutions reach: 3×3 patches of 2×2 pixels."""
    settings = SMALL.model_copy(update={"head_dim": 4})
    model = PoolFormer((1, 1), (4, 8), 3, "identity", "ln", patch=(2, 2, 0), layer_scale=settings.layer_scale)
    field = effective_receptive_field(model, torch.randn(1, 3, 12, 12))
    rows = (field.sum(1) > 0).nonzero().flatten().tolist()
    assert rows == [2, 3, 4, 5, 6, 7]


# --- what is measured ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def records() -> list[Record]:
    context = Context()
    return [record for trial in experiment.trials(TINY) for record in experiment.measure(trial, TINY, context)]


def test_every_record_is_there(records: list[Record]) -> None:
    measured = {(record.arm, record.metric) for record in records}
    expected = {
        (name, metric)
        for name in ARMS
        for metric in ("accuracy", "mixer_scale", "mlp_scale", "parameters", "multiply_adds", "forward_backward_ms")
    }
    expected -= {("pool-without-channel-mlp", "mlp_scale")}
    expected |= {
        (name, metric)
        for name in experiment.LOOKED_INTO
        for metric in ("receptive_field", "mixer_scale_of_block", "mlp_scale_of_block")
    }
    assert measured == expected | {("poolformer-m36", "macs"), ("deit-b", "macs")}
    field = [record.value for record in records if (record.arm, record.metric) == ("pool-mixer", "receptive_field")]
    assert len(field) == 16 * 16
    assert sum(field) == pytest.approx(1)
    scales = [record.value for record in records if record.metric == "mixer_scale"]
    assert all(0.05 < scale < 0.2 for scale in scales)
    assert max(abs(scale - TINY.layer_scale) for scale in scales) > 1e-4


def test_controls_have_fewer_seeds() -> None:
    settings = TINY.model_copy(update={"seeds": 4, "control_seeds": 2, "first_seed": 5})
    trials = experiment.trials(settings)
    seeds = {name: [trial.seed for trial in trials if trial.arm == name] for name in (*ARMS, COUNTS)}
    assert all(seeds[name] == [5, 6, 7, 8] for name in (*CLAIMED, COUNTS))
    assert all(seeds[name] == [5, 6] for name in CONTROLS)
    assert (trials[-1].arm, trials[-1].alone) == (COST, True)


def test_the_score_is_that_of_the_trained_network(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: dict[str, Any] = {}
    train = experiment.train

    def watched(model: PoolFormer, *args: Any, **kwargs: Any) -> Any:
        kept.update(model=model, log=train(model, *args, **kwargs), recipe=args[2])
        return kept["log"]

    monkeypatch.setattr(experiment, "train", watched)
    context = Context()
    measured = list(experiment.measure(Trial("mnist-5k", "pool-mixer", 0), TINY, context))
    test = context.load("mnist-5k").subset(TINY.train_images, TINY.test_images).test
    logits = kept["model"].eval()(kept["log"].normalization.apply(torch.from_numpy(test.images)))
    correct = float((logits.argmax(1).numpy() == test.labels).mean())
    assert [record.value for record in measured if record.metric == "accuracy"] == [pytest.approx(correct)]
    sizes = [block.layer_scale1.scale.detach().abs().mean() for block in blocks(kept["model"])]
    expected = float(torch.stack(sizes).mean())
    assert [record.value for record in measured if record.metric == "mixer_scale"] == [pytest.approx(expected)]
    assert kept["recipe"].channels_last
    assert not kept["recipe"].augmentation.flip


def test_a_diverged_training_has_no_score() -> None:
    settings = TINY.model_copy(update={"learning_rate": 1e30})
    kept = list(experiment.measure(Trial("mnist-5k", "no norm", 0), settings, Context()))
    assert [record.metric for record in kept] == ["accuracy"]
    assert np.isnan(kept[0].value)


def test_pictures_are_drawn(records: list[Record], tmp_path: Path) -> None:
    kinds = ("accuracy", "costs", "layer-scales", "receptive-fields")
    drawn = [figure.file for figure in experiment.figures(TINY, records, Context(), tmp_path)]
    assert drawn == [f"{kind}-mnist-5k.png" for kind in kinds]
    diverged = [
        record.model_copy(update={"value": float("nan")}) if record.arm == "no norm" else record for record in records
    ]
    again = list(experiment.figures(TINY, diverged, Context(), tmp_path))
    assert "no norm diverged" in again[0].alt


def test_the_card_names_arms_and_metrics_that_are_measured(records: list[Record]) -> None:
    for claim in get_card("poolformer").claims:
        measured = {record.arm for record in records if record.metric == claim.metric}
        assert {claim.subject, *claim.baselines} <= measured
        assert not {claim.subject, *claim.baselines} & set(CONTROLS)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"dims": (4, 10)}, r"dims must be multiples of head_dim \(4\); they are \(4, 10\)"),
        ({"dims": (4,)}, "depths and dims must be equally many numbers from 1"),
        ({"depths": (1, 0)}, "depths and dims must be equally many numbers from 1"),
        ({"layer_scale": 0.0}, "'layer_scale'.*greater than 0"),
        ({"control_seeds": 0}, "'control_seeds'.*greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        experiment.experiment.resolve("tiny", wrong)


def test_the_resolution_of_a_folder_is_a_setting() -> None:
    assert TINY.loader_options("imagefolder") == {"image_size": 224}
    assert TINY.loader_options("cifar10") == {}
