"""Writers of small data sets in the layouts that people have on disk."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from cenote.errors import DataNotFoundError


@pytest.fixture(autouse=True)
def _no_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests name their root; the machine's own data is read only by the tests that ask for it."""
    monkeypatch.delenv("CENOTE_DATA", raising=False)


@pytest.fixture
def no_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(repository: str, configuration: str) -> dict[str, Any]:
        raise DataNotFoundError(f"the hub cannot be reached, asked for {repository} {configuration}")

    monkeypatch.setattr("cenote.lab.data.hub.fetch", refuse)


@pytest.fixture
def encode() -> Callable[..., bytes]:
    """Pixels of shape (H, W, 1) or (H, W, 3) as the bytes of an image file."""

    def write(pixels: np.ndarray, format: str = "PNG") -> bytes:  # noqa: A002
        buffer = io.BytesIO()
        Image.fromarray(pixels.squeeze(-1) if pixels.shape[-1] == 1 else pixels).save(buffer, format)
        return buffer.getvalue()

    return write


@pytest.fixture
def write_table() -> Callable[..., None]:
    """A parquet file with the schema of the hub: struct<bytes, path>, int64 and the features as metadata."""

    def write(
        path: Path,
        encoded: Sequence[bytes | None],
        labels: Sequence[int | None],
        image: str = "img",
        classes: Sequence[str] | None = None,
    ) -> None:
        struct = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        cells = [{"bytes": content, "path": f"{index}.png"} for index, content in enumerate(encoded)]
        table = pa.table({image: pa.array(cells, struct), "label": pa.array(labels, pa.int64())})
        if classes is not None:
            features = {image: {"_type": "Image"}, "label": {"names": list(classes), "_type": "ClassLabel"}}
            table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    return write
