from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from pydantic import ValidationError

from cenote.catalog.results import (
    Comparison,
    Figure,
    Index,
    IndexEntry,
    Record,
    Result,
    Verdict,
    file_checksum,
    latest,
    published,
    read_index,
    read_result,
)
from cenote.errors import ResultError

FIGURE = Figure(file="a.svg", title="A", caption="A figure.", alt="An empty square.")


def make_record(value: Any = 0.5, **changes: Any) -> Record:
    values: dict[str, Any] = {"trial": "t", "data": "letters", "arm": "paper", "metric": "score", "value": value}
    return Record.model_validate(values | changes)


def make_result(**changes: Any) -> Result:
    values: dict[str, Any] = {
        "slug": "tally",
        "run_id": "20261122-120000-laptop-0001",
        "preset": "laptop",
        "started": "2026-11-22T12:00:00Z",
        "finished": "2026-11-22T12:01:00Z",
        "seconds": 60.5,
        "commit": "c0ffee",
        "clean": True,
        "hashes": {"claims": "1", "method": "2", "experiment": "3"},
        "settings": {"seeds": 5, "rate": 0.05, "name": "Hölder ≥ 2"},
        "environment": {
            **{"python": "3.11.7", "platform": "Linux", "processor": "P"},
            **{"cores": 2, "memory_gib": 7.8, "packages": {"torch": "2.14.1"}},
        },
        "data": [{"name": "letters", "checksum": "c" * 64, "size": "26 letters"}],
        "differs": ["Smaller."],
        "records": [make_record(0.1 + 0.2, seed=0), make_record(-0.0, seed=1)],
        "verdicts": [make_verdict()],
    }
    return Result.model_validate(values | changes).seal()


def make_verdict(**changes: Any) -> Verdict:
    ends = {"low": 0.1, "high": 0.3, "test_low": 0.1, "test_high": 0.3}
    comparison = Comparison(baseline="plain", estimate=0.2, units=("0", "1"), differences=(0.15, 0.25), **ends)
    facts = {"claim": "gain", "data": "letters", "word": "holds", "reason": "Above 0.", "units": 2, "seeds": 2}
    return Verdict.model_validate(facts | {"comparisons": (comparison,)} | changes)


def write(result: Result, root: Path) -> Path:
    path = root / result.slug / f"{result.run_id}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(result.model_dump_json(indent=1), encoding="utf-8")
    return path


def publish(root: Path, *results: Result) -> None:
    entries = []
    for result in results:
        write(result, root)
        entries.append(IndexEntry(**result.model_dump(include=set(IndexEntry.model_fields))))
    index = Index(slug=results[0].slug, runs=tuple(entries))
    (root / index.slug / "index.json").write_text(index.model_dump_json())


# --- numbers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("diverged", [math.nan, math.inf, -math.inf, None, np.float32("inf"), np.float64("-inf")])
def test_what_is_no_finite_number_is_diverged_and_null_in_the_file(diverged: Any) -> None:
    record = make_record(diverged)
    assert math.isnan(record.value)
    assert json.loads(record.model_dump_json())["value"] is None
    assert math.isnan(Record.model_validate_json(record.model_dump_json()).value)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_to_the_last_digit(value: float) -> None:
    read = Record.model_validate_json(make_record(value).model_dump_json()).value
    assert read == value
    assert math.copysign(1, read) == math.copysign(1, value)


@pytest.mark.parametrize("x", [math.nan, math.inf])
def test_a_position_is_a_finite_number_or_none(x: float) -> None:
    assert make_record(x=0.5).x == 0.5
    assert make_record(x=None).x is None
    with pytest.raises(ValidationError, match=r"x\n  Input should be a finite number"):
        make_record(x=x)


