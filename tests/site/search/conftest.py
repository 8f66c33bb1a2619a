"""A handful of papers to look for, and an encoder so small that its answers are known."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from cenote.site.papers import Paper
from cenote.site.search import Search, Tags
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers

PAPERS = (
    Paper(
        id="2001.00001",
        title="Order theory of pooling layers",
        summary="Posets give a family of layers between mean and maximum.",
        authors=("Eric Dolores", "Aldo Guzmán"),
        published=dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        categories=("cs.CV", "cs.AI"),
        organization="Michigan State",
    ),
    Paper(
        id="2001.00002",
        title="Filtering noisy signals",
        summary="A filter that removes noise, with a word about pooling.",
        authors=("Ana Jones", "Bo Lee"),
        published=dt.datetime(2020, 2, 1, tzinfo=dt.UTC),
        categories=("eess.SP",),
        keywords=("Kalman",),
        code_url="https://example.org/code",
    ),
    Paper(
        id="2001.00003",
        title="Pooling",
        summary="A survey of everything, and of networks most of all.",
        authors=("Lee Bo",),
        published=dt.datetime(2020, 3, 1, tzinfo=dt.UTC),
        categories=("cs.LG",),
    ),
    Paper(
        id="hep-th/9901001",
        title="A survey of the epidemics on networks of networks",
        summary="Diseases spread; Erdős and Rényi drew the random graphs on which they do.",
        authors=("Zoë Müller",),
        published=dt.datetime(1999, 1, 1, tzinfo=dt.UTC),
        featured=dt.date(2020, 4, 1),
        categories=("hep-th",),
    ),
)
TAGS = {
    "2001.00001": Tags("pooling", frozenset({"holds", "stale"}), has_code=True),
    "2001.00002": Tags("filters", frozenset({"fails"}), has_code=False),
}

VOCABULARY = ("[UNK]", "[PAD]", "pooling", "layers", "filter", "noise", "disease", "epidemics", "signals", "posets")
MEANINGS = np.eye(4, dtype=np.float32)[[3, 3, 0, 0, 1, 1, 2, 2, 1, 0]]
MEANINGS[:2] *= 0.05
"""What each word means: pooling, filtering, illness, or nothing known, which counts little."""


@pytest.fixture
def stocked(database: Database) -> Database:
    with database.write() as connection:
        save_papers(connection, PAPERS)
    return database


@pytest.fixture
def search(stocked: Database, tmp_path: Path) -> Search:
    """A search by words: there is no encoder."""
    return Search(stocked, home=tmp_path, tags=TAGS)


class Looks:
    """The tiny encoder by hand: the mean of its words' meanings."""

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        rows = [
            np.mean([self._meaning(word) for word in re.findall(r"\w+|[^\w\s]+", text.lower())], axis=0)
            for text in texts
        ]
        return np.stack([row / np.linalg.norm(row) for row in rows]).astype(np.float32)

    @staticmethod
    def _meaning(word: str) -> npt.NDArray[np.float32]:
        return MEANINGS[VOCABULARY.index(word) if word in VOCABULARY else 0]


@pytest.fixture
def encoder_home(tmp_path: Path) -> Path:
    """A home with a tiny encoder, which looks each word up."""
    write_encoder(tmp_path / "encoder")
    return tmp_path


def write_encoder(folder: Path, name: str = "tiny") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    words.save(str(folder / "tokenizer.json"))
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["meanings", "input_ids"], ["looked_up"]),
            helper.make_node("Cast", ["attention_mask"], ["unused"], to=TensorProto.FLOAT),
        ],
        "tiny",
        [
            helper.make_tensor_value_info(each, TensorProto.INT64, ["B", "N"])
            for each in ("input_ids", "attention_mask")
        ],
        [helper.make_tensor_value_info("looked_up", TensorProto.FLOAT, ["B", "N", MEANINGS.shape[1]])],
        [numpy_helper.from_array(MEANINGS, "meanings")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.save(model, folder / "model.onnx")
    described = {"name": name, "max_tokens": 64, "dimension": MEANINGS.shape[1]}
    (folder / "encoder.json").write_text(json.dumps(described))
