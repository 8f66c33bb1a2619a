from __future__ import annotations

import dataclasses
import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from scipy import stats

from cenote.catalog.card import Card, Claim
from cenote.catalog.results import Comparison, Record, Result, Verdict, latest, published, read_index
from cenote.errors import PublishError, ResultError, StorageError
from cenote.lab import publishing, runner
from cenote.lab.publishing import Check, compare, objections, publish
from cenote.lab.runner import run
from cenote.lab.runs import RunFolder, dump_settings

Run = Callable[..., tuple[Result, RunFolder]]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where results are published."""
    return tmp_path / "results"


@pytest.fixture
def run_tally(tally: ModuleType, desk: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(runner, "commit", lambda: ("c0ffee", True))

    def start(preset: str = "laptop", **options: Any) -> tuple[Result, RunFolder]:
        return run(tally.card, preset, root=tmp_path / "runs", data_root=desk.path, jobs=1, **options)

    return start


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def make_result(**changes: Any) -> Result:
    values: dict[str, Any] = {
        "slug": "tally",
        "run_id": "20261122-120000-laptop-0001",
        "preset": "laptop",
        "started": "2026-11-22T12:00:00Z",
        "finished": "2026-11-22T12:01:00Z",
        "seconds": 60,
        "commit": "c0ffee",
        "clean": True,
        "hashes": {"claims": "1", "method": "2", "experiment": "3"},
        "settings": {},
        "environment": {
            **{"python": "3.11.7", "platform": "Linux", "processor": "P"},
            **{"cores": 2, "memory_gib": 8, "packages": {}},
        },
        **dict.fromkeys(("data", "differs", "records", "verdicts"), ()),
    }
    return Result.model_validate(values | changes)


# --- publishing ---------------------------------------------------------------------------------------------------


def test_a_published_run_is_the_result_with_its_figures_and_a_line_in_the_index(
    tally: ModuleType, run_tally: Run, root: Path
) -> None:
    result, folder = run_tally()
    target = publish(tally.card, folder, root)
    assert target == root / "tally" / f"{result.run_id}.json"
    assert set(files_of(root / "tally")) == {target.name, f"{result.run_id}/tally.svg", "index.json"}
    assert list(published("tally", root)) == [result]
    (entry,) = read_index("tally", root).runs
    assert (entry.run_id, entry.preset, entry.commit) == (result.run_id, "laptop", "c0ffee")
    assert entry.checksum == result.checksum


def test_publishing_again_changes_nothing(tally: ModuleType, run_tally: Run, root: Path) -> None:
    _, folder = run_tally()
    target = publish(tally.card, folder, root)
    before = files_of(root)
    assert publish(tally.card, folder, root) == target
    assert files_of(root) == before


def test_publishing_again_notices_what_was_changed_meanwhile(tally: ModuleType, run_tally: Run, root: Path) -> None:
    _, folder = run_tally()
    target = publish(tally.card, folder, root)
    target.write_bytes(target.read_bytes().replace(b'"seconds": ', b'"seconds": 1'))
    with pytest.raises(ResultError, match="edited by hand"):
        publish(tally.card, folder, root)


def test_every_published_run_stays_in_the_history(tally: ModuleType, run_tally: Run, root: Path) -> None:
    runs = [run_tally() for _ in range(3)]
    for _, folder in runs:
        publish(tally.card, folder, root)
    ids = [result.run_id for result, _ in runs]
    assert [entry.run_id for entry in read_index("tally", root).runs] == ids
    assert [result.run_id for result in published("tally", root)] == ids[::-1]
    newest = latest("tally", root)
    assert newest is not None
    assert newest.run_id == ids[-1]


@pytest.mark.parametrize("stop", ["the figures", "the result", "the index"])
def test_a_crash_in_the_middle_leaves_the_history_as_it_was(
    tally: ModuleType, run_tally: Run, root: Path, monkeypatch: pytest.MonkeyPatch, stop: str
) -> None:
    first, folder = run_tally()
    publish(tally.card, folder, root)
    second, folder = run_tally()
    write_files, write_text = publishing.write_files_atomic, publishing.write_text_atomic

    def crash_at_figures(files: dict[Path, bytes]) -> None:
        if stop == "the figures":
            raise KeyboardInterrupt
        write_files(files)

    def crash_at_texts(path: Path, text: str) -> None:
        if stop == ("the index" if path.name == "index.json" else "the result"):
            raise KeyboardInterrupt
        write_text(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "write_files_atomic", crash_at_figures)
        patch.setattr(publishing, "write_text_atomic", crash_at_texts)
        with pytest.raises(KeyboardInterrupt):
            publish(tally.card, folder, root)
    assert list(published("tally", root)) == [first]
    (root / "tally" / ".index.json.0a1b2c3d.tmp").write_text("what a kill leaves")
    publish(tally.card, folder, root)
    assert list(published("tally", root)) == [second, first]
    assert len(files_of(root)) == 5  # two results, two figures and the index


def test_of_two_runs_published_at_once_both_are_in_the_index(
    tally: ModuleType, run_tally: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folders = [run_tally()[1] for _ in range(2)]

    def read_slowly(slug: str, root: Path) -> Any:
        index = read_index(slug, root)
        time.sleep(0.3)
        return index

    monkeypatch.setattr(publishing, "read_index", read_slowly)
    threads = [threading.Thread(target=publish, args=(tally.card, folder, root)) for folder in folders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {entry.run_id for entry in read_index("tally", root).runs} == {folder.path.name for folder in folders}


def test_results_that_cannot_be_written_are_a_storage_error(tally: ModuleType, run_tally: Run, root: Path) -> None:
    _, folder = run_tally()
    root.write_text("a file is in the way")
    with pytest.raises(StorageError, match=r"results/tally could not be made"):
        publish(tally.card, folder, root)


def test_a_run_edited_by_hand_is_not_published(tally: ModuleType, run_tally: Run, root: Path) -> None:
    _, folder = run_tally()
    path = folder.path / "result.json"
    path.write_text(path.read_text().replace('"word": "holds"', '"word": "fails"'))
    with pytest.raises(ResultError, match="its content does not match its checksum"):
        publish(tally.card, folder, root)
    assert not root.exists()


# --- what is refused ----------------------------------------------------------------------------------------------


def refused(card: Card, folder: RunFolder, root: Path, message: str) -> None:
    with pytest.raises(PublishError, match=rf"run {folder.path.name} is not published: {message}"):
        publish(card, folder, root)
    assert not root.exists()


@pytest.mark.parametrize("preset", ["tiny", "smoke"])
def test_other_presets_are_refused(tally: ModuleType, run_tally: Run, root: Path, preset: str) -> None:
    _, folder = run_tally(preset)
    refused(tally.card, folder, root, f"preset '{preset}' is not published, only laptop and paper")


def test_other_settings_are_refused(tally: ModuleType, run_tally: Run, root: Path) -> None:
    _, folder = run_tally(overrides={"offset": 1.0})
    refused(tally.card, folder, root, "its settings differ from those of preset 'laptop'")


def test_an_override_that_changes_nothing_is_no_other_setting(tally: ModuleType, run_tally: Run, root: Path) -> None:
    _, folder = run_tally(overrides={"offset": 0, "data": ["letters"]})
    assert publish(tally.card, folder, root).is_file()


@pytest.mark.parametrize("head", ["c0ffee", "unknown"])
def test_an_unclean_tree_is_refused(
    tally: ModuleType, run_tally: Run, root: Path, monkeypatch: pytest.MonkeyPatch, head: str
) -> None:
    monkeypatch.setattr(runner, "commit", lambda: (head, False))
    _, folder = run_tally()
    refused(tally.card, folder, root, "the tree had uncommitted changes when it started")


@pytest.mark.parametrize("name", ["claims", "method", "experiment"])
def test_what_changed_since_the_start_is_named(
    tally: ModuleType, run_tally: Run, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    result, folder = run_tally()
    now = result.hashes.model_copy(update={name: "changed"})
    monkeypatch.setattr(publishing, "fingerprint", lambda card: now)
    refused(tally.card, folder, root, f"the {name} changed since it started")


def test_a_margin_moved_after_the_run_is_refused(tally: ModuleType, run_tally: Run, root: Path) -> None:
    _, folder = run_tally()
    claim = tally.card.claims[0].model_copy(update={"margin": 0.1, "margin_reason": "it holds more easily"})
    refused(tally.card.model_copy(update={"claims": (claim,)}), folder, root, "the claims changed since it started")


def test_a_preset_that_is_gone_is_refused(
    tally: ModuleType, run_tally: Run, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = run_tally()
    left = {name: preset for name, preset in tally.experiment.presets.items() if name != "laptop"}
    smaller = dataclasses.replace(tally.experiment, presets=left)
    monkeypatch.setattr(publishing, "load_experiment", lambda card: smaller)
    refused(tally.card, folder, root, "preset must be one of tiny, smoke, got 'laptop'")


def make_claim(**changes: Any) -> Claim:
    values: dict[str, Any] = {
        "id": "gain",
        "sentence": "The paper scores more than plain counting.",
        "kind": "better",
        "metric": "score",
        "subject": "paper",
        "baselines": ("plain", "careful"),
        "margin": 0.25,
        "figure": 0.5,
        "units": 5,
        "data": ("letters", "digits"),
    }
    return Claim.model_validate(values | changes)


def make_records(
    seeds: Any = range(5), units: Any = (None,), arms: Any = ("paper", "plain", "careful"), **changes: Any
) -> list[Record]:
    values: dict[str, Any] = {"trial": "t", "metric": "score", "value": 0.1} | changes
    return [
        Record(data=data, arm=arm, seed=seed, unit=unit, **values)
        for data in ("letters", "digits")
        for arm in arms
        for seed in seeds
        for unit in units
    ]


def complaints(tally: ModuleType, claim: Claim, records: list[Record]) -> list[str]:
    """What keeps a run with these records from being published, if it was started with this claim."""
    card = tally.card.model_copy(update={"claims": (claim,)})
    settings = dump_settings(tally.experiment.presets["laptop"])
    result = make_result(hashes=publishing.fingerprint(card), settings=settings, records=records)
    return list(objections(card, result))


IMAGES = {"replication": "image", "units": 3, "seeds": 5}


@pytest.mark.parametrize(
    ("claim", "records"),
    [
        (make_claim(), make_records()),
        (make_claim(first_seed=5), make_records(range(10))),  # seeds of an earlier declaration do not count
        (make_claim(**IMAGES), make_records(units="abc")),
        (make_claim(replication="repeat", units=3, seeds=1), make_records([None], "abc")),
        (make_claim(kind="equal", margin=None, replication="trial", units=3, seeds=5), make_records(units="abc")),
        (
            make_claim(kind="bound", margin=None, baselines=(), replication="trial", units=500, seeds=5),
            make_records(arms=["paper"], trials=100),
        ),
        (
            make_claim(kind="trend", margin=None, **IMAGES),
            [
                record.model_copy(update={"x": x})
                for record in make_records(units="abc")
                for x in (1.0, 2.0)  # each image at two positions is still one unit
            ],
        ),
    ],
    ids=["seeds", "declared anew", "images", "repeats without a seed", "trials", "bound", "positions"],
)
def test_what_was_declared_is_accepted(tally: ModuleType, claim: Claim, records: list[Record]) -> None:
    assert complaints(tally, claim, records) == []


def without(records: list[Record], **fields: Any) -> list[Record]:
    return [record for record in records if any(getattr(record, name) != value for name, value in fields.items())]


WHERE = "claim 'gain' on digits: "


@pytest.mark.parametrize(
    ("claim", "records", "complaint"),
    [
        (make_claim(), without(make_records(), data="digits", arm="paper"), "paper was not measured"),
        (make_claim(), without(make_records(), data="digits", arm="careful"), "careful was not measured"),
        (make_claim(), without(make_records(), data="digits"), "paper was not measured"),
        (
            make_claim(),
            without(make_records(), data="digits", arm="paper", seed=4),
            "paper has the seeds 0, 1, 2, 3; declared are 0 to 4",
        ),
        (
            make_claim(),
            without(make_records(), data="digits", arm="plain", seed=0),
            "plain has the seeds 1, 2, 3, 4; declared are 0 to 4",
        ),
        (
            make_claim(),
            [*make_records(), Record(trial="t", data="digits", arm="paper", metric="score", value=1, seed=5)],
            "paper has the seeds 0, 1, 2, 3, 4, 5; declared are 0 to 4",
        ),
        (
            make_claim(),
            [r.model_copy(update={"seed": None}) if r.data == "digits" else r for r in make_records()],
            "paper has the seeds none; declared are 0 to 4",
        ),
        (
            make_claim(first_seed=5),
            without(make_records(range(10)), data="digits", arm="paper", seed=9),
            "paper has the seeds 5, 6, 7, 8; declared are 5 to 9",
        ),
        (
            make_claim(**IMAGES),
            without(make_records(units="abc"), data="digits", arm="paper", seed=3, unit="b"),
            "paper has 2 units (image); declared are 3",
        ),
        (
            make_claim(kind="bound", margin=None, baselines=(), replication="trial", units=500, seeds=5),
            [
                r.model_copy(update={"trials": 101}) if (r.data, r.seed) == ("digits", 0) else r
                for r in make_records(arms=["paper"], trials=100)
            ],
            "paper has 501 units (trial); declared are 500",
        ),
    ],
)
def test_any_other_number_than_declared_is_refused(
    tally: ModuleType, claim: Claim, records: list[Record], complaint: str
) -> None:
    assert complaints(tally, claim, records)[0] == WHERE + complaint


# --- a fresh run against a published one --------------------------------------------------------------------------


def make_verdict(word: str, *comparisons: Comparison, claim: str = "gain", data: str = "letters") -> Verdict:
    return Verdict.model_validate(
        {
            "claim": claim,
            "data": data,
            "word": word,
            "reason": "made up",
            "units": 5,
            "seeds": 5,
            "comparisons": comparisons,
        }
    )


def make_comparison(differences: Any, estimate: float | None = None, baseline: str | None = "plain") -> Comparison:
    mean = float(np.mean(differences)) if estimate is None else estimate
    ends = {"low": 0, "high": 0, "test_low": 0, "test_high": 0}
    return Comparison(baseline=baseline, estimate=mean, differences=tuple(differences), **ends)


def check(old: list[Verdict], new: list[Verdict]) -> list[Check]:
    """Compare verdicts as two results have them."""
    return compare(make_result(verdicts=old), make_result(verdicts=new))


DRAWN = (0.012, 0.031, -0.004, 0.022, 0.017)


@pytest.mark.parametrize(
    ("old", "new", "outcome"),
    [
        ("holds", "holds", "confirmed"),
        ("fails", "fails", "confirmed"),
        ("unclear", "unclear", "confirmed"),
        ("holds", "fails", "reversed"),
        ("fails", "holds", "reversed"),
        ("holds", "unclear", "changed"),
        ("unclear", "holds", "changed"),
        ("fails", "unclear", "changed"),
        ("unclear", "fails", "changed"),
        ("designed", "holds", "changed"),
    ],
)
def test_only_from_holds_to_fails_or_back_is_a_verdict_reversed(old: str, new: str, outcome: str) -> None:
    comparison = make_comparison(DRAWN)
    (found,) = check([make_verdict(old, comparison)], [make_verdict(new, comparison)])
    assert (found.published, found.fresh, found.outcome) == (old, new, outcome)


def test_each_comparison_of_each_verdict_is_checked() -> None:
    old = [
        make_verdict("holds", make_comparison([1, 2]), make_comparison([3, 4], baseline="careful")),
        make_verdict("holds", make_comparison([5, 6], baseline=None), claim="alone"),
        make_verdict("holds", make_comparison([5, 6]), data="digits"),
    ]
    new = [
        make_verdict("fails", make_comparison([7, 8], baseline=None), claim="alone"),
        make_verdict("holds", make_comparison([1, 4])),
    ]
    found = [(each.claim, each.data, each.outcome, each.figure, each.fresh_figure) for each in check(old, new)]
    assert found[0] == ("gain against plain", "letters", "confirmed", 1.5, 2.5)
    assert found[1][:4] == ("gain against careful", "letters", "confirmed", 3.5)
    assert math.isnan(found[1][4])  # the fresh run has no such comparison
    assert found[2:] == [("alone", "letters", "reversed", 5.5, 7.5)]


@pytest.mark.parametrize("fresh_units", [1, 5, 12])
def test_the_prediction_interval_is_that_of_a_mean_of_new_units(fresh_units: int) -> None:
    fresh = make_comparison(np.linspace(0.0, 0.03, fresh_units))
    (found,) = check([make_verdict("holds", make_comparison(DRAWN))], [make_verdict("holds", fresh)])
    scale = stats.sem(DRAWN) * math.sqrt(1 + len(DRAWN) / fresh_units)  # both means vary
    low, high = stats.t.interval(0.95, len(DRAWN) - 1, loc=np.mean(DRAWN), scale=scale)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-12)
    assert found.as_predicted == (low <= np.mean(fresh.differences) <= high)


def test_the_prediction_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    inside = []
    for _ in range(400):
        old, new = rng.normal(0.3, 1.0, 5), rng.normal(0.3, 1.0, 8)
        low, high = publishing._prediction(make_comparison(old.tolist()), 8)
        inside.append(low <= new.mean() <= high)
    # 95 % of 400, within 3.5 standard deviations of a binomial count.
    assert abs(sum(inside) - 380) <= 3.5 * math.sqrt(400 * 0.95 * 0.05)


def test_a_ratio_is_predicted_from_its_logarithms() -> None:
    ratios = (1.1, 1.7, 2.4, 1.3)
    comparison = make_comparison(ratios, estimate=float(stats.gmean(ratios)))
    (found,) = check([make_verdict("holds", comparison)], [make_verdict("holds", comparison)])
    logs = np.log(ratios)
    ends = stats.t.interval(0.95, 3, loc=logs.mean(), scale=stats.sem(logs) * math.sqrt(2))
    assert (found.low, found.high) == pytest.approx(tuple(np.exp(ends)), rel=1e-12)
    assert found.as_predicted


def test_what_does_not_vary_is_predicted_exactly() -> None:
    comparison = make_comparison([0.1] * 8)
    (found,) = check([make_verdict("holds", comparison)], [make_verdict("holds", comparison)])
    assert found.low <= 0.1 <= found.high
    assert found.high - found.low < 1e-15
    assert found.as_predicted
    (found,) = check([make_verdict("holds", comparison)], [make_verdict("holds", make_comparison([0.1001] * 8))])
    assert not found.as_predicted


@pytest.mark.parametrize(
    "comparison",
    [
        make_comparison([0.5]),
        make_comparison([0.5, math.nan, 0.1]),
        make_comparison([1e-9, 3e-9, 2e-9], estimate=3e-9),
        make_comparison([0.0, 2.0, 1.0], estimate=0.003),
        make_comparison([], estimate=0.5),
    ],
    ids=["one unit", "a diverged unit", "a largest error", "a rate of violations", "no units"],
)
def test_without_a_mean_of_several_units_there_is_no_prediction(comparison: Comparison) -> None:
    (found,) = check([make_verdict("unclear", comparison)], [make_verdict("unclear", comparison)])
    assert math.isnan(found.low)
    assert math.isnan(found.high)
    assert not found.as_predicted


def test_a_run_compared_with_itself_is_confirmed(run_tally: Run) -> None:
    result, _ = run_tally()
    (found,) = compare(result, result)
    assert (found.claim, found.outcome, found.as_predicted) == ("gain against plain", "confirmed", True)
    gains = [r.value for r in result.records if r.arm == "paper"], [r.value for r in result.records if r.arm == "plain"]
    assert found.figure == pytest.approx(np.mean(np.subtract(*gains)), rel=1e-12)
