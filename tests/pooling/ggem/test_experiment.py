"""The comparison is fair, measures what it says it measures, and takes another backbone."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from cenote.catalog.loading import get_card
from cenote.catalog.results import Record
from cenote.errors import ArgumentError
from cenote.lab.data import ImageClassification, ImageSplit, image_files
from cenote.lab.experiment import Context, Trial
from cenote.pooling import GeM, GGeM, token_weights
from cenote.pooling.ggem import experiment
from cenote.pooling.ggem.experiment import ARMS, COST, network
from cenote.pooling.ggem.vit import Average, ClassToken, Maximum, PooledVit

TINY = experiment.experiment.presets["tiny"]


def images(count: int, size: int = 14, channels: int = 1) -> ImageSplit:
    rng = np.random.default_rng(0)
    return ImageSplit(rng.integers(0, 256, (count, size, size, channels), np.uint8), np.arange(count) % 4)


DATA = ImageClassification("mnist-5k", tuple("abcd"), images(24), images(16))


def pooled_by(arm: str) -> PooledVit:
    return network(arm, TINY, DATA, seed=3).model.eval()


# --- the arms -----------------------------------------------------------------------------------------------------


def test_arms_differ_in_the_pooling_alone() -> None:
    states = {arm: pooled_by(arm).state_dict() for arm in ARMS}
    first = {name: value for name, value in states["average"].items() if not name.startswith("pooling")}
    for state in states.values():
        shared = {name: value for name, value in state.items() if not name.startswith("pooling")}
        assert shared.keys() == first.keys()
        assert all(torch.equal(shared[name], first[name]) for name in first)


def test_seeds_have_weights_of_their_own() -> None:
    heads = [network("ggem", TINY, DATA, seed).model.head.weight for seed in range(3)]
    assert not any(torch.equal(a, b) for a, b in itertools.combinations(heads, 2))


@pytest.mark.parametrize(
    ("arm", "kind", "groups", "learned", "start"),
    [
        ("ggem", GGeM, 4, True, 3.0),
        ("gem", GeM, 1, True, 3.0),
        ("more groups", GGeM, 16, True, 3.0),
        ("an exponent a channel", GGeM, 16, True, 3.0),
        ("p fixed at 3", GeM, 1, False, 3.0),
        ("p fixed at 1", GeM, 1, False, 1.0),
    ],
)
def test_each_power_mean_is_what_its_name_says(
    arm: str, kind: type[GGeM], groups: int, learned: bool, start: float
) -> None:
    pooling = pooled_by(arm).pooling
    assert type(pooling) is kind
    assert isinstance(pooling, GGeM)
    assert pooling.p.tolist() == [start] * groups
    assert (len(list(pooling.parameters())) == 1) == learned


def test_the_other_poolings_by_hand() -> None:
    tokens = torch.randn(2, 5, 3)
    assert torch.equal(ClassToken()(tokens), tokens[:, 0])
    torch.testing.assert_close(Average()(tokens), sum(tokens.unbind(1)) / 5)
    assert torch.equal(Maximum()(tokens), torch.stack(tokens.unbind(1)).max(0).values)


def test_only_the_arm_that_reads_it_has_a_class_token() -> None:
    x = torch.randn(2, 1, 14, 14)
    for arm in ARMS:
        model = pooled_by(arm)
        assert model.tokens(x).shape == (2, 4 + (arm == "class-token"), 16)
        model.train()(x).square().sum().backward()
        untrained = [name for name, parameter in model.named_parameters() if parameter.grad is None]
        assert untrained == ([] if arm == "class-token" else ["class_token"])


def test_patches_that_do_not_tile_the_image_are_refused() -> None:
    with pytest.raises(ArgumentError, match="patch must divide the images' 14 x 14 pixels, got 3"):
        network("ggem", TINY.model_copy(update={"patch": 3}), DATA, seed=0)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"dim": 18}, r"dim must be a multiple of heads \(4\); it is 18"),
        ({"more_groups": 5}, r"dim must be a multiple of more_groups \(5\); it is 16"),
        ({"backbone": "vit_tiny"}, "written timm:NAME"),
        ({"pretrained": True}, "pretrained needs a backbone"),
        ({"p": 0.0}, "'p'.*greater than 0"),
        ({"heads": 1}, "'heads'.*greater than or equal to 2"),
        ({"exponent_rate_factor": 0.0}, "'exponent_rate_factor'.*greater than 0"),
        ({"image_size": 0}, "'image_size'.*greater than or equal to 1"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict[str, object], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        experiment.experiment.resolve("tiny", wrong)


# --- what is measured ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def records() -> list[Record]:
    context = Context()
    return [record for trial in experiment.trials(TINY) for record in experiment.measure(trial, TINY, context)]


def test_every_record_is_there(records: list[Record]) -> None:
    measured = {(record.arm, record.metric) for record in records}
    expected = {
        (arm, metric) for arm in ARMS for metric in ("accuracy", "map", "head_correlation", "forward_backward_ms")
    }
    expected |= {("ggem", "parameters_beyond_groups"), ("ggem", "exponent"), ("gem", "exponent")}
    expected |= {(arm, "head_dependence") for arm in experiment.CLAIMED}
    assert measured == expected | {("ggem", "token_weight")}
    starts = [record.value for record in records if record.metric == "exponent" and record.x == 0]
    ends = [record.value for record in records if record.metric == "exponent" and record.x == TINY.epochs]
    assert starts == [3.0] * 5
    assert len(ends) == 5
    assert ends != starts
    assert [record.value for record in records if record.metric == "parameters_beyond_groups"] == [0]


def test_token_weights_are_those_of_the_trained_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept as multiples of 1/N; N is 16."""
    models: list[nn.Module] = []
    logs = []
    train = experiment.train

    def watched(model: nn.Module, *args: object, **kwargs: object) -> object:
        models.append(model)
        logs.append(train(model, *args, **kwargs))  # type: ignore[arg-type]
        return logs[-1]

    monkeypatch.setattr(experiment, "train", watched)
    context = Context()
    kept = list(experiment.measure(Trial("mnist-5k", "ggem", experiment.FIRST_SEED), TINY, context))
    (model,) = models
    assert isinstance(model, PooledVit)
    assert isinstance(model.pooling, GGeM)
    test = context.load("mnist-5k").subset(TINY.train_images, TINY.test_images).test
    tokens = model.tokens(logs[0].normalization.apply(torch.from_numpy(test.images[:2])))
    expected = 16 * token_weights(tokens, model.pooling.p).mean(2).detach()
    values = [record.value for record in kept if record.metric == "token_weight"]
    np.testing.assert_allclose(values, expected.flatten().numpy(), rtol=1e-5)
    logits = model(logs[0].normalization.apply(torch.from_numpy(test.images)))
    correct = float((logits.argmax(1).numpy() == test.labels).mean())
    assert [record.value for record in kept if record.metric == "accuracy"] == [pytest.approx(correct)]


