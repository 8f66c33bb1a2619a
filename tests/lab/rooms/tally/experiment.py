"""Does "paper" score more than "plain"? It was drawn to score 0.5 more."""

from __future__ import annotations

import errno
import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from cenote.catalog.card import Card
from cenote.catalog.results import DataSource, Figure, Record
from cenote.errors import DataFormatError, DataNotFoundError
from cenote.lab.experiment import Context, Experiment, Settings, Trial
from tally.desk import Desk, Note

SVG = '<svg xmlns="http://www.w3.org/2000/svg" width="4" height="4"><title>{}</title></svg>'


class TallyCard(Card):
    """A card whose experiment is this one."""

    @property
    def module(self) -> str:
        return "tally"


class TallySettings(Settings):
    """Settings of a tally."""

    offset: float = 0.0


def trials(settings: TallySettings) -> Iterator[Trial]:
    for data in settings.data:
        yield Trial(data, "clock", alone=True)  # listed first, but not measured before the others
        for seed in settings.seed_range:
            yield Trial(data, "paper", seed)
            yield Trial(data, "plain", seed)


def score(trial: Trial, settings: TallySettings) -> float:
    """The figure that a trial is to measure: all digits of a double."""
    return random.Random(trial.key).gauss(0.5 if trial.arm == "paper" else 0.0, 0.05) + settings.offset


def measure(trial: Trial, settings: TallySettings, context: Context) -> Iterator[Record]:
    assert context.data_root is not None
    desk = Desk(context.data_root)
    began = time.monotonic()
    order, _, detail = desk.ordered(trial.key).partition(" ")
    value = score(trial, settings)
    if order == "sleep":
        time.sleep(float(detail))
    elif order == "fail":
        raise ZeroDivisionError("asked to fail")
    elif order == "refuse":
        raise DataFormatError("asked to refuse")
    elif order == "interrupt":
        raise KeyboardInterrupt
    elif order == "die":
        os._exit(3)
    elif order == "signal":
        os.kill(os.getpid(), signal.SIGINT)
    elif order == "diverge":
        value = np.float32(detail)
    desk.note(Note(trial.key, os.getpid(), began, time.monotonic()))
    yield trial.record("score", value)


def sources(settings: TallySettings, context: Context) -> Iterator[DataSource]:
    assert context.data_root is not None
    order = Desk(context.data_root).ordered("sources")
    for name in settings.data:
        if order == "missing":
            raise DataNotFoundError(f"{name} is nowhere")
        yield DataSource(name=name, checksum=order or "as first seen", size="nothing")


def figures(settings: TallySettings, records: Sequence[Record], context: Context, folder: Path) -> Iterator[Figure]:
    assert context.data_root is not None
    order = Desk(context.data_root).ordered("figures")
    (folder / "tally.svg").write_text(SVG.format(len(records)))
    if order == "full":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if order == "fail":
        raise ZeroDivisionError("asked to fail")
    yield Figure(file="tally.svg", title="Tally", caption="Nothing to see.", alt="An empty square.")


experiment = Experiment(
    settings=TallySettings,
    presets={
        "tiny": TallySettings(data=("letters",), seeds=1),
        "smoke": TallySettings(data=("letters",), seeds=2),
        "laptop": TallySettings(data=("letters",), seeds=5),
    },
    trials=trials,
    measure=measure,
    sources=sources,
    figures=figures,
    differs=lambda settings: ("It is made up.",),
)

card = TallyCard.model_validate(
    {
        "slug": "tally",
        "title": "Tally",
        "shelf": "pooling",
        "status": "runs",
        "arxiv": "2001.00001",
        "published": "2020-01-01",
        "authors": 1,
        "summary": "A made-up paper whose trials cost nothing and do what they are told. " * 3,
        "topics": ("counting", "testing"),
        "example": "assert True",
        "claims": (
            {
                "id": "gain",
                "sentence": "The paper scores more than plain counting.",
                "kind": "better",
                "metric": "score",
                "subject": "paper",
                "baselines": ("plain",),
                "margin": 0.25,
                "figure": 0.5,
                "units": 5,
                "data": ("letters",),
            },
        ),
    }
)
