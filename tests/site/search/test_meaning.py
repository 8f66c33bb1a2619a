"""Search by meaning with a tiny encoder whose vectors are known, alike in both databases."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select, update

from cenote.errors import StorageError
from cenote.site.embedding.worker import embed_papers
from cenote.site.papers import Paper
from cenote.site.search import Filters, Mode, Search
from cenote.site.search import vectors as vectors_in_memory
from cenote.site.search.encoder import QUANTIZED, Encoder, pooled
from cenote.site.search.fusing import best_first, fuse
from cenote.site.search.meaning import closest
from cenote.site.search.vectors import Snapshot, Vectors
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers
from cenote.site.store.tables import papers, vectors
from tests.site.tiny_encoder import MEANINGS, Looks, write_encoder, write_model

from .conftest import PAPERS, TAGS

POOLING, FILTERING, POOL, EPIDEMICS = (paper.id for paper in PAPERS)


@pytest.fixture
def search(stocked: Database, encoder_home: Path) -> Search:
    embed_papers(stocked, Looks(), "tiny")
    return Search(stocked, home=encoder_home, tags=TAGS)


def ids(search: Search, text: str, **options: object) -> list[str]:
    return [hit.stored.paper.id for hit in search.find(text, **options).hits]  # type: ignore[arg-type]


# --- the encoder --------------------------------------------------------------------------------------------------


def test_the_encoder_takes_the_mean_of_real_tokens_and_scales_it(encoder_home: Path) -> None:
    texts = ["Pooling", "layers noise disease", "filter filter unheard of"]
    np.testing.assert_allclose(Encoder(encoder_home / "encoder").encode(texts), Looks().encode(texts), atol=1e-6)


def test_pooling_by_hand() -> None:
    layer = np.array([[[3.0, 0.0], [1.0, 4.0], [9.0, 9.0]]], np.float32)
    np.testing.assert_allclose(pooled(layer, np.array([[1, 1, 0]])), [[2 / 8**0.5, 2 / 8**0.5]], rtol=1e-6)


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "encoder.json"])
def test_a_damaged_encoder_turns_search_by_meaning_off(stocked: Database, encoder_home: Path, name: str) -> None:
    (encoder_home / "encoder" / name).write_text("{}")
    with pytest.raises(StorageError, match="encoder"):
        Encoder(encoder_home / "encoder")
    found = Search(stocked, home=encoder_home, tags={}).find("pooling")
    assert found.mode is Mode.KEYWORD
    assert "cenote embed --export" in found.note
    assert found.hits


def test_queries_are_read_by_the_quantized_model(stocked: Database, encoder_home: Path) -> None:
    folder = encoder_home / "encoder"
    embed_papers(stocked, Looks(), "tiny")
    write_model(folder / QUANTIZED, np.roll(MEANINGS, 1, axis=0))  # each word means what the one before it does
    search = Search(stocked, home=encoder_home, tags={})
    texts = ["signals", "posets"]
    assert [ids(search, text, mode=Mode.SEMANTIC)[0] for text in texts] == [EPIDEMICS, FILTERING]
    np.testing.assert_allclose(Encoder(folder).encode(texts), Looks().encode(texts), atol=1e-6)
    (folder / QUANTIZED).write_bytes(b"{}")
    found = Search(stocked, home=encoder_home, tags={}).find("posets")
    assert (found.mode, "is damaged" in found.note) == (Mode.KEYWORD, True)


def test_without_vectors_search_by_meaning_is_off(stocked: Database, encoder_home: Path) -> None:
    found = Search(stocked, home=encoder_home, tags={}).find("pooling", mode=Mode.SEMANTIC)
    assert (found.mode, "no paper has a vector" in found.note) == (Mode.KEYWORD, True)


def test_an_encoder_that_comes_later_is_used(stocked: Database, tmp_path: Path) -> None:
    search = Search(stocked, home=tmp_path, tags={})
    assert search.find("pooling").mode is Mode.KEYWORD
    write_encoder(tmp_path / "encoder")
    embed_papers(stocked, Looks(), "tiny")
    assert search.find("pooling").mode is Mode.HYBRID


# --- what is close ------------------------------------------------------------------------------------------------


def test_papers_are_found_by_meaning_alone(search: Search) -> None:
    found = search.find("disease", mode=Mode.SEMANTIC)
    assert found.mode is Mode.SEMANTIC
    assert found.note == ""
    assert found.hits[0].stored.paper.id == EPIDEMICS
    meaning = found.hits[0].reasons[-1]
    assert meaning.field == "meaning"
    assert meaning.marks == ()


def test_hybrid_adds_what_words_do_not_find(search: Search) -> None:
    assert ids(search, "posets") == [POOLING, *ids(search, "posets")[1:]]
    assert ids(search, "illness disease", mode=Mode.KEYWORD) == [EPIDEMICS]
    assert POOL not in ids(search, "layers", mode=Mode.KEYWORD)
    assert POOL in ids(search, "layers")


def test_filters_hold_for_meaning_too(search: Search) -> None:
    assert len(ids(search, "pooling", mode=Mode.SEMANTIC)) > 1
    assert ids(search, "pooling", mode=Mode.SEMANTIC, filters=Filters(category="cs.LG")) == [POOL]
    assert ids(search, "pooling", mode=Mode.SEMANTIC, filters=Filters(shelf="none")) == []


def test_an_exact_title_comes_first_in_every_mode(search: Search) -> None:
    for mode in Mode:
        for paper in PAPERS:
            assert ids(search, paper.title, mode=mode)[0] == paper.id


def test_similar_papers_are_close_in_meaning_and_never_the_paper_itself(search: Search) -> None:
    stored = search.find(POOLING).hits[0].stored
    similar = search.similar(stored)
    assert POOLING not in [hit.stored.paper.id for hit in similar]
    assert similar[0].stored.paper.id == POOL
    assert {reason.field for hit in similar for reason in hit.reasons} == {"meaning"}
    assert len(search.similar(stored, limit=1)) == 1


# --- the vectors in memory ----------------------------------------------------------------------------------------


class Random:
    """Vectors drawn once for each text."""

    def __init__(self, dimension: int = 8) -> None:
        self._drawn = np.random.default_rng(5).standard_normal((len(PAPERS), dimension)).astype(np.float32)
        self._drawn /= np.linalg.norm(self._drawn, axis=1, keepdims=True)

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        return self._drawn[
            [next(i for i, paper in enumerate(PAPERS) if text.startswith(paper.title + ".")) for text in texts]
        ]


def test_similarities_are_those_of_brute_force(stocked: Database) -> None:
    embed_papers(stocked, Random(), "random")
    with stocked.read() as connection:
        snapshot = Vectors("random", 8).current(connection)
        query = np.random.default_rng(6).standard_normal(8).astype(np.float32)
        query /= np.linalg.norm(query)
        close = closest(connection, snapshot, query, floor=-1.0)
        number = {row.id: row.number for row in connection.execute(papers.select())}
    for paper, similarity in zip(PAPERS, Random()._drawn @ query, strict=True):
        assert close[number[paper.id]] == pytest.approx(similarity, abs=2e-3)  # half precision
    assert list(close.values()) == sorted(close.values(), reverse=True)


def test_the_closest_of_many_are_those_of_a_sort(database: Database) -> None:
    drawn = np.random.default_rng(0).standard_normal((20_000, 4)).astype(np.float32)
    blocks = tuple(np.pad(part, ((0, 8_192 - len(part)), (0, 0))) for part in np.split(drawn, [8_192, 16_384]))
    snapshot = Snapshot(blocks, np.arange(20_000) + 7)
    query = np.array([1, 0, 0, 0], np.float32)
    expected = np.argsort(-drawn[:, 0], kind="stable")[:100] + 7
    with database.read() as connection:
        assert list(closest(connection, snapshot, query)) == expected.tolist()
    assert snapshot.row(16_500) is not None
    np.testing.assert_array_equal(snapshot.row(16_500), drawn[16_493])
    assert snapshot.row(3) is None


def test_sketches_find_what_reading_all_finds(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors that differ most in some directions, as papers' do: nearly all of the closest, and their products."""
    monkeypatch.setattr(vectors_in_memory, "_SKETCHED", 2_000)
    rng = np.random.default_rng(1)
    drawn = rng.standard_normal((3_000, 128)) * np.linspace(1.5, 0.2, 128)
    with database.write() as connection:
        save_papers(connection, [Paper(id=f"2401.{number:05}", title="x") for number in range(3_000)])
        numbers = list(connection.scalars(select(papers.c.number).order_by(papers.c.number)))
        rows = [
            {"number": number, "encoder": "wide", "text_version": 1, "vector": row.astype("<f2").tobytes()}
            for number, row in zip(numbers, drawn, strict=True)
        ]
        connection.execute(vectors.insert(), rows)
    kept = Vectors("wide", 128)
    with database.read() as connection:
        snapshot = kept.current(connection)
    assert snapshot.directions is not None
    np.testing.assert_allclose(snapshot.directions.T @ snapshot.directions, np.eye(96), atol=1e-5)
    missed = 0
    for number in numbers[:40]:
        query = snapshot.row(number)
        assert query is not None
        all_ = snapshot.similarities(query)
        places, products = snapshot.nearest(query, 50)
        np.testing.assert_allclose(products, all_[places], atol=1e-6)
        missed += len({*np.argsort(-all_)[:50].tolist()} - {*places.tolist()})
    assert missed <= 4  # of 2,000


