from __future__ import annotations

import json
import math
import runpy
import sys
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from cenote.catalog import load_cards
from cenote.catalog.loading import PACKAGE
from cenote.catalog.results import RESULTS
from cenote.catalog.schemas import SCHEMAS, schemas, write_schemas

from .test_results import Index, IndexEntry, make_record, make_result

NAMES = ("card", "record", "result", "index")


def problems(name: str, document: Any) -> list[str]:
    """What a validator that knows nothing of cenote says about a document."""
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    validator = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    return [f"{'.'.join(map(str, error.absolute_path))}: {error.message}" for error in validator.iter_errors(document)]


@pytest.mark.parametrize("name", NAMES)
def test_the_published_schema_is_current(name: str) -> None:
    path = SCHEMAS / f"{name}.schema.json"
    fix = f"{path.name} is out of date: run python -m cenote.catalog.schemas"
    assert json.loads(path.read_text(encoding="utf-8")) == schemas()[name], fix


@pytest.mark.parametrize("name", NAMES)
def test_each_is_a_schema_with_a_dialect_and_a_title(name: str) -> None:
    schema = schemas()[name]
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"] == name.capitalize()
    assert "$id" not in schema
    assert schema["additionalProperties"] is False


def test_there_is_a_file_for_each_and_no_other() -> None:
    assert {path.name for path in SCHEMAS.iterdir()} == {f"{name}.schema.json" for name in NAMES}
    assert set(schemas()) == set(NAMES)


@pytest.mark.parametrize("card", load_cards(), ids=lambda card: card.slug)
def test_every_card_fits(card: Any) -> None:
    assert problems("card", json.loads(card.model_dump_json())) == []
    written = tomllib.loads((PACKAGE / card.shelf / card.folder / "card.toml").read_text(encoding="utf-8"))
    written["published"] = str(written["published"])  # JSON has no dates
    assert problems("card", written) == []


CARD = json.loads(load_cards()[0].model_dump_json())


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"slug": "Not A Slug"}, "slug"),
        ({"shelf": "pools"}, "shelf"),
        ({"published": "yesterday"}, "published"),
        ({"authors": 0}, "authors"),
        ({"claims": []}, "claims"),
        ({"claims": [{**CARD["claims"][0], "margin": 0}]}, "claims.0.margin"),
        ({"claims": [{**CARD["claims"][0], "figure": "unknown"}]}, "claims.0.figure"),
        ({"venu": "ICML"}, ""),
    ],
)
def test_a_card_that_does_not_fit(changes: dict[str, Any], place: str) -> None:
    (problem,) = problems("card", CARD | changes)
    assert problem.startswith(f"{place}: ")


def test_results_as_they_are_written_fit() -> None:
    diverged = make_result(records=[make_record(math.nan), make_record(0.5, x=1.0, unit="a", seed=3)])
    for result in (make_result(), diverged):
        document = json.loads(result.model_dump_json())
        assert problems("result", document) == []
        for record in document["records"]:
            assert problems("record", record) == []
        entry = IndexEntry(**result.model_dump(include=set(IndexEntry.model_fields)))
        assert problems("index", json.loads(Index(slug="tally", runs=(entry,)).model_dump_json())) == []


def test_records_of_a_run_fit_without_their_defaults() -> None:
    assert problems("record", json.loads(make_record(math.nan).model_dump_json(exclude_defaults=True))) == []


def test_what_was_published_fits() -> None:
    for path in RESULTS.glob("*/*.json"):
        name = "index" if path.name == "index.json" else "result"
        assert problems(name, json.loads(path.read_text(encoding="utf-8"))) == []


def test_a_result_that_does_not_fit() -> None:
    document = json.loads(make_result().model_dump_json())
    document["verdicts"][0]["word"] = "perhaps"
    del document["commit"]
    assert sorted(problem.split(": ")[0] for problem in problems("result", document)) == ["", "verdicts.0.word"]


def test_they_are_written_as_they_are_published(tmp_path: Path) -> None:
    assert [path.name for path in write_schemas(tmp_path)] == [f"{name}.schema.json" for name in NAMES]
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (SCHEMAS / path.name).read_bytes()


def test_the_command_writes_them_where_they_are_published(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []
    monkeypatch.setattr("cenote.catalog.files.write_files_atomic", written.extend)
    monkeypatch.delitem(sys.modules, "cenote.catalog.schemas")
    runpy.run_module("cenote.catalog.schemas", run_name="__main__")
    assert written == [SCHEMAS / f"{name}.schema.json" for name in NAMES]
