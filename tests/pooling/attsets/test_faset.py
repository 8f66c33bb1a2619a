"""FASet moves its two sets of parameters apart, and leaves single views as the base has them."""

from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cenote.pooling import AttSets, FASetTrainer, faset_parameters
from cenote.pooling.attsets.networks import ViewNetwork

Batch = tuple[Tensor, Tensor]


def network() -> ViewNetwork:
    encoder = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2))
    return ViewNetwork(encoder, AttSets(8, bias=True), nn.Linear(8, 4))


def batches(count: int, views: int = 5) -> Iterator[Batch]:
    generator = torch.Generator().manual_seed(0)
    for _ in range(count):
        yield torch.randn(7, views, 6, generator=generator), torch.randn(7, 4, generator=generator)


def state(model: nn.Module, part: str) -> dict[str, Tensor]:
    inside = {name: value.clone() for name, value in model.state_dict().items()}
    return {name: value for name, value in inside.items() if name.startswith("aggregation") == (part == "attention")}


def unchanged(before: dict[str, Tensor], model: nn.Module) -> bool:
    now = model.state_dict()
    return all(torch.equal(value, now[name]) for name, value in before.items())


def test_the_two_sets_are_all_parameters_and_share_none() -> None:
    model = network()
    base, attention = faset_parameters(model)
    assert {id(weight) for weight in attention} == {id(weight) for weight in model.aggregation.parameters()}
    assert len(base) + len(attention) == len(list(model.parameters()))
    assert not {id(weight) for weight in base} & {id(weight) for weight in attention}


def test_stage_one_moves_the_base_alone() -> None:
    model = network()
    attention, base = state(model, "attention"), state(model, "base")
    FASetTrainer(model, 5, 4, 0, learning_rate=0.1).fit(batches(4), F.mse_loss)
    assert unchanged(attention, model)
    assert not any(unchanged({name: value}, model) for name, value in base.items() if "weight" in name)


def test_stage_two_moves_the_attention_alone_not_even_statistics_of_the_base() -> None:
    model = network()
    attention, base = state(model, "attention"), state(model, "base")
    FASetTrainer(model, 5, 0, 4, learning_rate=0.1).fit(batches(4), F.mse_loss)
    assert unchanged(base, model)
    assert not unchanged(attention, model)


