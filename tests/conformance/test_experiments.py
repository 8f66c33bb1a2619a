"""Every paper's experiment measures its claims, repeatably; its run is reported and its published result is true."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from PIL import Image

from cenote.catalog import Card, Claim, Result, get_card, latest, published
from cenote.catalog.card import Kind
from cenote.catalog.fingerprint import is_stale
from cenote.catalog.results import RESULTS, Figure, Record
from cenote.lab.experiment import PRESETS, PUBLISHABLE, load_experiment
from cenote.lab.runner import run
from cenote.lab.runs import RunFolder


@pytest.fixture(autouse=True)
def _embedded_data_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """``tiny`` and ``smoke`` need no download."""
    monkeypatch.delenv("CENOTE_DATA", raising=False)


def test_the_experiment_has_its_presets_and_says_what_differs(running_card: Card) -> None:
    experiment = load_experiment(running_card)
    assert experiment.preset_names == PRESETS
    for preset, settings in experiment.presets.items():
        differs = list(experiment.differs(settings))
        assert differs, preset
        assert all(sentence.endswith(".") and len(sentence.split()) >= 5 for sentence in differs), preset
    undescribed = [name for name, field in experiment.settings.model_fields.items() if not field.description]
    assert not undescribed, f"{running_card.slug}: settings without a description: {', '.join(undescribed)}"


def test_published_presets_have_the_declared_data_and_seeds(running_card: Card) -> None:
    settings = load_experiment(running_card).resolve("laptop")
    for claim in running_card.claims:
        assert set(claim.data) <= set(settings.data), f"claim {claim.id!r} declares data that laptop does not run on"
        assert claim.first_seed in settings.seed_range
        unseeded = claim.replication != "seed" and claim.seed_count == 1  # all there is is looked at, nothing drawn
        assert unseeded or claim.seed_count == len(settings.seed_range) - (claim.first_seed - settings.first_seed)


def test_a_tiny_run_measures_every_claim_and_is_repeatable(running_card: Card, tmp_path: Path) -> None:
    first, folder = run(running_card, "tiny", root=tmp_path / "first", jobs=1)
    second, _ = run(running_card, "tiny", root=tmp_path / "second", jobs=1)
    assert first.verdicts == (), "a tiny run gives no verdicts"
    for claim in running_card.claims:
        assert measured(claim, first.records), f"{running_card.slug}: no data set has all arms of claim {claim.id!r}"
    assert repeatable(running_card, first) == repeatable(running_card, second)
    check_report(first, folder)


@pytest.mark.slow
def test_a_smoke_run_judges_every_claim(running_card: Card, tmp_path: Path) -> None:
    result, folder = run(running_card, "smoke", root=tmp_path)
    designed = load_experiment(running_card).designed
    for claim in running_card.claims:
        verdicts = [verdict for verdict in result.verdicts if verdict.claim == claim.id]
        assert verdicts, f"{running_card.slug}: smoke gives no verdict on claim {claim.id!r}"
        for verdict in verdicts:
            assert (verdict.units, verdict.seeds) == (claim.units, claim.seed_count), "not the declared units"
            assert (verdict.word == "designed") == (verdict.data in designed)
    check_report(result, folder)


def test_the_published_result_is_intact_complete_and_current(running_card: Card) -> None:
    for result in published(running_card.slug):  # raises where a file was edited
        assert result.slug == running_card.slug
        assert result.preset in PUBLISHABLE
        assert result.clean
    newest = latest(running_card.slug)
    if newest is None:
        pytest.skip(f"{running_card.slug} has no published result yet")
    command = f"cenote run {running_card.slug} --preset {newest.preset} --publish"
    assert not is_stale(running_card, newest), f"claims, method or experiment changed: publish anew with {command}"
    judged = {(verdict.claim, verdict.data) for verdict in newest.verdicts}
    missing = {(claim.id, data) for claim in running_card.claims for data in claim.data} - judged
    assert not missing, f"no verdict on {sorted(missing)}: publish anew with {command}"
    check_pictures(newest.figures, RESULTS / running_card.slug / newest.run_id)


def test_what_is_looked_for_can_be_missing(tmp_path: Path) -> None:
    """The helpers below notice an arm without records and pictures nobody can read."""
    claim = get_card("order-theory").claim("accuracy")
    arms = ("poset", "max", "average", "mixed")
    records = [Record(trial=arm, data="digits", arm=arm, metric="accuracy", value=0.5) for arm in arms]
    assert measured(claim, records)
    for left_out in range(len(arms)):
        assert not measured(claim, records[:left_out] + records[left_out + 1 :])
    elsewhere = records[0].model_copy(update={"data": "mnist-5k"})
    assert not measured(claim, [elsewhere, *records[1:]])
    figure = Figure(file="a.png", title="A", caption="B", alt="Eight words that say what is to see.")
    for size, message in {(800, 400): "blank", (100, 400): "wide", (800, 5000): "high"}.items():
        Image.new("RGB", size, "white").save(tmp_path / "a.png")
        with pytest.raises(AssertionError, match=message):
            check_pictures([figure], tmp_path)


# --- what a run must have -----------------------------------------------------------------------------------------


def measured(claim: Claim, records: Sequence[Record]) -> bool:
    """Whether some data set has the claim's metric of its subject and, where they are compared, of all baselines."""
    arms = {claim.subject} if claim.kind is Kind.BOUND else {claim.subject, *claim.baselines}
    found: dict[str, set[str]] = {}
    for record in records:
        if record.metric == claim.metric:
            found.setdefault(record.data, set()).add(record.arm)
    return any(arms <= those for those in found.values())


def repeatable(card: Card, result: Result) -> list[str]:
    """The records of all trials but timings, as text, in which NaN equals NaN."""
    experiment = load_experiment(card)
    timings = {trial.key for trial in experiment.trials(experiment.resolve(result.preset)) if trial.alone}
    records = [record.model_dump_json() for record in result.records if record.trial not in timings]
    assert records
    return records


def check_report(result: Result, folder: RunFolder) -> None:
    assert folder.result() == result
    for name in ("report.html", "report.md"):
        text = (folder.path / name).read_text(encoding="utf-8")
        assert result.run_id in text
        assert all(source.name in text for source in result.data)
    check_pictures(result.figures, folder.path)


def check_pictures(figures: Sequence[Figure], folder: Path) -> None:
    """PNG files that open, are neither thumbnails nor posters nor blank, and are put into words."""
    assert figures
    for figure in figures:
        assert figure.file.endswith(".png")
        with Image.open(folder / figure.file) as image:
            image.load()
            assert image.format == "PNG"
            assert 400 <= image.width <= 4000, f"{figure.file} is {image.width} pixels wide"
            assert 200 <= image.height <= 4000, f"{figure.file} is {image.height} pixels high"
            colours = image.convert("RGB").getcolors(maxcolors=image.width * image.height)
            assert colours is not None
            assert len(colours) > 8, f"{figure.file} is blank"
        assert len(figure.alt.split()) >= 8, f"{figure.file}: the alt text says too little: {figure.alt!r}"
        assert figure.alt not in (figure.title, figure.caption)
        assert figure.title
        assert figure.caption