def test_vectors_follow_the_store(stocked: Database) -> None:
    kept = Vectors("tiny", 4)
    with stocked.read() as connection:
        assert len(kept.current(connection).numbers) == 0
    embed_papers(stocked, Looks(), "tiny", limit=2)
    with stocked.read() as connection:
        first = kept.current(connection)
        assert kept.current(connection) is first
    embed_papers(stocked, Looks(), "tiny")
    with stocked.read() as connection:
        assert len(kept.current(connection).numbers) == len(PAPERS)
    assert len(first.numbers) == 2
    changed = int(first.numbers[0])
    before = np.array(first.row(changed))
    with stocked.write() as connection:
        row = papers.c.number == changed
        connection.execute(update(papers).where(row).values(title="disease", summary=None, text_version=9))
    embed_papers(stocked, Looks(), "tiny")
    with stocked.read() as connection:
        after = kept.current(connection).row(changed)
    np.testing.assert_allclose(after, Looks().encode(["disease."])[0], atol=1e-3)
    np.testing.assert_array_equal(first.row(changed), before)  # an earlier answer's vectors stay as they were


def test_a_deleted_paper_is_not_found(search: Search, stocked: Database) -> None:
    assert EPIDEMICS in ids(search, "disease")
    with stocked.write() as connection:
        connection.execute(delete(papers).where(papers.c.id == EPIDEMICS))
    assert EPIDEMICS not in ids(search, "disease")


