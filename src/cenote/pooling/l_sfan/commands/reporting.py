"""Tables, rows and the report of ``cenote recognise``."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from rich.table import Table

from cenote.lab.intervals import PairedT
from cenote.pooling.l_sfan.importance import by_sensor
from cenote.pooling.l_sfan.leaving_out import LeftOut
from cenote.pooling.l_sfan.recogniser import Design
from cenote.pooling.l_sfan.scores import FloatArray, confusions, macro_f1, mcc, subject_shares


@dataclass(frozen=True)
class Scores:
    """How well somebody not seen in training is recognised.

    Attributes:
        name: Of the classifier.
        tables: Confusions of each subject.
    """

    name: str
    tables: dict[str, FloatArray]

    @classmethod
    def of(cls, name: str, left_out: LeftOut) -> Self:
        """Score what was predicted for subjects left out."""
        return cls(name, confusions(left_out))

    @property
    def together(self) -> FloatArray:
        """Confusions of all subjects, (K, K)."""
        whole: FloatArray = np.sum(list(self.tables.values()), axis=0)
        return whole

    def row(self) -> list[str]:
        """Return name, correlation, macro-F1 and the share of windows recognised."""
        whole = self.together
        scores = [self._with_interval(mcc, -1.0), self._with_interval(macro_f1, 0.0)]
        return [self.name, *scores, f"{np.trace(whole) / whole.sum():.1%}"]

    def _with_interval(self, score: Any, least: float) -> str:
        """A score over all windows with the 95 % interval of the jackknife over subjects, within what is possible."""
        value = score(self.together)
        half = PairedT(np.array(list(subject_shares(self.tables, score).values()))).interval(0.95).width / 2
        low, high = max(least, value - half), min(1.0, value + half)
        return f"{value:.3f} ({low:.3f} to {high:.3f})".replace("-", "−")


SCORES = ("subjects left out", "MCC", "macro-F1", "recognised")


def score_table(scores: Sequence[Scores]) -> Table:
    """Return the scores as a table for the terminal."""
    return _table(SCORES, [each.row() for each in scores])


def importance_table(sensors: Sequence[str], importance: npt.NDArray[Any]) -> Table:
    """Return each sensor's part of the importance (T, S), the largest first."""
    parts = sorted(zip(sensors, by_sensor(importance), strict=True), key=lambda item: -item[1])
    return _table(("sensor", "part of the importance"), [[name, f"{part:.1%}"] for name, part in parts])


def _table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(column, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    return table


# --- rows of answers ----------------------------------------------------------------------------------------------


def columns_of(design: Design, *known: str) -> list[str]:
    """Return the names of the columns of answers; ``known`` are what is known of a recording beside its name."""
    return ["recording", *known, "start", "end", "recognised", *(f"P({name})" for name in design.classes)]


def answer_row(design: Design, start: int, probabilities: npt.NDArray[np.float64]) -> list[str]:
    """Return start and end of a window in seconds, the likeliest class, and the probability of each."""
    seconds = [f"{frame / design.rate:.3f}" for frame in (start, start + design.length)]
    return [*seconds, design.classes[int(probabilities.argmax())], *(f"{part:.6f}" for part in probabilities)]


def write_row(row: Sequence[str]) -> str:
    """Return a row as a line of CSV."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(row)
    return text.getvalue()


# --- the report ---------------------------------------------------------------------------------------------------


def write_report(
    scores: Sequence[Scores], design: Design, wishes: Any, size: str, notes: Sequence[str], pictures: dict[str, str]
) -> str:
    """Return the report of a training as Markdown.

    Args:
        scores: The network's first.
        design: What was trained.
        wishes: The settings of the training, a dataclass.
        size: How much there was to learn from.
        notes: What a reader must know.
        pictures: What each picture shows, by file.
    """
    own = scores[0]
    subjects = [
        [name, f"{table.sum():,.0f}", f"{np.trace(table) / table.sum():.1%}"] for name, table in own.tables.items()
    ]
    lines = [
        "# A recogniser and how well it works",
        "",
        f"{size} The scores are of people left out: every window is judged by a network that has not learned from its "
        "subject. The recogniser itself has learned from all. MCC is the Matthews correlation, 0 for guesses and 1 if "
        "all is right; intervals are 95 %, by the jackknife over subjects.",
        *notes,
        "",
        *_markdown(SCORES, [each.row() for each in scores]),
        "",
        *_markdown(("subject", "windows", "recognised"), subjects),
        "",
        *(line for file, text in pictures.items() for line in (f"![{text}]({file})", "")),
        "This is no medical device, and what it was not trained on it does not know.",
        "",
        "```json",
        json.dumps(dataclasses.asdict(design) | dataclasses.asdict(wishes), indent=2, ensure_ascii=False),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _markdown(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    marks = ["---", *["---:"] * (len(columns) - 1)]
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (columns, marks, *escaped)]