@pytest.mark.parametrize("changes", [{"trials": 0}, {"seed": 0.5}, {"value": "much"}, {"valeu": 1}, {"arm": None}])
def test_a_record_that_is_none(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        make_record(**changes)
    assert {error["loc"] for error in caught.value.errors()} == {(key,) for key in changes}


# --- seals --------------------------------------------------------------------------------------------------------


def test_the_checksum_is_the_sha_256_of_the_content_in_the_file() -> None:
    result = make_result()
    content = json.loads(result.model_dump_json())
    checksum = content.pop("checksum")
    assert checksum == hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(st.lists(st.floats(), max_size=5), st.dictionaries(st.text(), anything, max_size=3))
@settings(deadline=None, max_examples=50)
def test_any_result_is_intact_after_it_was_written_and_read(values: list[float], chosen: dict[str, Any]) -> None:
    result = make_result(records=[make_record(value) for value in values], settings=chosen)
    assert result.intact()
    assert Result.model_validate_json(result.model_dump_json()).intact()
    assert Result.model_validate_json(result.model_dump_json(indent=2)).intact()


def test_a_diverged_comparison_keeps_its_seal(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("estimate", "low", "high", "test_low", "test_high"), math.nan)
    comparison = Comparison(baseline=None, differences=(1.0, math.nan, math.inf), **nothing)
    result = make_result(verdicts=[make_verdict(word="unclear", comparisons=(comparison,))])
    read = read_result(write(result, tmp_path))
    (found,) = read.verdicts[0].comparisons
    assert [math.isnan(value) for value in found.differences] == [False, True, True]
    assert math.isnan(found.low)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The place of every value in a JSON document."""
    for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(inner, dict | list) and inner:
            yield from places(inner, (*path, key))
        else:
            yield (*path, key)


def altered(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + ("0" if value.endswith("1") else "1")
    return ["more"] if value == [] else 7.0 if value is None else {"more": 1}


SEALED = json.loads(make_result(figures=[FIGURE], figure_checksums={"a.svg": "f" * 64}).model_dump_json())


@pytest.mark.parametrize("place", list(places(SEALED)), ids=lambda place: ".".join(map(str, place)))
def test_no_value_of_a_result_can_be_changed_by_hand(tmp_path: Path, place: tuple[Any, ...]) -> None:
    content = json.loads(json.dumps(SEALED))
    inner = content
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = altered(inner[place[-1]])
    path = tmp_path / "result.json"
    path.write_text(json.dumps(content))
    with pytest.raises(ResultError, match=r"result\.json: (its content does not match its checksum|.*is not a result)"):
        read_result(path)


def test_a_single_digit_is_noticed_and_layout_is_not(tmp_path: Path) -> None:
    path = write(make_result(), tmp_path)
    text = path.read_text()
    path.write_text(json.dumps(json.loads(text), indent=7))
    assert read_result(path) == make_result()
    assert text.count("0.30000000000000004") == 1
    path.write_text(text.replace("0.30000000000000004", "0.3000000000000001"))  # the double next to it
    with pytest.raises(ResultError, match="it was edited by hand, so publish a new run"):
        read_result(path)


# --- reading ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b"{}", b'{"slug": "tally"}'])
def test_a_file_that_is_no_result(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content)
    with pytest.raises(ResultError, match=r"r\.json: .*; it is not a result of schema 1"):
        read_result(path)


def test_an_unknown_key_is_named(tmp_path: Path) -> None:
    path = write(make_result(), tmp_path)
    path.write_text(path.read_text().replace('"seconds"', '"secs"'))
    with pytest.raises(ResultError, match=r"json: (seconds|secs): "):
        read_result(path)


def test_a_result_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResultError, match=r"gone\.json: the result cannot be read: No such file"):
        read_result(tmp_path / "gone.json")


@pytest.fixture
def with_figure(tmp_path: Path) -> tuple[Path, Path]:
    """A published result and its figure."""
    figure = tmp_path / "tally" / "20261122-120000-laptop-0001" / "a.svg"
    figure.parent.mkdir(parents=True)
    figure.write_text("<svg/>")
    result = make_result(figures=[FIGURE], figure_checksums={"a.svg": file_checksum(figure)})
    publish(tmp_path, result)
    return tmp_path / "tally" / f"{result.run_id}.json", figure


def test_figures_are_checked_with_the_result(with_figure: tuple[Path, Path], tmp_path: Path) -> None:
    path, figure = with_figure
    assert file_checksum(figure) == hashlib.sha256(b"<svg/>").hexdigest()
    assert read_result(path).figures == (FIGURE,)
    assert read_result(path, figures=figure.parent).figures == (FIGURE,)
    assert len(list(published("tally", tmp_path))) == 1


@pytest.mark.parametrize("change", ["swapped", "missing"])
def test_a_figure_that_was_changed_is_noticed(with_figure: tuple[Path, Path], tmp_path: Path, change: str) -> None:
    path, figure = with_figure
    figure.write_text("<svg></svg>") if change == "swapped" else figure.unlink()
    message = r"laptop-0001\.json: figure a\.svg is missing or was changed; publish a new run"
    with pytest.raises(ResultError, match=message):
        read_result(path)
    with pytest.raises(ResultError, match=message):
        list(published("tally", tmp_path))


# --- history ------------------------------------------------------------------------------------------------------


def test_the_history_is_newest_first(tmp_path: Path) -> None:
    results = [make_result(run_id=f"20261122-12000{second}-laptop-0000") for second in range(3)]
    publish(tmp_path, *results)
    assert list(published("tally", tmp_path)) == results[::-1]
    assert latest("tally", tmp_path) == results[-1]


def test_a_paper_without_results(tmp_path: Path) -> None:
    assert read_index("tally", tmp_path) == Index(slug="tally")
    assert list(published("tally", tmp_path)) == []
    assert latest("tally", tmp_path) is None


def test_a_file_that_the_index_lists_and_that_is_missing(tmp_path: Path) -> None:
    result = make_result()
    publish(tmp_path, result)
    (tmp_path / "tally" / f"{result.run_id}.json").unlink()
    with pytest.raises(ResultError, match=r"laptop-0001\.json: the index lists this run, but the file is missing"):
        latest("tally", tmp_path)


def test_an_edited_result_is_noticed_in_the_history(tmp_path: Path) -> None:
    result = make_result()
    publish(tmp_path, result)
    path = tmp_path / "tally" / f"{result.run_id}.json"
    path.write_text(path.read_text().replace("60.5", "60.6"))
    with pytest.raises(ResultError, match="its content does not match its checksum; it was edited by hand"):
        latest("tally", tmp_path)


def test_a_result_sealed_anew_after_an_edit_is_noticed_by_the_index(tmp_path: Path) -> None:
    publish(tmp_path, make_result())
    path = write(make_result(verdicts=[make_verdict(word="fails")]), tmp_path)
    assert read_result(path).intact()
    with pytest.raises(ResultError, match="its checksum is not the one in the index; it was edited by hand"):
        latest("tally", tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b'{"runs": []}', b'{"slug": "tally", "runs": [{"run_id": "x"}]}'])
def test_a_damaged_index(tmp_path: Path, content: bytes) -> None:
    publish(tmp_path, make_result())
    (tmp_path / "tally" / "index.json").write_bytes(content)
    with pytest.raises(ResultError, match=r"tally/index\.json: .*; it is not an index of results"):
        latest("tally", tmp_path)


def test_the_index_of_another_paper(tmp_path: Path) -> None:
    publish(tmp_path, make_result())
    (tmp_path / "tally").rename(tmp_path / "other")
    with pytest.raises(ResultError, match=r"index\.json: it is the index of 'tally', not of 'other'"):
        latest("other", tmp_path)
