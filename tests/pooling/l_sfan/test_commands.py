"""``cenote recognise`` as a user meets it."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cenote.errors import ArgumentError
from cenote.lab import data
from cenote.lab.data.recording_folder import read_folder
from cenote.pooling import Standardization, WindowClassifier, load_recogniser, sensor_importance, sliding_windows
from cenote.pooling.l_sfan import leaving_out
from cenote.pooling.l_sfan.commands import sittings
from tests.pooling.calling import Verb

QUICK = ("--rate", "20", "--seconds", "1", "--epochs", "2", "--learning-rate", "0.01")


VERB = Verb("recognise")
refused = VERB.refused


def call(*arguments: str, given: str | None = None) -> str:
    outcome = VERB.invoke(*arguments, given=given)
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up recordings of four people, with a clock."""
    folder = tmp_path_factory.mktemp("recordings")
    made = data.load("guarded-motion", n_subjects=4, n_sensors=6, recordings=4, severity=2.0)
    head = ",".join(["time", "subject", "label", *(sensor.name for sensor in made.sensors)])
    for recording in made.recordings:
        label = made.tasks["protective"][recording.labels["protective"][0]]
        rows = [
            ",".join([f"{frame / 20:.2f}", recording.subject, label, *(f"{value:.6g}" for value in row)])
            for frame, row in enumerate(recording.values[:60])
        ]
        (folder / f"{recording.name}.csv").write_text("\n".join([head, *rows]) + "\n")
    return folder


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "recogniser"
    printed = call("train", str(folder), "--out", str(out), *QUICK)
    assert all(word in printed for word in ("MCC", "macro-F1", "l-sfan", "mean and spread"))
    return out


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


# --- training -----------------------------------------------------------------------------------------------------


def test_training_leaves_a_recogniser_a_report_predictions_and_pictures(trained: Path) -> None:
    names = {path.name for path in trained.iterdir()}
    pictures = {"confusion.png", "importance.png", "subjects.png"}
    assert names == {"recogniser.json", "recogniser.safetensors", "report.md", "predictions.csv"} | pictures
    report = (trained / "report.md").read_text()
    assert "16 recordings of 4 subjects give 144 windows of 1 s" in report
    assert "| S03 | 36 |" in report
    for name in pictures:
        with Image.open(trained / name) as image:
            assert image.width > 400


def test_predictions_are_of_people_left_out_and_give_the_reported_scores(trained: Path) -> None:
    from sklearn.metrics import f1_score, matthews_corrcoef

    rows = rows_of(trained / "predictions.csv")
    assert len(rows) == 144
    right, found = [row["label"] for row in rows], [row["recognised"] for row in rows]
    (line,) = [line for line in (trained / "report.md").read_text().splitlines() if line.startswith("| l-sfan")]
    assert f"| {matthews_corrcoef(right, found):.3f} (".replace("-", "−") in line
    assert f"| {f1_score(right, found, average='macro'):.3f} (" in line
    for row in rows:
        parts = {name: float(row[f"P({name})"]) for name in ("not protective", "protective")}
        assert sum(parts.values()) == pytest.approx(1, abs=1e-5)
        assert row["recognised"] == max(parts, key=parts.__getitem__)
        assert float(row["end"]) - float(row["start"]) == 1