def test_a_vector_of_a_wrong_length_is_passed_over(stocked: Database) -> None:
    embed_papers(stocked, Looks(), "tiny")
    with stocked.write() as connection:
        connection.execute(update(vectors).values(vector=b"odd"))
    with stocked.read() as connection:
        assert len(Vectors("tiny", 4).current(connection).numbers) == 0


def test_many_threads_may_search_while_vectors_come(stocked: Database, encoder_home: Path) -> None:
    search = Search(stocked, home=encoder_home, tags=TAGS)
    failures: list[BaseException] = []

    def ask() -> None:
        try:
            for _ in range(10):
                search.find("disease layers")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(len(PAPERS)):
        embed_papers(stocked, Looks(), "tiny", limit=1)
    for thread in threads:
        thread.join()
    assert not failures
    assert search.find("disease").mode is Mode.HYBRID


# --- fusion, and what is loaded -----------------------------------------------------------------------------------


def test_fusion_by_hand() -> None:
    scores = fuse([[1, 2, 3], [3, 4]])
    assert scores == pytest.approx({1: 1 / 61, 2: 1 / 62, 3: 1 / 63 + 1 / 61, 4: 1 / 62})
    assert best_first(scores, {1: "c", 2: "b", 3: "d", 4: "a"}) == [3, 1, 4, 2]
    assert best_first(scores, {1: "c", 4: "a"}) == [1, 4]  # the others are not in the store any more


def test_searching_loads_no_torch(encoder_home: Path) -> None:
    program = f"""
import sys
from pathlib import Path
from cenote.site.search import Search
from cenote.site.store.database import Database
with Database("sqlite:///{encoder_home}/store.sqlite3") as database:
    search = Search(database, home=Path({str(encoder_home)!r}), tags={{}})
    assert "no paper has a vector" in search.find("pooling").note
heavy = {{"torch", "transformers", "scipy", "sklearn", "matplotlib", "pandas"}}
print(sorted(heavy & set(sys.modules)), "onnxruntime" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ)
    assert done.stdout.split("\n")[0] == "[] True"
    assert json.loads((encoder_home / "encoder" / "encoder.json").read_text())["name"] == "tiny"
