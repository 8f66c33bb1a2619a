"""What a run leaves behind: records, verdicts, and the published result with its checksum."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationError

from cenote.errors import ResultError

SCHEMA_VERSION = 1

RESULTS = Path(__file__).resolve().parent.parent / "results"
"""Where published results live inside the package."""


def _read_null(value: object) -> object:
    return math.nan if value is None else value


def _without_infinity(value: float) -> float:
    """Infinities, which JSON has no word for either, are NaN: diverged. Seen here, they are of any type that came."""
    return math.nan if math.isinf(value) else value


def _write_number(value: float) -> float | None:
    return None if math.isnan(value) else value


Number = Annotated[
    float, BeforeValidator(_read_null), AfterValidator(_without_infinity), PlainSerializer(_write_number)
]
"""A float whose NaN (a diverged arm, an interval that cannot be formed) is null in JSON."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Record(_Strict):
    """One measured value: a finished trial's line in ``records.jsonl`` holds its records."""

    schema_version: Literal[1] = 1
    trial: str = Field(description="Key of the trial that measured it.")
    data: str = Field(description="Name of the data set.")
    arm: str = Field(description="What was measured: the subject or a baseline or a control.")
    metric: str
    value: Number = Field(description="NaN (null in JSON) where the arm diverged.")
    seed: int | None = Field(default=None, description="Seed of the trial, if it has one.")
    unit: str | None = Field(default=None, description="Unit of replication within the seed: an image, a subject.")
    x: float | None = Field(
        default=None,
        allow_inf_nan=False,  # null means that there is none
        description="Position on the axis of a trend, or the other value of a rank.",
    )
    trials: int = Field(default=1, ge=1, description="Number of trials summed in the value of a bound.")


class Comparison(_Strict):
    """The subject against one baseline (or none): oriented so that positive favours the paper."""

    baseline: str | None = Field(description="Name of the baseline, 'mean of …', or null where there is none.")
    estimate: Number
    low: Number = Field(description="Lower end of the 95 % interval.")
    high: Number = Field(description="Upper end of the 95 % interval.")
    test_low: Number = Field(description="Lower end of the interval the kind's rule looks at.")
    test_high: Number = Field(description="Upper end of the interval the kind's rule looks at.")
    units: tuple[str, ...] = Field(default=(), description="Labels of the paired units, in order.")
    differences: tuple[Number, ...] = Field(default=(), description="Oriented difference or statistic of each unit.")


ICONS = {"holds": "✓", "fails": "✗", "unclear": "~", "designed": "◇"}
"""A verdict's sign; it always stands beside the word, so that colour is never needed."""


class Verdict(_Strict):
    """What a run says about one claim on one data set."""

    claim: str
    data: str
    word: Literal["holds", "fails", "unclear", "designed"]
    reason: str = Field(description="One sentence: which interval stands where.")
    note: str = Field(default="", description="Such as 'smaller than claimed'.")
    units: int = Field(ge=0, description="Number of units of replication measured.")
    seeds: int = Field(ge=0, description="Number of seeds measured.")
    comparisons: tuple[Comparison, ...] = ()


class DataSource(_Strict):
    """A data set as a run saw it."""

    name: str
    checksum: str = Field(description="SHA-256 over the arrays the run read.")
    size: str = Field(description="How much of it was used: '20,000 training and 10,000 test images'.")
    note: str = ""


class Figure(_Strict):
    """A picture of the run, stored beside the record."""

    file: str
    title: str
    caption: str
    alt: str = Field(description="What a reader who cannot see it should know.")


class Hashes(_Strict):
    """What the run's verdicts depend on; when one changes later, the result is stale."""

    claims: str
    method: str
    experiment: str


class Environment(_Strict):
    """Versions and machine of a run."""

    python: str
    platform: str
    processor: str
    cores: int
    memory_gib: float
    packages: dict[str, str]


