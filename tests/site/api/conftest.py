"""A site with a few papers, and an application of the API's routes alone."""

from __future__ import annotations

import datetime as dt
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from cenote.site.app import create_app
from cenote.site.embedding.worker import embed_papers
from cenote.site.methods import Methods
from cenote.site.papers import Paper
from cenote.site.search import Filters, Found, Mode, Search, Tags
from cenote.site.settings import SiteSettings
from cenote.site.state import Site
from cenote.site.store.database import Database
from cenote.site.store.saving import save_papers
from tests.site.conftest import KINDS, empty_store
from tests.site.tiny_encoder import Looks, write_encoder

ORIGIN = "https://feed.example:8443"
BASE = f"{ORIGIN}/cenote"

HOSTILE = "</script><script>alert(1)</script><![CDATA[&lt;]]>\"'"

FULL = Paper(
    id="2602.00001",
    title="Pooling of Ponds",
    summary="We pool ponds, fast.",
    authors=("Zoë Müller", "王小明"),
    published=dt.datetime(2026, 2, 8, 18, 0, 1, tzinfo=dt.UTC),
    updated=dt.datetime(2026, 2, 20, 1, 2, 3, tzinfo=dt.UTC),
    featured=dt.date(2026, 2, 11),
    categories=("cs.CV", "cs.LG"),
    keywords=("pooling", "ponds"),
    organization="Pond University",
    code_url="https://github.com/pond/pool",
    code_stars=7,
    project_url="https://ponds.example/pooling",
    upvotes=42,
    comments=3,
    submitted_by="akhaliq",
)
OLD = Paper(
    id="hep-th/9901001", title="Strings", authors=("A. String",), published=dt.datetime(1999, 1, 1, tzinfo=dt.UTC)
)
COUNTED = Paper(id="2602.00002", title="Counted Authors", author_count=5, featured=dt.date(2026, 2, 12))
UNDATED = Paper(id="2602.00003", title="Undated Ponds")
XSS = Paper(
    id="2602.00004",
    title=f"Title {HOSTILE}",
    summary=f"Summary {HOSTILE}",
    authors=(f"Author {HOSTILE}",),
    featured=dt.date(2026, 3, 1),
    categories=(f"cs.{HOSTILE}",),
    organization=HOSTILE,
    submitted_by=HOSTILE,
    upvotes=1,
)
CARD = "2412.06097"
TAGS = Tags("pooling", frozenset({"holds", "fails"}), has_code=True)


class Listening(Search):
    """The site's search, which remembers what was asked."""

    def __init__(self, database: Database, *, home: Path, tags: Mapping[str, Tags]) -> None:
        super().__init__(database, home=home, tags=tags)
        self.asked: list[tuple[str, Filters, Mode, int, int]] = []

    def find(
        self,
        query: str,
        *,
        filters: Filters | None = None,
        mode: Mode = Mode.HYBRID,
        limit: int = 20,
        offset: int = 0,
        explained: bool = True,
    ) -> Found:
        self.asked.append((query, filters or Filters(), mode, limit, offset))
        return super().find(query, filters=filters, mode=mode, limit=limit, offset=offset, explained=explained)


@pytest.fixture(scope="session", params=KINDS)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One for all tests that only read."""
    home = tmp_path_factory.mktemp("api")
    with empty_store(request.param, home, request) as url, Database(url) as database:
        yield make_site(database, home)


@pytest.fixture
def own_site(quick_store: Database, tmp_path: Path) -> Site:
    """One that a test may change."""
    return make_site(quick_store, tmp_path)


def make_site(database: Database, home: Path) -> Site:
    """Search is by words and, with the tiny encoder, by meaning: every paper has its vector."""
    methods = Methods()
    card = methods.by_paper(CARD)
    assert card is not None
    ours = Paper(
        id=CARD,
        title=card.card.title,
        summary=card.card.summary,
        author_count=card.card.authors,
        published=dt.datetime.combine(card.card.published, dt.time(), dt.UTC),
        featured=dt.date(2026, 2, 9),
    )
    with database.write() as connection:
        save_papers(connection, [FULL, OLD, COUNTED, UNDATED, XSS, ours])
    write_encoder(home / "encoder")
    embed_papers(database, Looks(), "tiny")
    search = Listening(database, home=home, tags={CARD: TAGS})
    return Site(SiteSettings(home=home, base_url=BASE), database, methods, search)


def make_app(site: Site) -> FastAPI:
    app = create_app(site=site)
    app.state.site = site  # also where nobody starts it
    return app


@pytest.fixture(scope="session")
def client(site: Site) -> Iterator[TestClient]:
    with TestClient(make_app(site), ORIGIN) as opened:
        yield opened


@pytest.fixture
def own_client(own_site: Site) -> Iterator[TestClient]:
    with TestClient(make_app(own_site), ORIGIN, raise_server_exceptions=False) as opened:
        yield opened


@pytest.fixture
def asked(site: Site) -> list[tuple[str, Filters, Mode, int, int]]:
    """What is asked of the search."""
    assert isinstance(site.search, Listening)
    site.search.asked.clear()
    return site.search.asked


@pytest.fixture(scope="session")
def endpoint(site: Site) -> Iterator[str]:
    """The address of a server on this machine."""
    with socket.socket(
        proto=socket.IPPROTO_TCP
    ) as listening:  # else each answer waits 40 ms for the last one's receipt
        listening.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(make_app(site), log_level="warning", lifespan="off", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        server.should_exit = True
        thread.join()
