"""Fetching from the hub: real ``datasets`` tables, and quick failure where there is no network."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest

from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab.data import load
from cenote.lab.data.cifar import CLASSES


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


@pytest.fixture
def splits(pixels: np.ndarray, encode: Callable[..., bytes]) -> datasets.DatasetDict:
    """What ``load_dataset("uoft-cs/cifar10")`` returns, small: built by ``datasets`` itself."""
    features = datasets.Features({"img": datasets.Image(), "label": datasets.ClassLabel(names=list(CLASSES))})

    def build(images: np.ndarray, labels: list[int]) -> datasets.Dataset:
        cells = [{"bytes": encode(image), "path": None} for image in images]
        return datasets.Dataset.from_dict({"img": cells, "label": labels}, features=features)

    return datasets.DatasetDict(train=build(pixels[:2], [4, 9]), test=build(pixels[2:], [1]))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, splits: datasets.DatasetDict) -> list[tuple[Any, ...]]:
    """Answers in the place of the hub; holds what was asked."""
    calls: list[tuple[Any, ...]] = []

    def answer(*arguments: Any) -> datasets.DatasetDict:
        calls.append(arguments)
        return splits

    monkeypatch.setattr(datasets, "load_dataset", answer)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)  # no knocking
    return calls


def test_cifar10_comes_from_the_hub_where_no_root_has_it(
    tmp_path: Path, asked: list[tuple[Any, ...]], pixels: np.ndarray
) -> None:
    data = load("cifar10", tmp_path)
    assert asked == [("uoft-cs/cifar10", "plain_text")]
    np.testing.assert_array_equal(data.train.images, pixels[:2])
    np.testing.assert_array_equal(data.test.images, pixels[2:])
    assert data.train.labels.tolist() == [4, 9]


def test_a_root_that_has_it_is_not_left_for_the_hub(
    tmp_path: Path, asked: list[tuple[Any, ...]], write_table: Callable[..., None]
) -> None:
    for split in ("train", "test"):
        write_table(tmp_path / "cifar10" / "plain_text" / f"{split}-00000-of-00001.parquet", [b"x"], [0])
    assert len(load("cifar10", tmp_path).train) == 1
    assert asked == []


def test_a_split_the_hub_lacks_is_named(asked: list[tuple[Any, ...]], splits: datasets.DatasetDict) -> None:
    del splits["test"]
    with pytest.raises(DataFormatError, match=r"^uoft-cs/cifar10: has no split 'test', only train$"):
        load("cifar10")


def test_a_damaged_image_is_named_by_split_and_row(asked: list[tuple[Any, ...]], splits: datasets.DatasetDict) -> None:
    damaged = {"img": [{"bytes": b"damaged", "path": None}], "label": [0]}
    splits["test"] = datasets.Dataset.from_dict(damaged, features=splits["train"].features)
    with pytest.raises(DataFormatError, match=r"^uoft-cs/cifar10, split test, row 0: the image cannot be decoded"):
        load("cifar10").test.images  # noqa: B018


def test_offline_mode_fails_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    started = time.perf_counter()
    with pytest.raises(DataNotFoundError, match=r"the hub gave no uoft-cs/cifar10 \(.*[Oo]ffline"):
        load("cifar10")
    assert time.perf_counter() - started < 5


def test_an_unreachable_hub_is_given_up_on_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    # Port 9 of this machine refuses; the hub's client on its own would try it six times in 23 seconds.
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", False)
    started = time.perf_counter()
    with pytest.raises(DataNotFoundError, match=r"the hub cannot be reached \(.*HF_HUB_OFFLINE=1\)"):
        load("cifar10")
    assert time.perf_counter() - started < 10