def test_exponents_of_every_arm_learn_faster_than_the_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optimizer's rates, as torch was given them; AdamW's first step is as long as the rate."""
    rates: dict[str, list[tuple[int, float, float]]] = {}
    train = experiment.train

    def watched(model: PooledVit, *args: object, groups: Callable[[nn.Module], Any], **kwargs: object) -> object:
        rates[arm] = [(len(group["params"]), group["lr"], group["weight_decay"]) for group in groups(model)]
        return train(model, *args, groups=groups, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(experiment, "train", watched)
    settings = TINY.model_copy(update={"learning_rate": 1e-3, "exponent_rate_factor": 10.0})
    for arm in ARMS:
        kept = list(experiment.measure(Trial("mnist-5k", arm, 0), settings, Context()))
        learned = isinstance(pooled_by(arm).pooling, GGeM) and not arm.startswith("p fixed")
        weights = rates[arm][0]
        assert weights[1:] == (1e-3, 0.0)
        assert rates[arm][1:] == ([(1, 1e-2, 0.0)] if learned else [])
        moved = [abs(record.value - 3.0) for record in kept if record.metric == "exponent" and record.x == 1]
        assert len(moved) == {"ggem": 4, "gem": 1}.get(arm, 0)
        assert all(0.005 < each < 0.021 for each in moved)  # two steps of at most 0.01, along a schedule


def test_the_heads_dependence_is_the_mean_over_its_matrix(records: list[Record]) -> None:
    for arm in experiment.CLAIMED:
        pairs = {
            record.unit: record.value for record in records if (record.arm, record.metric) == (arm, "head_dependence")
        }
        across = [value for unit, value in pairs.items() if unit is not None and unit[5] != unit[-1]]
        whole = [record.value for record in records if (record.arm, record.metric) == (arm, "head_correlation")]
        assert len(pairs) == 10
        if arm in ("average", "class-token"):  # the others have channels without variance, so heads weigh differently
            assert whole == [pytest.approx(np.mean(across))]


def test_a_diverged_training_has_no_score(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = TINY.model_copy(update={"learning_rate": 1e30})
    kept = list(experiment.measure(Trial("mnist-5k", "average", 0), settings, Context()))
    assert {record.metric for record in kept} == {"accuracy", "map", "head_correlation"}
    assert all(np.isnan(record.value) for record in kept)


def test_pictures_are_drawn_and_photographs_are_not(records: list[Record], tmp_path: Path) -> None:
    drawn = [figure.file for figure in experiment.figures(TINY, records, Context(), tmp_path)]
    kinds = ("accuracy", "retrieval", "heads", "dependence", "exponents", "token-weights")
    assert drawn == [f"{kind}-mnist-5k.png" for kind in kinds]
    assert all((tmp_path / file).stat().st_size > 1000 for file in drawn)
    assert "cifar10" not in experiment.SHOWN


def test_the_card_names_arms_and_metrics_that_are_measured(records: list[Record]) -> None:
    for claim in get_card("ggem").claims:
        assert {claim.subject, *claim.baselines} <= set(experiment.CLAIMED)
        assert claim.metric in {record.metric for record in records if record.arm == claim.subject}


# --- a backbone of timm -------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    split = images(24, size=16, channels=3)
    for index, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
        path = tmp_path / ("train" if index < 12 else "test") / f"class-{label}" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)
    return tmp_path


BACKBONE = TINY.model_copy(
    update={
        "data": ("imagefolder",), "backbone": "timm:vit_tiny_patch16_224", "train_images": 12, "test_images": 12,
        "batch_size": 4, "more_groups": 16,
    }
)  # fmt: skip


def test_a_timm_backbone_learns_from_a_folder_of_images(folder: Path) -> None:
    context = Context(data_root=folder)
    kept = list(experiment.measure(Trial("imagefolder", "ggem", 0), BACKBONE, context))
    values = {record.metric: record.value for record in kept}
    assert np.isfinite([values["accuracy"], values["map"], values["head_correlation"]]).all()
    assert values["parameters_beyond_groups"] == 0
    assert len([record for record in kept if record.metric == "exponent" and record.x == 1]) == 3  # its heads
    assert "token_weight" not in values


def test_images_too_large_for_memory_give_the_same_records(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The route of the preset ``paper``, whose images stay on disk, against the same images in memory."""
    settings = BACKBONE.model_copy(update={"image_size": 32})
    runs = []
    for limit in (image_files.MEMORY_LIMIT, 0):
        monkeypatch.setattr(image_files, "MEMORY_LIMIT", limit)
        context = Context(data_root=folder)
        records = list(experiment.measure(Trial("imagefolder", "gem", 0), settings, context))
        runs.append((list(experiment.sources(settings, context)), [(each.metric, each.value) for each in records]))
        assert list(experiment.measure(Trial("imagefolder", experiment.COST), settings, context))
    assert isinstance(experiment.subset("imagefolder", settings, context).train.images, image_files.ImageFiles)
    assert runs[0] == runs[1]


