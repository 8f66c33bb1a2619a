"""A handful of papers to look for, and an encoder so small that its answers are known."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from cenote.site.papers import Paper
from cenote.site.search import Search, Tags
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers
from tests.site.tiny_encoder import write_encoder

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


@pytest.fixture
def stocked(database: Database) -> Database:
    with database.write() as connection:
        save_papers(connection, PAPERS)
    return database


@pytest.fixture
def search(stocked: Database, tmp_path: Path) -> Search:
    """A search by words: there is no encoder."""
    return Search(stocked, home=tmp_path, tags=TAGS)


@pytest.fixture
def encoder_home(tmp_path: Path) -> Path:
    """A home with a tiny encoder, which looks each word up."""
    write_encoder(tmp_path / "encoder")
    return tmp_path