@pytest.mark.parametrize("interleave", [False, True])
def test_no_step_moves_both(interleave: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Watched step by step, with a decay in the optimisers that would move whatever they hold."""
    model = network()
    trainer = FASetTrainer(model, (2, 5), 6, 4, interleave, learning_rate=0.1, attention_rate=0.2)
    for optimizer in (trainer.base_optimizer, trainer.attention_optimizer):
        optimizer.param_groups[0]["weight_decay"] = 0.5
    moved: list[str] = []
    for name, other in (("step_base", "attention"), ("step_attention", "base")):
        step = getattr(trainer, name)

        def watched(*args: object, step=step, other=other, name=name) -> float:  # type: ignore[no-untyped-def]
            before = state(model, other)
            value: float = step(*args)
            assert unchanged(before, model), f"{name} moved the {other}"
            moved.append(name)
            return value

        monkeypatch.setattr(trainer, name, watched)
    log = trainer.fit(batches(6 if interleave else 10), F.mse_loss)
    assert (len(log.base_losses), len(log.attention_losses)) == (6, 4)
    turns = ["step_base", "step_attention"] * 4 + ["step_base"] * 2
    assert moved == (turns if interleave else ["step_base"] * 6 + ["step_attention"] * 4)
    assert all(weight.grad is None for weight in model.parameters())


@pytest.mark.parametrize("stages", [(4, 0), (0, 4), (4, 4)])
def test_what_is_frozen_beforehand_stays_and_the_rest_learns(stages: tuple[int, int]) -> None:
    """An encoder that is kept, with a decoder to be trained in front of it."""
    model = ViewNetwork(nn.Sequential(nn.Linear(6, 8), nn.Linear(8, 8)), AttSets(8), nn.Linear(8, 4))
    model.encoder[0].requires_grad_(False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    FASetTrainer(model, 5, *stages, learning_rate=0.1).fit(batches(8), F.mse_loss)
    moved = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    base = {"encoder.1.weight", "encoder.1.bias", "decoder.weight", "decoder.bias"} if stages[0] else set()
    assert moved == base | ({"aggregation.scores.weight"} if stages[1] else set())


def test_attention_is_learned_on_a_base_all_of_which_is_frozen() -> None:
    model = network().requires_grad_(False)
    model.aggregation.requires_grad_(True)
    attention = state(model, "attention")
    FASetTrainer(model, 5, 0, 3, learning_rate=0.1).fit(batches(3), F.mse_loss)
    assert not unchanged(attention, model)


def test_what_is_learned_on_sets_leaves_single_views_bit_for_bit() -> None:
    model, views = network(), torch.randn(9, 1, 6)
    FASetTrainer(model, 5, 3, 0, learning_rate=0.01).fit(batches(3), F.mse_loss)
    base = copy.deepcopy(model).eval()
    FASetTrainer(model, 5, 0, 3, learning_rate=0.1).fit(batches(3), F.mse_loss)
    many = torch.randn(9, 5, 6)
    assert torch.equal(model.eval()(views), base(views))
    assert not torch.equal(model(many), base(many))


def test_stage_one_is_plain_training_on_single_views() -> None:
    model = ViewNetwork(nn.Linear(6, 8), AttSets(8), nn.Linear(8, 4))
    plain = nn.Sequential(copy.deepcopy(model.encoder), copy.deepcopy(model.decoder))
    optimizer = torch.optim.Adam(plain.parameters(), 0.01)
    for views, targets in batches(5):
        optimizer.zero_grad()
        F.mse_loss(plain(views.flatten(0, 1)), targets.repeat_interleave(5, 0)).backward()
        optimizer.step()
    FASetTrainer(model, 5, 5, 0, learning_rate=0.01).fit(batches(5), F.mse_loss)
    torch.testing.assert_close(model.encoder.weight, plain[0].weight)
    torch.testing.assert_close(model.decoder.weight, plain[1].weight)


def test_sets_have_as_many_views_as_asked_for_and_depend_on_the_seed() -> None:
    seen: dict[int, list[int]] = {}
    for seed in (0, 0, 1):
        sizes: list[int] = []
        model = network()
        model.aggregation.register_forward_pre_hook(lambda _, args, sizes=sizes: sizes.append(args[0].shape[1]))
        FASetTrainer(model, (2, 4), 0, 12, seed=seed).fit(batches(12), F.mse_loss)
        assert set(sizes) == {2, 3, 4}
        assert seen.setdefault(seed, sizes) == sizes
    assert seen[0] != seen[1]


def test_all_views_of_a_batch_are_taken_where_no_number_is_given() -> None:
    model = network()
    seen: list[Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    FASetTrainer(model, None, 0, 2).fit(batches(2, views=4), F.mse_loss)
    assert all(torch.equal(views.flatten(0, 1), got) for (views, _), got in zip(batches(2, 4), seen, strict=True))


def test_training_lowers_the_loss_of_both_stages() -> None:
    """Targets that the attention alone can reach: the member with the largest first feature."""
    model = ViewNetwork(nn.Linear(6, 8), AttSets(8), nn.Linear(8, 6))

    def tasks() -> Iterator[Batch]:
        for views, _ in batches(300):
            yield views, views[torch.arange(7), views[:, :, 0].argmax(1)]

    single = ((views[:, :1], views[:, 0]) for views, _ in batches(200))
    first = FASetTrainer(model, 1, 200, 0, learning_rate=0.01).fit(single, F.mse_loss).base_losses
    second = FASetTrainer(model, 5, 0, 300, learning_rate=0.01).fit(tasks(), F.mse_loss).attention_losses
    for losses in (first, second):
        assert sum(losses[-20:]) < 0.8 * sum(losses[:20])


def test_a_loss_that_is_not_finite_ends_the_training_before_its_step() -> None:
    model = network()
    before = state(model, "attention")
    log = FASetTrainer(model, 5, 0, 4, learning_rate=0.1).fit(batches(4), lambda logits, _: logits.sum() * torch.inf)
    assert log.diverged
    assert len(log.attention_losses) == 1
    assert unchanged(before, model)


def test_a_frozen_encoder_keeps_its_mode_and_its_statistics() -> None:
    """Those of its batch norm, and its dropout; what learns is in training mode, in stage 2 nothing is."""
    encoder = nn.Sequential(nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)).requires_grad_(False).eval()
    model = ViewNetwork(encoder, AttSets(4), nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), nn.Linear(4, 2)))
    trainer = FASetTrainer(model, None, 1, 1, learning_rate=0.1)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    views, targets = torch.randn(8, 5, 6), torch.randn(8, 2)
    trainer.step_base(views, targets, F.mse_loss)
    assert not any(module.training for module in encoder.modules())
    assert all(module.training for module in model.decoder.modules())
    trainer.step_attention(views, targets, F.mse_loss)
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())
    encoder.train()
    trained = FASetTrainer(model, None, 1, 0, learning_rate=0.1)
    trained.step_base(views, targets, F.mse_loss)
    assert all(module.training for module in encoder.modules()), "its mode is its owner's choice"
