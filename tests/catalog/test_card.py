from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from pydantic import ValidationError

from cenote.catalog.card import COMPARING, WITH_MARGIN, Card, Claim, Kind, Shelf

BETTER: dict[str, Any] = {
    "id": "gain",
    "sentence": "Poset pooling is more accurate than max pooling.",
    "kind": "better",
    "metric": "accuracy",
    "subject": "poset",
    "baselines": ("max", "average"),
    "margin": 0.3,
    "figure": 0.6,
}

FACTS: dict[str, Any] = {
    "slug": "order-theory",
    "title": "Order Theory in the Context of Machine Learning",
    "shelf": "pooling",
    "status": "listed",
    "arxiv": "2412.06097",
    "published": "2024-12-08",
    "authors": 5,
    "summary": "Pools a window by the best up-set of a partial order. " * 5,
    "topics": ("pooling", "posets"),
    "claims": (BETTER,),
}

RUNS: dict[str, Any] = {"status": "runs", "example": "assert True"}
MEASURED: dict[str, Any] = {"units": 8, "data": ("cifar10",)}


def make_claim(**changes: Any) -> Claim:
    """The claim above with some keys replaced; None takes a key away."""
    return Claim.model_validate({key: value for key, value in (BETTER | changes).items() if value is not None})


def make_card(**changes: Any) -> Card:
    return Card.model_validate({key: value for key, value in (FACTS | changes).items() if value is not None})


def without_margin(kind: str, **changes: Any) -> Claim:
    return make_claim(kind=kind, margin=None, **changes)


# --- claims -------------------------------------------------------------------------------------------------------


def test_a_claim_is_kept_as_it_was_written() -> None:
    claim = make_claim()
    assert claim.model_dump(include=set(BETTER)) == BETTER
    assert (claim.replication, claim.quantifier, claim.first_seed, claim.verified) == ("seed", "all", 0, True)
    with pytest.raises(ValidationError, match="frozen"):
        claim.margin = 0.1  # type: ignore[misc]


@pytest.mark.parametrize("kind", sorted(COMPARING))
def test_kinds_that_compare_need_a_baseline(kind: str) -> None:
    assert make_claim(kind=kind).kind == kind
    with pytest.raises(ValidationError, match=rf"claims\.gain\.baselines: kind {kind} compares, so name at least one"):
        make_claim(kind=kind, baselines=None)


@pytest.mark.parametrize("kind", sorted(set(Kind) - COMPARING))
def test_other_kinds_may_be_about_the_subject_alone(kind: str) -> None:
    assert without_margin(kind, baselines=None).baselines == ()


@pytest.mark.parametrize("kind", sorted(COMPARING))
def test_kinds_with_a_margin_need_one(kind: str) -> None:
    with pytest.raises(ValidationError, match=rf"claims\.gain\.margin: kind {kind} needs a margin"):
        without_margin(kind)


def test_a_tolerance_may_be_left_out_where_nothing_but_equality_will_do() -> None:
    assert without_margin("equal").margin is None
    assert make_claim(kind="equal", margin=1e-12).margin == 1e-12


@pytest.mark.parametrize("kind", sorted(set(Kind) - WITH_MARGIN))
def test_kinds_without_a_margin_refuse_one(kind: str) -> None:
    with pytest.raises(ValidationError, match=rf"claims\.gain\.margin: kind {kind} has no margin; remove it"):
        make_claim(kind=kind)


@pytest.mark.parametrize("margin", [0, -0.1, float("inf"), float("nan")])
def test_a_margin_is_positive_and_finite(margin: float) -> None:
    with pytest.raises(ValidationError, match=r"margin\n  Input should be (greater than 0|a finite number)"):
        make_claim(kind="no_worse", margin=margin)


@pytest.mark.parametrize("figure", [float("inf"), float("nan"), "about 3"])
def test_a_figure_is_a_number_or_not_known(figure: Any) -> None:
    with pytest.raises(ValidationError, match=r"Input should be a (finite|valid) number"):
        make_claim(kind="no_worse", figure=figure)


def test_the_subject_is_not_its_own_baseline() -> None:
    with pytest.raises(ValidationError, match=r"claims\.gain\.baselines: the subject 'max' cannot be its own baseline"):
        make_claim(subject="max")


def test_a_baseline_is_named_once() -> None:
    with pytest.raises(ValidationError, match=r"claims\.gain\.baselines: each may be named once"):
        make_claim(baselines=("max", "average", "max"))


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": 0.3, "figure": 0.6},
        {"margin": 0.3, "figure": -0.6, "lower_is_better": True},  # half of the gain, whichever way it points
        {"margin": 0.1 + 0.2, "figure": 0.6},  # not to the last digit
        {"margin": 0.01, "figure": "not known"},  # accuracy: one point where the paper has no figure
        {"margin": 0.01, "figure": 5.0, "verified": False},
        {"margin": 0.2, "figure": 0.6, "margin_reason": "The smallest gain that pays for itself."},
        {"margin": 0.5, "figure": "not known", "metric": "mAP", "margin_reason": "Half a point is what is reported."},
    ],
)
def test_a_margin_is_half_of_the_figure_or_has_a_reason(changes: dict[str, Any]) -> None:
    assert make_claim(**changes).margin == changes["margin"]


@pytest.mark.parametrize(
    "changes",
    [
        {"margin": 0.2, "figure": 0.6},
        {"margin": 0.301, "figure": 0.6},
        {"margin": 0.3, "figure": 0.6, "verified": False},  # a figure nobody could confirm sets no margin
        {"margin": 0.02, "figure": "not known"},
        {"margin": 0.01, "figure": "not known", "metric": "mAP"},
    ],
)
def test_any_other_margin_needs_a_reason(changes: dict[str, Any]) -> None:
    message = rf"claims\.gain\.margin_reason: say why, since the margin {changes['margin']} is not half of the figure"
    with pytest.raises(ValidationError, match=message):
        make_claim(**changes)