def test_the_resolution_of_a_folder_is_a_setting(folder: Path) -> None:
    settings = BACKBONE.model_copy(update={"image_size": 48})
    data = experiment.subset("imagefolder", settings, Context(data_root=folder))
    assert data.train.image_shape == (48, 48, 3)
    assert network("ggem", settings, data, seed=0).model.tokens(torch.rand(1, 3, 48, 48)).shape == (1, 9, 192)
    assert experiment.experiment.presets["paper"].image_size == 224
    assert settings.loader_options("cifar10") == {}


def test_arms_of_a_timm_backbone_read_what_timm_reads() -> None:
    import timm

    data = ImageClassification("imagefolder", tuple("abcd"), images(4, 32, 3), images(4, 32, 3))
    x = torch.randn(2, 3, 32, 32)

    def logits(arm: str) -> Tensor:
        with torch.no_grad():
            return network(arm, BACKBONE, data, seed=1).model.eval()(x)  # type: ignore[no-any-return]

    def timms(global_pool: str) -> Tensor:
        torch.manual_seed(1)
        options = {"img_size": 32, "num_classes": 4, "global_pool": global_pool, "fc_norm": True}
        with torch.no_grad():
            return timm.create_model("vit_tiny_patch16_224", **options).eval()(x)  # type: ignore[no-any-return]

    for arm, global_pool in {"average": "avg", "max": "max", "class-token": "token"}.items():
        torch.testing.assert_close(logits(arm), timms(global_pool), rtol=1e-5, atol=1e-6)
    assert not torch.equal(logits("ggem"), logits("average"))


@pytest.mark.parametrize("name", ["no_such_model", "resnet18"])
def test_what_is_no_vision_transformer_of_timm_is_refused(name: str) -> None:
    with pytest.raises(ArgumentError, match=f"backbone: .*{name}"):
        network("ggem", BACKBONE.model_copy(update={"backbone": f"timm:{name}"}), DATA, seed=0)


def test_costs_are_measured_in_turns() -> None:
    trial = experiment.trials(TINY)[-1]
    assert (trial.arm, trial.alone) == (COST, True)