class Result(_Strict):
    """A finished run. Published ones lie in ``results/<slug>/<run-id>.json``."""

    schema_version: Literal[1] = 1
    slug: str
    run_id: str
    preset: str
    started: dt.datetime
    finished: dt.datetime
    seconds: float = Field(description="Time spent computing, pauses between resumed parts left out.")
    commit: str
    clean: bool = Field(description="Whether the tree was clean at the start (results and docs do not count).")
    hashes: Hashes
    settings: dict[str, Any]
    environment: Environment
    data: tuple[DataSource, ...]
    differs: tuple[str, ...] = Field(description="What differs from the paper: size, data, optimizer.")
    records: tuple[Record, ...]
    verdicts: tuple[Verdict, ...]
    figures: tuple[Figure, ...] = ()
    figure_checksums: dict[str, str] = Field(default_factory=dict, description="SHA-256 of each figure's file.")
    checksum: str = Field(default="", description="SHA-256 over everything above.")

    def seal(self) -> Result:
        """Return the result with its checksum filled in."""
        return self.model_copy(update={"checksum": self._digest()})

    def intact(self) -> bool:
        """Whether the content still has the checksum it was sealed with."""
        return self.checksum == self._digest()

    def _digest(self) -> str:
        content = json.loads(self.model_dump_json(exclude={"checksum"}))  # what a reader of the file will have
        return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def file_checksum(path: Path) -> str:
    """Return the SHA-256 of a file as hexadecimal digits."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_result(path: Path, figures: Path | None = None) -> Result:
    """Read one result and check that nobody edited it.

    Args:
        path: The JSON file.
        figures: Folder of its figures; beside the file, in a folder named after the run, by default.

    Raises:
        ResultError: If the file is not a result, or its content or a figure does not match its checksum.
    """
    try:
        result = Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ResultError(f"{path}: the result cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "file"
        raise ResultError(f"{path}: {key}: {first['msg']}; it is not a result of schema {SCHEMA_VERSION}") from None
    if not result.intact():
        raise ResultError(
            f"{path}: its content does not match its checksum; it was edited by hand, so publish a new run"
        )
    folder = path.parent / result.run_id if figures is None else figures
    for name, checksum in result.figure_checksums.items():
        figure = folder / name
        if not figure.is_file() or file_checksum(figure) != checksum:
            raise ResultError(f"{path}: figure {name} is missing or was changed; publish a new run")
    return result


class IndexEntry(_Strict):
    """One line of a paper's index of published runs."""

    run_id: str
    preset: str
    finished: dt.datetime
    commit: str
    checksum: str


class Index(_Strict):
    """The published runs of a paper, oldest first; every published run stays here."""

    schema_version: Literal[1] = 1
    slug: str
    runs: tuple[IndexEntry, ...] = ()


def read_index(slug: str, root: Path = RESULTS) -> Index:
    """Read the index of a paper's published runs; empty where there are none.

    Raises:
        ResultError: If the index is damaged.
    """
    path = root / slug / "index.json"
    if not path.is_file():
        return Index(slug=slug)
    try:
        index = Index.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ResultError(f"{path}: {error.errors()[0]['msg']}; it is not an index of results") from None
    if index.slug != slug:
        raise ResultError(f"{path}: it is the index of {index.slug!r}, not of {slug!r}")
    return index


def published(slug: str, root: Path = RESULTS) -> Iterator[Result]:
    """Yield the published results of a paper, newest first.

    Raises:
        ResultError: If a result is damaged or differs from what the index says of it.
    """
    for entry in reversed(read_index(slug, root).runs):
        path = root / slug / f"{entry.run_id}.json"
        if not path.is_file():
            raise ResultError(f"{path}: the index lists this run, but the file is missing")
        result = read_result(path)
        if result.checksum != entry.checksum:
            raise ResultError(f"{path}: its checksum is not the one in the index; it was edited by hand")
        yield result


def latest(slug: str, root: Path = RESULTS) -> Result | None:
    """Return the newest published result of a paper, or None."""
    return next(published(slug, root), None)