def test_the_number_of_seeds_is_the_number_of_units_where_the_unit_is_the_seed() -> None:
    assert make_claim(units=8).seed_count == 8
    assert make_claim(units=8, seeds=8).seed_count == 8
    assert make_claim(units=200, seeds=5, replication="image").seed_count == 5
    assert make_claim(units=200, replication="image").seed_count is None
    with pytest.raises(ValidationError, match=r"claims\.gain\.seeds: the unit is the seed, so leave seeds out or make"):
        make_claim(units=8, seeds=5)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "Gain"),
        ("id", "gain_on_cifar"),
        ("id", "-gain"),
        ("sentence", "Too short"),
        ("sentence", " " * 30),
        ("kind", "bettr"),
        ("metric", ""),
        ("metric", "  "),
        ("subject", ""),
        ("baselines", ("max", "")),
        ("quantifier", "some"),
        ("replication", ""),
        ("units", 0),
        ("seeds", 0),
        ("first_seed", -1),
        ("data", ("",)),
        ("lower_is_better", "yes please"),
        ("units", 2.5),
    ],
)
def test_a_value_of_a_claim_that_is_not_allowed(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        make_claim(**{key: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {key}


@pytest.mark.parametrize("key", sorted(set(BETTER) - {"baselines", "margin"}))
def test_a_claim_lacks_nothing(key: str) -> None:
    with pytest.raises(ValidationError, match="Field required") as caught:
        make_claim(**{key: None})
    assert caught.value.errors()[0]["loc"] == (key,)


# --- cards --------------------------------------------------------------------------------------------------------


def test_a_card_is_kept_as_it_was_written() -> None:
    card = make_card()
    assert (card.slug, card.shelf, card.published) == ("order-theory", Shelf.POOLING, dt.date(2024, 12, 8))
    assert (card.folder, card.module, card.runs) == ("order_theory", "cenote.pooling.order_theory", False)
    assert card.claim("gain").margin == 0.3
    with pytest.raises(KeyError, match="loss"):
        card.claim("loss")


def test_ids_of_claims_are_unique() -> None:
    with pytest.raises(ValidationError, match="claims: ids must be unique, got gain, loss, gain"):
        make_card(claims=(BETTER, BETTER | {"id": "loss"}, BETTER))


@pytest.mark.parametrize("key", ["units", "data"])
def test_a_paper_that_runs_has_declared_what_it_measures(key: str) -> None:
    assert make_card(claims=(BETTER | MEASURED,), **RUNS).runs
    claim = {name: value for name, value in (BETTER | MEASURED).items() if name != key}
    with pytest.raises(ValidationError, match=rf"claims\.gain\.{key}: declare it before the status becomes 'runs'"):
        make_card(claims=(claim,), **RUNS)
    assert not make_card(claims=(claim,)).runs


def test_a_paper_that_runs_has_declared_its_seeds() -> None:
    images = BETTER | MEASURED | {"replication": "image"}
    assert make_card(claims=(images | {"seeds": 5},), **RUNS).runs
    with pytest.raises(ValidationError, match=r"claims\.gain\.seeds: declare it before the status becomes 'runs'"):
        make_card(claims=(images,), **RUNS)
    assert not make_card(claims=(images,)).runs


def test_a_paper_that_runs_has_an_example() -> None:
    with pytest.raises(ValidationError, match="example: a paper that runs has an example"):
        make_card(claims=(BETTER | MEASURED,), status="runs")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema_version", 2),
        ("slug", "Order-Theory"),
        ("slug", "order_theory"),
        ("slug", "order--theory"),
        ("slug", ""),
        ("title", " "),
        ("shelf", "pools"),
        ("status", "soon"),
        ("arxiv", "2412.6097v2"),
        ("arxiv", "cs/0102001"),
        ("published", "08.12.2024"),
        ("authors", 0),
        ("summary", "Too short."),
        ("summary", "x" * 1201),
        ("topics", ("pooling",)),
        ("topics", ("pooling", "")),
        ("claims", ()),
        ("links", {"code": "github.com/a/b"}),
        ("links", {"cod": "https://github.com/a/b"}),
        ("commands", ({"name": "Pool", "help": "Pools what it is given.", "target": "cenote.a:b"},)),
        ("commands", ({"name": "pool", "help": "Pools.", "target": "cenote.a:b"},)),
        ("commands", ({"name": "pool", "help": "Pools what it is given.", "target": "os:system"},)),
        ("commands", ({"name": "pool", "help": "Pools what it is given.", "target": "cenote.a.b"},)),
        ("findings", ({"sentence": "The code differs from the paper.", "test": ""},)),
        ("findings", ({"sentence": "It differs", "test": "tests/a.py::b", "severity": 3},)),
        ("venu", "ICML"),
    ],
)
def test_a_value_of_a_card_that_is_not_allowed(key: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        make_card(**{key: value})
    assert {error["loc"][0] for error in caught.value.errors()} == {key}


@pytest.mark.parametrize("key", sorted(FACTS))
def test_a_card_lacks_nothing(key: str) -> None:
    with pytest.raises(ValidationError, match="Field required") as caught:
        make_card(**{key: None})
    assert caught.value.errors()[0]["loc"] == (key,)


@pytest.mark.parametrize("arxiv", ["2412.06097", "0704.0001"])
def test_arxiv_ids_of_both_lengths(arxiv: str) -> None:
    assert make_card(arxiv=arxiv).arxiv == arxiv
