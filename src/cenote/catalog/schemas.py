"""The published JSON Schemas of card, record, result and index; ``python -m cenote.catalog.schemas`` writes them anew.

They describe the JSON: a card as its TOML reads (an editor can check it while one types), records and results as the
files have them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from cenote.catalog.card import Card
from cenote.catalog.files import write_files_atomic
from cenote.catalog.results import Index, Record, Result

SCHEMAS = Path(__file__).resolve().parent / "schema"
"""Where the schemas live inside the package, as ``<name>.schema.json``."""

_MODELS: dict[str, type[BaseModel]] = {"card": Card, "record": Record, "result": Result, "index": Index}


def schemas() -> dict[str, dict[str, Any]]:
    """Return the schema of each kind of file by its name: ``card``, ``record``, ``result``, ``index``."""
    return {name: _schema(model) for name, model in _MODELS.items()}


def write_schemas(folder: Path = SCHEMAS) -> list[Path]:
    """Write every schema into a folder, all or none, and return their paths.

    Raises:
        StorageError: If they cannot be written.
    """
    files = {folder / f"{name}.schema.json": _text(schema).encode() for name, schema in schemas().items()}
    write_files_atomic(files)
    return list(files)


def _schema(model: type[BaseModel]) -> dict[str, Any]:
    # Serialization mode: in the files a number that diverged is null, which validation alone does not tell.
    return {"$schema": GenerateJsonSchema.schema_dialect, **model.model_json_schema(mode="serialization")}


def _text(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write_schemas()