def test_an_interrupted_training_goes_on_and_ends_alike(
    trained: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_out: list[str] = []
    original = leaving_out.run_fold

    def counted(model: object, windows: object, labels: object, fold: leaving_out.Fold, *rest: object) -> object:
        if len(left_out) == 2:
            raise KeyboardInterrupt
        left_out.append(fold.name)
        return original(model, windows, labels, fold, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(leaving_out, "run_fold", counted)
    with pytest.raises(AssertionError):  # the command line ends with another exit code
        call("train", str(folder), "--out", str(tmp_path), *QUICK)
    monkeypatch.setattr(leaving_out, "run_fold", original)
    assert left_out == ["S00", "S01"]
    assert {path.name for path in tmp_path.iterdir()} == {"training.json", "folds.safetensors"}
    assert "other settings or recordings" in refused("train", str(folder), "--out", str(tmp_path), *QUICK, "--seed=1")
    again: list[str] = []
    monkeypatch.setattr(
        sittings,
        "leave_one_subject_out",
        lambda *arguments, folds, **options: (
            again.extend(fold.name for fold in folds)
            or leaving_out.leave_one_subject_out(*arguments, folds=folds, **options)
        ),
    )
    call("train", str(folder), "--out", str(tmp_path), *QUICK)
    assert again == ["S02", "S03"]
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in trained.iterdir()}
    for name in ("recogniser.json", "recogniser.safetensors", "predictions.csv", "report.md"):
        assert (tmp_path / name).read_bytes() == (trained / name).read_bytes()


def test_windows_without_a_label_and_short_recordings_are_left_out(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    first, second = sorted(copy.iterdir())[:2]
    first.write_text("".join(first.read_text().splitlines(keepends=True)[:15]))
    lines = second.read_text().splitlines(keepends=True)
    second.write_text("".join([lines[0], *(line.replace(",protective,", ",,") for line in lines[1:41]), *lines[41:]]))
    printed = call("train", str(copy), "--out", str(tmp_path / "out"), *QUICK, "--folds", "2", "--network", "cnn-sap")
    assert "1 recording shorter than a window left out." in printed
    # Of 9 windows every fifth frame, those from 0, 5 … 25 have a label in less than half of their 20 frames.
    assert "6 windows left out: no label holds for half of the frames." in printed
    assert len(rows_of(tmp_path / "out" / "predictions.csv")) == 144 - 9 - 6
    assert load_recogniser(tmp_path / "out").module.axis == "sensor"


# --- running ------------------------------------------------------------------------------------------------------


def test_a_stream_answers_as_the_windows_of_the_whole_recording_do(trained: Path, folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "found.csv"
    printed = call("run", str(trained), str(folder), "--out", str(out))
    assert "144 windows in 16 recordings" in printed
    loaded, found = load_recogniser(trained), rows_of(out)
    for recording in read_folder(folder).recordings:
        values = sliding_windows(recording.values, 20, 5).values
        expected = WindowClassifier(loaded.module).predict_proba(loaded.normalization.apply(values))
        own = [row for row in found if row["recording"] == recording.name]
        assert [float(row["start"]) for row in own] == [index / 4 for index in range(9)]
        got = [[float(row["P(not protective)"]), float(row["P(protective)"])] for row in own]
        np.testing.assert_allclose(got, expected, atol=2e-6)


def test_what_comes_in_is_answered_like_a_file(trained: Path, folder: Path) -> None:
    """Columns in any order; those that are no sensors of the recogniser are passed over."""
    path = min(folder.iterdir())
    table = [line.split(",") for line in path.read_text().splitlines()]
    turned = "\n".join(",".join(reversed(row[2:])) for row in table)
    from_file = call("run", str(trained), str(path)).splitlines()
    coming_in = call("run", str(trained), "-", given=turned).splitlines()
    assert len(from_file) == 10
    assert from_file[0] == "recording,start,end,recognised,P(not protective),P(protective)"
    assert [row.partition(",")[2] for row in coming_in] == [row.partition(",")[2] for row in from_file]
    assert {row.partition(",")[0] for row in coming_in[1:]} == {"-"}


def test_importance_is_drawn_and_is_that_of_all_windows(trained: Path, folder: Path, tmp_path: Path) -> None:
    picture = tmp_path / "importance.png"
    printed = call("run", str(trained), str(folder), "--out", str(tmp_path / "a.csv"), "--importance", str(picture))
    with Image.open(picture) as image:
        assert image.width > 400
    loaded = load_recogniser(trained)
    windows = np.concatenate([sliding_windows(each.values, 20, 5).values for each in read_folder(folder).recordings])
    importance = sensor_importance(loaded.module, loaded.normalization.apply(windows)).sum(axis=0)
    shown = {line.rpartition(" ")[0].strip(): line.rpartition(" ")[2] for line in printed.splitlines()}
    for sensor, part in zip(loaded.design.sensors, importance / importance.sum(), strict=True):
        assert float(shown[sensor].rstrip("%")) == pytest.approx(100 * part, abs=0.06)


def test_a_recogniser_comes_back_as_it_was(trained: Path, folder: Path) -> None:
    loaded = load_recogniser(trained)
    windows = np.concatenate([sliding_windows(each.values, 20, 5).values for each in read_folder(folder).recordings])
    measured = Standardization.of(windows)
    np.testing.assert_array_equal(loaded.normalization.mean, measured.mean)
    np.testing.assert_array_equal(loaded.normalization.std, measured.std)
    assert not loaded.module.training
    stream = loaded.stream()
    starts = [
        answer.start
        for piece in np.array_split(read_folder(folder).recordings[0].values, 7)
        for answer in stream.push(piece)
    ]
    assert starts == list(range(0, 41, 5))


# --- what is refused ----------------------------------------------------------------------------------------------


def test_what_cannot_be_is_said(trained: Path, folder: Path, tmp_path: Path) -> None:
    out, one = str(tmp_path / "new"), str(min(folder.iterdir()))
    train, alone = ("train", str(folder), "--out", out, *QUICK), tmp_path / "alone"
    alone.mkdir()
    shutil.copy(one, alone / "a.csv")
    for arguments, words in (
        ((*train, "--rate", "0"), "--rate: got 0.0, allowed is a positive number"),
        ((*train, "--rate", "15"), "--seconds: 1 at 15 frames a second are 15 frames, allowed is 16 or more"),
        ((*train, "--overlap", "1"), "--overlap: got 1.0, allowed is 0 up to, but not, 1"),
        ((*train, "--folds", "1"), "--folds: got 1, allowed is 0, or 2 and more"),
        ((*train, "--folds", "5"), "--folds: got 5, allowed is 0 or 2 to 4 subjects"),
        ((*train, "--network", "tree"), "--network: got tree, allowed is l-sfan, cnn-tap, cnn-sap"),
        ((*train, "--learning-rate", "nan"), "--learning-rate: got nan"),
        ((*train, "--leave-out", ""), "column 'time' only rises in every recording"),
        ((*train, "--subject", "who"), "has no column 'who'; there are time, subject, label"),
        ((*train, "--label", "subject"), "each column has one purpose"),
        (("train", str(alone), "--out", out, *QUICK), "windows of 1 subject and 1 label, needs at least two of each"),
        (("train", str(tmp_path / "no"), "--out", out, *QUICK), "no does not exist"),
        (("train", str(folder), "--out", str(trained), *QUICK), "holds a trained recogniser"),
        (("train", str(folder), "--out", one, *QUICK), "cannot be made"),
        (("run", str(folder), one), "holds no trained recogniser"),
        (("run", str(trained), str(tmp_path / "no.csv")), "no.csv does not exist"),
        (("run", str(trained), one, one), "two are called"),
        (("run", str(trained), one, "--out", str(tmp_path / "a.txt")), "allowed is a .csv file"),
        (("run", str(trained), one, "--importance", str(tmp_path / "no" / "a.png")), "in a folder that is there"),
        (("run", str(trained), one, "--out", one), "would overwrite a recording"),
    ):
        assert words in refused(*arguments)
    assert not (tmp_path / "new").exists()


def test_a_label_of_one_person_and_shared_recordings_are_refused(folder: Path, tmp_path: Path) -> None:
    alone, shared, out = tmp_path / "alone", tmp_path / "shared", tmp_path / "new"
    shutil.copytree(folder, alone)
    first, second = sorted(alone.iterdir())[:2]
    first.write_text(first.read_text().replace(",not protective,", ",rest,"))
    words = refused("train", str(alone), "--out", str(out), *QUICK)
    assert "label 'rest': without S00 no window has it; every label needs windows of two subjects" in words
    assert not out.exists()
    shutil.copytree(folder, shared)
    text = (folder / second.name).read_text()
    (shared / "copy.csv").write_text(text.replace(",S00,", ",S09,"))
    assert "have a window in common" in refused("train", str(shared), "--out", str(out), *QUICK)
    assert not out.exists()


def test_a_recording_without_a_sensor_or_with_damage_leaves_nothing(
    trained: Path, folder: Path, tmp_path: Path
) -> None:
    lines = min(folder.iterdir()).read_text().splitlines()
    bare, broken, out = tmp_path / "bare.csv", tmp_path / "broken.csv", tmp_path / "found.csv"
    bare.write_text("\n".join(line.rpartition(",")[0] for line in lines))
    broken.write_text("\n".join([*lines[:-1], lines[-1].rpartition(",")[0] + ",?"]))
    assert "has no column 'back muscle 4'; there are" in refused("run", str(trained), str(bare), "--out", str(out))
    assert "line 61, column 'back muscle 4': got '?'" in refused("run", str(trained), str(broken), "--out", str(out))
    assert not out.exists()
    broken.write_text("\n".join(lines[:10]))
    picture = tmp_path / "a.png"
    assert "nothing to draw" in refused("run", str(trained), str(broken), "--importance", str(picture))
    assert not picture.exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"format": 2}, "has format 2, this version reads 1"),
        ({"design": {}}, "is damaged"),
        ({"design": {"network": "tree"}}, "network: got 'tree', allowed are l-sfan, cnn-tap, cnn-sap"),
        ({"design": {"sensors": ["a"]}}, "damaged|nhead"),
        (None, "is damaged"),
    ],
)
def test_a_damaged_recogniser_is_named(trained: Path, tmp_path: Path, change: dict[str, object], words: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    config = json.loads((copy / "recogniser.json").read_text())
    if change is None:
        (copy / "recogniser.safetensors").write_bytes(b"no tensors")
    elif change.get("design"):
        config["design"] |= change["design"]
    else:
        config |= change
    (copy / "recogniser.json").write_text(json.dumps(config))
    with pytest.raises(ArgumentError, match=words):
        load_recogniser(copy)
